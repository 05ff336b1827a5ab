"""Roll-ups behind the writer: an hour that was touched is counted again, and until then answered from its rows.

The protocol, which keeps every answer exact (DESIGN: "Roll-ups"):

* Whoever writes or deletes rows marks their hours first, in the same transaction (`mark`).
* `roll_up_hour` deletes the marks it sees, waits for the writers who made them, and counts the hour anew.
  A mark that comes later stays.
* An answer reads, in one snapshot, the marks first; then roll-ups outside the marked hours and rows inside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import errors

from auditlog.models import Site, TouchedHour
from auditlog.models.durations import BUCKET_SQL
from auditlog.models.rollups import HOUR, ROLL_UPS, HourByError, RollUp
from auditlog.store.partitions import TABLE

_ROLLER_LOCK = 7001
"""First key of the lock that lets one connection at a time roll up a given hour."""
_WRITER_LOCK = 7002
"""First key of the lock that writers share on the hours they touch."""
_WRITER_LOCKS = 256
"""Hours share so many locks, so that a batch over many days does not fill the server's lock table."""

_MARKS = TouchedHour._meta.db_table
TABLES: tuple[type[RollUp], ...] = (*ROLL_UPS, HourByError)
"""Every roll-up there is."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_EXPRESSIONS = {"duration_bucket": BUCKET_SQL.format("duration_ms")}
"""Columns of roll-ups that the log does not have, and what they are there."""


def create_tables() -> None:
    """Create the roll-ups, their columns as the log has them. For the migration."""
    with connection.cursor() as cursor:
        for model in TABLES:
            columns = "".join(f", {_EXPRESSIONS.get(name, name)} AS {name}" for name in model.columns())
            cursor.execute(
                f"CREATE TABLE {model._meta.db_table} AS SELECT created_at AS start, site_id, success{columns}, "  # noqa: S608
                f"0 AS requests FROM {TABLE} WITH NO DATA"
            )
            # What one site's questions read.
            cursor.execute(f"CREATE INDEX ON {model._meta.db_table} (site_id, start)")


def drop_tables() -> None:
    """Drop the roll-ups. For the migration's way back."""
    with connection.cursor() as cursor:
        for model in TABLES:
            cursor.execute(f"DROP TABLE {model._meta.db_table}")


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the UTC hour of `moment`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(minute=0, second=0, microsecond=0)


def mark(cursor: CursorWrapper, hours: Iterable[datetime]) -> None:
    """Say, before the rows are touched and in the same transaction, that the roll-ups of `hours` are no longer true."""
    touched = sorted(set(hours))
    locks = sorted({_lock_of(hour) for hour in touched})
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, lock) FROM unnest(%s::int[]) lock", [_WRITER_LOCK, locks])
    cursor.execute(f"INSERT INTO {_MARKS} (hour) SELECT unnest(%s::timestamptz[])", [touched])


def forget_sites() -> None:
    """Remove the roll-ups of sites that are no more; nobody can ask for them."""
    sites = list(Site.objects.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        for model in TABLES:
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE site_id <> ALL(%s)", [sites])  # noqa: S608


def roll_up() -> int:
    """Roll up every marked hour, the newest first; return how many were. Safe beside writers, readers and itself."""
    hours = list(TouchedHour.objects.order_by("-hour").values_list("hour", flat=True).distinct())
    return sum(roll_up_hour(hour) for hour in hours)


def roll_up_hour(hour: datetime) -> bool:
    """Count the entries of one hour anew; False where somebody else is at it or a writer keeps it waiting."""
    sites = list(Site.objects.values_list("pk", flat=True))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '15min'")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_ROLLER_LOCK, _number(hour)])
            if not cursor.fetchone()[0]:
                return False
            cursor.execute(f"DELETE FROM {_MARKS} WHERE hour = %s", [hour])  # noqa: S608
            # Not before the writers whose marks are gone have finished.
            lock = [_WRITER_LOCK, _lock_of(hour)]
            cursor.execute("SELECT pg_advisory_lock(%s, %s), pg_advisory_unlock(%s, %s)", [*lock, *lock])
            cursor.execute(_COUNT_ANEW, {"start": hour, "end": hour + HOUR, "sites": sites})
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable):
            return False
        raise
    return True


def _number(hour: datetime) -> int:
    return (hour - _EPOCH) // timedelta(hours=1)


def _lock_of(hour: datetime) -> int:
    return _number(hour) % _WRITER_LOCKS


def _count_anew() -> str:
    """Return the statement that replaces an hour's groups in every roll-up, from one look at the rows."""
    wanted = dict.fromkeys(name for model in TABLES for name in model.columns())
    columns = ", ".join(f"{_EXPRESSIONS.get(name, name)} AS {name}" for name in wanted)
    span = "start >= %(start)s AND start < %(end)s AND site_id = ANY(%(sites)s)"
    parts = [
        f"entries AS MATERIALIZED (SELECT created_at, site_id, success, {columns} FROM {TABLE} "  # noqa: S608
        "WHERE created_at >= %(start)s AND created_at < %(end)s AND site_id = ANY(%(sites)s))"
    ]
    for number, model in enumerate(TABLES):
        table = model._meta.db_table
        start = "%(start)s::timestamptz" if model.grain == HOUR else "date_trunc('minute', created_at, 'UTC')"
        group = ", ".join(["site_id", "success", *model.columns()])
        condition = "WHERE error_type IS NOT NULL" if model is HourByError else ""
        parts.append(f"gone_{number} AS (DELETE FROM {table} WHERE {span})")  # noqa: S608
        parts.append(
            f"made_{number} AS (INSERT INTO {table} (start, {group}, requests) "  # noqa: S608
            f"SELECT {start}, {group}, count(*) FROM entries {condition} GROUP BY 1, {group})"
        )
    return f"WITH {', '.join(parts)} SELECT count(*) FROM entries"  # noqa: S608


_COUNT_ANEW = _count_anew()
