"""The doors of OpenTelemetry: real exporters' requests are in the book, once; all else comes back with a reason."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import time
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from google.rpc.status_pb2 import Status
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from auditlog.intake import batch, body, http, otlp, semconv
from auditlog.models import ApiKey, ApiRequestLog, QuarantinedLine, Scope
from auditlog.store import writer
from gatebook.entry import FIELDS
from gatebook.ids import new_id
from gatebook.redact import Redactor
from tests.book import ago
from tests.quick_start import ROOT, soon
from tests.servers import bare_environment
from tests.test_ingest import recorded, secret, stored, tree  # noqa: F401

JSON, PROTOBUF = otlp.JSON, otlp.PROTOBUF
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
REQUEST = {"http.request.method": "GET", "http.response.status_code": 200}


@pytest.fixture
def send(secret: str) -> Callable[..., Any]:  # noqa: F811
    """Send a body to a door with that key."""
    client = Client(raise_request_exception=False)

    def send(data: Any, kind: str = JSON, door: str = "/v1/traces", **headers: str) -> Any:
        headers.setdefault("X-FilesAPI-Key", secret)
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        return client.generic("POST", door, data, kind, headers=headers, CONTENT_TYPE=kind)

    return send


def nanoseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes as the collector writes them in JSON."""

    def value(plain: Any) -> dict[str, Any]:
        if isinstance(plain, bool):
            return {"boolValue": plain}
        return {"intValue": str(plain)} if isinstance(plain, int) else {"stringValue": plain}

    return [{"key": key, "value": value(plain)} for key, plain in attributes.items()]


