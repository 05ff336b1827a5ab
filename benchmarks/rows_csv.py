"""The CSV: how fast, against what psql makes of the same query, and in how much memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.db import connection
from psycopg import ClientCursor

from auditlog.export import csv
from auditlog.models import ApiRequestLog
from auditlog.models.log import COLUMNS
from auditlog.search import pages, timerange
from auditlog.search.question import Question
from benchmarks.bench import Bench, Disagreement
from benchmarks.books import Book
from benchmarks.report import Reach, Row, bytes_text, rate_text
from benchmarks.timing import alternate
from config.postgres import embedded_bin

MANY, FEW = 1_000_000, 100_000
SPEED = Reach(0.8)
FLAT = Reach(1.2, is_most=True)
NOISE_BYTES = 1_000_000
"""Growth below this is the allocator's business."""


def csv_rows(bench: Bench) -> Iterator[Row]:
    """Compare the download's speed with psql's, and its memory at many and at few rows."""
    question, rows = newest(bench.book, MANY)
    yield _speed(question, rows, bench.repeats)
    few, fewer = newest(bench.book, min(FEW, rows // 10))
    yield _memory(question, rows, few, fewer)


def newest(book: Book, rows: int) -> tuple[Question, int]:
    """Return the question for the newest `rows` of the dominant site, or as many as there are, and their number."""
    everything = book.question("last=30d")
    rows = min(rows, everything.rows().count())
    ordered = ApiRequestLog.objects.filter(site_id=everything.sites[0].pk, created_at__lt=everything.time.end)
    start = ordered.order_by("-created_at").values_list("created_at", flat=True)[rows - 1]
    question = book.question(f"from={timerange.written(start)}&to={timerange.written(everything.time.end)}")
    return question, question.rows().count()


def _speed(question: Question, rows: int, repeats: int) -> Row:
    command = _psql(question)

    def psql(_: int) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment())  # noqa: S603

    whole = subprocess.run(command, check=True, capture_output=True, env=_environment()).stdout  # noqa: S603
    heading, *blocks = csv.lines(question, list(COLUMNS))
    if b"".join(blocks) != whole:
        raise Disagreement(f"{len(whole):,} bytes by psql, {sum(map(len, blocks)):,} by Gatebook")
    size = len(whole)
    del whole, blocks
    times = alternate(
        {"Gatebook": lambda _: sum(map(len, csv.lines(question, list(COLUMNS)))), "psql": psql}, repeats=repeats
    )
    return Row(
        f"CSV of {rows:,} rows, {bytes_text(size + len(heading))}",
        rate_text(rows, times["Gatebook"]),
        f"psql \\copy of the same queries to /dev/null: {rate_text(rows, times['psql'])}",
        times["psql"] / times["Gatebook"],
        SPEED,
    )


def _psql(question: Question) -> list[str]:
    own = embedded_bin() / "psql"
    program = str(own) if own.is_file() else shutil.which("psql")
    if program is None:
        raise FileNotFoundError("psql comes neither with the embedded PostgreSQL nor with this system")
    cells = [csv.cell(name) for name in COLUMNS]
    queries = [rows.values_list(*cells).query.sql_with_params() for rows in pages.in_turn(question)]
    with ClientCursor(connection.connection) as cursor:
        copies = [f"\\copy ({cursor.mogrify(*query)}) TO STDOUT WITH (FORMAT csv)" for query in queries]
    return [program, "--no-psqlrc", "--quiet", *(f"--command={copy}" for copy in copies)]


def _environment() -> dict[str, str]:
    params = connection.get_connection_params()
    named = {"PGHOST": params["host"], "PGUSER": params["user"], "PGDATABASE": params["dbname"]}
    return {**os.environ, **{name: str(value) for name, value in named.items()}, "PGTZ": "UTC"}


def _memory(many: Question, many_rows: int, few: Question, few_rows: int) -> Row:
    most, least = (_growth(question) for question in (many, few))
    return Row(
        f"CSV: growth of memory at {many_rows:,} rows over that at {few_rows:,}",
        bytes_text(most),
        f"itself: {bytes_text(least)}",
        max(most, NOISE_BYTES) / max(least, NOISE_BYTES),
        FLAT,
    )


def _growth(question: Question) -> int:
    """Return by how many bytes a process grows while it makes the file."""
    address = question.query(resolved=True)
    command = [sys.executable, "-m", "benchmarks.memory", question.sites[0].slug, address]
    root = Path(__file__).parent.parent
    answer = subprocess.run(command, check=True, capture_output=True, cwd=root)  # noqa: S603
    return int(json.loads(answer.stdout)["growth"])
