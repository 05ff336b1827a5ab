"""What every format shares: entries or rejections out of a stream of bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, BinaryIO, Protocol

import msgspec
from msgspec.structs import replace

from gatebook.entry import Entry, text_of

LINE_LIMIT = 1024 * 1024
"""Bytes of a line that are read; a longer one is rejected, so that a file without line ends cannot fill the memory."""

EXCERPT_LIMIT = 160


@dataclass(frozen=True)
class Rejected:
    """A line or record that is no entry: its number in the file (from 1), why, and how it begins."""

    number: int
    reason: str
    excerpt: str


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Source:
    """What a format may have to know of a file besides its content."""

    zone: tzinfo = UTC
    """Of times that name none."""
    written: Callable[[], datetime] = _now
    """When it was last written, which tells the year of times that name none."""


class LineReader(Protocol):
    """Reads one file line by line; it may remember what came before."""

    def take(self, line: bytes) -> Iterable[Entry]:
        """Return the entries that the next line, with its end, makes complete. Raises ValueError saying why not."""

    def rest(self) -> Iterable[Entry]:
        """Return the entries that wait for a further line, since there is none."""


@dataclass(frozen=True)
class Format:
    """A kind of log file: its name for `--format`, how to recognise and how to read it."""

    name: str
    title: str
    recognises: Callable[[bytes], bool]
    """Told the beginning of a file, says whether it is of this format."""
    read: Callable[[BinaryIO, Source], Iterator[Entry | Rejected]]
    """Reads a file in order; whatever is in it, each line or record is an entry or a rejection."""
    reader: Callable[[Source], LineReader] | None = None
    """Reads line by line, as a file that grows is; None where entries are not lines."""


def excerpt(data: bytes) -> str:
    """Return the beginning of `data` as one line of text."""
    return " ".join(text_of(data[: 4 * EXCERPT_LIMIT]).split())[:EXCERPT_LIMIT]


def too_long() -> str:
    """Return the reason for which a line beyond `LINE_LIMIT` is rejected."""
    return f"longer than {LINE_LIMIT:,} bytes"


def numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | Rejected]]:
    """Yield number and bytes, with its end, of each line that is not blank; without a byte order mark."""
    number = 0
    while line := stream.readline(LINE_LIMIT + 1):
        number += 1
        if len(line) > LINE_LIMIT and not line.endswith(b"\n"):
            start = line[: 4 * EXCERPT_LIMIT]
            while line and not line.endswith(b"\n"):
                line = stream.readline(LINE_LIMIT)
            yield number, Rejected(number, too_long(), excerpt(start))
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield number, line


def first_lines(head: bytes) -> list[bytes]:
    """Return the first lines of a file's beginning that are not blank, for recognising it."""
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()[:20]
    return [line.strip() for line in lines if line.strip()]


def decode_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that `data` is. Raises ValueError with a reason that names no value."""
    try:
        value = msgspec.json.decode(data)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except ValueError:
        value = _decode_odd(data)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _decode_odd(data: bytes) -> Any:
    # Bytes that are no UTF-8 and lone surrogates: the standard library reads them, an Entry replaces them.
    try:
        return json.loads(text_of(data))
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except ValueError:
        raise ValueError("not JSON, or broken off") from None


def with_status(entry: Entry, success: bool | None) -> Entry:
    """Return the entry; where its source says success or failure, and its code and error do not, with that noted."""
    if success is None or success == entry.success:
        return entry
    return replace(entry, details={**entry.details, "success": str(success).lower()})


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "datetime": "a date and time",
    "object": "an object",
    "array": "a list",
}
"""What msgspec calls the kinds of values → what people do."""
_KIND = re.compile(r"\b([Ee]xpected|got) `(\w+(?: \| \w+)*)`")


def reason_for(error: Exception) -> str:
    """Return why an Entry refused its values: the field, then what is wrong, without the value where it can."""
    message, separator, place = str(error).rpartition(" - at `$.")
    message = _KIND.sub(_in_words, message if separator else place)
    message = message.replace("with a timezone component", "with its time zone")
    message = message.replace("Invalid RFC3339 encoded datetime", "Expected a date and time in the form of RFC3339")
    return f"{place.rstrip('`')}: {message[:1].lower()}{message[1:]}" if separator else message


def _in_words(match: re.Match[str]) -> str:
    kinds = (_KINDS.get(kind, kind) for kind in match[2].split(" | "))
    return f"{match[1]} {' or '.join(kinds)}"
