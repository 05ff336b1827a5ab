"""The spool: append-only segments on disk that hold what was recorded until it is shipped.

A living process holds the lock of the segment it appends to; a segment nobody has locked is anyone's to ship. Lines
survive the death of the process as soon as they are written, and a power cut where the spool syncs each.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec
from django.core.signals import setting_changed

from gatebook import streams
from gatebook.conf import SPOOL_LIMIT_BYTES, conf
from gatebook.entry import Entry, encode_json, text_of
from gatebook.ids import new_id
from gatebook.lines import Line, decode_line
from gatebook.segments import LONGEST_LINE_BYTES, NEW_SUFFIX, READ_BYTES, SUFFIX, Segment
from gatebook.streams import OpenStreams

logger = logging.getLogger("gatebook")

SEGMENT_LIMIT_BYTES = 16 * 2**20
"""A larger segment is closed and a new one begun, so that a crash re-sends little."""

SEGMENT_LIMIT_SECONDS = 60
"""The same for an older one; the shipper closes segments much earlier, where one runs."""

REJECTED_NAME = "rejected"
LATE = timedelta(minutes=1)
"""An entry that waits longer is worth a warning; two seconds are usual."""

NOT_RECORDED = "requests-not-recorded"

_SECONDS_BETWEEN_COMPLAINTS = 10
_SECONDS_BETWEEN_MEASURES = 1
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class SpoolError(Exception):
    """A line could not be kept."""


class _RejectedLine(msgspec.Struct, frozen=True):
    rejected_at: datetime
    reason: str
    line: str


_decode_rejected = msgspec.json.Decoder(_RejectedLine).decode


@dataclass(frozen=True)
class Backlog:
    """What waits in the spool, for whoever watches over it."""

    segments: int
    bytes: int
    oldest_at: datetime | None
    streams: int
    """Notes of answers that are being sent, or were when their process ended."""
    rejected: int
    missed: int
    """Requests this process could not record at all."""
    is_writable: bool
    """Whether whoever asks may write there."""
    used_bytes: int
    """What all files of the spool take; at `limit_bytes` nothing more is written down."""
    limit_bytes: int

    def complaints(self) -> list[str]:
        """Return what somebody should look at, in sentences; the worst first."""
        found = []
        if not self.is_writable:
            found.append("the spool cannot be written by this user")
        if self.used_bytes >= self.limit_bytes:
            found.append(
                f"the spool is full: {self.used_bytes} of {self.limit_bytes} bytes; requests are not written down"
            )
        elif self.used_bytes >= self.limit_bytes // 2:
            found.append(f"the spool is half full: {self.used_bytes} of {self.limit_bytes} bytes")
        if self.missed:
            found.append(f"{self.missed} requests could not be written down; see this process's log")
        if self.rejected:
            found.append(
                f"{self.rejected} lines were rejected and kept aside; `manage.py ship --set-aside` tries them again"
            )
        if self.oldest_at and datetime.now(UTC) - self.oldest_at > LATE:
            since = self.oldest_at.isoformat(timespec="seconds")
            found.append(f"the oldest entry has waited since {since}")
        return found


@dataclass
class _Gap:
    """Requests in a row that could not be recorded."""

    reason: str
    began_at: datetime
    ended_at: datetime
    count: int = 1

    def entry(self) -> Entry:
        """Return an entry that says so, for the book to be honest about what it lacks."""
        between = f"between {self.began_at.isoformat(timespec='seconds')} and {self.ended_at:%H:%M:%S}"
        return Entry(
            created_at=self.began_at,
            request_id=new_id(),
            api_name="gatebook.spool",
            error_type=NOT_RECORDED,
            error_message=f"{self.count} requests {between} could not be recorded: {self.reason}",
            duration_ms=round((self.ended_at - self.began_at).total_seconds() * 1000),
            details={"requests_not_recorded": str(self.count), "process": str(os.getpid())},
        )


class Spool:
    """A directory of segments, of which this process appends to one."""

    def __init__(self, directory: Path, *, limit_bytes: int = SPOOL_LIMIT_BYTES, syncs: bool = False) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self.syncs = syncs
        self.missed = 0
        self._gap: _Gap | None = None
        self._late_ends: dict[streams.Key, bytes] = {}  # of answers whose beginning is on the disk
        self._missed_said_at = float("-inf")
        self._segment: Segment | None = None
        self._streams = OpenStreams(directory, syncs=syncs)
        self._other_bytes = 0  # what the spool held besides this process's segment when it was last measured
        self._measured_at: float | None = None
        self._lock = threading.RLock()
        _spools.add(self)

    def append(self, site: str | None, entry: Entry) -> None:
        """Keep one entry. Raises SpoolError when it could not be written.

        The end of an answer that was noted when it began is kept for later instead: with the next that can be written.
        """
        line = encode_json(Line(site, entry)) + b"\n"
        with self._lock:
            key = streams.key_of(entry)
            is_noted = key in self._streams
            try:
                segment = self._write(line)
            except SpoolError:
                if not is_noted:
                    raise
                self._late_ends[key] = line
                return
            if is_noted:
                self._streams.end(key)
            if self._late_ends or self._gap is not None:
                self._make_up(segment)
            if segment.size >= SEGMENT_LIMIT_BYTES or time.monotonic() - segment.began > SEGMENT_LIMIT_SECONDS:
                self._let_go()

    def begin(self, site: str | None, entry: Entry) -> None:
        """Note an answer that is about to be streamed: should this process end first, it is shipped as cut off.

        Appending an entry with the same Request-ID ends it. Raises SpoolError when it could not be written.
        """
        with self._lock:
            try:
                self._check_room()
                self._streams.begin(Line(site, entry))
            except OSError as error:
                raise SpoolError(f"{self.directory}: {error}") from error

    def probe(self) -> None:
        """Write an empty line. Raises SpoolError when the next entry would probably not be kept either."""
        with self._lock:
            self._write(b"\n")

    def miss(self, reason: object) -> None:
        """Count a request that could not be recorded, and say so: in the log now, in the book when that is possible."""
        now, moment = time.monotonic(), datetime.now(UTC)
        with self._lock:
            self.missed += 1
            if self._gap is None:
                # What else an exception says is not known to be free of secrets.
                said = str(reason) if isinstance(reason, SpoolError | str) else type(reason).__name__
                self._gap = _Gap(said, moment, moment)
            else:
                self._gap.count, self._gap.ended_at = self._gap.count + 1, moment
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
            self._segment = self._measured_at = None
            with contextlib.suppress(OSError):  # the next append tries again, and complains
                self._segment = self._new_segment()
            return sealed

    def orphans(self) -> Iterator[Segment]:
        """Take over, one after the other, the segments nobody holds: of dead processes, or let go full."""
        for path in self._paths(NEW_SUFFIX):
            # Not while it is new: whoever makes it has yet to lock it.
            if path.suffixes == [NEW_SUFFIX] and _is_old(path) and (abandoned := Segment.take(path)):
                if abandoned.size == 0:
                    path.unlink(missing_ok=True)
                abandoned.close()
        for path in self._paths(SUFFIX):
            if path.stem != REJECTED_NAME and (segment := Segment.take(path)):
                yield segment

    def orphaned_streams(self) -> Iterator[Segment]:
        """Take over the notes of dead processes about answers they were sending (`streams.cut_off` reads them).

        Ship orphans() first: they may hold the ends of these answers.
        """
        for path in self._paths(streams.SUFFIX):
            if notes := Segment.take(path):
                yield notes

    def reject(self, line: bytes, reason: str) -> None:
        """Set a line aside that nobody can store, with the reason."""
        logger.error("A line of the spool was set aside in %s: %s", self._rejected_path, reason)
        kept = encode_json(_RejectedLine(datetime.now(UTC), reason, text_of(line))) + b"\n"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = self._open_rejected()
        try:
            if os.write(descriptor, kept) != len(kept):
                raise OSError(f"{self._rejected_path}: a line could not be written whole")
        finally:
            os.close(descriptor)

    def take_back(self) -> int:
        """Make the lines that were set aside a segment again, for another try; return how many. Raises OSError."""
        again = self.directory / f"{REJECTED_NAME}.again"  # one that an earlier try has left comes first
        if not again.exists():
            try:
                self._rejected_path.rename(again)
            except FileNotFoundError:
                return 0
        segment, lines = self._new_segment(), 0
        try:
            with again.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                for kept in file:
                    segment.append(_line_of(kept) + b"\n")
                    lines += 1
                again.unlink()
        finally:
            segment.close()  # now it is anyone's to ship; sending twice is harmless
        return lines

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
        return Backlog(
            segments=segments,
            bytes=size,
            oldest_at=oldest_at,
            streams=sum(path.stat().st_size > 0 for path in self._paths(streams.SUFFIX)),
            rejected=self._count_rejected(),
            missed=self.missed,
            is_writable=self.is_writable(),
            used_bytes=self._used_bytes(),
            limit_bytes=self.limit_bytes,
        )

    def close(self) -> None:
        """Let go of this process's files; empty ones go away."""
        with self._lock:
            if self._late_ends or self._gap is not None:
                with contextlib.suppress(SpoolError):
                    self._make_up(self._write(b"\n"))
            self._let_go()
            with contextlib.suppress(OSError):
                self._streams.close()

    def after_fork(self) -> None:
        """Begin anew; the files are the parent's."""
        self._lock = threading.RLock()
        self.missed = 0
        self._gap = self._segment = None
        self._late_ends = {}
        self._streams.forget()

    @property
    def _rejected_path(self) -> Path:
        return self.directory / f"{REJECTED_NAME}{SUFFIX}"

    def _count_rejected(self) -> int:
        try:
            with self._rejected_path.open("rb") as file:
                return sum(block.count(b"\n") for block in iter(lambda: file.read(READ_BYTES), b""))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return 0

    def _paths(self, suffix: str) -> list[Path]:
        try:
            return sorted(path for path in self.directory.iterdir() if path.name.endswith(suffix))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []

    def _open_rejected(self) -> int:
        while True:
            descriptor = os.open(self._rejected_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)  # taken back while we waited

    def is_writable(self) -> bool:
        """Whether this user may write there, or make it."""
        for path in (self.directory, *self.directory.parents):
            if os.access(path, os.F_OK):
                return path.is_dir() and os.access(path, os.W_OK | os.X_OK)
        return False

    def _used_bytes(self) -> int:
        used = 0
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            for file in os.scandir(self.directory):
                with contextlib.suppress(FileNotFoundError):  # shipped meanwhile
                    used += file.stat().st_size
        return used

    def _write(self, line: bytes) -> Segment:
        """Append a line to this process's segment, or begin one. Raises SpoolError."""
        segment = self._segment
        try:
            self._check_room()
            if segment is None or segment.is_removed:
                segment = self._begin_segment()
            segment.append(line)
        except OSError as error:
            if segment is not None and (segment.size == 0 or not (segment.is_removed or error.errno in _NO_ROOM)):
                self._let_go()  # another file may work, and a full disk is not to collect empty ones
            raise SpoolError(f"{self.directory}: {error}") from error
        return segment

    def _new_segment(self) -> Segment:
        return Segment.create(self.directory, syncs=self.syncs)

    def _begin_segment(self) -> Segment:
        """Begin a segment, with the lines of one that was removed under our hands."""
        new, removed = self._new_segment(), self._segment
        if removed is not None:
            try:
                for line, _ in removed.lines(0):
                    new.append(line + b"\n")
            except OSError:
                new.delete()
                raise
            removed.close()
        self._segment = new
        return new

    def _check_room(self) -> None:
        """Raise SpoolError where the spool has reached its limit; it is measured with each segment and while full."""
        own_bytes = self._segment.size if self._segment is not None else 0
        is_full = self._other_bytes + own_bytes >= self.limit_bytes
        if self._measured_at is None or (is_full and time.monotonic() - self._measured_at > _SECONDS_BETWEEN_MEASURES):
            self._measured_at = time.monotonic()
            self._other_bytes = self._used_bytes() - own_bytes
            is_full = self._other_bytes + own_bytes >= self.limit_bytes
        if is_full:
            raise SpoolError(f"{self.directory}: the spool is full, its SPOOL_LIMIT_BYTES is {self.limit_bytes}")

    def _make_up(self, segment: Segment) -> None:
        """Write what could not be written when it was time: the ends of answers, and that requests are missing."""
        with contextlib.suppress(OSError):
            for key, line in list(self._late_ends.items()):
                segment.append(line)
                del self._late_ends[key]
                self._streams.end(key)
            if self._gap is not None:
                segment.append(encode_json(Line(None, self._gap.entry())) + b"\n")
                self._gap = None

    def _let_go(self) -> None:
        if self._segment is not None:
            if self._segment.size == 0:  # or a full disk would collect an empty file for every refusal
                with contextlib.suppress(OSError):
                    self._segment.delete()
            self._segment.close()
            self._segment = self._measured_at = None


_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


@cache
def current() -> Spool:
    """Return this process's spool."""
    settings = conf()
    return Spool(settings.spool, limit_bytes=settings.spool_limit_bytes, syncs=settings.syncs_each_line)


def backlog() -> Backlog:
    """Return what waits in the spool."""
    return current().backlog()


def _line_of(kept: bytes) -> bytes:
    try:
        return _decode_rejected(kept).line.encode()
    except msgspec.DecodeError:  # torn: the next try sets it aside again
        return kept.rstrip(b"\n")


def _is_old(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > SEGMENT_LIMIT_SECONDS
    return False


def _moment_of(line: bytes, otherwise: float) -> datetime:
    try:
        return decode_line(line).entry.created_at
    except (msgspec.DecodeError, ValueError):
        return datetime.fromtimestamp(otherwise, UTC)


def _after_fork() -> None:
    for spool in list(_spools):
        spool.after_fork()


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "GATEBOOK" and current.cache_info().currsize:
        current().close()
        current.cache_clear()


os.register_at_fork(after_in_child=_after_fork)
setting_changed.connect(_forget, dispatch_uid="gatebook.spool")
