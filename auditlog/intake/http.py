"""The ingest door: `POST /api/rest/v1/api_request_logs` takes JSON lines or an array of entries (docs/ingest.md)."""

from __future__ import annotations

import io
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice

from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from auditlog import api_keys
from auditlog.intake import body
from auditlog.intake.batch import take
from auditlog.intake.formats.shape import LINE_LIMIT, Rejected, excerpt, numbered_lines, too_long
from auditlog.models import ApiKey, Scope
from auditlog.refusals import Refused
from gatebook.capture import capture_of
from gatebook.entry import text_of

logger = logging.getLogger(__name__)

MOST_ENTRIES = 10_000

AT_ONCE = 8
"""Batches that this process takes in at a time: they leave the pages half of its database connections."""

TURN_SECONDS = 2
"""How long another one waits for its turn before it is sent away."""

SLOW_SECONDS = 1
"""After a body that came no faster the key is looked up once more: it may have been revoked, or expired, meanwhile."""

AWAY_SECONDS = 2
"""When to come back to a database that is away. OpenTelemetry's exporters give up what has to wait for 10 s."""

Lines = Iterator[bytes | Rejected]

_turns = threading.BoundedSemaphore(AT_ONCE)
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = r'"(?:[^"\\]|\\[\s\S])*+"?'
_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}}]")
_SCALAR = re.compile(rf"{_STRING}|[^\s,\[\]{{}}]+")


@csrf_exempt
def ingest(request: HttpRequest) -> HttpResponse:
    """Store the entries that are sent with an API key; say how many, and what is wrong with the others."""
    try:
        with patience():
            key = key_of_poster(request)
            split = _splitter(request)
            with received(request) as data:
                lines = list(islice(split(data), MOST_ENTRIES + 1))
                refuse_too_many(len(lines))
                taken = take(key, lines)
    except Refused as refused:
        return refused.answer(request)
    capture_of(request).ignore = True  # the book does not write about its own writing
    return JsonResponse(
        {
            "accepted": taken.accepted,
            "duplicates": taken.duplicates,
            "rejected": [asdict(rejection) for rejection in taken.rejected],
        }
    )


@contextmanager
def patience() -> Iterator[None]:
    """Refuse with the advice to come back where the database is away."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        logger.error("Entries were not taken in: %s: %s", type(error).__name__, error)
        sentence = "The database is away; send the same again, what is stored already is not stored twice."
        raise Refused(503, "service-unavailable/database-away", sentence, {"Retry-After": str(AWAY_SECONDS)}) from None


def key_of_poster(request: HttpRequest) -> ApiKey:
    """Return the key with which something is posted. Raises Refused."""
    if request.method != "POST":
        sentence = f"{request.method} is not served here, only POST."
        raise Refused(405, "bad-request/method-not-allowed", sentence, {"Allow": "POST"})
    return api_keys.key_or_refuse(request, Scope.INGEST)


@contextmanager
def received(request: HttpRequest) -> Iterator[bytes]:
    """Hold the unpacked body, and a turn to work on it. Raises Refused."""
    is_packed = body.is_packed(request)
    if not connection.in_atomic_block:
        connection.close()  # or many slow senders would keep the pages from the database
    began = time.monotonic()
    data = body.receive(request)
    if not _turns.acquire(timeout=TURN_SECONDS):
        sentence = "Too many others send entries at this moment; send the same again."
        raise Refused(429, "rate-limited/too-many-concurrent-requests", sentence, {"Retry-After": "1"})
    try:
        if time.monotonic() - began > SLOW_SECONDS:
            key_of_poster(request)
        yield body.unpack(data) if is_packed else data
    finally:
        _turns.release()


def refuse_too_many(count: int) -> None:
    """Raise Refused where a batch has more entries than are taken at a time."""
    if count > MOST_ENTRIES:
        sentence = f"More than {MOST_ENTRIES:,} entries; send fewer at a time."
        raise Refused(413, "bad-request/too-many-entries", sentence)


def _splitter(request: HttpRequest) -> Callable[[bytes], Lines]:
    """Return what cuts a body of the request's Content-Type into entries."""
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    split = _SPLITTERS.get(request.content_type or "")
    if split is None or charset not in ("utf-8", "utf8", "us-ascii"):
        given = request.headers.get("Content-Type", "")
        sentence = f"Content-Type is {given[:100]!r}, expected application/x-ndjson or application/json in UTF-8."
        raise Refused(415, "bad-request/unknown-content-type", sentence)
    return split


def _lines(data: bytes) -> Lines:
    for _, line in numbered_lines(io.BytesIO(data)):
        yield line


def _elements(data: bytes) -> Lines:
    """Yield the elements of a JSON array, one after the other: who asks for a few does not pay for millions."""
    text = text_of(data.removeprefix(b"\xef\xbb\xbf"))
    place = _behind(text, "[", 0)
    if not text.startswith("]", _next(text, place)):
        while True:
            start = _next(text, place)
            place = _end_of_element(text, start)
            element = text[start:place].encode()
            yield element if len(element) <= LINE_LIMIT else Rejected(0, too_long(), excerpt(element))
            if not text.startswith(",", _next(text, place)):
                break
            place = _behind(text, ",", place)
    place = _next(text, _behind(text, "]", place))
    if place < len(text):
        raise _not_an_array(place)


def _end_of_element(text: str, start: int) -> int:
    """Return where an element ends. It is not read yet: what is wrong within it is a matter of the one entry."""
    if text[start : start + 1] not in ("[", "{"):
        scalar = _SCALAR.match(text, start)
        if scalar is None:
            raise _not_an_array(start)
        return scalar.end()
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
        if depth == 0 and token[0] in ("]", "}"):
            return token.end()
    raise _not_an_array(start)


def _next(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _behind(text: str, sign: str, place: int) -> int:
    place = _next(text, place)
    if not text.startswith(sign, place):
        raise _not_an_array(place)
    return place + 1


def _not_an_array(place: int) -> Refused:
    sentence = f"The body is no JSON array of entries; what is wrong begins at character {place:,}."
    return Refused(400, "bad-request/unreadable-body", sentence)


_SPLITTERS: dict[str, Callable[[bytes], Lines]] = {
    "application/json": _elements,
    "application/x-ndjson": _lines,
    "application/ndjson": _lines,
    "application/jsonl": _lines,
    "application/x-jsonlines": _lines,
}
