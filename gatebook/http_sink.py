"""The sink that sends entries to a Gatebook elsewhere: `BOOK_URL` and `BOOK_KEY` in the settings."""

from __future__ import annotations

import gzip
import ssl
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import urlsplit

import msgspec
from django.core.exceptions import ImproperlyConfigured

from gatebook.conf import Book, conf
from gatebook.entry import Entry, encode_json, text_of
from gatebook.sinks import Rejection, SinkUnavailable

DOOR = "/api/rest/v1/api_request_logs"

TIMEOUT_SECONDS = 40
"""For each step of a request. A Gatebook that waits for its database says so within 30."""

LONGEST_WAIT_SECONDS = 300
"""A longer Retry-After is not obeyed to the end."""

_BODY_LIMIT_BYTES = 8 * 2**20  # before packing; the door takes twice as much
_ANSWER_LIMIT_BYTES = 8 * 2**20
_SENTENCE_LIMIT = 300
_COMPRESSION = 1  # the host's processor counts for more than the network


class _Refused(msgspec.Struct):
    index: int
    error: str
    field: str | None = None


class _Answer(msgspec.Struct):
    accepted: int
    duplicates: int
    rejected: list[_Refused]


class _Complaint(msgspec.Struct):
    error: str
    type: str


class _TooMuch(Exception):
    """The batch is refused as a whole; `said_by_the_book` is the reason where a Gatebook gave one."""

    def __init__(self, sentence: str, said_by_the_book: str | None) -> None:
        super().__init__(sentence)
        self.said_by_the_book = said_by_the_book


class HttpSink:
    """A Gatebook elsewhere. Entries without a site go to the site of the key."""

    def __init__(self, book: Book | None = None) -> None:
        book = book or conf().book
        if book is None:
            raise ImproperlyConfigured("GATEBOOK['BOOK_URL'] is not given, expected the address of a Gatebook.")
        address = urlsplit(book.url)
        self._url = book.url
        self._path = address.path.rstrip("/") + DOOR
        self._headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Encoding": "gzip",
            "Accept": "application/json",
            "User-Agent": "Gatebook",
            "X-FilesAPI-Key": book.key,
        }
        host, port = address.hostname or "", address.port
        self._connection = (
            HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
            if address.scheme == "https"
            else HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        )
        weakref.finalize(self, self._connection.close)
        self._wait_until = 0.0

    def write(self, site: str | None, entries: Sequence[Entry]) -> Sequence[Rejection]:
        """Send entries to the site with that slug, else to that of the key; return those the book will not take.

        Raises SinkUnavailable when the book did not say what became of them; sending them again is harmless.
        """
        if not entries:
            return []
        head = b'{"site":%b,' % encode_json(site) if site else b"{"
        return self._write([head + encode_json(entry)[1:] for entry in entries])

    def _write(self, lines: Sequence[bytes]) -> list[Rejection]:
        if len(lines) > 1 and sum(map(len, lines)) > _BODY_LIMIT_BYTES:
            return self._write_halves(lines)
        try:
            return self._send(lines)
        except _TooMuch as refusal:
            if len(lines) > 1:
                return self._write_halves(lines)
            if refusal.said_by_the_book is None:  # a proxy or a wrong host says so of whatever it is sent
                raise SinkUnavailable(str(refusal)) from refusal
            return [Rejection(0, None, refusal.said_by_the_book)]

    def _write_halves(self, lines: Sequence[bytes]) -> list[Rejection]:
        half = len(lines) // 2
        first, second = self._write(lines[:half]), self._write(lines[half:])
        return first + [each._replace(place=half + each.place) for each in second]

    def _send(self, lines: Sequence[bytes]) -> list[Rejection]:
        if (seconds := self._wait_until - time.monotonic()) > 0:
            raise SinkUnavailable(f"{self._url} asked for patience; it is asked again in {seconds:.0f} s")
        body = gzip.compress(b"\n".join(lines), _COMPRESSION)
        try:
            response, data = self._ask(body)
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise SinkUnavailable(f"{self._url} cannot be reached: {_reason(error)}") from error
        if response.status != 200:
            raise self._refusal(response, data)
        return self._rejections(data, len(lines))

    def _ask(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        """Post once; once more where the connection had been closed while it was idle."""
        connection = self._connection
        if connection.sock is not None:
            try:
                return self._post(body)
            except (ConnectionError, ssl.SSLEOFError, HTTPException):
                connection.close()
        connection.connect()
        return self._post(body)

    def _post(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have refused before it had read everything
            self._connection.request("POST", self._path, body, self._headers)
        with self._connection.getresponse() as response:
            data = response.read(_ANSWER_LIMIT_BYTES)
            if response.length and len(data) < _ANSWER_LIMIT_BYTES:
                raise IncompleteRead(data, response.length)
            if not response.isclosed():
                self._connection.close()  # or the rest would be read as the next answer
        return response, data

    def _refusal(self, response: HTTPResponse, data: bytes) -> Exception:
        """Return what to raise for an answer other than 200, in words for whoever runs this project."""
        status = response.status
        complaint = _complaint(data)
        said = f"{status} {complaint or _text(response.reason)}".rstrip()
        if status in (400, 413):
            return _TooMuch(f"{self._url} refuses even a single entry: {said}", complaint)
        if status in (429, 503):
            seconds = _seconds(response.headers.get("Retry-After"))
            self._wait_until = time.monotonic() + seconds
            when = f"; it is asked again in {seconds:.0f} s" if seconds else ""
            return SinkUnavailable(f"{self._url} cannot take entries now: {said}{when}")
        if status in (401, 403):
            return SinkUnavailable(f"{self._url} does not accept BOOK_KEY: {said}")
        if 300 <= status < 400:
            place = _text(response.headers.get("Location") or "nowhere")
            return SinkUnavailable(f"{self._url} redirects to {place} ({status}); BOOK_URL must be the address itself")
        if status in (404, 405, 415):
            return SinkUnavailable(f"{self._url} has no door for entries ({said}); is BOOK_URL a Gatebook's address?")
        return SinkUnavailable(f"{self._url} failed: {said}")

    def _rejections(self, data: bytes, sent: int) -> list[Rejection]:
        try:
            answer = msgspec.json.decode(data, type=_Answer)
            places = {each.index for each in answer.rejected}
            adds_up = answer.accepted >= 0 <= answer.duplicates and (
                answer.accepted + answer.duplicates + len(answer.rejected) == sent
            )
        except (msgspec.DecodeError, RecursionError):
            adds_up, places = False, set()
        if not adds_up or len(places) != len(answer.rejected) or not places <= set(range(sent)):
            raise SinkUnavailable(f"{self._url} does not answer as a Gatebook does: {_text(text_of(data))!r}")
        return [Rejection(each.index, each.field, each.error) for each in answer.rejected]


def _complaint(data: bytes) -> str | None:
    """Return the sentence of a refusal in a Gatebook's words, or None where someone else speaks."""
    try:
        return _text(msgspec.json.decode(data, type=_Complaint).error)
    except (msgspec.DecodeError, RecursionError):
        return None


def _seconds(retry_after: str | None) -> float:
    """Return the seconds that a Retry-After asks for, within reason; 0 where it makes no sense."""
    text = (retry_after or "").strip()
    try:
        wanted = float(text) if text.isdecimal() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wanted, 0.0), LONGEST_WAIT_SECONDS)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {_text(str(error))}".rstrip(": ")


def _text(text: str) -> str:
    """Return what a stranger says as one short line."""
    return " ".join("".join(each if each.isprintable() else " " for each in text[:_SENTENCE_LIMIT]).split())
