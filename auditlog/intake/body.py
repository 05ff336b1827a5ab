"""The body of a request to a door: read and unpacked no further than is allowed."""

from __future__ import annotations

import zlib
from typing import Protocol

from django.http import HttpRequest

from auditlog.refusals import Refused

LIMIT_BYTES = 16 * 2**20
"""Both as sent and unpacked: 10,000 entries of 1,600 bytes."""

_BLOCK_BYTES = 64 * 1024
_MOST_MEMBERS = 100
"""Parts of a gzip body; each costs a copy of all that follow it."""

_BROKEN = "bad-request/unreadable-body"


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_packed(request: HttpRequest) -> bool:
    """Tell whether the body is gzip. Raises Refused for other encodings."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        sentence = f"Content-Encoding is {encoding[:100]!r}, expected gzip or none."
        raise Refused(415, "bad-request/unknown-encoding", sentence, {"Accept-Encoding": "gzip"})
    return encoding.endswith("gzip")


def receive(request: HttpRequest) -> bytes:
    """Return the body as it was sent. Raises Refused when it is too large or breaks off."""
    announced = _announced(request) or 0
    if announced > LIMIT_BYTES:
        raise _too_large("The body", f"{announced:,}")
    blocks = []
    size = 0
    stream = _stream(request)
    try:
        while block := stream.read(_BLOCK_BYTES):
            blocks.append(block)
            size += len(block)
            if size > LIMIT_BYTES:
                raise _too_large("The body", f"more than {LIMIT_BYTES:,}")
    except OSError:
        raise Refused(400, _BROKEN, f"The body broke off after {size:,} bytes.") from None
    if size < announced:
        raise Refused(400, _BROKEN, f"The body broke off after {size:,} of {announced:,} bytes.")
    return b"".join(blocks)


def unpack(packed: bytes) -> bytes:
    """Return what a gzip body holds. Raises Refused when that is too large, or none."""
    parts: list[bytes] = []
    room = LIMIT_BYTES
    for _ in range(_MOST_MEMBERS):
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            part = unpacker.decompress(packed, room + 1)
        except zlib.error:
            raise Refused(400, _BROKEN, "Content-Encoding is gzip, but the body is not.") from None
        room -= len(part)
        if room < 0:
            raise _too_large("The unpacked body", f"more than {LIMIT_BYTES:,}")
        if not unpacker.eof:
            raise Refused(400, _BROKEN, "The gzip body breaks off.")
        parts.append(part)
        packed = unpacker.unused_data
        if not packed:
            return b"".join(parts)
    raise Refused(400, _BROKEN, f"The gzip body has more than {_MOST_MEMBERS} members.")


def _announced(request: HttpRequest) -> int | None:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdecimal() else None


def _stream(request: HttpRequest) -> _Stream:
    """Return where to read: a body without a length, which Django takes for none, comes from the server itself."""
    if _announced(request) is not None or "HTTP_TRANSFER_ENCODING" not in request.META:
        return request
    if not request.META.get("wsgi.input_terminated"):
        raise Refused(411, "bad-request/length-required", "The body has no Content-Length, and this server needs one.")
    return request.META["wsgi.input"]  # type: ignore[no-any-return]


def _too_large(what: str, size: str) -> Refused:
    sentence = f"{what} has {size} bytes, at most {LIMIT_BYTES:,} are taken; send fewer entries at a time."
    return Refused(413, "bad-request/too-large", sentence)
