"""Whole pages and their later parts: address in, HTML out."""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
from collections.abc import Iterator

from django.contrib.auth.models import User
from django.http.response import HttpResponseBase
from django.test import Client

from auditlog.search import pages
from benchmarks.bench import Bench
from benchmarks.report import Row, time_text
from benchmarks.timing import alternate

REPEATS = 21
PROFILED = 20
LEFT_OUT = "Too much to "
"""What a page says in the place of a part that took longer than it may."""
PAGES = {
    f"whole log page, {pages.PAGE_SIZE} rows, 24h": "logs/?last=24h",
    f"whole log page, {pages.PAGE_SIZE} rows, 30d": "logs/?last=30d",
    "counts by value, 24h": "logs/facets?last=24h",
    "counts by value, 30d": "logs/facets?last=30d",
    "counts by value, code 401, 30d": "logs/facets?code=401&last=30d",
    "overview, 24h": "overview/?last=24h",
    "overview, 30d": "overview/?last=30d",
    "busiest users, addresses, keys, 24h": "overview/more?last=24h",
    "busiest users, addresses, keys, 30d": "overview/more?last=30d",
    "suggestions for a bare word, 24h": "logs/suggest?q=ada&at=3&last=24h",
    "suggestions for a bare word, 30d": "logs/suggest?q=ada&at=3&last=30d",
}


def view_rows(bench: Bench) -> Iterator[Row]:
    """Time each page, and with PROFILE=1 tell on standard error where the time goes."""
    reader = Client()
    reader.force_login(User.objects.create_superuser("benchmark"))
    for what, path in PAGES.items():
        address = f"/{bench.book.sites[0].slug}/{path}"

        def page(_: int, address: str = address) -> None:
            answer = reader.get(address)
            assert answer.status_code == 200, answer.status_code  # noqa: S101

        times = alternate({"page": page}, repeats=REPEATS)
        yield Row(what, time_text(times["page"]), told(reader.get(address)))
        if bench.profile:
            with cProfile.Profile() as profile:
                for _ in range(PROFILED):
                    page(0)
            print(f"{PROFILED} pages of {address}", file=sys.stderr)
            pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(45)


def told(answer: HttpResponseBase) -> str:
    """Say how much an answer holds, and what it had to leave out for its budgets."""
    text = answer.getvalue().decode()
    if answer.headers["Content-Type"] == "application/json":
        options = json.loads(text)["options"]
        return f"{sum(option['note'][:1].isdecimal() for option in options)} of {len(options)} with their number"
    left_out = text.count(LEFT_OUT)
    return f"{len(text):,} characters of HTML" + (f", {left_out} parts left out" if left_out else "")
