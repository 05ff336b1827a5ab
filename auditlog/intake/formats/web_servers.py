"""Access logs as JSON of nginx, Caddy, Traefik and Envoy: a table of what each calls the columns.

The address is the one that the server takes for the client's, by its own list of trusted proxies; what the client says
of itself in X-Forwarded-For is kept in the details. nginx and Envoy write the fields that their configuration names:
the table holds the usual names, docs/import.md a configuration that has them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from auditlog.intake.formats.combined import method_and_path
from auditlog.intake.formats.lines import LineIdentity, Objects, first_objects, known, line_format, text_from
from auditlog.intake.formats.shape import Format, Source, decode_object
from auditlog.intake.formats.times import milliseconds, moment_of
from gatebook.addresses import normal_address
from gatebook.entry import Entry, text_of

_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")


def _as_logged(line: bytes) -> dict[str, Any]:
    r"""Decode a line; nginx without `escape=json` writes `\x22` for a quote, which is no JSON."""
    try:
        return decode_object(line)
    except ValueError:
        if b"\\x" not in line:
            raise
        return decode_object(text_of(_ESCAPE.sub(_unescaped, line)).encode())


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16)
    return bytes([code]) if code >= 0x80 else b"\\u%04x" % code


@dataclass(frozen=True)
class _Server:
    """What a server calls a column, by preference; `a.b` is b inside of a, or in the first one of a list."""

    title: str
    marks: tuple[tuple[str, ...], ...]
    """What all its access lines have: one name of each."""
    time: tuple[str, ...]
    duration: tuple[str, ...]
    duration_unit: float
    """Milliseconds in one of what it counts a duration in."""
    method: tuple[str, ...]
    path: tuple[str, ...]
    host: tuple[str, ...]
    address: tuple[str, ...]
    user: tuple[str, ...]
    code: tuple[str, ...]
    agent: tuple[str, ...]
    request_id: tuple[str, ...] = ()
    request_line: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    details: dict[str, tuple[str, ...]] = field(default_factory=dict)
    decode: Callable[[bytes], dict[str, Any]] = decode_object

    def made(self, line: dict[str, Any]) -> bool:
        """Whether a line is one of its access log."""
        return all(any(_find(line, name) is not None for name in names) for names in self.marks)

    def entry(self, identity: LineIdentity, source: Source, fields: dict[str, Any], line: bytes) -> Entry:
        """Return the entry of one line."""
        if not self.made(fields):
            raise ValueError("not a line of an access log")
        created_at = moment_of(_first(fields, self.time), source.zone)
        given = _text(fields, self.request_id)
        request_line = _text(fields, self.request_line)
        method, path = method_and_path(request_line) if request_line else (None, None)
        method, path = _text(fields, self.method) or method, _text(fields, self.path) or path
        query = _text(fields, self.query)
        if path and query and "?" not in path:
            path = f"{path}?{query}"
        code = _text(fields, self.code)
        if code is not None and not code.isdecimal():
            raise ValueError("response_code: not a number")
        return Entry(
            created_at=created_at,
            request_id=identity.given(given, created_at) if given else identity.of(line),
            username=_text(fields, self.user),
            request_method=method,
            request_path=path,
            request_ip=_address(fields, self.address),
            request_host=_text(fields, self.host),
            response_code=int(code) or None if code else None,
            user_agent=_text(fields, self.agent),
            error_message=_text(fields, self.error),
            duration_ms=milliseconds(_first(fields, self.duration), self.duration_unit),
            details=known(
                {name: _first(fields, names) for name, names in self.details.items()}
                | ({"request_line": request_line} if request_line and not path else {})
            ),
        )

    def format(self, name: str) -> Format:
        """Return its format under that name."""
        return line_format(name, self.title, self._recognises, self._reader)

    def _recognises(self, head: bytes) -> bool:
        return any(map(self.made, first_objects(head)))

    def _reader(self, source: Source) -> Objects:
        return Objects(partial(self.entry, LineIdentity(), source), self.decode)


def _find(fields: dict[str, Any], name: str) -> Any:
    if name in fields or "." not in name:
        return fields.get(name)
    value: Any = fields
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
        value = (value[0] if value else None) if isinstance(value, list) else value
    return value


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return the first value that is not missing."""
    return next((value for name in names if (value := _find(fields, name)) not in (None, "", "-")), None)


