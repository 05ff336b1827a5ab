"""Roll-ups behind the writer: an hour that was touched is counted again, and until then answered from its rows.

The protocol, which keeps every answer exact:

* Whoever writes or deletes rows marks their hours first, in the same transaction (`mark`).
* `roll_up_hour` deletes the marks it sees, waits for the writers who made them, and counts the hour anew.
  A mark that comes later stays.
* An answer reads, in one snapshot, the marks first; then roll-ups outside the marked hours and rows inside them.

Days are to hours what hours are to rows: an hour that is counted marks its day, and `roll_up_day` sums the day up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import errors

from auditlog.models import Site, TouchedDay, TouchedHour
from auditlog.models.durations import BUCKET_SQL
from auditlog.models.rollups import DAY, HOUR, MINUTE, ROLL_UPS, ByError, RollUp
from auditlog.store.alone import alone
from auditlog.store.partitions import TABLE

logger = logging.getLogger(__name__)

_TIME_ENOUGH = "SET LOCAL statement_timeout = '15min'"

_ROLLER_LOCK = 7007
_HOUR_LOCK = 7001
"""First key of the lock that lets one connection at a time count a given hour."""
_WRITER_LOCK = 7002
"""First key of the lock that writers share on the hours they touch."""
_WRITER_LOCKS = 256
"""Hours share so many locks, so that a batch over many days does not fill the server's lock table."""
_DAY_LOCK = 7006
"""First key of the lock that lets one connection at a time sum up a given day."""

TABLES: tuple[type[RollUp], ...] = (*ROLL_UPS, ByError)
"""Every roll-up there is."""

_HOUR_MARKS = TouchedHour._meta.db_table
_DAY_MARKS = TouchedDay._meta.db_table
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_EXPRESSIONS = {"duration_bucket": BUCKET_SQL.format("duration_ms")}
"""Columns of roll-ups that the log does not have, and what they are there."""


def create_tables() -> None:
    """Create the roll-ups, their columns as the log has them. For the migration."""
    with connection.cursor() as cursor:
        for model in TABLES:
            columns = "".join(f", {_EXPRESSIONS.get(name, name)} AS {name}" for name in model.columns())
            cursor.execute(
                f"CREATE TABLE {model._meta.db_table} AS SELECT created_at AS start, site_id, 0::smallint AS minutes, "  # noqa: S608
                f"success, 0 AS requests{columns} FROM {TABLE} WITH NO DATA"
            )
            # What one site's questions read.
            cursor.execute(f"CREATE INDEX ON {model._meta.db_table} (site_id, minutes, start)")


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
    cursor.execute(f"INSERT INTO {_HOUR_MARKS} (hour) SELECT unnest(%s::timestamptz[])", [touched])


def hours_between(first: datetime, last: datetime) -> list[datetime]:
    """Return the beginnings of all hours from that of `first` to that of `last`."""
    start = hour_of(first)
    return [start + number * HOUR for number in range((last - start) // HOUR + 1)]


def forget_sites() -> None:
    """Remove the roll-ups of sites that are no more; nobody can ask for them."""
    sites = Site._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TIME_ENOUGH)
        for model in TABLES:
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE site_id NOT IN (SELECT id FROM {sites})")  # noqa: S608


def roll_up(now: datetime | None = None) -> int:
    """Count every marked hour anew, the newest first, and sum up the days that are over; return how many hours.

    Safe beside writers and readers; beside another run it does nothing.
    """
    with alone(_ROLLER_LOCK) as is_ours:
        return _roll_up(now or datetime.now(UTC)) if is_ours else 0


def _roll_up(now: datetime) -> int:
    hours = list(TouchedHour.objects.order_by("-hour").values_list("hour", flat=True).distinct())
    counted = sum(roll_up_hour(hour) for hour in hours)
    for day in TouchedDay.objects.filter(day__lte=now - DAY).order_by("-day").values_list("day", flat=True).distinct():
        roll_up_day(day)
    return counted


def roll_up_hour(hour: datetime) -> bool:
    """Count the entries of one hour anew; False where somebody else is at it or a writer keeps it waiting."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if not _begin(cursor, _HOUR_LOCK, _number(hour)):
                return False
            cursor.execute(f"DELETE FROM {_HOUR_MARKS} WHERE hour = %s", [hour])  # noqa: S608
            # Not before the writers whose marks are gone have finished.
            lock = [_WRITER_LOCK, _lock_of(hour)]
            cursor.execute("SELECT pg_advisory_lock(%s, %s), pg_advisory_unlock(%s, %s)", [*lock, *lock])
            cursor.execute(f"INSERT INTO {_DAY_MARKS} (day) VALUES (%s)", [hour.replace(hour=0)])  # noqa: S608
            cursor.execute(_COUNT_HOUR, {"start": hour, "end": hour + HOUR, "sites": _sites()})
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable | errors.QueryCanceled | errors.DeadlockDetected):
            logger.warning("The hour %s could not be counted, it stays marked: %s", hour, error)
            return False
        raise
    return True


def roll_up_day(day: datetime) -> bool:
    """Sum up the hours of one UTC day anew; False where somebody else is at it or hours wait to be counted."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not _begin(cursor, _DAY_LOCK, _number(day)):
            return False
        if TouchedHour.objects.filter(hour__gte=day, hour__lt=day + DAY).exists():
            return False
        cursor.execute(f"DELETE FROM {_DAY_MARKS} WHERE day = %s", [day])  # noqa: S608
        cursor.execute(_SUM_UP_DAY, {"start": day, "end": day + DAY, "sites": _sites()})
    return True


def _begin(cursor: CursorWrapper, lock: int, number: int) -> bool:
    """Begin to count something that nobody else may be counting; tell whether that is so."""
    cursor.execute(_TIME_ENOUGH)
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [lock, number])
    return bool(cursor.fetchone()[0])


