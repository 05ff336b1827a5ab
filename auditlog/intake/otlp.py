"""The doors of OpenTelemetry: `POST /v1/traces` and `/v1/logs` take OTLP over HTTP (docs/otlp.md)."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from auditlog.intake.batch import take
from auditlog.intake.formats.shape import Rejected, reason_for
from auditlog.intake.http import MOST_ENTRIES, key_of_poster, patience, received, refuse_too_many
from auditlog.intake.otlp_records import LOGS, TRACES, Signal, Status
from auditlog.intake.semconv import SomethingElse, entry_and_site
from auditlog.models.quarantine import LINE_LIMIT
from auditlog.refusals import Refused
from auditlog.store.writer import Rejection
from gatebook.capture import capture_of
from gatebook.entry import encode_json, text_of

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

MOST_COMMAS = 1_000_000
"""Commas in a JSON body: 16 MiB of telemetry have fewer, 16 MiB of `{},{},` would fill the memory."""

MOST_REASONS = 10
"""Reasons that an answer tells apart."""

_GRPC_CODES = {400: 3, 401: 16, 403: 7, 405: 12, 411: 3, 413: 3, 415: 3, 429: 8, 500: 13, 503: 14}
"""google.rpc.Code of each status; the specification leaves it to programs that look at it."""


@csrf_exempt
def traces(request: HttpRequest) -> HttpResponse:
    """Store the HTTP server spans that are sent with an API key."""
    return _take_in(request, TRACES)


@csrf_exempt
def logs(request: HttpRequest) -> HttpResponse:
    """Store the log records of HTTP requests that are sent with an API key."""
    return _take_in(request, LOGS)


def refusal(request: HttpRequest, refused: Refused) -> HttpResponse:
    """Return the answer to a request that is not served, in the content type in which it came."""
    status = Status(code=_GRPC_CODES[refused.status], message=str(refused))
    is_json = request.content_type != PROTOBUF
    return _answer(status, is_json=is_json, status=refused.status, headers=refused.headers)


def _take_in(request: HttpRequest, signal: Signal) -> HttpResponse:
    is_json = request.content_type != PROTOBUF
    try:
        with patience():
            key = key_of_poster(request)
            if request.content_type not in (PROTOBUF, JSON):
                given = request.headers.get("Content-Type", "")
                sentence = f"Content-Type is {given[:100]!r}, expected {PROTOBUF} or {JSON}."
                raise Refused(415, "bad-request/unknown-content-type", sentence)
            with received(request) as data:
                lines, others = _lines(signal, data, is_json=is_json)
                taken = take(key, lines)
    except Refused as refused:
        refused.note(request)
        return refusal(request, refused)
    capture_of(request).ignore = True  # the book does not write about its own writing
    answer = signal.answer()
    if rejected := others.total() + len(taken.rejected):
        setattr(answer.partial_success, f"rejected_{signal.records}", rejected)
        answer.partial_success.error_message = _explained(others, taken.rejected)
    return _answer(answer, is_json=is_json)


def _lines(signal: Signal, data: bytes, *, is_json: bool) -> tuple[list[bytes | Rejected], Counter[str]]:
    """Return what the requests among the records are to the ingest door, and how many others there are of each kind."""
    if is_json and data.count(b",") > MOST_COMMAS:
        sentence = f"The body has more than {MOST_COMMAS:,} commas; send fewer records at a time."
        raise Refused(413, "bad-request/too-large", sentence)
    try:
        records = list(islice(signal.split(data, is_json=is_json), MOST_ENTRIES + 1))
    except ValueError as error:
        sentence = f"The body is no OTLP request for {signal.title}: {error}."
        raise Refused(400, "bad-request/unreadable-body", sentence) from None
    refuse_too_many(len(records))
    lines: list[bytes | Rejected] = []
    others: Counter[str] = Counter()
    for number, (resource, data_of_one) in enumerate(records, start=1):
        try:
            record = signal.read(resource, data_of_one, is_json=is_json)
        except ValueError as error:
            lines.append(Rejected(number, str(error), text_of(bytes(data_of_one)[: 2 * LINE_LIMIT])))
            continue
        try:
            entry, site = entry_and_site(record)
        except SomethingElse as other:
            others[str(other)] += 1
        except ValueError as error:
            lines.append(Rejected(number, reason_for(error), text_of(msgspec.json.encode(record)[: 2 * LINE_LIMIT])))
        else:
            line = encode_json(entry)
            lines.append(line if site is None else b'%b,"site":%b}' % (line[:-1], encode_json(site)))
    return lines, others


def _explained(others: Counter[str], rejected: list[Rejection]) -> str:
    """Return in one sentence what was not taken, and why."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for each in rejected:
        place = each.field or each.error
        counts[place] += 1
        examples.setdefault(place, f"{each.field}: {each.error}" if each.field else each.error)
    parts = [f"{count} {what}" for what, count in others.most_common()]
    parts += [f"{count} in quarantine ({examples[place]})" for place, count in counts.most_common()]
    if len(parts) > MOST_REASONS:
        parts[MOST_REASONS:] = ["and more"]
    return f"Not taken: {'; '.join(parts)}."


def _answer(
    message: Message, *, is_json: bool, status: int = 200, headers: dict[str, str] | None = None
) -> HttpResponse:
    content = MessageToJson(message, indent=None) if is_json else message.SerializeToString()
    return HttpResponse(content, content_type=JSON if is_json else PROTOBUF, status=status, headers=headers)
