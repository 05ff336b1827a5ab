"""Segments: append-only files of lines, locked by the process that writes or ships them."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from gatebook.ids import new_id

logger = logging.getLogger("gatebook")

READ_BYTES = 2**20
LONGEST_LINE_BYTES = 2**22
SUFFIX = ".jsonl"
NEW_SUFFIX = ".new"
POSITION_SUFFIX = ".position"


class Segment:
    """A file of lines, locked by whoever has it open through this class."""

    def __init__(self, path: Path, descriptor: int, *, syncs: bool = False) -> None:
        self.path = path
        self.descriptor = descriptor
        self.syncs = syncs
        self.size = os.fstat(descriptor).st_size
        self.began = time.monotonic()
        _segments.add(self)

    @classmethod
    def create(cls, directory: Path, suffix: str = SUFFIX, *, syncs: bool = False) -> Segment:
        """Begin a new, empty segment; with `syncs`, what is appended survives a power cut."""
        try:
            return cls._create(directory, suffix, syncs)
        except FileNotFoundError:  # there is no such directory yet, or not any more
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls._create(directory, suffix, syncs)

    @classmethod
    def _create(cls, directory: Path, suffix: str, syncs: bool) -> Segment:
        path = directory / f"{new_id()}-{os.getpid()}{suffix}"
        # Under another name until it is locked, so that nobody takes it for an orphan.
        hidden = path.with_suffix(NEW_SUFFIX)
        descriptor = os.open(hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
            if syncs:
                _sync_names(directory)
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor, syncs=syncs)

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
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                logger.error("A segment of the spool cannot be locked: %s: %s", path, error)
            return None
        segment = cls(path, descriptor)
        if segment.is_removed:  # shipped by whoever had it a moment ago
            segment.close()
            return None
        return segment

    @property
    def is_removed(self) -> bool:
        """Whether its name is gone from the directory; what is in it can still be read here, and nowhere else."""
        return os.fstat(self.descriptor).st_nlink == 0

    def append(self, line: bytes) -> None:
        """Write one line in a single piece, and wait for the disk where it syncs.

        Raises OSError and leaves no part of the line behind.
        """
        written = 0
        try:
            written = os.write(self.descriptor, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written")
            if self.syncs:
                os.fdatasync(self.descriptor)
            self.size += written
        except BaseException as error:
            if isinstance(error, OSError) and written:
                os.ftruncate(self.descriptor, self.size)
            # A signal's exception may come when the line is written: what is on the disk counts.
            self.size = os.fstat(self.descriptor).st_size
            raise

    def clear(self) -> None:
        """Forget all lines."""
        os.ftruncate(self.descriptor, 0)
        self.size = 0

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
        """Remove the file and its position, and let go of it."""
        self._position_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it: from now on it is anyone's to ship."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)

    @property
    def _position_path(self) -> Path:
        return self.path.with_suffix(POSITION_SUFFIX)


def _sync_names(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_segments: weakref.WeakSet[Segment] = weakref.WeakSet()


def _after_fork() -> None:
    for segment in list(_segments):
        segment.close()  # or this process would keep the parent's locks when the parent is dead


os.register_at_fork(after_in_child=_after_fork)
