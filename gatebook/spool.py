"""The spool: append-only segments on disk that hold what was recorded until it is shipped.

A living process holds the lock of the segment it appends to; a segment nobody has locked is anyone's to ship. Lines
survive the death of the process as soon as they are written (not a power cut: nothing waits for the disk).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
from django.core.signals import setting_changed

from gatebook.conf import conf
from gatebook.entry import Entry, encode_json, text_of
from gatebook.ids import new_id

logger = logging.getLogger("gatebook")

SEGMENT_LIMIT_BYTES = 16 * 2**20
"""A larger segment is closed and a new one begun, so that a crash re-sends little."""

SEGMENT_LIMIT_SECONDS = 60
"""The same for an older one; the shipper closes segments much earlier, where one runs."""

READ_BYTES = 2**20
LONGEST_LINE_BYTES = 2**22
SUFFIX = ".jsonl"
NEW_SUFFIX = ".new"
POSITION_SUFFIX = ".position"
REJECTED_NAME = "rejected"
_SECONDS_BETWEEN_COMPLAINTS = 10


class SpoolError(Exception):
    """A line could not be kept."""


class Line(msgspec.Struct, frozen=True):
    """One line of a segment."""

    site: str | None
    entry: Entry


class _RejectedLine(msgspec.Struct, frozen=True):
    rejected_at: datetime
    reason: str
    line: str


decode_line = msgspec.json.Decoder(Line).decode


class Segment:
    """A file of lines, locked by whoever has it open through this class."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.began = time.monotonic()
        _segments.add(self)

    @classmethod
    def create(cls, directory: Path) -> Segment:
        """Begin a new, empty segment."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"{new_id()}-{os.getpid()}{SUFFIX}"
        # Under another name until it is locked, so that nobody takes it for an orphan.
        hidden = path.with_suffix(NEW_SUFFIX)
        descriptor = os.open(hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @classmethod
    def take(cls, path: Path) -> Segment | None:
        """Take over a segment nobody holds, or return None."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:  # of another user, or no file at all: the others can still be taken
            logger.error("A segment of the spool is passed over: %s", error)
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gone = os.fstat(descriptor).st_nlink == 0  # shipped by whoever had it a moment ago
        except BlockingIOError:
            gone = True
        if gone:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, line: bytes) -> None:
        """Write one line in a single piece. Raises OSError and leaves no part of it behind."""
        written = 0
        try:
            written = os.write(self.descriptor, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written")
        except OSError:
            if written:
                os.ftruncate(self.descriptor, self.size)
            raise
        self.size += written

    @property
    def position(self) -> int:
        """How many bytes have been shipped."""
        try:
            return int(self._position_path.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def lines(self, start: int) -> Iterator[tuple[bytes, int]]:
        """Yield each line from `start` on, with the position behind it; a torn last one too."""
        rest, position, offset = b"", start, start
        while block := os.pread(self.descriptor, READ_BYTES, offset):
            offset += len(block)
            *complete, rest = (rest + block).split(b"\n")
            for line in complete:
                position += len(line) + 1
                yield line, position
            if len(rest) > LONGEST_LINE_BYTES:  # no line of ours: hand it over in pieces rather than hold it all
                position += len(rest)
                yield rest, position
                rest = b""
        if rest:
            yield rest, position + len(rest)

    def keep_position(self, position: int) -> None:
        """Note that everything before `position` has been shipped."""
        temporary = self._position_path.with_suffix(POSITION_SUFFIX + NEW_SUFFIX)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(str(position))
        temporary.rename(self._position_path)

    def delete(self) -> None:
        """Remove the segment; all of it has been shipped."""
        self.path.unlink(missing_ok=True)
        self._position_path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it: from now on it is anyone's to ship."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)

    @property
    def _position_path(self) -> Path:
        return self.path.with_suffix(POSITION_SUFFIX)


@dataclass(frozen=True)
class Backlog:
    """What waits in the spool, for whoever watches over it."""

    segments: int
    bytes: int
    oldest_at: datetime | None
    rejected: int
    missed: int
    """Requests this process could not record at all."""


class Spool:
    """A directory of segments, of which this process appends to one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.missed = 0
        self._missed_said_at = float("-inf")
        self._segment: Segment | None = None
        self._lock = threading.Lock()
        _spools.add(self)

    def append(self, site: str | None, entry: Entry) -> None:
        """Keep one entry. Raises SpoolError when it could not be written."""
        line = encode_json(Line(site, entry)) + b"\n"
        with self._lock:
            try:
                if self._segment is None:
                    self._segment = Segment.create(self.directory)
                self._segment.append(line)
                if self._segment.size >= SEGMENT_LIMIT_BYTES or (
                    time.monotonic() - self._segment.began > SEGMENT_LIMIT_SECONDS
                ):
                    self._let_go()
            except OSError as error:
                self._let_go()
                raise SpoolError(f"{self.directory}: {error}") from error

    def probe(self) -> None:
        """Write an empty line. Raises SpoolError when the next entry would probably not be kept either."""
        with self._lock:
            try:
                if self._segment is None or os.fstat(self._segment.descriptor).st_nlink == 0:
                    self._segment = Segment.create(self.directory)
                self._segment.append(b"\n")
            except OSError as error:
                self._let_go()
                raise SpoolError(f"{self.directory}: {error}") from error

    def miss(self, reason: object) -> None:
        """Count a request that could not be recorded, and say so."""
        with self._lock:
            self.missed += 1
            now = time.monotonic()
            if now - self._missed_said_at < _SECONDS_BETWEEN_COMPLAINTS:
                return
            self._missed_said_at = now
        logger.error("A request was not recorded (%d since this process began): %s", self.missed, reason)

    def seal(self) -> Segment | None:
        """Begin a new segment and return the one so far, still locked; None where nothing was recorded."""
        with self._lock:
            sealed = self._segment
            if sealed is None or sealed.size == 0:
                return None
            self._segment = None
            with contextlib.suppress(OSError):  # the next append tries again, and complains
                self._segment = Segment.create(self.directory)
            return sealed

    def orphans(self) -> Iterator[Segment]:
        """Take over, one after the other, the segments nobody holds: of dead processes, or let go full."""
        for path in self._paths(NEW_SUFFIX):
            if path.suffixes == [NEW_SUFFIX] and (abandoned := Segment.take(path)):
                if abandoned.size == 0 and time.time() - path.stat().st_mtime > SEGMENT_LIMIT_SECONDS:
                    path.unlink(missing_ok=True)
                abandoned.close()
        for path in self._paths(SUFFIX):
            if path.stem != REJECTED_NAME and (segment := Segment.take(path)):
                yield segment

    def reject(self, line: bytes, reason: str) -> None:
        """Set a line aside that nobody can store, with the reason."""
        logger.error("A line of the spool was set aside in %s: %s", self._rejected_path, reason)
        kept = encode_json(_RejectedLine(datetime.now(UTC), reason, text_of(line))) + b"\n"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._rejected_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, kept) != len(kept):
                raise OSError(f"{self._rejected_path}: a line could not be written whole")
        finally:
            os.close(descriptor)

    def backlog(self) -> Backlog:
        """Return what waits."""
        segments = size = 0
        oldest_at: datetime | None = None
        for path in self._paths(SUFFIX):
            if path.stem == REJECTED_NAME:
                continue
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if waiting := os.fstat(file.fileno()).st_size:
                    segments, size = segments + 1, size + waiting
                    began_at = _moment_of(file.readline(LONGEST_LINE_BYTES), os.fstat(file.fileno()).st_mtime)
                    oldest_at = min(oldest_at or began_at, began_at)
        return Backlog(segments, size, oldest_at, self._count_rejected(), self.missed)

    def close(self) -> None:
        """Let go of this process's segment; an empty one goes away."""
        with self._lock:
            self._let_go()

    def after_fork(self) -> None:
        """Begin anew; the segment is the parent's."""
        self._lock = threading.Lock()
        self.missed = 0
        self._segment = None

    @property
    def _rejected_path(self) -> Path:
        return self.directory / f"{REJECTED_NAME}{SUFFIX}"

    def _count_rejected(self) -> int:
        try:
            with self._rejected_path.open("rb") as file:
                return sum(block.count(b"\n") for block in iter(lambda: file.read(READ_BYTES), b""))
        except FileNotFoundError:
            return 0

    def _paths(self, suffix: str) -> list[Path]:
        try:
            return sorted(path for path in self.directory.iterdir() if path.name.endswith(suffix))
        except FileNotFoundError:
            return []

    def _let_go(self) -> None:
        if self._segment is not None:
            if self._segment.size == 0:  # or a full disk would collect an empty file for every refusal
                with contextlib.suppress(OSError):
                    self._segment.delete()
            self._segment.close()
            self._segment = None


_spools: weakref.WeakSet[Spool] = weakref.WeakSet()
_segments: weakref.WeakSet[Segment] = weakref.WeakSet()


@cache
def current() -> Spool:
    """Return this process's spool."""
    return Spool(conf().spool)


def backlog() -> Backlog:
    """Return what waits in the spool."""
    return current().backlog()


def _moment_of(line: bytes, otherwise: float) -> datetime:
    try:
        return decode_line(line).entry.created_at
    except (msgspec.DecodeError, ValueError):
        return datetime.fromtimestamp(otherwise, UTC)


def _after_fork() -> None:
    for segment in list(_segments):
        segment.close()  # or this process would keep the parent's locks when the parent is dead
    for spool in list(_spools):
        spool.after_fork()


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "GATEBOOK" and current.cache_info().currsize:
        current().close()
        current.cache_clear()


os.register_at_fork(after_in_child=_after_fork)
setting_changed.connect(_forget, dispatch_uid="gatebook.spool")
