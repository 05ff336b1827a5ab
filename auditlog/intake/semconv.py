"""Requests in telemetry: spans and log records with OpenTelemetry's HTTP attributes, new and old, as entries."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from auditlog.intake.otlp_records import Record, Scalar
from gatebook.conf import conf
from gatebook.entry import FIELDS, Entry, entry_from

OURS = "gatebook."
"""Begins the attributes that fill a column directly."""

COLUMNS = {
    "user_id": ("user.id", "enduser.pseudo.id"),
    "username": ("user.name", "enduser.id", "user.email"),
    "api_name": ("http.route",),
    "request_method": ("http.request.method", "http.method"),
    "request_ip": ("client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr", "net.peer.ip"),
    "response_code": ("http.response.status_code", "http.status_code"),
    "user_agent": ("user_agent.original", "http.user_agent"),
    "error_type": ("error.type", "exception.type"),
    "error_message": ("exception.message",),
}
"""The attributes a column is taken from, the first that is there."""

DETAILS = (
    "service.name",
    "deployment.environment.name",
    "enduser.id",
    "enduser.pseudo.id",
    "user.email",
    "network.peer.address",
    "network.protocol.version",
    "http.request.body.size",
    "http.response.body.size",
)
"""Attributes that are kept beside the columns."""

_SIGNS_OF_HTTP = {*COLUMNS["request_method"], *COLUMNS["response_code"]}
_KINDS = {0: "unspecified", 1: "internal", 3: "client", 4: "producer", 5: "consumer"}
_SERVER = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ("80",), "https": ("443",)}
_NUMBERS = ("response_code", "duration_ms")
_GENERIC_NAME = re.compile(r"(HTTP )?[A-Z_]+")
_UNKNOWN_ERROR = "_OTHER"  # what the conventions call an error without a name


class SomethingElse(Exception):
    """Telemetry, but not of a request to a server; the message says of what."""


def entry_and_site(record: Record) -> tuple[Entry, str | None]:
    """Return the entry a record is and the site it names.

    Raises SomethingElse, or ValueError naming the field where it is a request with nonsense in it.
    """
    _check_kind(record)
    attributes = record.attributes
    known = {**record.resource, **attributes}
    ours = {name.removeprefix(OURS): value for name, value in known.items() if name.startswith(OURS)}
    site = ours.pop("site", None)
    details = {"trace_id": record.trace_id, "span_id": record.span_id, "parent_span_id": record.parent_span_id}
    fields = {
        "created_at": _moment(record.begins_ns),
        "request_id": _request_id(record),
        "request_path": _path(attributes),
        "request_host": _host(attributes),
        "duration_ms": _duration_ms(record),
        **_columns(record),
    }
    for name, value in ours.items():
        if name in FIELDS and name not in ("created_at", "details"):
            fields[name] = value
        else:
            details[name.removeprefix("details.")] = _text(value)
    details |= {name: _text(known[name]) for name in DETAILS if name in known and known[name] not in fields.values()}
    checked = {name: _fit(name, value) for name, value in fields.items() if value is not None}
    return entry_from({**checked, "details": {k: v for k, v in details.items() if v}}), _text(site) if site else None


def _check_kind(record: Record) -> None:
    has_ours = any(name.startswith(OURS) and name != f"{OURS}site" for name in record.attributes)
    is_http = has_ours or not _SIGNS_OF_HTTP.isdisjoint(record.attributes)
    if record.kind is None and not is_http:
        raise SomethingElse("log records without HTTP attributes")
    if record.kind is not None and record.kind != _SERVER:
        raise SomethingElse(f"{_KINDS.get(record.kind, 'unknown')} spans")
    if not is_http:
        raise SomethingElse("server spans without HTTP attributes")


def _columns(record: Record) -> dict[str, Any]:
    """Return the columns that one attribute fills, the error and the API name."""
    attributes = record.attributes
    found = {
        column: next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)
        for column, names in COLUMNS.items()
    }
    if found["request_method"] == "_OTHER":
        found["request_method"] = attributes.get("http.request.method_original", "_OTHER")
    if found["api_name"] is None and not _GENERIC_NAME.fullmatch(record.name):
        found["api_name"] = conf().redactor.path(record.name)  # some name their spans after the path
    code = found["response_code"]
    if found["error_type"] == _text(code):  # "500", where there is no better name
        found["error_type"] = None
    if record.failed or code is None or _whole("response_code", code) >= 400:
        found["error_type"] = found["error_type"] or record.exception.get("exception.type")
        found["error_message"] = found["error_message"] or record.exception.get("exception.message") or record.message
        if record.failed and code is None and not found["error_message"]:
            found["error_type"] = found["error_type"] or _UNKNOWN_ERROR
    if code is not None:
        found["response_code"] = _whole("response_code", code) or None
    return found


def _request_id(record: Record) -> str:
    if record.kind is None:  # a span may have many log records, also in one microsecond
        return "-".join(filter(None, [record.trace_id, record.span_id, f"log-{record.digest}"]))
    return f"{record.trace_id}-{record.span_id}"


def _moment(nanoseconds: int) -> datetime:
    if not 0 < nanoseconds < 2**64:
        raise ValueError(f"created_at: {str(nanoseconds)[:30]}, expected nanoseconds since 1970")
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _duration_ms(record: Record) -> int | None:
    """Return how long a span took; one without an end, or before its beginning by a clock that was set, has none."""
    took = record.ends_ns - record.begins_ns
    return round(took / 1_000_000) if record.ends_ns and took >= 0 else None


def _path(attributes: dict[str, Scalar]) -> str | None:
    path, query = _text(attributes.get("url.path")), _text(attributes.get("url.query"))
    if path or query:
        return f"{path}?{query}" if query else path
    target = _text(attributes.get("http.target"))
    address = target or _text(attributes.get("url.full") or attributes.get("http.url"))
    origin = _ORIGIN.match(address)
    return (address[origin.end() :] or "/") if origin else address


def _host(attributes: dict[str, Scalar]) -> str:
    """Return the host as the client asked for it: with its port, unless that is the scheme's own."""
    if host := _text(attributes.get("server.address")):
        return _with_port(host, attributes.get("server.port"), attributes.get("url.scheme"))
    if host := _text(attributes.get("http.host")):
        return host
    if host := _text(attributes.get("net.host.name")):
        return _with_port(host, attributes.get("net.host.port"), attributes.get("http.scheme"))
    origin = _ORIGIN.match(_text(attributes.get("url.full") or attributes.get("http.url")))
    return origin[1].rpartition("@")[2] if origin else _text(attributes.get("http.server_name"))


def _with_port(host: str, port: Scalar | None, scheme: Scalar | None) -> str:
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    ending = f":{_text(port)}"
    usual = _DEFAULT_PORTS.get(_text(scheme), ("80", "443"))
    if not port or ending[1:] in usual or host.endswith(ending):
        return host
    return host + ending


def _fit(name: str, value: Any) -> Any:
    """Return an attribute as its column holds it. Raises ValueError."""
    if name in _NUMBERS:
        return _whole(name, value)
    if name == "created_at":
        return value
    if name == "user_is_from_parent_site":
        if _text(value).lower() not in ("true", "false"):
            raise ValueError(f"{name}: {value!r}, expected true or false")
        return _text(value).lower() == "true"
    return _text(value)


def _whole(name: str, value: Scalar) -> int:
    text = _text(value).strip()
    if not re.fullmatch(r"\d{1,19}(\.0)?", text, re.ASCII):
        raise ValueError(f"{name}: {text[:100]!r}, expected a whole number")
    return int(text.removesuffix(".0"))


def _text(value: Scalar | None) -> str:
    return "" if value is None else str(value)
