"""Retention: a day that is past it leaves whole, against deleting its rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import connection

from auditlog.models import Site
from auditlog.store import partitions, retention, rollups
from auditlog.store.partitions import TABLE, Partition
from benchmarks.bench import Bench, Disagreement
from benchmarks.data import DAYS
from benchmarks.report import Reach, Row, bytes_text, time_text
from benchmarks.timing import seconds

REPEATS = 3
OVER_DELETE = Reach(50)


def purge_rows(bench: Bench) -> Iterator[Row]:
    """Purge the oldest days and delete the rows of the newest whole days, one by one in turn."""
    Site.objects.update(retention_days=DAYS - 1)
    midnight = datetime.combine(bench.book.plan.now.date(), datetime.min.time(), UTC)
    purged, deleted, freed, left, counted = [], [], [], [], []
    for number in range(REPEATS):
        whole = partitions.partition_of(midnight.date() - timedelta(days=number + 1))
        before = _size(whole)
        deleted.append(seconds(lambda _, day=whole: _delete(day)))  # type: ignore[misc]
        left.append(before - _size(whole))
        oldest = partitions.attached()[0]
        freed.append(_size(oldest))
        # The evening of the day on which the next oldest day is past the retention.
        now = midnight + timedelta(days=number + 1)
        purged.append(seconds(lambda _, now=now: retention.purge(now)))  # type: ignore[misc]
        if oldest in partitions.attached():
            raise Disagreement(f"{oldest.name} was not purged")
        counted.append(seconds(lambda _: rollups.roll_up()))
    ours, theirs = median(purged), median(deleted)
    yield Row(
        f"purge of one day of {DAYS}",
        f"{time_text(ours)}, {bytes_text(median(freed))} given back",
        f"DELETE and VACUUM of as many rows: {time_text(theirs)}, {bytes_text(median(left))} given back",
        theirs / ours,
        OVER_DELETE,
    )
    yield Row("purge: its roll-ups, which leave within a minute after it", time_text(median(counted)))


def _delete(day: Partition) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE created_at >= %s AND created_at < %s", [day.start, day.end])  # noqa: S608
        cursor.execute(f"VACUUM {day.name}")


def _size(day: Partition) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [day.name])
        return int(cursor.fetchone()[0])
