"""The spans and log records of an OTLP request, in protobuf or JSON.

Each record is read by itself, and any bytes are good enough for a text, so that a bad record does not cost the others.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from auditlog.intake.formats.shape import reason_for
from gatebook.entry import clean, text_of

Scalar = str | bool | int | float
Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_STATUS_ERROR = 2
_ID_LENGTHS = {"trace_id": 32, "span_id": 16}


@dataclass(frozen=True)
class Record:
    """A span, or a log record (`kind` None); ids in hexadecimal or empty, times in nanoseconds or 0."""

    kind: int | None
    name: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    begins_ns: int = 0
    ends_ns: int = 0
    digest: str = ""
    """The same for a log record that is sent again."""
    attributes: dict[str, Scalar] = field(default_factory=dict)
    resource: dict[str, Scalar] = field(default_factory=dict)
    exception: dict[str, Scalar] = field(default_factory=dict)
    """The attributes of a span's last exception."""
    failed: bool = False
    message: str = ""
    """What a span that failed says of it."""


# --- JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding -----------------------


class _Message(msgspec.Struct, rename="camel"):
    """A message of OTLP; fields that are not named here are ignored."""


class _Value(_Message):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Integer | None = None
    double_value: float | None = None


class _Pair(_Message):
    key: str = ""
    value: _Value = msgspec.field(default_factory=_Value)


class _Event(_Message):
    name: str = ""
    attributes: list[_Pair] = []


class _Status(_Message):
    message: str = ""
    code: Integer = 0


class _Span(_Message):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: Integer = 0
    start_time_unix_nano: Integer = 0
    end_time_unix_nano: Integer = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    status: _Status = msgspec.field(default_factory=_Status)


class _LogRecord(_Message):
    trace_id: str = ""
    span_id: str = ""
    time_unix_nano: Integer = 0
    observed_time_unix_nano: Integer = 0
    attributes: list[_Pair] = []


class _Resource(_Message):
    attributes: list[_Pair] = []


class _ScopeSpans(_Message):
    spans: list[msgspec.Raw] = []


class _ResourceSpans(_Message):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_spans: list[_ScopeSpans] = []


class _Traces(_Message):
    resource_spans: list[_ResourceSpans] = []


class _ScopeLogs(_Message):
    log_records: list[msgspec.Raw] = []


class _ResourceLogs(_Message):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_logs: list[_ScopeLogs] = []


class _Logs(_Message):
    resource_logs: list[_ResourceLogs] = []


def _decode_json(kind: type[_Message], data: bytes) -> Any:
    """Read a message. Raises ValueError with a reason."""
    try:
        try:
            return msgspec.json.decode(data, type=kind, strict=False)
        except ValueError:
            return msgspec.json.decode(_mended(data), type=kind, strict=False)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(reason_for(error)) from None


def _mended(data: bytes) -> bytes:
    """Return JSON without what its specification forgives and msgspec does not: nulls, and text that is no Unicode."""
    plain = json.loads(text_of(data), object_hook=_without_nulls, parse_float=str, parse_constant=str)
    return clean(json.dumps(plain, ensure_ascii=False)).encode()


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# --- Protobuf -----------------------------------------------------------------------------------


def _messages() -> descriptor_pool.DescriptorPool:
    """Return OTLP's messages, with bytes in place of texts and of the records."""
    # A text that is no UTF-8, which the collector passes on, would cost the whole request otherwise.
    pool = descriptor_pool.DescriptorPool()
    added = set()

    def add(file: Any) -> None:
        for dependency in file.dependencies:
            add(dependency)
        if file.name not in added:
            added.add(file.name)
            loose = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(loose)
            for message in loose.message_type:
                _loosen(message)
            pool.Add(loose)

    add(trace_service_pb2.DESCRIPTOR)
    add(logs_service_pb2.DESCRIPTOR)
    pool.Add(_rpc_status())
    return pool


def _rpc_status() -> Any:
    """Return google.rpc.Status, which refusals are written in, as far as they need it."""
    file = descriptor_pb2.FileDescriptorProto(name="google/rpc/status.proto", package="google.rpc", syntax="proto3")
    status = file.message_type.add(name="Status")
    status.field.add(name="code", number=1, type="TYPE_INT32", label="LABEL_OPTIONAL")
    status.field.add(name="message", number=2, type="TYPE_STRING", label="LABEL_OPTIONAL")
    return file


def _loosen(message: Any) -> None:
    for each in message.field:
        if each.type == each.TYPE_STRING or each.name in ("spans", "log_records"):
            each.type = each.TYPE_BYTES
            each.ClearField("type_name")
    for nested in message.nested_type:
        _loosen(nested)


