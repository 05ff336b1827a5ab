"""Closing a day that is over: look-up indexes that would slow writing down, and rows that need no vacuum any more.

A month has its look-ups while it runs: its rows are too many to read, and a book kept for years is not written as fast
as that.

A closed day still takes late entries. What a crash leaves half done is found by the next run: a day is noted as closed
last, and an index that is not valid is dropped and built again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from django.db import OperationalError, ProgrammingError, connection
from django.db.backends.utils import CursorWrapper
from psycopg import errors

from auditlog.store import partitions
from auditlog.store.alone import alone
from auditlog.store.partitions import TABLE, Partition

GRACE = timedelta(hours=1)
"""A day is closed so long after its end: spools have been shipped by then."""

LOOK_UPS = {
    # "What did this user do?", by id or name.
    "user_id": "(user_id, created_at) WHERE user_id IS NOT NULL",
    "username": "(username, created_at) WHERE username IS NOT NULL",
    # "What came from this address, or network?"
    "request_ip": "(request_ip, created_at) WHERE request_ip IS NOT NULL",
    # "What was done with this key?", by id or prefix.
    "api_key_id": "(api_key_id, created_at) WHERE api_key_id IS NOT NULL",
    "api_key_prefix": "(api_key_prefix, created_at) WHERE api_key_prefix IS NOT NULL",
    # "What failed on this interface?"
    "interface_failures": "(site_id, interface, created_at) WHERE NOT success",
    # "Who gets the 401s, and since when?"
    "code_failures": "(site_id, response_code, created_at) WHERE NOT success",
    # "Who acted as somebody else?", which is rare.
    "impersonated": (
        "(site_id, created_at) WHERE impersonator_username IS NOT NULL OR impersonator_user_id IS NOT NULL"
    ),
    # "Where was this said?", anywhere in an error's type or message.
    "error": (
        "USING gin (error_type gin_trgm_ops, error_message gin_trgm_ops) "
        "WHERE error_type IS NOT NULL OR error_message IS NOT NULL"
    ),
    # "What took longest?", and the page by Duration.
    "slowest": "(site_id, duration_ms DESC NULLS LAST)",
}
"""The indexes of closed days, and of months, each named for the question it serves."""

_NOTE = f"closed: {', '.join(LOOK_UPS)}"
"""The comment of a closed day's table: it names the indexes, so that a new one reaches the old days too."""

PATIENCE = "20min"
"""How long to wait for the readers of a moment, a long download say; the next run tries again."""

_PASSING = (errors.UndefinedTable, errors.UndefinedObject, errors.LockNotAvailable, errors.DeadlockDetected)
"""A day that was dropped meanwhile, or is held by others: errors that are no reason to leave the other days open."""
_CLOSER_LOCK = 7005


def close_days(now: datetime | None = None) -> list[date]:
    """Close the days that are over and not closed yet, the newest first; return those closed now.

    A month that is not over gets its look-ups.

    Safe to interrupt, beside readers and writers, and to run twice: beside another run it does nothing. A day that
    is dropped meanwhile, or whose readers do not end in time, is left out.
    """
    over = (now or datetime.now(UTC)) - GRACE
    with alone(_CLOSER_LOCK) as is_ours, connection.cursor() as cursor:
        if not is_ours:
            return []
        days = [day for day in reversed(_open_days(cursor)) if day.is_month or day.end <= over]
        with _unhurried(cursor):
            return [day.day for day in days if _close(cursor, day, is_over=day.end <= over)]


def open_days() -> list[Partition]:
    """Return the days that are not closed, oldest first."""
    with connection.cursor() as cursor:
        return _open_days(cursor)


def _open_days(cursor: CursorWrapper) -> list[Partition]:
    cursor.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass "
        "AND obj_description(inhrelid, 'pg_class') = %s",
        [TABLE, _NOTE],
    )
    closed = {name for (name,) in cursor.fetchall()}
    return [day for day in partitions.attached() if day.name not in closed]


@contextmanager
def _unhurried(cursor: CursorWrapper) -> Iterator[None]:
    """Let statements take their time; one that waits longer than `PATIENCE` for others is given up."""
    cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
    before = cursor.fetchone()
    settings = "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)"
    cursor.execute(settings, ["0", PATIENCE])
    try:
        yield
    finally:
        cursor.execute(settings, before)


def _close(cursor: CursorWrapper, day: Partition, *, is_over: bool) -> bool:
    """Close one day, outside any transaction: so wants it CONCURRENTLY, which lets others write meanwhile."""
    try:
        for name, definition in LOOK_UPS.items():
            _build(cursor, day, f"{day.name}_{name}", definition)
        if not is_over:
            return False
        cursor.execute(f"VACUUM (FREEZE, ANALYZE) {day.name}")
        cursor.execute(f"COMMENT ON TABLE {day.name} IS '{_NOTE}'")
    except (OperationalError, ProgrammingError) as error:
        if isinstance(error.__cause__, _PASSING):
            return False
        raise
    return True


def _build(cursor: CursorWrapper, day: Partition, index: str, definition: str) -> None:
    cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [index])
    found = cursor.fetchone()
    if found and found[0]:
        return
    if found:
        cursor.execute(f"DROP INDEX CONCURRENTLY {index}")
    cursor.execute(f"CREATE INDEX CONCURRENTLY {index} ON {day.name} {definition}")
