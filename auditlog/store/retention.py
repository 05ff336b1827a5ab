"""Retention: whole days leave by DROP, a site with a shorter retention by DELETE in batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from django.db import OperationalError, connection, transaction
from psycopg import errors

from auditlog.models import DroppedLines, QuarantinedLine, Site
from auditlog.store import partitions, rollups
from auditlog.store.alone import alone
from auditlog.store.partitions import TABLE, Partition

BATCH = 10_000
_PURGE_LOCK = 7004


@dataclass
class Purged:
    """What a purge removed, or would remove."""

    days: list[date] = field(default_factory=list)
    """Days, or months by their first day, dropped whole: they are past every site's retention."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows deleted from days that stay, by the slug of their site."""
    busy: list[date] = field(default_factory=list)
    """Days that a reader held open; the next purge takes them."""
    quarantined: int = 0
    """Lines that have been in quarantine for long enough."""


def purge(now: datetime | None = None, *, dry_run: bool = False) -> Purged | None:
    """Remove what is past its site's retention at `now`; with `dry_run` only say what it would be.

    Safe to run twice, concurrently and after weeks off. Returns None while another purge is running.
    """
    now = now or datetime.now(UTC)
    with alone(_PURGE_LOCK) as is_ours:
        return _purge(now, dry_run=dry_run) if is_ours else None


def _purge(now: datetime, *, dry_run: bool) -> Purged:
    sites = list(Site.objects.order_by("pk"))
    purged = Purged()
    if not sites:
        return purged
    days = partitions.attached()
    longest = max(site.retention_days for site in sites)
    gone = [day for day in days if day.end <= now - timedelta(days=longest)]
    for number, day in enumerate(gone):
        if dry_run or _drop(day):
            purged.days.append(day.day)
        else:  # its reader holds the others as well
            purged.busy.extend(one.day for one in gone[number:])
            break
    kept = [day for day in days if day not in gone]
    oldest_kept = kept[0].start if kept else now
    leave_by_tomorrow = not any(day.is_month for day in kept[:1])
    for site in sites:
        purged.quarantined += _release(site, now, dry_run=dry_run)
        if site.retention_days == longest and leave_by_tomorrow:
            continue  # the rest of its rows leaves with their day
        cutoff = now - timedelta(days=site.retention_days)
        count = _count(site, oldest_kept, cutoff) if dry_run else _delete(site, oldest_kept, cutoff)
        if count:
            purged.rows[site.slug] = count
    return purged


def _release(site: Site, now: datetime, *, dry_run: bool) -> int:
    lines = QuarantinedLine.objects.past_their_time(site, now)
    if dry_run:
        return lines.count()
    DroppedLines.objects.past_their_time(site, now).delete()
    return lines.delete()[0]


def _drop(day: Partition) -> bool:
    """Drop one day; False if a reader holds it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '300ms'")  # a waiting DROP makes every new reader queue behind it
            # Every reader of the log waits for this transaction, so the roll-ups leave later, with the next count.
            rollups.mark(cursor, day.hours())
            cursor.execute(f"DROP TABLE IF EXISTS {day.name}")
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable):
            return False
        raise
    return True


def _count(site: Site, since: datetime, until: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {TABLE} WHERE site_id = %s AND created_at >= %s AND created_at < %s",  # noqa: S608
            [site.pk, since, until],
        )
        return int(cursor.fetchone()[0])


def _delete(site: Site, since: datetime, until: datetime) -> int:
    """Delete the rows of `site` from `since` up to `until`, oldest first, a batch to a transaction."""
    deleted = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT min(created_at), max(created_at) "  # noqa: S608
                f"FROM (SELECT created_at FROM {TABLE} WHERE site_id = %s AND created_at >= %s "
                "AND created_at < %s ORDER BY created_at LIMIT %s) AS batch",
                [site.pk, since, until, BATCH],
            )
            first, last = cursor.fetchone()
            if last is None:
                return deleted
            rollups.mark(cursor, rollups.hours_between(first, last))
            cursor.execute(
                f"DELETE FROM {TABLE} WHERE site_id = %s AND created_at >= %s AND created_at <= %s",  # noqa: S608
                [site.pk, first, last],
            )
            deleted += cursor.rowcount
        since = last
