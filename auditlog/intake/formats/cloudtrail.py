"""AWS CloudTrail: `{"Records": […]}`, a bare array, one record a line, pretty-printed, or several of these in a row.

The event's own id is the Request-ID, because AWS repeats its request ids over different events. A role's session is
someone acting as the role: User is the role, Impersonator User the name of the session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

from auditlog.intake.formats.shape import (
    LINE_LIMIT,
    Format,
    Rejected,
    Source,
    decode_object,
    excerpt,
    numbered_lines,
    reason_for,
)
from gatebook.entry import Entry

RECORD_LIMIT = 8 * 1024 * 1024
_CHUNK = 256 * 1024
_LOOK_AHEAD = 256
_WRAPPER = re.compile(rb'\{\s*"Records"\s*:\s*\[')
_TOKEN = re.compile(rb'["{}\[\]]')
_STRING_END = re.compile(rb'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+("|\n)', re.DOTALL)
_BETWEEN = b" \t\r\n,:"


def recognises(head: bytes) -> bool:
    """Whether a file begins as JSON with what only CloudTrail's records have."""
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _WRAPPER.match(head):
        return True
    return head[:1] in (b"{", b"[") and b'"eventSource"' in head and b'"eventName"' in head


def read(stream: BinaryIO, source: Source) -> Iterator[Entry | Rejected]:
    """Read records one by one, however they are packed; a record is never needed twice."""
    first = stream.readline(LINE_LIMIT).removeprefix(b"\xef\xbb\xbf")
    if _is_record(first):
        yield from _entries(1, first)
        for number, line in numbered_lines(stream):
            if isinstance(line, Rejected):
                yield Rejected(number + 1, line.reason, line.excerpt)
            else:
                yield from _entries(number + 1, line)
        return
    for number, record in enumerate(_records(first, stream), start=1):
        if isinstance(record, str):
            yield Rejected(number, record, "")
        else:
            yield from _entries(number, record)


def _is_record(line: bytes) -> bool:
    try:
        return "Records" not in decode_object(line)
    except ValueError:
        return False


def _entries(number: int, data: bytes) -> Iterator[Entry | Rejected]:
    try:
        fields = decode_object(data)
        records = fields["Records"] if isinstance(fields.get("Records"), list) else [fields]
    except ValueError as error:
        yield Rejected(number, reason_for(error), excerpt(data))
        return
    for record in records:
        try:
            if not isinstance(record, dict):
                raise ValueError("not a JSON object")
            yield _entry(record)
        except ValueError as error:
            yield Rejected(number, reason_for(error), excerpt(data))


def _records(first: bytes, stream: BinaryIO) -> Iterator[bytes | str]:
    """Cut JSON into its records, holding one at a time. A piece that is none comes back as the reason."""
    buffer, position, ended = first, 0, False
    wrappers: list[bytes] = []  # the open `{"Records": [` and `[` around records
    start, opened, last = -1, bytearray(), b""  # where the record begins (-1: outside of one), its open brackets
    while True:
        token = _TOKEN.search(buffer, position)
        string = _STRING_END.match(buffer, token.end()) if token and token[0] == b'"' else None
        cut = not token or (token[0] == b'"' and not string)
        near_end = token and token[0] == b"{" and start < 0 and len(buffer) - token.start() < _LOOK_AHEAD
        if (cut or near_end) and not ended:
            # Not enough to go on with: drop what is done and read more.
            done = start if start >= 0 else position
            if len(buffer) - done > RECORD_LIMIT:
                yield f"longer than {RECORD_LIMIT:,} bytes"
                buffer, position, start, done = b"", 0, -1, 0
            # As much again as was searched in vain, so that a long string is not searched over and over.
            chunk = stream.read(max(_CHUNK, len(buffer) - position))
            buffer, position, start, ended = buffer[done:] + chunk, position - done, min(start, 0), not chunk
            continue
        if not token or cut:
            if start >= 0 or buffer[position:].strip(_BETWEEN):
                yield "JSON breaks off"
            return
        at, kind, between = token.start(), token[0], buffer[position : token.start()].strip()
        position = string.end() if string else token.end()
        if start < 0:
            if between.strip(_BETWEEN) and wrappers[-1:] != [b"{"]:
                yield "not a JSON object"
            if string and wrappers[-1:] != [b"{"]:
                yield "not a JSON object"
            elif kind == b"[":
                wrappers.append(kind)
            elif kind in b"]}":
                wrappers[-1:] = []
            elif wrapper := _WRAPPER.match(buffer, at):
                wrappers += [b"{", b"["]
                position = wrapper.end()
            elif kind == b"{":
                start, opened = at, bytearray(kind)
        elif string and string[1] == b"\n":
            yield "JSON breaks off"  # no string goes over the end of a line
            start = -1
        elif kind == b"{" and not _fits(bytes(opened[-1:]), between[-1:] or last):
            yield "JSON breaks off"  # the next record begins before this one has ended
            start, opened = at, bytearray(kind)
        elif kind in b"{[":
            opened += kind
        elif not string:
            del opened[-1]
            if not opened:
                yield buffer[start:position]
                start = -1
        last = kind