def _sites() -> list[int]:
    return list(Site.objects.values_list("pk", flat=True))


def _number(hour: datetime) -> int:
    return (hour - _EPOCH) // HOUR


def _lock_of(hour: datetime) -> int:
    return _number(hour) % _WRITER_LOCKS


def _count_hour() -> str:
    """Return the statement that replaces an hour's groups in every roll-up, from one look at the rows."""
    wanted = dict.fromkeys(name for model in TABLES for name in model.columns())
    columns = ", ".join(f"{_EXPRESSIONS.get(name, name)} AS {name}" for name in wanted)
    entries = (
        f"entries AS MATERIALIZED (SELECT created_at, site_id, success, {columns} FROM {TABLE} "  # noqa: S608
        "WHERE created_at >= %(start)s AND created_at < %(end)s AND site_id = ANY(%(sites)s))"
    )
    starts = {HOUR: "%(start)s::timestamptz", MINUTE: "date_trunc('minute', created_at, 'UTC')"}
    parts = [
        part
        for model in TABLES
        for grain in model.grains
        if grain in starts
        for part in _replace(model, grain, starts[grain], "count(*)", "entries", _condition(model))
    ]
    return f"WITH {', '.join([entries, *_named(parts)])} SELECT count(*) FROM entries"  # noqa: S608


def _sum_up_day() -> str:
    """Return the statement that replaces a day's groups in every roll-up, from its hours."""
    parts = [
        part
        for model in TABLES
        for part in _replace(
            model, DAY, "%(start)s::timestamptz", "sum(requests)", model._meta.db_table, f"WHERE {_span(HOUR)}"
        )
    ]
    return f"WITH {', '.join(_named(parts))} SELECT 1"


def _replace(
    model: type[RollUp], grain: timedelta, start: str, requests: str, source: str, condition: str
) -> tuple[str, str]:
    """Return the statements that remove the groups of one grain and insert them as counted in `source`."""
    table, group = model._meta.db_table, ", ".join(["site_id", "success", *model.columns()])
    return (
        f"DELETE FROM {table} WHERE {_span(grain)}",  # noqa: S608
        f"INSERT INTO {table} (minutes, start, {group}, requests) "  # noqa: S608
        f"SELECT {_minutes(grain)}, {start}, {group}, {requests} FROM {source} {condition} GROUP BY 2, {group}",
    )


def _condition(model: type[RollUp]) -> str:
    return "WHERE error_type IS NOT NULL" if model is ByError else ""


def _span(grain: timedelta) -> str:
    return f"site_id = ANY(%(sites)s) AND minutes = {_minutes(grain)} AND start >= %(start)s AND start < %(end)s"


def _minutes(grain: timedelta) -> int:
    return grain // MINUTE


def _named(parts: list[str]) -> list[str]:
    return [f"part_{number} AS ({part})" for number, part in enumerate(parts)]


_COUNT_HOUR, _SUM_UP_DAY = _count_hour(), _sum_up_day()
