"""Opening log files: plain or packed, from a disk or from standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

STDIN = Path("-")
"""The name under which standard input is asked for."""

HEAD = 64 * 1024
"""Bytes of a file's beginning that are looked at to recognise its format."""

BROKEN = (EOFError, OSError, zlib.error, zstandard.ZstdError)
"""What reading raises where a file breaks off or is not what its first bytes say."""

_ZSTD_PIECE = 256  # packed bytes at a time: at worst they become 8 MiB


class _Zstd(io.RawIOBase):
    """Unpacks zstd, frame after frame. Raises EOFError where the last one breaks off, which zstandard keeps quiet."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_within = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            piece = (self._frame.unused_data if self._frame.eof else b"") or self._packed.read(_ZSTD_PIECE)
            if self._frame.eof:
                self._frame, self._is_within = zstandard.ZstdDecompressor().decompressobj(), False
            if not piece:
                if self._is_within:
                    raise EOFError("the packed data ends before its end was marked")
                return 0
            self._ready = memoryview(self._frame.decompress(piece))
            self._is_within = not self._frame.eof
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


class _Continued(io.RawIOBase):
    """Standard input from its beginning, although `head` was read of it already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        part = self._head[self._position : self._position + len(buffer)] or self._rest.read(len(buffer))
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position


_PACKED: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\x28\xb5\x2f\xfd": lambda raw: io.BufferedReader(_Zstd(raw), HEAD),
}
"""How to unpack what begins so."""


def is_packed(path: Path) -> bool:
    """Whether a file's first bytes are those of a packed one."""
    with path.open("rb") as raw:
        return raw.read(4).startswith(tuple(_PACKED))


@contextmanager
def opened(path: Path, head: bytes = b"") -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file: as it is on disk, and its content without the packing that its first bytes tell.

    `head` is what was read of standard input before; it comes again.
    """
    if path == STDIN:
        raw = cast(BinaryIO, io.BufferedReader(_Continued(head, sys.stdin.buffer)))
        yield raw, unpacked(raw, head)
        return
    with path.open("rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        yield raw, unpacked(raw, start)


def unpacked(raw: BinaryIO, start: bytes) -> BinaryIO:
    """Return the content of what begins with `start`."""
    unpack = next((unpack for magic, unpack in _PACKED.items() if start.startswith(magic)), None)
    return cast(BinaryIO, unpack(raw)) if unpack else raw
