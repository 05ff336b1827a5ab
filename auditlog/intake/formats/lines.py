"""What the formats of lines share: reading one line after the other, and the identity of a line that has no id."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO

from auditlog.intake.formats.shape import (
    LINE_LIMIT,
    Format,
    LineReader,
    Rejected,
    Source,
    decode_object,
    excerpt,
    first_lines,
    numbered_lines,
    reason_for,
    too_long,
)
from gatebook.entry import Entry, clean, text_of

EntryOf = Callable[[re.Match[str], str, Source], Entry | None]

_CONTAINER = re.compile(rb"(?P<time>\d{4}-\d\d-\d\dT\S+) (?P<stream>stdout|stderr) (?P<part>[FP]) ")


class LineIdentity:
    """Request-IDs for a log without any: a hash of the line and its ordinal among equal lines of the file.

    So equal lines are all kept, and reading the file again makes the same ids. Equal lines carry the same second and
    stand close together; only the last 200,000 to 400,000 different lines are remembered, to keep the memory constant.
    """

    REMEMBERED = 200_000

    def __init__(self) -> None:
        self._recent: dict[bytes, int] = {}
        self._earlier: dict[bytes, int] = {}

    def of(self, line: bytes) -> str:
        """Return the Request-ID of the file's next line."""
        digest = hashlib.blake2b(line, digest_size=16).digest()
        return f"line-{digest.hex()}{self._suffix(digest)}"

    def given(self, request_id: str, moment: datetime) -> str:
        """Return the id that the log gives; where it repeats at the same moment, with its ordinal."""
        request_id = clean(request_id)
        key = f"{moment.isoformat()} {request_id}".encode()
        return request_id + self._suffix(hashlib.blake2b(key, digest_size=16).digest())

    def _suffix(self, digest: bytes) -> str:
        ordinal = (self._recent.get(digest) or self._earlier.get(digest, 0)) + 1
        self._recent[digest] = ordinal
        if len(self._recent) >= self.REMEMBERED:
            self._recent, self._earlier = {}, self._recent
        return f"-{ordinal}" if ordinal > 1 else ""


def line_format(
    name: str, title: str, recognises: Callable[[bytes], bool], reader: Callable[[Source], LineReader]
) -> Format:
    """Return the format of a log that is read line by line."""
    return Format(name, title, recognises, partial(_read, reader), reader)


def _read(reader: Callable[[Source], LineReader], stream: BinaryIO, source: Source) -> Iterator[Entry | Rejected]:
    lines = reader(source)
    for number, line in numbered_lines(stream):
        yield from take(lines, number, line)
    yield from lines.rest()


def take(reader: LineReader, number: int, line: bytes | Rejected) -> Iterable[Entry | Rejected]:
    """Return what `reader` makes of a file's line: entries, or why there is none."""
    if isinstance(line, Rejected):
        return [line]
    try:
        return reader.take(line)
    except (ValueError, TypeError) as error:
        return [Rejected(number, reason_for(error), excerpt(line))]


def whole(line: bytes) -> bytes:
    """Return a line without its end. Raises ValueError for one without: it is still being written."""
    if not line.endswith(b"\n"):
        raise ValueError("breaks off")  # the next import finds it whole
    return line.rstrip(b"\r\n")


def pattern_format(name: str, title: str, pattern: re.Pattern[str], entry_of: EntryOf) -> Format:
    """Return the format of a log where each line is an event of the same pattern.

    `entry_of` makes its entry of the match, the Request-ID and what is known of the file; None where there is none.
    """

    def recognises(head: bytes) -> bool:
        return any(pattern.fullmatch(text_of(line)) for line in first_lines(head))

    return line_format(name, title, recognises, partial(_Events, name, pattern, entry_of))


class _Events:
    def __init__(self, name: str, pattern: re.Pattern[str], entry_of: EntryOf, source: Source) -> None:
        self._name = name
        self._pattern = pattern
        self._entry_of = entry_of
        self._source = source
        self._identity = LineIdentity()

    def take(self, line: bytes) -> list[Entry]:
        content = whole(line)
        match = self._pattern.fullmatch(text_of(content))
        entry = self._entry_of(match, self._identity.of(content), self._source) if match else None
        if entry is None:
            raise ValueError(f"not a line of the format {self._name}")
        return [entry]

    def rest(self) -> list[Entry]:
        return []


class Objects:
    """Reads one JSON object a line, also from a container's log, where each has a time and a stream before it."""

    def __init__(
        self,
        entry_of: Callable[[dict[str, Any], bytes], Entry],
        decode: Callable[[bytes], dict[str, Any]] = decode_object,
    ) -> None:
        """Take what makes an entry of an object and of the line that held it."""
        self._entry_of = entry_of
        self._decode = decode
        self._parts: dict[bytes, bytes] = {}  # by stream: the beginning of a line that the runtime has cut

    def take(self, line: bytes) -> list[Entry]:
        """Return the line's entry; none where the line goes on in the next."""
        head = _CONTAINER.match(line)
        if head:
            content = self._parts.pop(head["stream"], b"") + line[head.end() :]
            if len(content) > LINE_LIMIT:
                raise ValueError(too_long())
            if head["part"] == b"P":
                self._parts[head["stream"]] = content.rstrip(b"\r\n")
                return []
            line = content
        return [self._entry_of(self._decode(line), line.rstrip(b"\r\n"))]

    def rest(self) -> list[Entry]:
        """Return nothing: no entry waits for a further line."""
        return []


def first_objects(head: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects among a file's first lines, also of a container's log."""
    for line in first_lines(head):
        content = _CONTAINER.sub(b"", line, count=1) if line[:1].isdigit() else line
        if content.startswith(b"{"):
            try:
                yield decode_object(content)
            except ValueError:
                continue


def known(details: dict[str, Any]) -> dict[str, str]:
    """Return the details that have a value, as texts."""
    return {key: text for key, value in details.items() if (text := text_from(value))}


def text_from(value: Any) -> str | None:
    """Return what a log means by a JSON value: `-`, empty, and whatever is neither text nor number are missing."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        text = str(value)
        return None if text in ("", "-") else text
    return None


def object_from(value: Any) -> dict[str, Any]:
    """Return a JSON object's object, empty where it is something else."""
    return value if isinstance(value, dict) else {}
