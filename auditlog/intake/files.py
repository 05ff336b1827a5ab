"""Log files: opening them, and the loop that takes them into the book."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from auditlog.intake import formats
from auditlog.intake.formats.shape import Format, Rejected, Source
from auditlog.intake.opening import BROKEN, HEAD, STDIN, opened, unpacked
from auditlog.models import Site
from auditlog.store.writer import write
from gatebook.conf import conf
from gatebook.entry import Entry

BATCH = 5_000
"""Entries per write: larger ones gain nothing and hold locks longer."""

EXAMPLES = 3
"""Rejected lines shown for each reason."""

REASONS = 50
"""Different reasons that are told apart: some name what the sender wrote, which can be something else each time."""

REASON_LIMIT = 200
OTHER_REASONS = "other reasons"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)?")


class UnreadableError(Exception):
    """A file that cannot be taken in at all; the message is one sentence that names it."""


@dataclass(frozen=True)
class LogFile:
    """A file whose format is known."""

    path: Path
    format: Format
    zone: tzinfo = UTC
    """Of times that name none."""
    head: bytes = b""
    """What was read of standard input to find the format."""

    @property
    def name(self) -> str:
        """What to call it to people."""
        return "standard input" if self.path == STDIN else self.path.name

    @property
    def size(self) -> int:
        """Bytes on disk; of standard input nobody knows."""
        return 0 if self.path == STDIN else self.path.stat().st_size

    def read(self, progress: Callable[[int], None] = lambda done: None) -> Iterator[Entry | Rejected]:
        """Yield what is in it; a file that breaks off ends in a rejection. `progress` hears of bytes read on disk."""
        count = done = 0
        try:
            with opened(self.path, self.head) as (raw, stream):
                for item in self.format.read(stream, Source(self.zone, self._written)):
                    count += 1
                    yield item
                    if (position := raw.tell()) > done:
                        progress(position - done)
                        done = position
        except BROKEN as error:
            yield Rejected(count + 1, f"the file breaks off: {error}", str(self.path))

    def _written(self) -> datetime:
        if self.path == STDIN:
            return datetime.now(UTC)
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)


@dataclass
class Tally:
    """What became of what was read: read = stored + duplicates + rejected."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """How often, by reason."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few of each reason: where it stands and how it begins."""

    def reject(self, reason: str, example: str) -> None:
        """Count a rejection. What is kept of it can be shown on a terminal."""
        reason = _printable(reason[:REASON_LIMIT])
        if reason not in self.rejected and len(self.rejected) >= REASONS:
            reason = OTHER_REASONS
        self.rejected[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(_printable(conf().redactor.text(conf().redactor.path(example))))


def find(path: Path, format_name: str | None = None, zone: tzinfo = UTC) -> LogFile:
    """Return the file with its format, by name or by what it begins with. Raises UnreadableError."""
    name = "Standard input" if path == STDIN else str(path)
    try:
        if path.is_dir():
            raise UnreadableError(f"{path} is a folder; name the files in it, such as {path}/*.log.")
        if path == STDIN:
            begun = sys.stdin.buffer.read(HEAD)
            head = _head(unpacked(BytesIO(begun), begun))
        else:
            begun = b""
            with opened(path) as (_, stream):
                head = _head(stream)
    except BROKEN as error:
        raise UnreadableError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if format_name is not None:
        return LogFile(path, formats.FORMATS[format_name], zone, begun)
    detected = formats.detect(head) if head.strip() else formats.FORMATS["gatebook"]
    if detected is None:
        known = ", ".join(formats.FORMATS)
        raise UnreadableError(f"{name} is of no format known here; say which with --format ({known}).")
    return LogFile(path, detected, zone, begun)


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def _head(stream: BinaryIO) -> bytes:
    """Return the first bytes, also of a file that breaks off before `HEAD`."""
    head = b""
    try:
        while len(head) < HEAD and (part := stream.read(1024)):
            head += part
    except BROKEN:
        if not head:
            raise
    return head


def newest(files: Iterable[LogFile], progress: Callable[[int], None] = lambda done: None) -> datetime | None:
    """Return the time of the newest entry in all of `files`, or None if there is no entry."""
    moments = (item.created_at for file in files for item in file.read(progress) if isinstance(item, Entry))
    return max(moments, default=None)


def days_to_yesterday(moment: datetime, today: date) -> int:
    """Return by how many days to shift so that `moment` falls on the day before `today`.

    On yesterday and not on the last moment before now: so the shift is the same all day, and importing twice on one
    day adds nothing.
    """
    return (today - moment.astimezone(UTC).date()).days - 1


class Intake:
    """Takes what files hold into a site, in batches, and counts it."""

    def __init__(self, site: Site, *, shift_days: int = 0) -> None:
        self.tally = Tally()
        self._site = site
        self._shift_days = shift_days
        self._batch: list[Entry] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time to store."""
        return len(self._batch) >= BATCH

    def take(self, file_name: str, item: Entry | Rejected) -> None:
        """Keep an entry for the next `store`, or count why it is none."""
        self.tally.read += 1
        if not isinstance(item, Entry):
            self.tally.reject(item.reason, f"{file_name}:{item.number}: {item.excerpt}")
            return
        try:
            self._batch.append(_fit_to_store(item, self._shift_days))
        except OverflowError:
            self.tally.reject("created_at: shifted out of the years 1 to 9999", item.created_at.isoformat())

    def store(self) -> None:
        """Store what was taken. Raises django.db.Error when the database is away: then it is still to be stored."""
        if not self._batch:
            return
        written = write(self._site, self._batch)
        batch, self._batch = self._batch, []
        self.tally.stored += written.stored
        self.tally.duplicates += written.duplicates
        for rejection in written.rejected:
            entry = batch[rejection.index]
            reason = f"{rejection.field}: {_TIME.sub('a time', rejection.error).removeprefix('a time ')}"
            what = " ".join(filter(None, [entry.request_method or entry.api_name, entry.request_path]))
            self.tally.reject(reason, f"{entry.created_at:%Y-%m-%dT%H:%M:%SZ} {what}"[:160])


def import_file(file: LogFile, intake: Intake, progress: Callable[[int], None] = lambda done: None) -> None:
    """Store what is in `file`. Importing again adds nothing."""
    for item in file.read(progress):
        intake.take(file.name, item)
        if intake.is_full:
            intake.store()
    intake.store()


def _fit_to_store(entry: Entry, shift_days: int) -> Entry:
    """Return the entry without secrets and, if it is moved, at its new time; the entry says by how much."""
    safe = conf().redactor.entry(entry)
    if not shift_days:
        return safe
    return replace(
        safe,
        created_at=safe.created_at + timedelta(days=shift_days),
        details={**safe.details, "shifted": f"{shift_days:+d} days"},
    )