_POOL = _messages()


def _message_class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


Status = _message_class("google.rpc.Status")


def _decode_protobuf(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise ValueError("not the protobuf message expected, or broken off") from None


# --- Both ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signal:
    """What one address of OTLP takes: the names of its parts and the messages they are read into."""

    title: str
    groups: str
    scopes: str
    records: str
    as_json: tuple[type[_Message], type[_Message]]
    as_protobuf: tuple[Any, Any]
    answer: Any

    def split(self, data: bytes, *, is_json: bool) -> Iterator[tuple[dict[str, Scalar], bytes]]:
        """Yield the records that a body holds, unread, each with its resource. Raises ValueError with a reason."""
        kind = (self.as_json if is_json else self.as_protobuf)[0]
        request = _decode_json(kind, data) if is_json else _decode_protobuf(kind, data)
        for group in getattr(request, self.groups):
            resource = _attributes(group.resource.attributes)
            for scope in getattr(group, self.scopes):
                for record in getattr(scope, self.records):
                    yield resource, record

    def read(self, resource: dict[str, Scalar], data: bytes, *, is_json: bool) -> Record:
        """Read one record. Raises ValueError with a reason."""
        kind = (self.as_json if is_json else self.as_protobuf)[1]
        message = _decode_json(kind, bytes(data)) if is_json else _decode_protobuf(kind, data)
        if self is TRACES:
            return _span(message, resource)
        digest = hashlib.blake2b(repr(sorted(resource.items())).encode() + data, digest_size=16).hexdigest()
        return _log_record(message, resource, digest)


TRACES = Signal(
    "spans",
    "resource_spans",
    "scope_spans",
    "spans",
    (_Traces, _Span),
    (
        _message_class("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"),
        _message_class("opentelemetry.proto.trace.v1.Span"),
    ),
    trace_service_pb2.ExportTraceServiceResponse,
)
LOGS = Signal(
    "log records",
    "resource_logs",
    "scope_logs",
    "log_records",
    (_Logs, _LogRecord),
    (
        _message_class("opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest"),
        _message_class("opentelemetry.proto.logs.v1.LogRecord"),
    ),
    logs_service_pb2.ExportLogsServiceResponse,
)


def _span(span: Any, resource: dict[str, Scalar]) -> Record:
    exceptions = [event for event in span.events if _text(event.name) == "exception"]
    return Record(
        kind=span.kind,
        name=_text(span.name),
        trace_id=_id("trace_id", span.trace_id),
        span_id=_id("span_id", span.span_id),
        parent_span_id=_hexadecimal(span.parent_span_id),
        begins_ns=span.start_time_unix_nano,
        ends_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        resource=resource,
        exception=_attributes(exceptions[-1].attributes) if exceptions else {},
        failed=span.status.code == _STATUS_ERROR,
        message=_text(span.status.message),
    )


def _log_record(record: Any, resource: dict[str, Scalar], digest: str) -> Record:
    try:
        ids = _id("trace_id", record.trace_id), _id("span_id", record.span_id)
    except ValueError:
        ids = "", ""  # a log record need not belong to a span
    return Record(
        kind=None,
        trace_id=ids[0],
        span_id=ids[1],
        begins_ns=record.time_unix_nano or record.observed_time_unix_nano,
        digest=digest,
        attributes=_attributes(record.attributes),
        resource=resource,
    )


def _attributes(pairs: Any) -> dict[str, Scalar]:
    """Return attributes that have one plain value; lists, maps and bytes have no column to go to."""
    found = {_text(pair.key): _plain(pair.value) for pair in pairs}
    return {key: value for key, value in found.items() if value is not None}


def _plain(value: Any) -> Scalar | None:
    if isinstance(value, _Value):
        given = (value.string_value, value.bool_value, value.int_value, value.double_value)
        return next((each for each in given if each is not None), None)
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return text_of(value.string_value)
    return getattr(value, kind) if kind in ("bool_value", "int_value", "double_value") else None


def _text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text_of(text)


def _hexadecimal(identifier: str | bytes) -> str:
    return identifier.lower() if isinstance(identifier, str) else identifier.hex()


def _id(name: str, identifier: str | bytes) -> str:
    """Return a trace's or span's id. Raises ValueError for what is none."""
    text = _hexadecimal(identifier)
    if not re.fullmatch(rf"[0-9a-f]{{{_ID_LENGTHS[name]}}}", text) or not text.strip("0"):
        raise ValueError(f"{name}: {text[:100]!r}, expected {_ID_LENGTHS[name]} hexadecimal digits, not all of them 0")
    return text
