r"""Apache's and nginx's access log: common, combined, and either with the virtual host in front.

    host.example:443 192.0.2.7 - bob [17/May/2026:10:05:03 +0200] "GET /a?b=1 HTTP/1.1" 200 512 "referrer" "agent"

`-` is a marker, not a value. `\"` and `\x16` are how servers write what a client sent; texts are turned back. What
follows the user agent is not read. The log has no request id: see `lines.LineIdentity`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from auditlog.intake.formats.lines import LineIdentity, line_format
from auditlog.intake.formats.shape import Source, first_lines
from auditlog.intake.formats.times import MONTHS, NOT_A_TIME
from gatebook.addresses import normal_address
from gatebook.entry import Entry, text_of


def _quoted(name: str) -> str:
    return rf'"(?P<{name}>[^"\\]*(?:\\.[^"\\]*)*)"'


_LINE = re.compile(
    r"(?P<client>[^\[]+?) "
    r"\[(?P<day>\d{1,2})/(?P<month>[A-Za-z]{3})/(?P<year>\d{4}):(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:\.(?P<fraction>\d{1,6}))? (?P<sign>[+-])(?P<zone>\d{4})\] "
    rf"{_quoted('request')} (?P<code>\d{{3}}|-) (?P<bytes>\d+|-)"
    rf"(?: {_quoted('referrer')})?"
    rf"(?: {_quoted('agent')}(?=\s|$)| \"(?P<broken_off>[^\"\\]*(?:\\.[^\"\\]*)*\\?)$|(?= [^\"]|\s*$))",
    re.ASCII | re.DOTALL,
)
_REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S.*) HTTP/\d(?:\.\d)?", re.ASCII | re.DOTALL)
_REQUEST_WITHOUT_VERSION = re.compile(r"([A-Z]{1,32}) (/\S*)", re.ASCII)
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\abfnrtv]))")
_ESCAPED = dict(zip(b'"\\abfnrtv', b'"\\\a\b\f\n\r\t\v', strict=True))
_SIZE, _REFERRER, _AGENT, _MORE = range(1, 5)  # what a line ends with


def recognises(head: bytes) -> bool:
    """Whether one of the first lines is one of an access log."""
    return any(_LINE.match(text_of(line)) for line in first_lines(head))


class _Lines:
    """Reads one request a line."""

    def __init__(self, source: Source) -> None:
        self._identity = LineIdentity()
        self._before = _AGENT

    def take(self, line: bytes) -> list[Entry]:
        content = line.rstrip(b"\r\n")
        match = _LINE.match(text_of(content))
        if match is None:
            raise ValueError("not a line of an access log")
        parts = _parts(match)
        if content == line and not _ends_like(match, parts, self._before):
            raise ValueError("breaks off")  # still being written; the next import finds it whole
        if match["broken_off"] is None:
            self._before = parts
        return [_entry(match, self._identity.of(content))]

    def rest(self) -> list[Entry]:
        return []


def _parts(match: re.Match[str]) -> int:
    """Return how far a line goes."""
    if match.string[match.end() :].strip():
        return _MORE
    return _AGENT if match["agent"] is not None else _REFERRER if match["referrer"] is not None else _SIZE


def _ends_like(match: re.Match[str], parts: int, before: int) -> bool:
    """Whether a line without its end is whole: it ends in a closing quote, no earlier than the line before."""
    closed = match["broken_off"] is None and match.string.endswith('"')
    return closed and parts in (_REFERRER, _AGENT) and parts >= before


def _entry(match: re.Match[str], request_id: str) -> Entry:
    referrer, agent = match["referrer"], match["agent"]
    if (broken_off := match["broken_off"]) is not None:
        referrer, agent = (broken_off, None) if referrer is None else (referrer, broken_off)
    details = {"bytes": _value(match["bytes"]), "referrer": _text(referrer)}
    host, address, user = _client(match["client"])
    method, path = method_and_path(match["request"])
    if method is None and _value(match["request"]):
        details["request_line"] = match["request"]  # a TLS hello, a scanner's greeting: kept as the server wrote it
    return Entry(
        created_at=_moment(match),
        request_id=request_id,
        username=_text(user),
        request_method=method,
        request_path=path and _unescape(path),
        request_ip=_value(address),
        request_host=_value(host),
        response_code=int(match["code"]) or None if match["code"] != "-" else None,
        user_agent=_text(agent),
        details={key: value for key, value in details.items() if value},
    )


def _client(text: str) -> tuple[str | None, str, str | None]:
    """Return virtual host, address and user out of what stands before the time."""
    words = text.split(" ")
    if len(words) > 3 and normal_address(words[0]) is None and (words[2] == "-" or normal_address(words[1])):
        return words[0], words[1], " ".join(words[3:])
    if len(words) < 3:
        raise ValueError("not a line of an access log")
    return None, words[0], " ".join(words[2:])


def method_and_path(text: str) -> tuple[str | None, str | None]:
    """Return what a request line asks for; nothing where it is none."""
    if match := _REQUEST.fullmatch(text) or _REQUEST_WITHOUT_VERSION.fullmatch(text):
        return match[1], match[2]
    return None, None


def _moment(match: re.Match[str]) -> datetime:
    try:
        offset = timedelta(hours=int(match["zone"][:2]), minutes=int(match["zone"][2:]))
        return datetime(
            int(match["year"]),
            MONTHS[match["month"].lower()],
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"]),
            int((match["fraction"] or "").ljust(6, "0")),
            tzinfo=timezone(-offset if match["sign"] == "-" else offset) if offset else UTC,
        )
    except (KeyError, ValueError):
        raise ValueError(NOT_A_TIME) from None


def _value(text: str | None) -> str | None:
    return None if text in (None, "-", "", '""') else text


def _text(text: str | None) -> str | None:
    text = _value(text)
    return _unescape(text) if text else None


def _unescape(text: str) -> str:
    r"""Turn `\"`, `\\`, `\n` and `\x1b` back into what the client sent."""
    if "\\" not in text:
        return text
    return text_of(_ESCAPE.sub(_unescaped, text.encode()))


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16) if match[1] else _ESCAPED[match[2][0]]])


FORMAT = line_format(
    "combined", "Apache or nginx access log (common, combined, with or without virtual host)", recognises, _Lines
)