def _fits(container: bytes, before: bytes) -> bool:
    """Whether an object may begin in `container` after the character `before`."""
    return before == b":" if container == b"{" else before in b"[,"


def _entry(record: dict[str, Any]) -> Entry:
    event_id = _text(record.get("eventID"))
    if not event_id:
        raise ValueError("eventID: is missing")
    identity = _map(record.get("userIdentity"))
    parameters = _map(record.get("requestParameters"))
    name = _text(record.get("eventName"))
    source = _text(record.get("eventSource"))
    key = _text(identity.get("accessKeyId"))
    account, recipient = _text(identity.get("accountId")), _text(record.get("recipientAccountId"))
    user_id, username, impersonator = _who(identity)
    details = {
        "event_type": _text(record.get("eventType")),
        "aws_region": _text(record.get("awsRegion")),
        "aws_account_id": recipient or account,
        "aws_request_id": _text(record.get("requestID")),
        "invoked_by": _text(identity.get("invokedBy")),
    }
    return Entry(
        created_at=_moment(record.get("eventTime")),
        request_id=event_id,
        user_id=user_id,
        username=username,
        impersonator_username=impersonator,
        user_is_from_parent_site=bool(account and recipient and account != recipient),
        interface=_interface(record),
        api_key_id=key,
        api_key_prefix=key[:4] if key else None,  # AKIA lasts, ASIA belongs to a session
        api_name=":".join(filter(None, [source and source.removesuffix(".amazonaws.com"), name])) or None,
        request_path=_bucket_path(parameters) if source == "s3.amazonaws.com" else None,
        request_ip=_text(record.get("sourceIPAddress")),
        request_host=_text(_map(record.get("tlsDetails")).get("clientProvidedHostHeader"))
        or _text(parameters.get("Host")),
        user_agent=_text(record.get("userAgent")),
        error_type=_text(record.get("errorCode")),
        error_message=_text(record.get("errorMessage")) or _refused_sign_in(record),
        details={key: value for key, value in details.items() if value},
    )


def _who(identity: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return user id, username and who acts as that user."""
    principal = _text(identity.get("principalId"))
    invoked_by = _text(identity.get("invokedBy"))
    arn = _text(identity.get("arn")) or ""
    if identity.get("type") in ("AssumedRole", "FederatedUser"):
        issuer = _map(_map(identity.get("sessionContext")).get("sessionIssuer"))
        acted_as, _, session = (principal or "").partition(":")
        parts = arn.split("/")
        user_id = _text(issuer.get("principalId")) or (acted_as if identity["type"] == "AssumedRole" else None)
        username = _text(issuer.get("userName")) or (parts[1] if len(parts) == 3 else None)
        person = session or (parts[-1] if len(parts) > 1 else "")
        if invoked_by and ":role/aws-service-role/" in (_text(issuer.get("arn")) or ""):
            person = invoked_by  # the session of a service's own role is named by nobody
        return user_id or None, username or person or None, (person or None) if username else None
    username = _text(identity.get("userName")) or re.split("[/:]", arn)[-1]
    if username:
        return principal, username, invoked_by  # a service that acts with the rights of a user
    return principal, invoked_by, None


def _interface(record: dict[str, Any]) -> str | None:
    kind = _text(record.get("eventType")) or ""
    from_console = _text(record.get("sessionCredentialFromConsole")) or ""
    if kind.startswith("AwsConsole") or from_console.lower() == "true":
        return "web"
    return "restapi" if kind == "AwsApiCall" else None


def _refused_sign_in(record: dict[str, Any]) -> str | None:
    outcome = _text(_map(record.get("responseElements")).get("ConsoleLogin"))
    return f"ConsoleLogin: {outcome}" if outcome == "Failure" else None


def _bucket_path(parameters: dict[str, Any]) -> str | None:
    bucket, key = _text(parameters.get("bucketName")), _text(parameters.get("key"))
    return "/" + "/".join(filter(None, [bucket, key])) if bucket else None


def _moment(value: Any) -> datetime:
    text = _text(value)
    if not text:
        raise ValueError("created_at: eventTime is missing")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("created_at: eventTime is not a time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # CloudTrail writes UTC only


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) or None if isinstance(value, str | int | float) else None


FORMAT = Format("cloudtrail", "AWS CloudTrail", recognises, read)
