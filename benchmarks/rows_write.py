"""Writing: the idempotent, durable `write()`, against the ceiling (a bare COPY) and against Django's bulk_create."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.db import connection, transaction

from auditlog.models import ApiRequestLog
from auditlog.store import partitions, writer
from benchmarks.bench import Bench, Disagreement
from benchmarks.data import COLUMNS, Day
from benchmarks.report import Reach, Row, rate_text
from benchmarks.timing import alternate
from gatebook.entry import FIELDS, Entry

BATCH = 5_000
BATCHES = 4
"""To a turn; bulk_create, which is slow, gets one."""
OF_BARE_COPY, OVER_BULK_CREATE = Reach(0.35), Reach(5)
SPACING = timedelta(milliseconds=5)


def write_rows(bench: Bench) -> Iterator[Row]:
    """Write new rows at the right edge of the book in three ways, taking turns."""
    turns = bench.repeats + 1
    site = bench.book.sites[0]
    entries = iter(new_entries(bench, turns * (BATCHES + 1) * BATCH))
    batches = [[shuffled(entries) for _ in range(BATCHES)] for _ in range(turns)]
    tuples = [[[_values(site.pk, entry) for entry in batch] for batch in some] for some in batches]
    others = [shuffled(entries) for _ in range(turns)]
    # The warm-up is turn 0 as well: each call takes the next.
    to_write, to_copy, to_create = iter(batches), iter(tuples), iter(others)

    def write(_: int) -> None:
        for batch in next(to_write):
            written = writer.write(site, batch)
            if written.stored != len(batch):
                raise Disagreement(f"{written.stored} of {len(batch)} entries were stored")

    into = f"COPY bare ({', '.join(COLUMNS)}) FROM STDIN"

    def copy(_: int) -> None:
        for batch in next(to_copy):
            with transaction.atomic(), connection.cursor() as cursor, cursor.copy(into) as incoming:
                for row in batch:
                    incoming.write_row(row)

    def bulk_create(_: int) -> None:
        objects = [ApiRequestLog(site_id=site.pk, **_fields(entry)) for entry in next(to_create)]
        ApiRequestLog.objects.bulk_create(objects, batch_size=BATCH, ignore_conflicts=True)

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE bare (LIKE {partitions.TABLE})")
    try:
        times = alternate({"write": write, "copy": copy, "bulk_create": bulk_create}, repeats=bench.repeats)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE bare")
    ours = times["write"] / BATCHES
    copied = times["copy"] / BATCHES
    what = f"durable idempotent write(), batches of {BATCH:,}"
    yield Row(
        what,
        rate_text(BATCH, ours),
        f"bare COPY into a table without indexes: {rate_text(BATCH, copied)}",
        copied / ours,
        OF_BARE_COPY,
    )
    created = times["bulk_create"]
    yield Row(
        what,
        rate_text(BATCH, ours),
        f"Django bulk_create, ignore_conflicts: {rate_text(BATCH, created)}",
        created / ours,
        OVER_BULK_CREATE,
    )


def new_entries(bench: Bench, count: int, *, skip: int = 0) -> Iterator[Entry]:
    """Draw entries that go on where the book ends, or `skip` entries behind it."""
    plan = bench.book.plan
    day = Day(plan.now.date(), plan.rows + skip, count, 1.0)
    for number, row in enumerate(bench.generator.rows(day), skip + 1):
        del row["site_id"]
        row |= {"created_at": plan.now + number * SPACING, "details": {}}
        yield Entry(**row)


def shuffled(entries: Iterator[Entry]) -> list[Entry]:
    """Take a batch: in the order of time, but within the batch as they come."""
    batch = [next(entries) for _ in range(BATCH)]
    random.Random(BATCH).shuffle(batch)  # noqa: S311
    return batch


def _values(site_id: int, entry: Entry) -> Sequence[object]:
    return (site_id, *(getattr(entry, name) for name in FIELDS[:-1]), None)


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in FIELDS} | {"details": None}
