"""The middleware: every request is in the spool with how it ended, and none notices."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError
from urllib.parse import unquote_to_bytes

import pytest
from django.contrib.auth import authenticate, logout
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import OperationalError
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory

from gatebook import recording, spool
from gatebook.capture import capture_of
from gatebook.entry import Entry
from gatebook.identity import ApiKey, Person
from gatebook.middleware import GatebookMiddleware
from gatebook.shipper import Shipper
from gatebook.spool import Spool, decode_line
from tests.quick_start import soon
from tests.servers import free_port

MIDDLEWARE = ["gatebook.middleware.GatebookMiddleware", "tests.test_middleware.sign_in_as"]


def sign_in_as(get_response):
    """Sign in whom X-User names; refuse who sends X-Refuse."""

    def middleware(request):
        if name := request.headers.get("X-User"):
            request.user = SimpleNamespace(pk=7, is_authenticated=True, get_username=lambda: name)
        if "X-Refuse" in request.headers:
            return HttpResponse(status=429)
        return get_response(request)

    return middleware


@pytest.fixture
def configure(settings, tmp_path):
    """Set GATEBOOK for a project of its own, spooling into a temporary directory."""

    def configure(**gatebook):
        settings.GATEBOOK = {"SPOOL": tmp_path / "spool", "SHIP": False, **gatebook}

    settings.ROOT_URLCONF = "tests.captured_urls"
    settings.MIDDLEWARE = MIDDLEWARE
    settings.TEMPLATES = []  # Django's own error pages
    configure()
    yield configure
    spool.current().close()


@pytest.fixture
def client(configure):
    return Client(raise_request_exception=False)


@pytest.fixture
def recorded(configure, tmp_path):
    """Return the lines in the spool."""

    def recorded():
        paths = sorted((tmp_path / "spool").glob("*.jsonl"))
        return [decode_line(line) for path in paths for line in path.read_bytes().splitlines() if line]

    return recorded


@pytest.fixture
def only(recorded):
    """Return the one entry in the spool."""

    def only():
        (line,) = recorded()
        return line.entry

    return only


def test_a_request_is_recorded_with_what_it_was(client, only):
    client.get("/hello/?page=2", headers={"user-agent": "curl/8", "host": "localhost", "x-user": "alice"})
    entry = only()
    assert (entry.request_method, entry.request_path, entry.response_code) == ("GET", "/hello/?page=2", 200)
    assert (entry.user_id, entry.username) == ("7", "alice")
    assert (entry.user_agent, entry.request_host, entry.request_ip) == ("curl/8", "localhost", "127.0.0.1")
    assert (entry.api_name, entry.interface) == ("hello", "web")
    assert entry.success
    assert entry.duration_ms is not None
    assert entry.error_type is entry.error_message is None


def test_the_answer_names_the_request_id(client, only):
    answer = client.get("/hello/")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", answer["X-Request-Id"])
    assert only().request_id == answer["X-Request-Id"]


def test_a_trusted_proxys_request_id_is_taken(client, configure, only):
    configure(TRUSTED_PROXIES=["127.0.0.1"])
    assert client.get("/hello/", headers={"x-request-id": "edge-1"})["X-Request-Id"] == "edge-1"
    assert only().request_id == "edge-1"


@pytest.mark.parametrize(("trusted", "sent"), [([], "edge-1"), (["127.0.0.1"], "a b"), (["127.0.0.1"], "x" * 201)])
def test_a_strangers_or_odd_request_id_is_not(client, configure, only, trusted, sent):
    configure(TRUSTED_PROXIES=trusted)
    assert client.get("/hello/", headers={"x-request-id": sent})["X-Request-Id"] != sent
    assert only().request_id != sent


@pytest.mark.parametrize("number", [201, 204, 301, 400, 403, 404, 429, 500, 503])
def test_every_response_code_is_recorded(client, only, number):
    client.get(f"/code/{number}/")
    assert only().response_code == number


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "DELETE", "PUT", "PROPFIND", "x-odd"])
def test_every_method_is_recorded(client, only, method):
    client.generic(method, "/hello/")
    assert only().request_method == method.upper()


def test_a_404_outside_any_view_is_recorded(client, only):
    client.get("/no/such/page")
    assert (only().response_code, only().api_name) == (404, None)


def test_what_another_middleware_refuses_is_recorded(client, only):
    client.get("/hello/", headers={"x-refuse": "1"})
    assert only().response_code == 429


@pytest.mark.parametrize(
    ("kind", "code", "type_", "message"),
    [
        ("value", 500, "ValueError", "broken token=[redacted]"),
        ("missing", 404, "Http404", "No such file"),
        ("forbidden", 403, "PermissionDenied", "not yours"),
        ("database", 500, "OperationalError", "server closed the connection"),
    ],
)
def test_an_exception_is_recorded_with_type_and_redacted_message(client, only, kind, code, type_, message):
    client.get(f"/error/{kind}/")
    assert (only().response_code, only().error_type, only().error_message) == (code, type_, message)


def test_an_exception_in_another_middleware_is_recorded(client, only, settings):
    settings.MIDDLEWARE = [*MIDDLEWARE, "tests.test_middleware.broken"]
    client.get("/hello/")
    assert (only().response_code, only().error_type) == (500, "ArithmeticError")


def broken(get_response):
    """Raise in a middleware."""

    def middleware(request):
        raise ArithmeticError("in a middleware")

    return middleware


def test_the_error_of_a_json_answer_is_recorded(client, only):
    client.get("/problem/")
    assert (only().error_type, only().error_message) == ("bad-request/invalid-cursor", "Invalid cursor")


def test_the_view_knows_better(client, recorded):
    client.get("/annotated/", headers={"x-user": "alice"})
    (line,) = recorded()
    assert line.site == "acme"
    assert (line.entry.user_id, line.entry.username, line.entry.api_key_id) == ("42", "from-key", "7")
    assert (line.entry.error_type, line.entry.error_message) == ("odd", "just so")
    assert line.entry.details == {"job": "17"}


def test_an_ignored_request_is_not_recorded(client, configure, recorded):
    configure(IGNORE_PATHS=["/hello"])
    assert client.get("/hello/")["X-Request-Id"]
    client.get("/ignored/")
    assert recorded() == []


def test_a_wrong_annotation_costs_details_but_no_answer_and_no_entry(client, only, caplog):
    answer = client.get("/wrongly-annotated/")
    assert answer.content == b"served"
    assert only().response_code == 200
    assert "capture" in only().details
    assert "could not be made in full" in caplog.text


def test_secrets_in_the_query_never_reach_the_disk(client, tmp_path):
    client.get("/hello/?access_token=hunter2&page=1")
    assert "hunter2" not in "".join(path.read_text() for path in (tmp_path / "spool").iterdir())


def test_a_projects_own_secret_names_are_hidden_too(client, configure, only):
    configure(REDACT=["membership"])
    client.get("/hello/?membership=12")
    assert only().request_path == "/hello/?membership=[redacted]"


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_USER_AGENT": "caf\xc3\xa9 \xff\x00"},
        {"HTTP_HOST": "\xff\xfe<script>"},
        {"HTTP_X_FORWARDED_FOR": "\x00\xff" * 1000},
        {"QUERY_STRING": "a=\xff\xfe\x00&b=%ff%00"},
        {"PATH_INFO": "/\xff\xfe/\x00"},
        {"REQUEST_METHOD": "G\xffT"},
        {"HTTP_X_REQUEST_ID": "\xff" * 5000},
        {"REMOTE_ADDR": "\xff"},
        {"HTTP_USER_AGENT": "x" * 100_000},
    ],
)
def test_hostile_bytes_are_recorded_as_data(client, configure, only, environ):
    configure(TRUSTED_PROXIES=["127.0.0.1"])
    client.get("/hello/", **environ)
    assert "capture" not in only().details


def test_utf8_in_headers_and_path_is_read_as_such(client, only):
    client.get("/h\u00e9llo/", QUERY_STRING="n=\xc3\xa9", HTTP_USER_AGENT="caf\xc3\xa9")
    assert only().user_agent == "caf\u00e9"
    assert only().request_path == "/h%C3%A9llo/?n=%C3%A9"


@pytest.mark.parametrize("sent", ["/a%FF%FE", "/100%25", "/%25C3%25A9", "/%E2%82%AC%20x", "/a;b=c", "/caf%c3%a9"])
def test_a_path_is_recorded_as_it_was_sent_where_the_server_tells(client, recorded, sent):
    path = unquote_to_bytes(sent).decode("latin-1")
    client.get("/", PATH_INFO=path, RAW_URI=f"{sent}?a=1", QUERY_STRING="a=1")
    request = ASGIRequest(
        {"type": "http", "method": "GET", "path": path, "raw_path": sent.encode(), "headers": []}, None
    )
    GatebookMiddleware(lambda request: HttpResponse())(request)
    assert [line.entry.request_path for line in recorded()] == [f"{sent}?a=1", sent]


@pytest.mark.parametrize("path", ["/stream/", "/file/"])
def test_a_stream_is_recorded_when_it_was_sent(client, recorded, path):
    answer = client.get(path)
    assert recorded() == []
    list(answer.streaming_content)
    (line,) = recorded()
    assert (line.entry.response_code, line.entry.error_type) == (200, None)


@pytest.mark.parametrize("path", ["/stream/", "/file/"])
def test_a_stream_the_client_leaves_is_recorded_as_cut_off(client, only, path):
    answer = client.get(path)
    next(answer.streaming_content)
    answer._iterator.close()  # the test client closes the answer with it
    assert only().error_type == "client-disconnected"


@pytest.mark.parametrize("path", ["/stream/", "/file/"])
def test_a_stream_whose_process_is_killed_is_recorded_as_cut_off(client, path, tmp_path):
    answer = client.get(path)
    next(answer.streaming_content)
    spool.current()._streams._file.close()  # what the kernel does with a dead process's files
    shipped = []
    sink = SimpleNamespace(write=lambda site, entries: shipped.extend(entries) or [])
    Shipper(Spool(tmp_path / "spool"), sink).adopt()
    assert [(entry.request_id, entry.error_type) for entry in shipped] == [(answer["X-Request-Id"], "process-ended")]
    assert (shipped[0].request_path, shipped[0].response_code) == (path, 200)
    spool.current().after_fork()
    answer._iterator.close()


@pytest.mark.django_db  # closing the withheld answer closes old connections
def test_a_stream_that_cannot_be_noted_is_withheld_by_who_refuses(client, configure, monkeypatch):
    configure(ON_SPOOL_FAILURE="refuse")
    monkeypatch.setattr(recording, "begin", lambda *_: False)
    answer = client.get("/stream/")
    assert answer.text == "This request was carried out but could not be recorded; do not repeat it.\n"
    assert spool.backlog().missed == 1


def test_a_wrong_annotation_costs_no_entry_of_a_stream(client, only, monkeypatch):
    monkeypatch.setattr("gatebook.capture.Capture.entry", lambda *_: 1 / 0)
    list(client.get("/stream/").streaming_content)
    assert only().response_code == 200


def test_a_stream_that_fails_is_recorded_with_its_error(client, only):
    answer = client.get("/stream/?fail=1")
    with pytest.raises(ConnectionError):
        list(answer.streaming_content)
    assert (only().error_type, only().error_message) == ("ConnectionError", "the source went away")


def test_the_head_of_a_stream_is_not_cut_off(client, only):
    list(client.head("/stream/").streaming_content)
    assert only().error_type is None


@pytest.fixture
def asynchronous(configure, settings):
    """A project without synchronous middleware, for which Django would leave the event loop."""
    settings.MIDDLEWARE = MIDDLEWARE[:1]
    return configure


def test_an_asynchronous_project_is_recorded_too(asynchronous, only):
    asynchronous(USER="tests.test_middleware.user_from_header")
    asyncio.run(AsyncClient().get("/async-hello/?a=1", headers={"x-user": "alice"}))
    assert (only().request_path, only().username, only().response_code) == ("/async-hello/?a=1", "alice", 200)


@pytest.mark.parametrize(
    ("query", "reads", "error_type"),
    [("", 100, None), ("", 3, "client-disconnected"), ("?fail=1", 100, "ConnectionError")],
)
def test_an_asynchronous_stream_is_recorded_as_it_ended(asynchronous, only, query, reads, error_type):
    async def read():
        answer = await AsyncClient().get(f"/async-stream/{query}")
        parts = answer.streaming_content
        try:
            for _ in range(reads):
                await anext(parts)
        except (StopAsyncIteration, ConnectionError):
            pass
        await parts.aclose()

    asyncio.run(read())
    assert only().error_type == error_type


def leave_early(view, seconds):
    """Ask an asynchronous view and leave before it has answered."""

    async def ask():
        serving = asyncio.ensure_future(GatebookMiddleware(view)(RequestFactory().get("/slow/")))
        await asyncio.sleep(seconds)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(ask())


async def endless(request):
    await asyncio.sleep(60)


async def short_stream(request):
    return StreamingHttpResponse(iter([b"x"]))


def test_an_asynchronous_request_the_client_leaves_is_recorded(configure, only):
    leave_early(endless, 0.05)
    assert (only().response_code, only().error_type, only().success) == (None, "client-disconnected", False)


def test_an_asynchronous_request_of_somebody_who_leaves_keeps_its_site_and_its_error(configure, recorded):
    configure(SITE="shop", USER="tests.test_middleware.user_from_database")
    leave_early(endless, 0.05)
    (line,) = recorded()
    assert (line.site, line.entry.error_type, line.entry.interface) == ("shop", "client-disconnected", "web")
    assert line.entry.details == {"user": "not looked up: this was in an event loop"}


def test_a_client_who_leaves_while_the_user_is_looked_up_is_recorded(configure, only):
    configure(USER="tests.test_middleware.user_from_slow_database")
    leave_early(short_stream, 0.1)
    assert only().error_type == "client-disconnected"


def user_from_slow_database(request):
    """Take a while, and not in an event loop."""
    found = user_from_database(request)
    time.sleep(0.4)
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request_id", ""),
        ("created_at", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("duration_ms", 12.5),
        ("duration_ms", True),
        ("site", 7),
        ("details", None),
        ("error_type", object()),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_no_annotation_costs_the_entry(rf, recorded, name, value, streams):
    def view(request):
        setattr(request.gatebook, name, value)
        return StreamingHttpResponse(iter([b"x"])) if streams else HttpResponse()

    answer = GatebookMiddleware(view)(rf.get("/odd/"))
    b"".join(answer)
    answer._resource_closers[-1]() if streams else None
    (line,) = recorded()
    assert (line.entry.request_path, line.entry.response_code) == ("/odd/", 200)
    assert spool.backlog().missed == 0


def test_a_resolver_that_returns_something_else_costs_nothing_but_its_answer(configure, settings, only):
    settings.AXES_ENABLED = False  # it would ask the database
    configure(USER="tests.test_middleware.no_person")

    def view(request):
        request.session = SimpleNamespace(flush=lambda: None, get=lambda key: None)
        request.user = SimpleNamespace(is_authenticated=True)
        logout(request)
        return HttpResponse("signed out")

    assert GatebookMiddleware(view)(RequestFactory().get("/out/")).content == b"signed out"
    assert only().details["user"] == "not known: TypeError"


def no_person(request):
    """Return what is no Person."""
    return SimpleNamespace(name="alice")


def user_from_header(request):
    """Believe the request."""
    return Person("7", request.headers["X-User"])


@pytest.mark.parametrize("path", ["/async-hello/", "/async-stream/", "/async-error/"])
def test_in_an_event_loop_the_user_is_looked_up_in_a_thread(asynchronous, only, path):
    async def read():
        answer = await AsyncClient(raise_request_exception=False).get(path)
        if answer.streaming:
            async for _ in answer.streaming_content:
                pass

    asynchronous(USER="tests.test_middleware.user_from_database")
    asyncio.run(read())
    assert only().username == "looked-up"
    assert only().error_type == ("ValueError" if "error" in path else None)


def user_from_database(request):
    """Behave like a query: not in an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return Person("1", "looked-up")
    raise SynchronousOnlyOperation


