"""The log's table, one partition per UTC day; per UTC month where a book is kept for years.

What a partition holds is in its name, so that the setting `PARTITIONS` may change later: what is there stays as it
is, and a month that has a day goes on in days.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

TABLE = "gatebook_apirequestlog"
DAYS_AHEAD = 7
DAY, MONTH = SPANS = ("day", "month")
"""What a partition may hold."""

_DAY_LOCK = 7003
"""First key of the advisory lock that lets one connection at a time make a given day."""

# Fixed-width columns first: no padding between them. Texts that are compared exactly are COLLATE "C", so that order and
# prefix searches do not depend on the server's locale; texts searched in any case keep the database's own collation.
CREATE_TABLE = f"""
CREATE TABLE {TABLE} (
    created_at timestamptz NOT NULL,
    site_id integer NOT NULL,
    duration_ms integer,
    response_code smallint,
    user_is_from_parent_site boolean NOT NULL,
    success boolean GENERATED ALWAYS AS (
        COALESCE(response_code < 400, error_type IS NULL AND error_message IS NULL)
    ) STORED,
    request_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C",
    username text COLLATE "C",
    impersonator_user_id text COLLATE "C",
    impersonator_username text COLLATE "C",
    interface text COLLATE "C",
    api_key_id text COLLATE "C",
    api_key_prefix text COLLATE "C",
    api_name text COLLATE "C",
    request_method text COLLATE "C",
    request_ip inet,
    request_host text COLLATE "C",
    request_path text,
    user_agent text,
    error_type text COLLATE "C",
    error_message text,
    details jsonb,
    PRIMARY KEY (created_at, site_id, request_id)
) PARTITION BY RANGE (created_at)
"""

INDEXES = {
    # The log page of a site, newest first.
    "gatebook_log_page": "(site_id, created_at)",
    # "What failed?"
    "gatebook_log_failures": "(site_id, created_at) WHERE NOT success",
    # "What became of this Request-ID?", also without a date.
    "gatebook_log_request": "USING hash (request_id)",
}
"""The indexes that every day has, each named for the question it serves."""


@dataclass(frozen=True)
class Partition:
    """One day, or one month."""

    name: str
    day: date
    """The first that it holds."""
    is_month: bool = False

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        if self.is_month:
            return (self.start + timedelta(days=31)).replace(day=1)
        return self.start + timedelta(days=1)

    def holds(self, day: date) -> bool:
        """Whether entries of `day` belong here."""
        return self.day <= day < self.end.date()

    def hours(self) -> list[datetime]:
        """Return the first instants of its hours."""
        return [self.start + timedelta(hours=hour) for hour in range((self.end - self.start) // timedelta(hours=1))]


def create_table() -> None:
    """Create the log without any day. For the migration."""
    with connection.cursor() as cursor:
        cursor.execute(CREATE_TABLE)
        for name, definition in INDEXES.items():
            cursor.execute(f"CREATE INDEX {name} ON {TABLE} {definition}")


def drop_table() -> None:
    """Drop the log and all its days. For the migration's way back."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")


def partition_of(day: date) -> Partition:
    """Return the partition that holds `day` where there is none of its month yet, whether it exists or not."""
    if getattr(settings, "PARTITIONS", DAY) == MONTH:
        return Partition(f"{TABLE}_{day:%Y%m}", day.replace(day=1), is_month=True)
    return _of_day(day)


def _of_day(day: date) -> Partition:
    return Partition(f"{TABLE}_{day:%Y%m%d}", day)


def attached() -> list[Partition]:
    """Return the partitions there are, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass",
            [TABLE],
        )
        return sorted((_named(name) for (name,) in cursor.fetchall()), key=lambda partition: partition.day)


def _named(name: str) -> Partition:
    digits = name.rpartition("_")[2]
    day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:] or 1))
    return Partition(name, day, is_month=len(digits) == len("202603"))


def ensure_days(days: Iterable[date]) -> list[date]:
    """Make what is missing for `days` and return the first day of each partition made.

    Safe beside readers, writers and itself.
    """
    there = attached()
    months = {partition.day for partition in there if partition.is_month}
    begun = {partition.day.replace(day=1) for partition in there if not partition.is_month}
    wanted = {
        _of_day(day) if day.replace(day=1) in begun else partition_of(day)
        for day in days
        if day.replace(day=1) not in months
    }
    return [each.day for each in sorted(wanted - set(there), key=lambda each: each.day) if _make(each)]


def ensure_days_ahead(today: date) -> list[date]:
    """Make today and the next `DAYS_AHEAD` days, so that no writer has to."""
    return ensure_days(today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1))


def _make(partition: Partition) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_DAY_LOCK, partition.day.toordinal()])
        cursor.execute("SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s)", [partition.name])
        if cursor.fetchone():
            return False
        # LIKE and ATTACH: `PARTITION OF` would wait for every reader and writer of the whole log.
        cursor.execute(f"CREATE TABLE {partition.name} (LIKE {TABLE} INCLUDING ALL)")
        cursor.execute(
            f"ALTER TABLE {TABLE} ATTACH PARTITION {partition.name} FOR VALUES FROM (%s) TO (%s)",
            [partition.start, partition.end],
        )
    return True
