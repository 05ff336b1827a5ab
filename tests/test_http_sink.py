"""The sink to a Gatebook elsewhere: nothing is lost whatever is answered, and nothing is there twice."""

from __future__ import annotations

import gzip
import json
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from auditlog.models import ApiKey, ApiRequestLog, Site
from gatebook import http_sink
from gatebook.conf import Book
from gatebook.http_sink import HttpSink
from gatebook.shipper import Shipper
from gatebook.sinks import Rejection, SinkUnavailable
from gatebook.spool import Spool
from tests.book import ago, entry
from tests.servers import free_port

KEY = "Ab3" * 13


# --- A server of our own making, for broken answers ---------------------------------------------


class Crooked(socketserver.ThreadingTCPServer):
    """Answers each request with the next of `answers`: bytes, or what makes them of the lines that came."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CrookedHandler)
        self.answers: list[bytes | Callable[[list[dict[str, Any]]], bytes]] = []
        self.requests: list[tuple[dict[str, str], list[dict[str, Any]]]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class CrookedHandler(socketserver.StreamRequestHandler):
    """Reads requests; an empty answer closes the connection."""

    server: Crooked

    def handle(self) -> None:
        """Answer until told to close."""
        self.server.connections += 1
        while line := self.rfile.readline():
            headers = {"": line.decode()}
            while (line := self.rfile.readline().decode().strip()) != "":
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            body = gzip.decompress(self.rfile.read(int(headers["content-length"])))
            lines = [json.loads(each) for each in body.splitlines()]
            self.server.requests.append((headers, lines))
            answer = self.server.answers.pop(0) if self.server.answers else taken
            answer = answer(lines) if callable(answer) else answer
            self.wfile.write(answer)
            if not answer or b"Connection: close" in answer:
                return


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return f"{head}\r\n\r\n".encode() + body


def taken(lines: list[dict[str, Any]]) -> bytes:
    return reply("200 OK", json.dumps({"accepted": len(lines), "duplicates": 0, "rejected": []}).encode())


@pytest.fixture
def crooked() -> Iterator[Crooked]:
    """Run one."""
    with Crooked() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sink(crooked: Crooked) -> Iterator[HttpSink]:
    """A sink that speaks to it."""
    sink = HttpSink(Book(crooked.url, KEY))
    yield sink
    sink._connection.close()


def batch(count: int) -> list[Any]:
    return [entry(request_id=str(number)) for number in range(count)]


def sent(crooked: Crooked) -> list[list[str]]:
    """The Request-IDs of each request."""
    return [[line["request_id"] for line in lines] for _, lines in crooked.requests]


def test_a_batch_goes_packed_and_with_the_key_over_one_connection(crooked, sink):
    assert sink.write(None, batch(3)) == []
    assert sink.write("acme-eu", batch(1)) == []
    assert sink.write("acme-eu", []) == []
    (headers, lines), (_, other) = crooked.requests
    assert headers[""].startswith("POST /api/rest/v1/api_request_logs HTTP/1.1")
    assert headers["x-filesapi-key"] == KEY
    assert headers["content-encoding"] == "gzip"
    assert [line["request_id"] for line in lines] == ["0", "1", "2"]
    assert "site" not in lines[0]
    assert other[0]["site"] == "acme-eu"
    assert crooked.connections == 1


def test_a_book_behind_a_path_is_found_there(crooked):
    HttpSink(Book(f"{crooked.url}/books/acme", KEY)).write(None, batch(1))
    assert crooked.requests[0][0][""].startswith("POST /books/acme/api/rest/v1/api_request_logs ")


def test_a_connection_that_was_closed_while_idle_is_made_again(crooked, sink):
    crooked.answers = [taken, b""]
    sink.write(None, batch(1))
    assert sink.write(None, batch(2)) == []
    assert sent(crooked) == [["0"], ["0", "1"], ["0", "1"]]
    assert crooked.connections == 2


def test_what_the_book_rejects_comes_back_with_its_place(crooked, sink):
    rejected = [{"index": 2, "field": "created_at", "error": "too old"}, {"index": 0, "field": None, "error": "torn"}]
    crooked.answers = [reply("200 OK", json.dumps({"accepted": 0, "duplicates": 1, "rejected": rejected}).encode())]
    assert sorted(sink.write(None, batch(3))) == [Rejection(0, None, "torn"), Rejection(2, "created_at", "too old")]


def test_a_batch_that_is_too_large_is_halved(crooked, sink):
    def at_most_two(lines: list[dict[str, Any]]) -> bytes:
        return taken(lines) if len(lines) <= 2 else reply("413 Content Too Large", b"<html>", "Connection: close")

    crooked.answers = [at_most_two] * 20
    assert sink.write(None, batch(7)) == []
    took = [ids for ids in sent(crooked) if len(ids) <= 2]
    assert [each for ids in took for each in ids] == [str(number) for number in range(7)]


def said(status: str, sentence: str = "Too large.") -> bytes:
    return reply(status, json.dumps({"error": sentence, "type": "bad-request/too-large"}).encode())


@pytest.mark.parametrize("status", ["413 Content Too Large", "400 Bad Request"])
def test_the_one_entry_that_a_gatebook_will_not_take_is_rejected_and_the_others_go(crooked, sink, status):
    def not_three(lines: list[dict[str, Any]]) -> bytes:
        return said(status) if any(line["request_id"] == "3" for line in lines) else taken(lines)

    crooked.answers = [not_three] * 20
    assert sink.write(None, batch(6)) == [Rejection(3, None, "Too large.")]


@pytest.mark.parametrize("status", ["413 Content Too Large", "400 Bad Request"])
def test_who_is_no_gatebook_cannot_have_an_entry_set_aside(crooked, sink, status):
    crooked.answers = [reply(status, b"<html>DisallowedHost</html>")] * 20
    with pytest.raises(SinkUnavailable, match=f"refuses even a single entry: {status}"):
        sink.write(None, batch(2))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (said("401 Unauthorized", "The API key has been revoked."), "not accept BOOK_KEY: 401 The API key has been r"),
        (reply("403 Forbidden"), "does not accept BOOK_KEY: 403 Forbidden"),
        (reply("404 Not Found"), "is BOOK_URL a Gatebook's address"),
        (reply("500 Oh\x1b[31m"), r"failed: 500 Oh \[31m"),
        (reply("502 Bad Gateway", b"<html>"), "failed: 502 Bad Gateway"),
        (reply("204 No Content"), "failed: 204"),
        (reply("301 Moved", b"", "Location: https://b.example/\x07"), "redirects to https://b.example/ "),
        (b"", "cannot be reached: RemoteDisconnected"),
        (b"\x00\xff\r\n\r\nConnection: close", "cannot be reached: BadStatusLine"),
        (reply("200 OK", b"{" * 9).replace(b": 9", b": 99\r\nConnection: close"), "cannot be reached: IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nab", "IncompleteRead"),
        (reply("200 OK", b"<html>Welcome to the hotel</html>"), "does not answer as a Gatebook does: '<html>Welcome"),
        (reply("200 OK", b"[" * 100_000), "does not answer as a Gatebook does"),
        (reply("200 OK", b'{"accepted":7,"duplicates":0,"rejected":[]}'), "does not answer as a Gatebook does"),
        (reply("200 OK", b'{"accepted":-1,"duplicates":3,"rejected":[]}'), "does not answer as a Gatebook does"),
        (
            reply("200 OK", b'{"accepted":1,"duplicates":0,"rejected":[{"index":2,"error":"x"}]}'),
            "does not answer as a Gatebook does",
        ),
        (
            reply("200 OK", b'{"accepted":0,"duplicates":0,"rejected":[%b,%b]}' % ((b'{"index":1,"error":""}',) * 2)),
            "does not answer as a Gatebook does",
        ),
    ],
)  # fmt: skip
def test_any_other_answer_leaves_the_entries_where_they_are_and_says_why(crooked, sink, answer, sentence):
    crooked.answers = [answer]
    with pytest.raises(SinkUnavailable, match=sentence) as unavailable:
        sink.write(None, batch(2))
    assert KEY not in str(unavailable.value)
    assert str(unavailable.value).isprintable()
    assert len(crooked.requests) == 1
    assert sink.write(None, batch(2)) == []


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_who_is_asked_for_patience_waits_as_long(crooked, sink, status):
    crooked.answers = [reply(status, b"", "Retry-After: 3")]
    with pytest.raises(SinkUnavailable, match=f"now: {status}; it is asked again in 3 s"):
        sink.write(None, batch(1))
    with pytest.raises(SinkUnavailable, match="asked for patience"):
        sink.write(None, batch(1))
    assert len(crooked.requests) == 1
    time.sleep(3)
    assert sink.write(None, batch(1)) == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("120", 120),
        ("9" * 500, 300),
        (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 0),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 300),
        ("Wed, 99 Foo 2026 00:00:00", 0),
        ("Thu, 01 Jan 2026 99999999999:00:00 GMT", 0),
    ],
    ids=["none", "empty", "no number", "negative", "seconds", "too long", "past", "far ahead", "no date", "no hour"],
)
def test_a_retry_after_is_obeyed_within_reason(header, seconds):
    assert http_sink._seconds(header) == seconds


def test_a_server_that_never_answers_is_given_up(crooked, monkeypatch):
    monkeypatch.setattr(http_sink, "TIMEOUT_SECONDS", 0.2)
    release = threading.Event()
    crooked.answers = [lambda lines: b"late" * release.wait(60)]
    with pytest.raises(SinkUnavailable, match="cannot be reached: TimeoutError"):
        HttpSink(Book(crooked.url, KEY)).write(None, batch(1))
    release.set()


def test_nobody_there_is_said_so():
    with pytest.raises(SinkUnavailable, match=r"http://127.0.0.1:\d+ cannot be reached: ConnectionRefusedError"):
        HttpSink(Book(f"http://127.0.0.1:{free_port()}", KEY)).write(None, batch(1))
    with pytest.raises(SinkUnavailable, match="cannot be reached: gaierror"):
        HttpSink(Book("https://nowhere.invalid", KEY)).write(None, batch(1))


def test_a_sink_without_a_book_says_what_is_missing():
    with pytest.raises(ImproperlyConfigured, match="BOOK_URL"):
        HttpSink()


def test_a_certificate_that_nobody_vouches_for_keeps_the_key_back(tmp_path):
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*openssl, *files, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, pytest.raises(ssl.SSLError):
                context.wrap_socket(peer, server_side=True)

        server = threading.Thread(target=serve)
        server.start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        with pytest.raises(SinkUnavailable, match="SSLCertVerificationError"):
            HttpSink(Book(url, KEY)).write(None, batch(1))
        server.join()


def test_a_shipper_keeps_what_is_refused_and_sends_it_when_it_may(crooked, sink, tmp_path):
    spool = Spool(tmp_path / "spool")
    for number in range(3):
        spool.append(None, entry(request_id=str(number)))
    shipper = Shipper(spool, sink)
    crooked.answers = [said("401 Unauthorized", "There is no such API key."), reply("500 Oh")]
    for _ in range(2):
        with pytest.raises(SinkUnavailable):
            shipper.ship()
    assert shipper.ship().entries == 3
    assert sent(crooked) == [["0", "1", "2"]] * 3
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


# --- The real thing -----------------------------------------------------------------------------


def stored() -> dict[str, str]:
    slugs = dict(Site.objects.values_list("pk", "slug"))
    return {row.request_id: slugs[row.site_id] for row in ApiRequestLog.objects.all()}


@pytest.fixture
def secret(transactional_db: None, site: Site) -> str:
    """A key of Acme that may ingest."""
    return ApiKey.objects.issue(site, "web shop", ["ingest"])[1]


@pytest.fixture
def gatebook(live_server: Any, secret: str) -> HttpSink:
    """A sink that speaks to a real Gatebook."""
    return HttpSink(Book(live_server.url, secret))


def test_entries_arrive_in_the_sites_they_name(gatebook, child, other_site):
    whole = entry(
        request_id="a",
        username="b\u00f6b",
        request_path="/x?token=hunter2",
        response_code=500,
        error_message="\u2028\n",
        details={"k": "v"},
    )
    assert gatebook.write(None, [whole]) == []
    assert gatebook.write("acme-eu", [entry(request_id="b")]) == []
    (rejection,) = gatebook.write("globex", [entry(request_id="c")])
    assert (rejection.place, rejection.field) == (0, "site")
    assert stored() == {"a": "acme", "b": "acme-eu"}
    row = ApiRequestLog.objects.get(request_id="a")
    assert (row.created_at, row.username, row.error_message) == (whole.created_at, "b\u00f6b", "\u2028\n")
    assert row.details == {"k": "v"}


def test_a_lost_answer_is_harmless(gatebook):
    entries = batch(3)
    gatebook.write(None, entries)
    assert gatebook.write(None, [*entries, entry(request_id="new")]) == []
    assert len(stored()) == 4


def test_what_is_too_old_is_rejected_and_the_rest_stored(gatebook):
    entries = [entry(request_id="a"), entry(request_id="b", created_at=ago(days=400)), entry(request_id="c")]
    (rejection,) = gatebook.write(None, entries)
    assert (rejection.place, rejection.field) == (1, "created_at")
    assert stored().keys() == {"a", "c"}


def test_a_batch_beyond_the_limit_of_the_door_arrives_in_parts(gatebook):
    long = "x" * 8000
    entries = [entry(request_id=str(number), request_path=f"/{long}", user_agent=long[:2000]) for number in range(2500)]
    assert gatebook.write(None, entries) == []
    assert len(stored()) == 2500


def test_a_revoked_key_keeps_entries_back_until_there_is_a_good_one(gatebook):
    ApiKey.objects.update(revoked_at=ago(seconds=1))
    with pytest.raises(SinkUnavailable, match=r"BOOK_KEY: 401 The API key web shop .* has been revoked"):
        gatebook.write(None, batch(2000))
    ApiKey.objects.update(revoked_at=None)
    assert gatebook.write(None, batch(1)) == []