def test_a_user_who_cannot_be_looked_up_costs_only_the_name(client, configure, only):
    configure(USER="tests.test_middleware.unreachable_user")
    assert client.get("/hello/").status_code == 200
    assert only().username is None
    assert only().details["user"] == "not known: OperationalError"


def test_a_database_that_is_away_is_waited_for_once(client, configure, only):
    here = "tests.test_middleware"
    configure(USER=f"{here}.unreachable_user", IMPERSONATOR=f"{here}.impersonator_who_must_not_be_asked")
    client.get("/hello/")
    assert only().details == {"user": "not known: OperationalError"}


def impersonator_who_must_not_be_asked(request):
    """Fail the test where it is asked."""
    raise AssertionError("asked")


def unreachable_user(request):
    """Fail as a lookup does while the database is away."""
    raise OperationalError("away")


def test_after_a_database_failure_the_user_is_not_looked_up_again(client, configure, only):
    configure(USER="tests.test_middleware.unreachable_user")
    client.get("/error/database/")
    assert only().details["user"] == "not known: the database failed"


def test_the_resolvers_of_the_project_are_asked(client, configure, recorded):
    here = "tests.test_middleware"
    configure(SITE=f"{here}.site", API_KEY=f"{here}.key", IMPERSONATOR=f"{here}.impersonator")
    client.get("/hello/", headers={"x-user": "bob"})
    (line,) = recorded()
    assert line.site == "from-resolver"
    assert (line.entry.api_key_id, line.entry.api_key_prefix) == ("k1", "ab12")
    assert (line.entry.username, line.entry.impersonator_username) == ("bob", "alice")