def span(attributes: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A server span of ten minutes ago that took 150 ms, as the collector writes it in JSON."""
    begins = nanoseconds(ago(minutes=10))
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "parentSpanId": "",
        "flags": 256,
        "name": "GET",
        "kind": 2,
        "startTimeUnixNano": str(begins),
        "endTimeUnixNano": str(begins + 150_000_000),
        "attributes": pairs(REQUEST if attributes is None else attributes),
        "status": {},
        **fields,
    }


def spans(*records: Any, resource: dict[str, Any] | None = None) -> dict[str, Any]:
    scope = {"scope": {"name": "web", "version": "1"}, "spans": list(records)}
    return {"resourceSpans": [{"resource": {"attributes": pairs(resource or {})}, "scopeSpans": [scope]}]}


def logs(*records: Any) -> dict[str, Any]:
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {}, "logRecords": list(records)}]}]}


def log(attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(nanoseconds(ago(minutes=10))), "attributes": pairs(attributes), **fields}


def row(send: Callable[..., Any], record: dict[str, Any], **resource: Any) -> ApiRequestLog:
    """The row that a span becomes."""
    assert send(spans(record, resource=resource)).json() == {}
    return ApiRequestLog.objects.get()


def rejected(answer: Any, what: str = "Spans") -> tuple[int, str]:
    assert answer.status_code == 200
    partial = answer.json().get("partialSuccess", {})
    return int(partial.get(f"rejected{what}", "0")), partial.get("errorMessage", "")


# --- Real senders -------------------------------------------------------------------------------


@pytest.fixture
def exported(live_server: Any, secret: str) -> dict[str, Any]:  # noqa: F811
    """What an exporter is told in code."""
    return {"headers": {"X-FilesAPI-Key": secret}}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_sdks_spans_are_in_the_book_once(live_server, exported, compression):
    finished = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(finished))
    attributes = {"http.request.method": "GET", "url.path": "/a", "http.response.status_code": 404, "user.name": "bob"}
    for kind in (SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL):
        with provider.get_tracer("t").start_as_current_span("GET /a", kind=kind, attributes=attributes) as one:
            trace_id, span_id = one.get_span_context().trace_id, one.get_span_context().span_id
            if kind is SpanKind.SERVER:
                request_id = f"{trace_id:032x}-{span_id:016x}"
    exporter = OTLPSpanExporter(f"{live_server.url}/v1/traces", compression=compression, **exported)
    for _ in range(2):
        assert exporter.export(finished.get_finished_spans()) is SpanExportResult.SUCCESS
    exporter.shutdown()
    got = ApiRequestLog.objects.get()
    assert (got.request_id, got.request_path, got.response_code, got.username) == (request_id, "/a", 404, "bob")
    assert got.details["service.name"] == "shop"


@pytest.mark.django_db(transaction=True)
def test_the_sdk_sends_again_what_came_while_the_database_was_away(live_server, exported, monkeypatch):
    finished, refused = InMemorySpanExporter(), []
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(finished))
    provider.get_tracer("t").start_span("GET /a", kind=SpanKind.SERVER, attributes=REQUEST).end()

    def write(*arguments: Any) -> writer.Written:
        if not refused:
            refused.append(arguments)
            raise OperationalError("the server closed the connection")
        return writer.write(*arguments)

    monkeypatch.setattr(batch, "write", write)
    exporter = OTLPSpanExporter(f"{live_server.url}/v1/traces", **exported)  # with the patience that it comes with
    assert exporter.export(finished.get_finished_spans()) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert (len(refused), ApiRequestLog.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_the_sdks_log_records_are_in_the_book_once(live_server, exported):
    finished = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(finished))
    logger = provider.get_logger("sftpd")
    now = time.time_ns()
    for attributes in (
        {
            "gatebook.interface": "sftp",
            "gatebook.api_name": "put",
            "gatebook.request_path": "/in/a",
            "user.name": "bob",
        },
        {"http.request.method": "GET", "http.response.status_code": 500},
        {"thread": 7},
    ):
        severity = SeverityNumber.INFO
        logger.emit(LogRecord(timestamp=now, severity_number=severity, body="done", attributes=attributes))
    exporter = OTLPLogExporter(f"{live_server.url}/v1/logs", **exported)
    for _ in range(2):
        exporter.export(finished.get_finished_logs())
    exporter.shutdown()
    put, get = ApiRequestLog.objects.order_by("interface")
    assert (put.interface, put.api_name, put.request_path) == ("sftp", "put", "/in/a")
    assert (get.request_method, get.response_code, get.created_at.timestamp()) == ("GET", 500, now // 1000 / 1e6)


def _variables(document: str) -> dict[str, str]:
    shown = re.search(r"```sh\n(export OTEL.*?)```", document, re.DOTALL)[1]
    return dict(re.findall(r"export (\w+)=(\S+)", shown))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("conventions", ["", "http", "http/dup"])
def test_an_instrumented_site_needs_no_more_than_the_variables_that_the_document_shows(
    live_server,
    secret,  # noqa: F811
    conventions,
):
    variables = {
        name: value.replace("https://book.example.org", live_server.url).replace("$BOOK_KEY", secret)
        for name, value in _variables((ROOT / "docs" / "otlp.md").read_text()).items()
    }
    environment = bare_environment(**variables | {"OTEL_SEMCONV_STABILITY_OPT_IN": conventions})
    command = [sys.executable, "-m", "tests.otlp_app"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as app:
        host = f"127.0.0.1:{int(app.stdout.readline())}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        agent = {"User-Agent": "visitor/1", "traceparent": f"00-{TRACE}-{SPAN}-00"}  # who asks not to be sampled
        direct.open(urllib.request.Request(f"http://{host}/files/a.txt?token=hunter2&page=2", headers=agent)).read()
        for path in ("broken", "nowhere"):
            with pytest.raises(urllib.error.HTTPError) as failure:
                direct.open(urllib.request.Request(f"http://{host}/{path}", headers=agent))
            failure.value.close()
        said = app.communicate("")[1]
    assert "Failed to export" not in said, said
    file, broken, nowhere = soon(lambda: (rows := list(ApiRequestLog.objects.order_by("created_at")))[2:] and rows)
    assert [each.response_code for each in (file, broken, nowhere)] == [200, 500, 404]
    assert (file.username, file.impersonator_username) == ("bob", "alice")
    assert (file.request_path, file.api_name) == ("/files/a.txt?token=[redacted]&page=2", "files/<str:name>")
    assert {each.request_host for each in (file, broken, nowhere)} == {host}
    assert {each.request_ip for each in (file, broken, nowhere)} == {"127.0.0.1"}
    assert {each.user_agent for each in (file, broken, nowhere)} == {"visitor/1"}
    assert (broken.error_type, broken.error_message) == ("LookupError", "no such shelf")
    assert file.details["service.name"] == "shop"


# --- What becomes what --------------------------------------------------------------------------

SHOP = {"http.request.method": "GET", "url.path": "/a"}


@pytest.mark.parametrize(
    ("attributes", "columns"),
    [
        (
            {
                "http.request.method": "GET",
                "url.scheme": "https",
                "url.path": "/users/7",
                "url.query": "page=2",
                "http.route": "/users/{id}",
                "http.response.status_code": 200,
                "client.address": "203.0.113.9",
                "network.peer.address": "10.0.0.1",
                "server.address": "shop.example.org",
                "server.port": 443,
                "user_agent.original": "curl/8",
                "user.id": "7",
                "user.name": "bob",
            },
            {
                "request_method": "GET",
                "request_path": "/users/7?page=2",
                "api_name": "/users/{id}",
                "response_code": 200,
                "request_ip": "203.0.113.9",
                "request_host": "shop.example.org",
                "user_agent": "curl/8",
                "user_id": "7",
                "username": "bob",
                "duration_ms": 150,
                "request_id": f"{TRACE}-{SPAN}",
                "interface": None,
                "success": True,
                "details": {"trace_id": TRACE, "span_id": SPAN, "network.peer.address": "10.0.0.1"},
            },
        ),
        (
            {
                "http.method": "POST",
                "http.scheme": "http",
                "http.host": "shop.example.org:8080",
                "http.target": "/users?page=2",
                "http.status_code": "404",
                "net.peer.ip": "203.0.113.9",
                "net.host.name": "shop",
                "http.user_agent": "curl/7",
                "enduser.id": "bob",
            },
            {
                "request_method": "POST",
                "request_path": "/users?page=2",
                "response_code": 404,
                "request_ip": "203.0.113.9",
                "request_host": "shop.example.org:8080",
                "user_agent": "curl/7",
                "username": "bob",
                "success": False,
            },
        ),
        (SHOP | {"http.request.method": "_OTHER"}, {"request_method": "_OTHER"}),
        (
            SHOP | {"http.request.method": "_OTHER", "http.request.method_original": "FOX"},
            {"request_method": "FOX"},
        ),
        (
            {**SHOP, "url.path": "", "url.full": "https://u:pw@h:8/x?y=1"},
            {"request_path": "/x?y=1", "request_host": "h:8"},
        ),
        ({"http.method": "GET", "http.url": "http://h"}, {"request_path": "/", "request_host": "h"}),
        ({"http.method": "GET", "http.url": "http://[::1"}, {"request_path": "/", "request_host": "[::1"}),
        ({"http.method": "GET", "http.target": "http://h/x"}, {"request_path": "/x"}),
        (SHOP | {"server.address": "h", "server.port": 8000}, {"request_host": "h:8000"}),
        (SHOP | {"server.address": "h", "server.port": 80, "url.scheme": "https"}, {"request_host": "h:80"}),
        (SHOP | {"server.address": "h:8000", "server.port": 8000}, {"request_host": "h:8000"}),
        (SHOP | {"server.address": "::1", "server.port": 8000}, {"request_host": "[::1]:8000"}),
        (SHOP | {"client.address": "web-7"}, {"request_ip": None}),
        (SHOP | {"user.name": "Bob", "enduser.id": "b7"}, {"username": "Bob"}),
        (SHOP | {"http.response.status_code": 0}, {"response_code": None, "success": True}),
        (SHOP | {"http.response.status_code": 500, "error.type": "500"}, {"error_type": None}),
        (SHOP | {"http.response.status_code": 500, "error.type": "timeout"}, {"error_type": "timeout"}),
        (SHOP | {"user.name": "b\x00b\ud800"}, {"username": "b\ufffdb\ufffd"}),
        (SHOP | {"url.query": "token=hunter2"}, {"request_path": "/a?token=[redacted]"}),
        (
            SHOP | {"gatebook.interface": "sftp", "gatebook.duration_ms": "7", "gatebook.request_id": "r-1"},
            {"interface": "sftp", "duration_ms": 7, "request_id": "r-1"},
        ),
        (
            SHOP | {"gatebook.user_is_from_parent_site": True, "gatebook.impersonator_username": "alice"},
            {"user_is_from_parent_site": True, "impersonator_username": "alice"},
        ),
        (
            SHOP | {"gatebook.details.order": 7, "gatebook.colour": "blue", "service.name": "shop"},
            {"details": {"trace_id": TRACE, "span_id": SPAN, "order": "7", "colour": "blue", "service.name": "shop"}},
        ),
    ],
)
def test_each_attribute_goes_to_its_column(send, attributes, columns):
    got = row(send, span(attributes))
    assert {name: getattr(got, name) for name in columns} == columns


def test_the_resource_says_what_holds_for_all(send, child):
    resource = {"gatebook.site": "acme-eu", "gatebook.interface": "dav", "service.name": "files", "host.name": "a"}
    got = row(send, span(REQUEST | {"gatebook.interface": "sftp"}), **resource)
    assert (got.site_id, got.interface, got.details["service.name"]) == (child.pk, "sftp", "files")


EXCEPTION = {
    "name": "exception",
    "timeUnixNano": "1",
    "attributes": pairs({"exception.type": "LookupError", "exception.message": "password=hunter2"}),
}
HANDLED = {**EXCEPTION, "attributes": pairs({"exception.type": "KeyError", "exception.message": "handled"})}


@pytest.mark.parametrize(
    ("code", "fields", "error"),
    [
        (500, {"events": [HANDLED, EXCEPTION]}, ("LookupError", "password=[redacted]")),
        (200, {"events": [EXCEPTION]}, (None, None)),
        (500, {"status": {"code": 2, "message": "shelf is empty"}}, (None, "shelf is empty")),
        (404, {}, (None, None)),
        (None, {"events": [EXCEPTION]}, ("LookupError", "password=[redacted]")),
        (None, {"status": {"code": 2}}, ("_OTHER", None)),
        (None, {"status": {"code": 1, "message": ""}}, (None, None)),
    ],
)
def test_a_failure_says_what_went_wrong(send, code, fields, error):
    got = row(send, span(SHOP | ({} if code is None else {"http.response.status_code": code}), **fields))
    assert (got.error_type, got.error_message) == error
    assert got.success == (code == 200 or (code is None and error == (None, None)))


@pytest.mark.parametrize(
    ("name", "api_name"),
    [
        ("GET /a/{b}", "GET /a/{b}"),
        ("/a?token=hunter2", "/a?token=[redacted]"),
        ("GET", None),
        ("HTTP POST", None),
        ("_OTHER", None),
        ("", None),
    ],
)
def test_the_spans_name_is_the_api_name_where_there_is_no_route(send, name, api_name):
    assert row(send, span(name=name)).api_name == api_name


def test_a_span_without_an_end_or_of_a_clock_that_was_set_has_no_duration(send):
    send(spans(span(endTimeUnixNano="0"), span(endTimeUnixNano=5, spanId="a" * 16)))
    assert list(ApiRequestLog.objects.values_list("duration_ms", flat=True)) == [None, None]


def test_the_time_is_kept_to_the_microsecond(send):
    moment = ago(minutes=3)
    assert row(send, span(startTimeUnixNano=nanoseconds(moment) + 999)).created_at == moment


def test_log_records_without_a_span_are_all_kept_once(send):
    line = log({"http.request.method": "GET", "url.path": "/a"}, observedTimeUnixNano="7")
    moment = {"timeUnixNano": line["timeUnixNano"]}
    records = [
        line,
        {**line, "observedTimeUnixNano": "8"},
        log({"http.method": "GET"}, **moment),
        {**line, "traceId": ""},
    ]
    for _ in range(2):
        assert send(logs(*records), door="/v1/logs").json() == {}
    assert len(stored()) == 4
    assert all(each.startswith("log-") for each in stored())


def test_a_log_record_in_a_span_has_its_request_id_and_the_time_it_was_observed(send):
    moment = ago(minutes=3)
    record = {**log(REQUEST), "traceId": TRACE.upper(), "spanId": SPAN, "timeUnixNano": "0"}
    send(logs({**record, "observedTimeUnixNano": str(nanoseconds(moment))}), door="/v1/logs")
    got = ApiRequestLog.objects.get()
    assert got.request_id.startswith(f"{TRACE}-{SPAN}-log-")
    assert (got.created_at, got.duration_ms) == (moment, None)


# --- What is not taken --------------------------------------------------------------------------


def test_other_telemetry_is_counted_by_kind_and_not_in_quarantine(send):
    others = [span(kind=kind) for kind in (1, 1, 3, 4, 5, 0, 9)]
    answer = send(spans(span(), *others, span({"rpc.system": "grpc"}), span({}, kind=3)))
    count, explanation = rejected(answer)
    assert count == 9
    assert explanation.startswith("Not taken: 2 internal spans; 2 client spans; ")
    for part in ("1 producer spans", "1 unknown spans", "1 server spans without HTTP attributes"):
        assert part in explanation
    answer = send(logs(log({"thread": 1}), log({}), log(REQUEST)), door="/v1/logs")
    assert rejected(answer, "LogRecords") == (2, "Not taken: 2 log records without HTTP attributes.")
    assert len(stored()) == 2
    assert not QuarantinedLine.objects.exists()


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        (span(startTimeUnixNano="0"), "created_at", "0, expected nanoseconds since 1970"),
        (span(startTimeUnixNano=None), "created_at", "0, expected nanoseconds since 1970"),
        (span(startTimeUnixNano="1", endTimeUnixNano="2"), "created_at", "is older than the retention"),
        (span(startTimeUnixNano=str(2**63 - 1)), "created_at", "is more than a day ahead"),
        (span(startTimeUnixNano="soon"), None, "startTimeUnixNano: expected a whole number, got a text"),
        (span(startTimeUnixNano=-1), "created_at", "-1, expected nanoseconds since 1970"),
        (span(startTimeUnixNano=2**70), None, "startTimeUnixNano: expected a whole number <= 9223372036854775807"),
        (span(endTimeUnixNano=str(2**62)), "duration_ms", "expected a whole number <= 2147483647"),
        (span(REQUEST | {"http.response.status_code": 9999999}), "response_code", "expected a whole number <= 999"),
        (span(REQUEST | {"http.response.status_code": "OK"}), "response_code", "'OK', expected a whole number"),
        (span(REQUEST | {"http.response.status_code": -1}), "response_code", "'-1', expected a whole number"),
        (
            span(REQUEST | {"gatebook.user_is_from_parent_site": 7}),
            "user_is_from_parent_site",
            "expected true or false",
        ),
        (span(REQUEST | {"gatebook.site": "globex"}), "site", "'globex' is neither the site of this API key"),
        (span(REQUEST | {"gatebook.request_id": ""}), "request_id", "is empty"),
        (span(traceId="0" * 32), None, "trace_id: '0000"),
        (span(spanId="7uGbfsPBsXQ="), None, "span_id: '7ugbfspbsxq=', expected 16 hexadecimal digits"),
        (span(kind="SPAN_KIND_SERVER"), None, "kind: expected a whole number, got a text"),
        (7, None, "Expected an object, got a whole number"),
        ([[]], None, "Expected an object, got a list"),
    ],
)
def test_nonsense_is_in_quarantine_with_its_reason_and_the_good_ones_are_stored(send, record, field, reason):
    count, explanation = rejected(send(spans(span(spanId="a" * 16), record, span(spanId="b" * 16))))
    assert (count, len(stored())) == (1, 2)
    kept = QuarantinedLine.objects.get()
    assert kept.field == field
    assert reason in kept.error
    assert f"Not taken: 1 in quarantine ({field}: {kept.error})." in explanation or field is None
    assert kept.error in explanation


def test_what_is_in_quarantine_shows_no_secrets(send):
    query = {"url.query": "token=hunter2", "url.path": "/a", "exception.message": "password=hunter3"}
    send(spans(span(REQUEST | query, startTimeUnixNano="0"), span(REQUEST | query, kind="x"), resource={}))
    send(spans(span(REQUEST | query, startTimeUnixNano="1", endTimeUnixNano="2")))
    kept = QuarantinedLine.objects.all()
    assert len(kept) == 3
    assert all("url.path" in each.line or "/a?" in each.line for each in kept)
    assert not any("hunter" in each.line for each in kept)


def test_an_answer_names_few_reasons_however_many_there_are(send):
    odd = [span(REQUEST | {"gatebook.site": f"s{number}"}) for number in range(50)]
    odd += [span(traceId=f"{number}") for number in range(50)]
    count, explanation = rejected(send(spans(*odd)))
    assert count == 100
    assert explanation.endswith("; and more.")
    assert len(explanation) < 2000


# --- The wire -----------------------------------------------------------------------------------


def protobuf_span(**fields: Any) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    begins = nanoseconds(ago(minutes=10))
    made = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            kind=2, trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(SPAN), start_time_unix_nano=begins, **fields
        )
    )
    made.attributes.add(key="http.request.method").value.string_value = "GET"
    made.attributes.add(key="http.response.status_code").value.int_value = 200
    made.attributes.add(key="url.path").value.string_value = "/\u00fcber"
    return request


def test_the_answer_is_in_the_encoding_of_the_question(send):
    request = protobuf_span()
    answer = send(request.SerializeToString(), PROTOBUF)
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, PROTOBUF, b"")
    request.resource_spans[0].scope_spans[0].spans.add(kind=3)
    request.resource_spans[0].scope_spans[0].spans.add(trace_id=b"7", kind=2)
    partial = ExportTraceServiceResponse.FromString(send(request.SerializeToString(), PROTOBUF).content).partial_success
    assert (partial.rejected_spans, partial.error_message[:10]) == (2, "Not taken:")
    assert ApiRequestLog.objects.get().request_path == "/\u00fcber"
    empty = ExportLogsServiceRequest().SerializeToString()
    assert (
        ExportLogsServiceResponse.FromString(send(empty, PROTOBUF, "/v1/logs").content) == ExportLogsServiceResponse()
    )
    answer = send(spans())
    assert (answer["Content-Type"], answer.text) == (JSON, "{}")


def test_a_text_that_is_no_utf8_costs_nobody_anything(send):
    data = protobuf_span(name="GET /name").SerializeToString().replace(b"name", b"n\xffme")
    assert send(data, PROTOBUF).status_code == 200
    assert ApiRequestLog.objects.get().api_name == "GET /n\ufffdme"
    text = json.dumps(spans(span(name="GET /name", spanId="a" * 16), span(name="x", spanId="b" * 16)))
    for odd in (b"n\xffme", b"n\\ud800me"):
        assert rejected(send(text.encode().replace(b"GET /name", b"GET /" + odd)))[0] == 0
    assert set(ApiRequestLog.objects.values_list("api_name", flat=True)) == {"GET /n\ufffdme", "x"}


def test_nulls_and_unknown_fields_are_no_fault(send):
    record = span(events=None, status=None, parentSpanId=None, colour="blue", links=[{"traceId": "zz"}])
    record["attributes"] += [{"key": "none", "value": None}, {"key": "empty", "value": {}}, {"key": "x"}]
    record["attributes"] += [{"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}}]
    body = {"resourceSpans": [{"resource": None, "scopeSpans": [{"spans": [record], "schemaUrl": ""}]}, {}], "more": 1}
    body["resourceSpans"].append({"scopeSpans": [{"spans": None}]})
    assert send(body).json() == {}
    assert len(stored()) == 1


def test_what_the_document_shows_is_what_is_answered(send):
    shown = re.search(r"```json\n(.*?)\n```", (ROOT / "docs" / "otlp.md").read_text())[1]
    answer = send(spans(span(kind=3), span(kind=3), span(startTimeUnixNano=0)))
    assert answer.json() == json.loads(shown)


def test_the_document_names_every_attribute_and_its_column():
    document = (ROOT / "docs" / "otlp.md").read_text()
    for names in (*semconv.COLUMNS.values(), semconv.DETAILS):
        assert all(f"`{name}`" in document for name in names)


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-FilesAPI-Key": ""}, 401),
        ({"X-FilesAPI-Key": "0" * 40}, 401),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
        ({}, 400),
    ],
)
def test_a_refusal_is_a_status_in_the_encoding_of_the_question_and_in_the_book(
    send,
    recorded,  # noqa: F811
    kind,
    headers,
    status,
):
    answer = send(b"\xff{torn", kind, **headers)
    assert (answer.status_code, answer["Content-Type"]) == (status, kind)
    told = Status.FromString(answer.content) if kind == PROTOBUF else Status(**answer.json())
    assert told.code == {400: 3, 401: 16, 415: 3}[status]
    (line,) = recorded()
    assert (line.entry.response_code, line.entry.error_message) == (status, Redactor().text(told.message))
    assert line.entry.request_path == "/v1/traces"


def test_what_was_taken_is_not_in_the_book_a_second_time(send, recorded):  # noqa: F811
    send(spans(span(), span(kind=1)))
    assert recorded() == []


def test_a_key_that_may_only_read_is_refused(send, site):
    reader = ApiKey.objects.issue(site, "reader", [Scope.READ])[1]
    answer = send(spans(span()), **{"X-FilesAPI-Key": reader})
    assert (answer.status_code, answer.json()["code"]) == (403, 7)


def test_a_bearer_is_as_good_as_the_header_of_files_com(send, secret):  # noqa: F811
    assert send(spans(span()), **{"X-FilesAPI-Key": "", "Authorization": f"Bearer {secret}"}).status_code == 200


def test_only_post_and_the_two_encodings_are_served(client, send):
    answer = client.get("/v1/traces")
    assert (answer.status_code, answer["Allow"], answer.json()["code"]) == (405, "POST", 12)
    answer = send(spans(span()), "text/plain")
    assert answer.status_code == 415
    assert "expected application/x-protobuf or application/json" in answer.json()["message"]
    assert send(spans(span()), "application/json; charset=utf-8").status_code == 200


def test_gzip_is_unpacked(send):
    assert send(gzip.compress(json.dumps(spans(span())).encode()), **{"Content-Encoding": "gzip"}).json() == {}
    assert len(stored()) == 1


def test_more_than_10000_records_are_refused_as_a_whole(send):
    many = protobuf_span()
    many.resource_spans[0].scope_spans[0].spans.extend([many.resource_spans[0].scope_spans[0].spans[0]] * 10_000)
    answer = send(many.SerializeToString(), PROTOBUF)
    assert answer.status_code == 413
    assert "More than 10,000 entries" in Status.FromString(answer.content).message
    assert send({"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 10_001}]}]}).status_code == 413
    assert stored() == {}


@pytest.mark.parametrize(
    ("kind", "bomb"),
    [
        (JSON, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[' + b"{}," * 5_000_000 + b"{}]}]}]}]}"),
        (JSON, b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"7," * 8_000_000 + b"7]}]}]}"),
        (PROTOBUF, b"\x12\x00" * 8_000_000),
    ],
    ids=["attributes", "records", "protobuf"],
)
def test_what_would_fill_the_memory_is_refused(send, kind, bomb):
    if kind == PROTOBUF:
        scope = b"\x12" + _varint(len(bomb)) + bomb
        bomb = b"\n" + _varint(len(scope)) + scope
    packed = gzip.compress(bomb)
    tracemalloc.start()
    answer = send(packed, kind, **{"Content-Encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 4 * body.LIMIT_BYTES


def test_who_must_wait_is_told_for_how_long(send, monkeypatch):
    monkeypatch.setattr(http, "TURN_SECONDS", 0.01)
    for _ in range(http.AT_ONCE):
        http._turns.acquire()
    try:
        answer = send(protobuf_span().SerializeToString(), PROTOBUF)
    finally:
        for _ in range(http.AT_ONCE):
            http._turns.release()
    assert (answer.status_code, answer["Retry-After"]) == (429, "1")
    assert Status.FromString(answer.content).code == 8


@pytest.mark.parametrize("door", ["/v1/traces", "/v1/logs"])
@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_a_database_that_is_away_is_a_reason_to_come_back(send, kind, door):
    def away(*arguments: Any) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(away):
        answer = send(b"", kind, door)
    assert (answer.status_code, answer["Retry-After"], answer["Content-Type"]) == (503, "2", kind)
    told = Status.FromString(answer.content) if kind == PROTOBUF else Status(**answer.json())
    assert (told.code, told.message.partition(";")[0]) == (14, "The database is away")


# --- Whatever is sent ---------------------------------------------------------------------------

KEYS = st.sampled_from(
    [
        *(name for names in semconv.COLUMNS.values() for name in names),
        *(f"gatebook.{name}" for name in (*FIELDS, "site", "colour", "details.x", "")),
        *("url.path", "url.query", "url.full", "http.url", "http.target", "server.address", "server.port", "http.host"),
        "\x00",
    ]
)
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**63, 2**64, 10**400])
PLAIN = st.text() | NUMBERS | NUMBERS.map(str) | st.floats() | st.booleans() | st.none()
ODD = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)
VALUE = st.dictionaries(st.sampled_from(["stringValue", "intValue", "boolValue", "doubleValue", "arrayValue"]), ODD)
PAIR = st.fixed_dictionaries({"key": KEYS | ODD, "value": VALUE | ODD}) | ODD
FIELD = st.sampled_from([*span(), "events", "timeUnixNano", "observedTimeUnixNano", "body"])
EVENT = st.fixed_dictionaries({"name": st.just("exception") | ODD, "attributes": st.lists(PAIR, max_size=3) | ODD})
CHANGES = st.dictionaries(FIELD, ODD, max_size=3)
MORE = st.lists(PAIR, max_size=4)


def _odd(made: tuple[dict[str, Any], list[Any], list[Any]]) -> dict[str, Any]:
    changes, more, events = made
    record = span(events=events) | log({})
    record["attributes"] = pairs(REQUEST) + more
    return record | changes


ODD_RECORD = st.tuples(CHANGES, MORE, st.lists(EVENT, max_size=2)).map(_odd) | ODD
DOOR = st.sampled_from(["/v1/traces", "/v1/logs"])


@given(door=DOOR, before=st.lists(ODD_RECORD, max_size=3), after=st.lists(ODD_RECORD, max_size=3))
@example(door="/v1/logs", before=[span(REQUEST | {"user.name": "\ud800"})], after=[])
def test_whatever_is_between_them_good_records_are_stored(send, door, before, after):
    ids = [new_id(), new_id()]
    attributes = [REQUEST | {"gatebook.request_id": each} for each in ids]
    good = [span(each) | log(each) for each in attributes]
    wrap = spans if door == "/v1/traces" else logs
    answer = send(json.dumps(wrap(good[0], *before, good[1], *after)).encode(), JSON, door)
    assert answer.status_code == 200
    assert set(ids) <= stored().keys()
    count = rejected(answer, "Spans" if door == "/v1/traces" else "LogRecords")[0]
    assert 0 <= count <= len(before) + len(after)


DAMAGE = st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=3)), max_size=4)


@given(damage=DAMAGE, cut=st.integers(0, 20))
def test_whatever_a_span_is_made_of_the_next_one_is_stored(send, damage, cut):
    request_id = new_id()
    good, bad = protobuf_span(), protobuf_span(name="GET /")
    made = good.resource_spans[0].scope_spans[0].spans[0]
    made.attributes.add(key="gatebook.request_id").value.string_value = request_id
    torn = bytearray(bad.resource_spans[0].scope_spans[0].spans[0].SerializeToString())
    for place, octets in damage:
        torn[place : place + len(octets)] = octets
    torn = torn[: len(torn) - cut]
    whole = made.SerializeToString()
    scope = b"".join(b"\x12" + _varint(len(each)) + bytes(each) for each in (torn, whole))
    group = b"\x12" + _varint(len(scope)) + scope
    answer = send(b"\n" + _varint(len(group)) + group, PROTOBUF)
    assert answer.status_code == 200
    assert request_id in stored()


def _varint(number: int) -> bytes:
    octets = b""
    while number > 127:
        octets += bytes([number & 127 | 128])
        number >>= 7
    return octets + bytes([number])


def _within(names: list[str], inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names), st.lists(inner, max_size=2) | ODD, max_size=2)


SCOPE = _within(["spans", "logRecords"], ODD_RECORD)
GROUP = _within(["scopeSpans", "scopeLogs", "resource"], SCOPE)
SHAPES = _within(["resourceSpans", "resourceLogs"], GROUP) | ODD
HOSTILE = [
    b'{"resourceSpans":' + b"[" * 5000,
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b'{"a":' * 5000,
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"[" * 3000 + b"]" * 3000 + b"]}]}]}",
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":' + b"9" * 5000 + b"}]}]}]}",
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[\xff"\\ud800"',
    b"\n\x04\x12\x02\x12\x00" * 2000,
    b"\n\xff\xff\xff\xff\x0f",
    b"\x0b" * 5000,
]


@pytest.mark.slow
@given(
    data=st.binary()
    | st.integers(0, len(HOSTILE) - 1).map(HOSTILE.__getitem__)
    | SHAPES.map(lambda shape: json.dumps(shape).encode()),
    kind=st.sampled_from([JSON, PROTOBUF]),
    packed=st.booleans(),
    door=DOOR,
)
def test_whatever_is_sent_is_answered_in_kind(send, data, kind, packed, door):
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = send(gzip.compress(data) if packed else data, kind, door, **headers)
    assert answer.status_code in (200, 400)
    assert answer["Content-Type"] == kind
    if answer.status_code == 400:
        told = Status.FromString(answer.content) if kind == PROTOBUF else Status(**answer.json())
        assert told.message.startswith("The body is no OTLP request for ")


@given(st.data())
def test_no_key_writes_outside_its_site_and_the_child_sites_of_that(client, tree, draw):  # noqa: F811
    owner = draw.draw(st.sampled_from(sorted(tree)))
    slugs = st.none() | st.sampled_from([*tree, "nowhere", "ACME", "acme ", "acme\x00"]) | st.text(max_size=5)
    record, resource = draw.draw(slugs), draw.draw(slugs)
    request_id = new_id()
    attributes = REQUEST | {"gatebook.request_id": request_id}
    body = spans(
        span(attributes if record is None else attributes | {"gatebook.site": record}),
        resource={} if resource is None else {"gatebook.site": resource},
    )
    key, reach = tree[owner]
    answer = client.post("/v1/traces", json.dumps(body), content_type=JSON, headers={"X-FilesAPI-Key": key})
    named = (resource if record is None else record) or owner
    assert stored().get(request_id) == (named if named in reach else None)
    assert rejected(answer)[0] == (named not in reach)