def _text(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return text_from(_first(fields, names))


def _address(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first that is an address, else whatever the first is, for the details."""
    texts = [text for name in names if (text := text_from(_find(fields, name)))]
    return next((text for text in texts if normal_address(text)), texts[0] if texts else None)


_SERVERS = {
    "caddy": _Server(
        title="Caddy access log (JSON)",
        marks=(("request.uri",), ("request.method",), ("status",), ("ts",)),
        time=("ts",),
        duration=("duration",),
        duration_unit=1000,
        method=("request.method",),
        path=("request.uri",),
        host=("request.host",),
        address=("request.client_ip", "request.remote_ip", "request.remote_addr"),
        user=("user_id",),
        code=("status",),
        agent=("request.headers.User-Agent",),
        details={
            "bytes": ("size",),
            "bytes_read": ("bytes_read",),
            "referrer": ("request.headers.Referer",),
            "forwarded_for": ("request.headers.X-Forwarded-For",),
            "logger": ("logger",),
        },
    ),
    "traefik": _Server(
        title="Traefik access log (JSON)",
        marks=(("RequestMethod",), ("RequestPath",), ("StartUTC", "StartLocal", "time")),
        time=("StartUTC", "StartLocal", "time"),
        duration=("Duration",),
        duration_unit=1e-6,
        method=("RequestMethod",),
        path=("RequestPath",),
        host=("RequestHost", "RequestAddr"),
        address=("ClientHost", "ClientAddr"),
        user=("ClientUsername",),
        code=("DownstreamStatus", "OriginStatus"),
        agent=("request_User-Agent",),
        details={
            "bytes": ("DownstreamContentSize",),
            "referrer": ("request_Referer",),
            "forwarded_for": ("request_X-Forwarded-For",),
            "router": ("RouterName",),
            "service": ("ServiceName",),
            "entry_point": ("entryPointName",),
        },
    ),
    "envoy": _Server(
        title="Envoy access log (JSON; Istio, Envoy Gateway)",
        marks=(("start_time",), ("response_code",), ("method", ":method")),
        time=("start_time",),
        duration=("duration",),
        duration_unit=1,
        method=("method", ":method"),
        path=("x-envoy-origin-path", "path", ":path"),
        host=(":authority", "authority"),
        address=("downstream_remote_address",),
        user=(),
        code=("response_code",),
        agent=("user-agent", "user_agent"),
        request_id=("x-request-id", "request_id"),
        error=("upstream_transport_failure_reason",),
        details={
            "bytes": ("bytes_sent",),
            "bytes_read": ("bytes_received",),
            "forwarded_for": ("x-forwarded-for", "x_forwarded_for"),
            "flags": ("response_flags",),
            "code_details": ("response_code_details",),
            "cluster": ("upstream_cluster",),
            "route": ("route_name",),
        },
    ),
    "nginx": _Server(
        title="nginx access log (JSON)",
        marks=(
            ("status",),
            ("request", "request_uri", "uri"),
            ("remote_addr",),
            ("msec", "time_iso8601", "time_local", "timestamp", "@timestamp", "time"),
        ),
        time=("msec", "time_iso8601", "time_local", "timestamp", "@timestamp", "time"),
        duration=("request_time",),
        duration_unit=1000,
        method=("request_method",),
        path=("request_uri", "uri"),
        request_line=("request",),
        query=("args", "query_string"),
        host=("host", "http_host", "server_name"),
        address=("remote_addr",),
        user=("remote_user",),
        code=("status",),
        agent=("http_user_agent",),
        request_id=("request_id",),
        details={
            "bytes": ("body_bytes_sent", "bytes_sent"),
            "referrer": ("http_referer", "http_referrer"),
            "forwarded_for": ("http_x_forwarded_for",),
        },
        decode=_as_logged,
    ),
}
FORMATS = tuple(server.format(name) for name, server in _SERVERS.items())