def site(request):
    """Resolve every request to one site."""
    return "from-resolver"


def key(request):
    """Resolve every request to one API key."""
    return ApiKey("k1", "ab12")


def impersonator(request):
    """Resolve every request to one impersonator."""
    return Person("1", "alice")


def test_who_signs_out_is_in_the_entry(configure, settings, only):
    settings.AXES_ENABLED = False  # it would ask the database

    def view(request):
        request.user = SimpleNamespace(pk=7, is_authenticated=True, get_username=lambda: "alice")
        request.session = SimpleNamespace(flush=lambda: None, get=lambda key: None)
        logout(request)
        return HttpResponse()

    GatebookMiddleware(view)(RequestFactory().get("/sign-out/"))
    assert only().username == "alice"


def test_a_failed_sign_in_is_an_error_with_the_attempted_name(configure, settings, only):
    settings.AXES_ENABLED = False  # it would ask the database
    settings.AUTHENTICATION_BACKENDS = ["tests.test_middleware.RefusingBackend"]

    def view(request):
        authenticate(request, username="mallory", password="hunter2")
        return HttpResponse()

    GatebookMiddleware(view)(RequestFactory().post("/sign-in/"))
    assert (only().username, only().error_type) == (None, "not-authenticated")
    assert only().details == {"attempted_username": "mallory"}


