"""The whole log page: address in, HTML out."""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections.abc import Iterator

from django.contrib.auth.models import User
from django.test import Client

from auditlog.search import pages
from benchmarks.bench import Bench
from benchmarks.report import Row, time_text
from benchmarks.timing import alternate

REPEATS = 21
PROFILED = 20


def view_rows(bench: Bench) -> Iterator[Row]:
    """Time the page, and with PROFILE=1 tell on standard error where the time goes."""
    reader = Client()
    reader.force_login(User.objects.create_superuser("benchmark"))
    for span in ("24h", "30d"):
        address = f"/{bench.book.sites[0].slug}/logs/?last={span}"

        def page(_: int, address: str = address) -> None:
            answer = reader.get(address)
            assert answer.status_code == 200, answer.status_code  # noqa: S101

        times = alternate({"page": page}, repeats=REPEATS)
        size = len(reader.get(address).content)
        what = f"whole log page, {pages.PAGE_SIZE} rows, {span}"
        yield Row(what, time_text(times["page"]), f"{size:,} bytes of HTML")
        if bench.profile:
            with cProfile.Profile() as profile:
                for _ in range(PROFILED):
                    page(0)
            print(f"{PROFILED} pages of {address}", file=sys.stderr)
            pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(45)
