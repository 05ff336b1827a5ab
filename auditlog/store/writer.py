"""The one way into the log: `write()` stores entries once, however often they are sent."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.utils import IntegrityError
from msgspec.structs import astuple
from psycopg import errors

from auditlog.models import Site
from auditlog.models.rollups import HOUR
from auditlog.store import partitions, rollups
from gatebook.entry import FIELDS, Entry

TOLERATED_AHEAD = timedelta(days=1)
"""How far a sender's clock may be ahead before its entries are refused."""

Row = tuple[Any, ...]

_RETRIES = 4
_COLUMNS = ("site_id", *FIELDS)
_MOMENT = itemgetter(_COLUMNS.index("created_at"))
_KEY = itemgetter(*(_COLUMNS.index(name) for name in ("created_at", "site_id", "request_id")))
_NAMES = ", ".join(_COLUMNS)
_COPY = f"COPY {partitions.TABLE} ({_NAMES}) FROM STDIN"
_COPY_ASIDE = f"COPY incoming ({_NAMES}) FROM STDIN"
# Counted by RETURNING, because a distributed row count counts what was sent.
_MERGE = f"""
WITH stored AS (
    INSERT INTO {partitions.TABLE} ({_NAMES})
    SELECT {_NAMES} FROM incoming ORDER BY created_at, site_id, request_id
    ON CONFLICT DO NOTHING RETURNING 1
) SELECT count(*) FROM stored
"""  # noqa: S608


@dataclass(frozen=True)
class Rejection:
    """An entry that was not stored: its place in the batch, the field at fault (None: all of it) and why."""

    index: int
    field: str | None
    error: str


@dataclass(frozen=True)
class Written:
    """What became of a batch: stored + duplicates + rejected = sent."""

    stored: int
    duplicates: int
    rejected: list[Rejection] = field(default_factory=list)


def write(site: Site, entries: Sequence[Entry]) -> Written:
    """Store `entries` of `site`, durable when this returns; those already there stay as they are.

    Entries older than the site's retention or more than a day ahead come back in `rejected`. Raises django.db.Error
    when the database is away: nothing of the batch is stored then, and sending it again is safe.
    """
    now = datetime.now(UTC)
    oldest, newest = now - timedelta(days=site.retention_days), now + TOLERATED_AHEAD
    rejected = []
    accepted = []
    for index, entry in enumerate(entries):
        if entry.created_at < oldest:
            error = f"{entry.created_at.isoformat()} is older than the retention of {site.retention_days} days"
            rejected.append(Rejection(index, "created_at", error))
        elif entry.created_at > newest:
            error = f"{entry.created_at.isoformat()} is more than a day ahead of {now.isoformat(timespec='seconds')}"
            rejected.append(Rejection(index, "created_at", error))
        else:
            accepted.append(entry)
    stored = _store(site, accepted) if accepted else 0
    return Written(stored, len(accepted) - stored, rejected)


def _store(site: Site, entries: list[Entry]) -> int:
    # Ordered by the key, because unordered re-sends deadlock.
    site_id = site.pk
    rows = sorted([_row(site_id, entry) for entry in entries], key=_KEY)
    hours = list(_hours([_MOMENT(row) for row in rows]))
    for _ in range(_RETRIES):
        try:
            return _write(rows, hours)
        except (IntegrityError, OperationalError) as error:
            if isinstance(error.__cause__, errors.CheckViolation):  # a day is missing
                partitions.ensure_days({hour.date() for hour in hours})
            elif not isinstance(error.__cause__, errors.DeadlockDetected):
                raise
    return _write(rows, hours)


def _write(rows: list[Row], hours: list[datetime]) -> int:
    """Store the rows in one transaction, straight into the log; only where some are there already, around those."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = on")  # who is told "stored" may forget the entry
        rollups.mark(cursor, hours)
        try:
            with transaction.atomic():
                _copy(cursor, _COPY, rows)
        except IntegrityError as error:
            if not isinstance(error.__cause__, errors.UniqueViolation):
                raise
            return _merge(cursor, rows)
        return len(rows)


def _merge(cursor: CursorWrapper, rows: list[Row]) -> int:
    cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE {partitions.TABLE}) ON COMMIT DELETE ROWS")
    cursor.execute("DELETE FROM incoming")  # inside a caller's transaction an earlier batch is still there
    _copy(cursor, _COPY_ASIDE, rows)
    cursor.execute(_MERGE)
    return int(cursor.fetchone()[0])


def _copy(cursor: CursorWrapper, statement: str, rows: list[Row]) -> None:
    # COPY speaks to the driver itself, whose errors Django would let through as they are.
    with connection.wrap_database_errors, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _hours(moments: list[datetime]) -> Iterator[datetime]:
    """Yield the hours of moments in order."""
    place = 0
    while place < len(moments):
        hour = rollups.hour_of(moments[place])
        yield hour
        place = bisect_left(moments, hour + HOUR, place)


def _row(site_id: int, entry: Entry) -> Row:
    *values, details = astuple(entry)
    return (site_id, *values, json.dumps(details) if details else None)
