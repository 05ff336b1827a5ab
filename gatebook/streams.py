"""Streams: answers that are still being sent, noted on disk so that the end of the process does not lose them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from gatebook.entry import Entry, encode_json
from gatebook.lines import Line, decode_line
from gatebook.segments import Segment

SUFFIX = ".streams"
CUT_OFF = "process-ended"

_REWRITE_BYTES = 2**20
"""A larger file is written anew when most of it is about answers that have ended."""

_ENDED = b'{"ended":'


Key = tuple[datetime, str]
"""What makes an entry one: proxies give parallel requests the same Request-ID."""


class _Ended(msgspec.Struct, frozen=True):
    ended: Key


def key_of(entry: Entry) -> Key:
    """Return what tells an answer from the others."""
    return entry.created_at, entry.request_id


class OpenStreams:
    """The answers that this process is sending. Not safe for threads: the spool's lock is held."""

    def __init__(self, directory: Path, *, syncs: bool = False) -> None:
        self.directory = directory
        self.syncs = syncs
        self._open: dict[Key, bytes] = {}
        self._file: Segment | None = None

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    def begin(self, line: Line) -> None:
        """Note an answer that begins. Raises OSError."""
        key, encoded = key_of(line.entry), encode_json(line) + b"\n"
        self._open[key] = encoded
        try:
            if self._file is None or self._file.is_removed:
                self._write_anew()
            else:
                self._file.append(encoded)
        except OSError:
            del self._open[key]
            raise

    def end(self, key: Key) -> None:
        """Forget an answer whose own line has been written; of others nothing is known here."""
        if self._open.pop(key, None) is None or self._file is None:
            return
        # A note that cannot be written is no loss: the answer's line comes first, and it has the same key.
        with contextlib.suppress(OSError):
            if not self._open:
                self._file.clear()
                return
            self._file.append(encode_json(_Ended(key)) + b"\n")
            if self._file.size > _REWRITE_BYTES and self._file.size > 2 * sum(map(len, self._open.values())):
                self._write_anew()

    def close(self) -> None:
        """Let go of the file: what is still open is cut off."""
        if self._file is not None:
            if self._open:
                self._file.close()
            else:
                self._file.delete()
        self.forget()

    def forget(self) -> None:
        """Begin anew; after a fork, the open answers are the parent's."""
        self._open, self._file = {}, None

    def _write_anew(self) -> None:
        new, old = Segment.create(self.directory, SUFFIX, syncs=self.syncs), self._file
        try:
            new.append(b"".join(self._open.values()))
        except OSError:
            new.delete()
            raise
        self._file = new
        if old is not None:
            old.delete()


def cut_off(notes: Segment) -> Iterator[bytes]:
    """Yield, as lines of a segment, the answers a dead process had begun and not ended."""
    begun: dict[Key, bytes] = {}
    for note, _ in notes.lines(0):
        try:
            if note.startswith(_ENDED):
                begun.pop(msgspec.json.decode(note, type=_Ended).ended, None)
            elif note:
                line = decode_line(note)
                message = "the process ended before the end of the answer"
                entry = replace(line.entry, error_type=CUT_OFF, error_message=message, duration_ms=None)
                begun[key_of(entry)] = encode_json(Line(line.site, entry))
        except (msgspec.DecodeError, ValueError, RecursionError):
            yield note  # as torn lines of a segment: whoever ships sets it aside
    yield from begun.values()