class RefusingBackend:
    """Lets nobody in."""

    def authenticate(self, request, username, password):
        """Refuse."""


def test_a_spool_that_cannot_be_written_costs_no_request(client, monkeypatch, caplog):
    monkeypatch.setattr(os, "write", full_disk)
    assert client.get("/hello/").status_code == 200
    assert spool.backlog().missed == 1
    assert "not recorded" in caplog.text


def test_who_must_not_act_unrecorded_refuses(client, configure, monkeypatch):
    configure(ON_SPOOL_FAILURE="refuse")
    monkeypatch.setattr("tests.captured_urls.os.getpid", lambda: pytest.fail("the view was called"))
    monkeypatch.setattr(os, "write", full_disk)
    monkeypatch.setattr("gatebook.spool.os.getpid", lambda: 1)
    answer = client.get("/hello/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert spool.backlog().missed == 1


@pytest.mark.django_db  # closing the withheld answer closes old connections
def test_who_refuses_after_the_view_has_acted_says_that_it_has(client, configure, monkeypatch):
    configure(ON_SPOOL_FAILURE="refuse")
    monkeypatch.setattr(recording, "record", lambda *_: False)
    answer = client.get("/hello/")
    assert answer.status_code == 503
    assert answer.text == "This request was carried out but could not be recorded; do not repeat it.\n"
    assert "Retry-After" not in answer


def test_a_code_that_is_none_costs_no_entry(rf, only):
    answer = HttpResponse()
    answer.status_code = 5000
    GatebookMiddleware(lambda request: answer)(rf.get("/"))
    assert only().response_code is None
    assert "5000" in only().details["capture"]


def test_what_a_project_records_itself_is_redacted(only):
    recording.record(
        Entry(
            created_at=datetime.now(UTC),
            request_id="r1",
            request_path="/a?token=abc",
            user_agent="curl token=abc",
            error_message="password: abc",
            details={"note": "pwd=abc"},
        )
    )
    assert (only().request_path, only().user_agent) == ("/a?token=[redacted]", "curl token=[redacted]")
    assert (only().error_message, only().details) == ("password: [redacted]", {"note": "pwd=[redacted]"})


def test_a_project_that_refuses_serves_while_it_can_record(client, configure, only):
    configure(ON_SPOOL_FAILURE="refuse")
    assert client.get("/hello/").status_code == 200
    assert only().response_code == 200


def full_disk(*_):
    """Fail as os.write does on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_bug_in_capture_costs_no_request_and_is_counted(client, monkeypatch, caplog):
    monkeypatch.setattr(recording, "record", lambda *_: 1 / 0)
    assert client.get("/hello/").content == b"hello"
    assert spool.backlog().missed == 1
    assert "Capture failed" in caplog.text


def test_without_the_middleware_annotations_go_nowhere(only):
    request = RequestFactory().get("/")
    capture_of(request).username = "nobody"
    GatebookMiddleware(lambda request: HttpResponse())(request)
    assert only().username is None


# --- A real server, really killed ---------------------------------------------------------------

SERVER = """
import sys
from django.conf import settings
settings.configure(
    SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], ROOT_URLCONF="tests.captured_urls", DATABASES={},
    MIDDLEWARE=["gatebook.middleware.GatebookMiddleware"],
    GATEBOOK={"SPOOL": sys.argv[1], "SINK": "tests.file_sink.FileSink"},
)
import django; django.setup()
from django.core.wsgi import get_wsgi_application
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, WSGIRequestHandler, make_server
class Server(ThreadingMixIn, WSGIServer): daemon_threads = True
class Quiet(WSGIRequestHandler): log_message = lambda *_: None
make_server("127.0.0.1", int(sys.argv[2]), get_wsgi_application(), Server, Quiet).serve_forever()
"""


@pytest.mark.slow
def test_kill_9_loses_no_answered_request_and_doubles_none(tmp_path):
    port, sink, spooled = free_port(), tmp_path / "sink.txt", tmp_path / "spool"
    command = [sys.executable, "-c", SERVER, str(spooled), str(port)]
    server = subprocess.Popen(command, env={**os.environ, "FILE_SINK": str(sink)}, cwd=Path(__file__).parent.parent)
    answered, lock = [], threading.Lock()

    def ask():
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/", timeout=5) as answer:
                    whole = answer.read() == b"hello"
                    with lock:
                        answered.extend([answer.headers["X-Request-Id"]] * whole)  # not what the kill cut off
            except (URLError, OSError):
                if answered:
                    return
                time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    soon(lambda: len(answered) > 500 and sink.exists())
    server.send_signal(signal.SIGKILL)
    server.wait()
    for thread in threads:
        thread.join(20)
    shipped_before = sink.read_text().split()
    rest = []
    Shipper(
        Spool(spooled), SimpleNamespace(write=lambda site, entries: rest.extend(e.request_id for e in entries) or [])
    ).adopt()
    assert set(answered) <= {*shipped_before, *rest}
    assert len(set(shipped_before)) == len(shipped_before)
    assert len(set(rest)) == len(rest)
    assert len({*shipped_before, *rest} - set(answered)) <= 4  # those whose answer the kill cut off
    assert [path.name for path in spooled.iterdir() if path.stat().st_size] == []
