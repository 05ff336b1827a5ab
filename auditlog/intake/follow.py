"""Log files that grow: their lines as they are written, also after the file was renamed or emptied, as `tail -F` does.

It begins at each file's beginning, because a line's identity counts the equal lines of its file before it. What is
stored already is found to be there, so starting again adds nothing, and importing a renamed file whole adds nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic

from django.db import InterfaceError, OperationalError, connection

from auditlog.intake.files import Intake, LogFile, UnreadableError
from auditlog.intake.formats.lines import take
from auditlog.intake.formats.shape import LINE_LIMIT, LineReader, Rejected, Source, excerpt, too_long
from gatebook.entry import Entry

POLL_SECONDS = 0.2
QUIET_SECONDS = 60
"""How long a renamed file must be quiet until it is left: its writer goes on with it until it opens the new one."""
WAITING_SECONDS = 1
"""How long an entry waits for a further line of its own."""
RETRY_SECONDS = 1
START_BYTES = 256
"""By its first bytes, an emptied file that has grown again is told from one that has only grown."""

log = logging.getLogger(__name__)


class _Open:
    """One file, whatever it is called by now, and how far it is read."""

    def __init__(self, path: Path, make_reader: Callable[[Source], LineReader], zone: tzinfo) -> None:
        self._stream = path.open("rb")
        status = os.fstat(self._stream.fileno())
        self.identity = status.st_dev, status.st_ino
        self._make_reader = partial(make_reader, Source(zone, self._written))
        self._begin()

    def _begin(self) -> None:
        self._reader = self._make_reader()
        self._number = 0
        self._start = b""
        self._is_within_long_line = False
        self._grew_at = monotonic()

    @property
    def quiet_seconds(self) -> float:
        """How long nothing was written."""
        return monotonic() - self._grew_at

    def items(self) -> Iterator[Entry | Rejected]:
        """Yield what its new lines are; a line without its end is still being written."""
        if self._is_emptied():
            yield from self._reader.rest()
            self._stream.seek(0, os.SEEK_END)  # what is buffered is of before
            self._stream.seek(0)
            self._begin()
        while line := self._line():
            self._grew_at = monotonic()
            self._number += 1
            if isinstance(line, Rejected) or line.strip():
                yield from take(self._reader, self._number, line)
        if self.quiet_seconds > WAITING_SECONDS:
            yield from self._reader.rest()

    def close(self) -> Iterator[Entry | Rejected]:
        """Yield the entries that waited for a further line, and let go of the file."""
        yield from self._reader.rest()
        self._stream.close()

    def _is_emptied(self) -> bool:
        """Whether it was written anew from its beginning."""
        if os.fstat(self._stream.fileno()).st_size < self._stream.tell():
            return True
        return os.pread(self._stream.fileno(), len(self._start), 0) != self._start

    def _line(self) -> bytes | Rejected | None:
        before = self._stream.tell()
        line = self._stream.readline(LINE_LIMIT + 1)
        if self._is_within_long_line:
            while line and not line.endswith(b"\n"):
                line = self._stream.readline(LINE_LIMIT)
            if not line:
                return None
            self._is_within_long_line = False
            return self._line()
        if line.endswith(b"\n"):
            if before < START_BYTES:
                self._start = (self._start + line)[:START_BYTES]
            return line.removeprefix(b"\xef\xbb\xbf") if before == 0 else line
        if len(line) > LINE_LIMIT:
            self._is_within_long_line = True
            return Rejected(self._number + 1, too_long(), excerpt(line))
        self._stream.seek(before)
        return None

    def _written(self) -> datetime:
        return datetime.fromtimestamp(os.fstat(self._stream.fileno()).st_mtime, UTC)


class _Followed:
    """A file by its name, and those that had the name before."""

    def __init__(self, file: LogFile) -> None:
        if file.format.reader is None:
            raise UnreadableError(f"--follow: {file.path} is {file.format.title}, which is not read line by line.")
        self.file = file
        self._make_reader = file.format.reader
        self._now = self._open()
        self._before: list[_Open] = []
        self._trouble = ""

    def _open(self) -> _Open:
        return _Open(self.file.path, self._make_reader, self.file.zone)

    def look(self) -> None:
        """Notice whether another file has the name now; the one before is still to be read to its end."""
        if new := self._renewed():
            self._before.append(self._now)
            self._now = new

    def items(self) -> Iterator[Entry | Rejected]:
        """Yield what was written since, to renamed files first."""
        self.look()
        for old in list(self._before):
            yield from old.items()
            if old.quiet_seconds > QUIET_SECONDS:
                self._before.remove(old)
                yield from old.close()
        yield from self._now.items()

    def close(self) -> Iterator[Entry | Rejected]:
        """Yield the entries that waited for a further line, and let go of the files."""
        for each in (*self._before, self._now):
            yield from each.close()

    def _renewed(self) -> _Open | None:
        """Return the file that has the name now, if it is another one and can be opened."""
        try:
            status = self.file.path.stat()
            is_another = (status.st_dev, status.st_ino) != self._now.identity
            return self._open() if is_another else None
        except FileNotFoundError:
            return None  # renamed, and no new one yet
        except OSError as error:
            if str(error) != self._trouble:  # once, not at every look
                log.warning("%s cannot be read: %s", self.file.path, error.strerror)
            self._trouble = str(error)
            return None


def follow(files: Sequence[LogFile], intake: Intake, stop: Event) -> None:
    """Store what is in `files` and what is written to them, within about a second, until `stop` is set.

    Waits where the database is away. Raises UnreadableError for a file whose format is not read line by line.
    """
    followed = [_Followed(file) for file in files]
    while not stop.is_set():
        for each in followed:
            for item in each.items():
                intake.take(each.file.name, item)
                if intake.is_full:
                    _store(intake, followed, stop)
                if stop.is_set():
                    break
        _store(intake, followed, stop)
        stop.wait(POLL_SECONDS)
    for each in followed:
        for item in each.close():
            intake.take(each.file.name, item)
    _store(intake, [], stop)


def _store(intake: Intake, followed: Sequence[_Followed], stop: Event) -> None:
    """Store what was taken, as soon as there is a database; once it is to stop, now or not at all.

    Files that are renamed meanwhile are held, so that none is missed, however long it takes.
    """
    while True:
        try:
            intake.store()
            break
        except (OperationalError, InterfaceError) as error:
            if stop.is_set():
                raise
            log.warning("The database is away, trying again: %s", error)
            connection.close()
            stop.wait(RETRY_SECONDS)
        finally:
            for each in followed:
                each.look()
