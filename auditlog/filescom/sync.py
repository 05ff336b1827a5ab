"""A run: from where the last one ended, less an overlap, through time to now, one stretch after the other.

A stretch is read page by page, in whatever order it comes; when all of it is in the book, `synced_to` moves to its end.
So a run that is killed costs a stretch read twice, and no entry: what is in the book already is not stored again.

An entry appears when its request is over, under the time at which it began. What the overlap does not meet is looked
for when a run has come to now, a little at a time: each time is read again at the ages of `AGAIN_AT`. `reread_to` is
how far that has come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils import timezone

from auditlog.filescom.records import entry_of, fields_of
from auditlog.filescom.source import Source, SourceError
from auditlog.intake.formats.shape import reason_for
from auditlog.models import FilesComConnection, QuarantinedLine, Site
from auditlog.models.filescom import OVERLAP, fit_base_url
from auditlog.models.quarantine import LINE_LIMIT, NotTaken
from auditlog.store.alone import alone
from auditlog.store.writer import write
from gatebook.conf import conf
from gatebook.entry import clean, encode_json

AFTER_AN_ERROR = timedelta(minutes=5)
"""For how long an error stands before the next run: a key that is refused each minute would lock its owner out."""
FIRST_STRETCH = timedelta(hours=1)
LONGEST_STRETCH = timedelta(days=7)
SHORTEST_STRETCH = timedelta(minutes=1)
FEW, MANY = 5_000, 50_000
"""Entries of a stretch: after fewer the next one is twice as long, after more half as long."""
AGAIN_AT = (timedelta(hours=1), timedelta(hours=6), timedelta(days=2))
"""At which ages a time is read again: soon for most of what is late; the last is the longest request that is found."""
AGAIN_EVERY = timedelta(minutes=15)
"""So much is read again at once: little, so that the next minute does not wait; it is a question for each age."""
AGAIN_SECONDS = 30
"""What a run takes for reading again, about: after days away new entries come first."""

_SYNC_LOCK = 7008

Progress = Callable[[datetime, datetime, datetime], None]
"""Told from where, up to where and how far a run has come."""


@dataclass
class Synced:
    """What a run did: read = stored + already there + rejected."""

    read: int = 0
    stored: int = 0
    rejected: int = 0
    """Set aside in the quarantine."""
    is_complete: bool = True
    """Whether it came as far as now."""

    @property
    def duplicates(self) -> int:
        """What was in the book already."""
        return self.read - self.stored - self.rejected


def run(
    connection: FilesComConnection,
    *,
    patience_seconds: float,
    budget_seconds: float = float("inf"),
    progress: Progress = lambda start, end, now: None,
) -> Synced | None:
    """Copy what is new; None while another run of the site is at it.

    It ends when it has come to now or, at the end of a stretch, after `budget_seconds`; it waits up to
    `patience_seconds` where Files.com asks for that. Raises SourceError, which is noted in the connection as well.
    """
    with alone(_SYNC_LOCK, connection.site_id) as is_ours:
        if not is_ours:
            return None
        connection.refresh_from_db()
        try:
            synced = _run(connection, patience_seconds, time.monotonic() + budget_seconds, progress)
        except Exception as error:
            known = isinstance(error, SourceError)
            sentence = str(error) if known else f"It ended unexpectedly: {type(error).__name__}."
            wait = error.wait_seconds if isinstance(error, SourceError) else 0
            _note(
                connection, last_error=sentence, not_before=timezone.now() + timedelta(seconds=wait) if wait else None
            )
            raise
        _note(connection, last_error="", not_before=None)
        return synced


def _note(connection: FilesComConnection, **fields: Any) -> None:
    FilesComConnection.objects.filter(pk=connection.pk).update(last_run_at=timezone.now(), **fields)


def _run(connection: FilesComConnection, patience: float, until: float, progress: Progress) -> Synced:
    now = datetime.now(UTC).replace(microsecond=0)  # whole seconds, whatever the precision of the other side
    source = _source(connection, patience)
    try:
        start = _start(connection, source, now)
        if connection.reread_to is None:
            # Nothing before a first day that somebody chose.
            _advance(connection, reread_to=now, reread_from=start if connection.synced_to else None)
        synced = Synced()
        stretch, since = FIRST_STRETCH, start
        while since < now:
            end = min(since + stretch, now)
            read = synced.read
            _copy(connection, source, since, end, synced)
            if not _advance(connection, synced_to=end):
                return synced
            progress(start, end, now)
            since = end
            if since < now and time.monotonic() > until:
                synced.is_complete = False
                break
            if synced.read - read > MANY:
                stretch = max(stretch / 2, SHORTEST_STRETCH)
            elif synced.read - read < FEW:
                stretch = min(stretch * 2, LONGEST_STRETCH)
        if synced.is_complete:
            _read_again(connection, source, now, min(until, time.monotonic() + AGAIN_SECONDS), synced)
        return synced
    finally:
        source.close()


def _source(connection: FilesComConnection, patience: float) -> Source:
    try:
        key = connection.key
    except ValueError:
        raise SourceError(
            "The API key cannot be read any more, because SECRET_KEY was changed; give it again."
        ) from None
    if not key:
        raise SourceError(
            f"There is no API key; give one in Settings, Files.com, or set {connection.variable} in the environment "
            "of the worker or command that copies."
        )
    try:
        fit_base_url(connection.base_url)  # FILESCOM_HOSTS may have changed since
    except ValidationError as error:
        raise SourceError(f"Base URL: {' '.join(error.messages)}") from None
    return Source(connection.base_url, key, patience)


def _start(connection: FilesComConnection, source: Source, now: datetime) -> datetime:
    """Return from where to read. Raises SourceError where the site would refuse what is there."""
    if connection.synced_to is None:
        oldest = source.oldest(now)
        if oldest is None:
            return now - OVERLAP
        start = oldest
    else:
        start = min(connection.synced_to, now) - OVERLAP
    site = Site.objects.get(pk=connection.site_id)
    kept_since = (now - timedelta(days=site.retention_days)).replace(microsecond=0)
    if start >= kept_since:
        return start
    if source.has_any(start, kept_since):
        raise SourceError(
            f"{site.name} keeps {site.retention_days:,} days, and Files.com has entries from {start:%Y-%m-%d} on. "
            f"Raise the retention first, or begin at {kept_since + timedelta(days=1):%Y-%m-%d} (From, or --since)."
        )
    return kept_since


def _read_again(connection: FilesComConnection, source: Source, now: datetime, until: float, synced: Synced) -> None:
    """Look for what came late, as far as there is time."""
    # What is about to leave the site would be refused.
    earliest = now - timedelta(days=connection.site.retention_days) + AGAIN_EVERY
    if connection.reread_from:
        earliest = max(earliest, connection.reread_from)
    while connection.reread_to and (end := connection.reread_to + AGAIN_EVERY) <= now and time.monotonic() <= until:
        for age, next_age in zip_longest(AGAIN_AT, AGAIN_AT[1:]):
            if next_age and end - age + next_age <= now:
                continue  # after a time away it is due at its next age as well, and read once
            start = max(end - age - AGAIN_EVERY, earliest)
            if start < end - age:
                _copy(connection, source, start, end - age, synced)
        if not _advance(connection, reread_to=end):
            return


def _copy(connection: FilesComConnection, source: Source, start: datetime, end: datetime, synced: Synced) -> None:
    """Store the entries from `start` on and before `end`."""
    cursor, followed = None, set()
    while True:
        records, cursor = source.page(start, end, cursor)
        before = synced.stored
        _store(connection.site, source, records, synced)
        FilesComConnection.objects.filter(pk=connection.pk).update(rows=F("rows") + synced.stored - before)
        if cursor is None:
            return
        if cursor in followed:
            raise SourceError("Files.com gave a cursor that it had given before; the stretch is read again.")
        followed.add(cursor)


def _store(site: Site, source: Source, records: list[dict[str, Any]], synced: Synced) -> None:
    redactor = conf().redactor
    entries, refused = [], []
    for record in records:
        try:
            entries.append((record, redactor.entry(entry_of(record, source.username))))
        except (ValueError, TypeError) as error:
            refused.append((record, reason_for(error)))
    written = write(site, [entry for _, entry in entries])
    refused += [(entries[each.index][0], f"{each.field}: {each.error}") for each in written.rejected]
    if refused:
        lines = {
            redactor.text(clean(encode_json(fields_of(record)).decode()))[:LINE_LIMIT]: reason
            for record, reason in refused
        }
        known = set(QuarantinedLine.objects.filter(site=site, line__in=lines).values_list("line", flat=True))
        new = [
            NotTaken(None, redactor.text(clean(reason))[:LINE_LIMIT], line)
            for line, reason in lines.items()
            if line not in known  # read again, in the overlap
        ]
        QuarantinedLine.objects.keep(site, None, new)
    synced.read += len(records)
    synced.stored += written.stored
    synced.rejected += len(refused)


def _advance(connection: FilesComConnection, **to: datetime | None) -> bool:
    """Note how far it has come; False where somebody has connected to elsewhere, or begun anew, meanwhile."""
    before = {name: getattr(connection, name) for name in to}
    same = FilesComConnection.objects.filter(pk=connection.pk, base_url=connection.base_url, **before)
    if not same.update(**to):
        return False
    for name, moment in to.items():
        setattr(connection, name, moment)
    return True
