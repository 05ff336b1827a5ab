"""What the downloads share: who may have one, the page's rows in its order, PostgreSQL's COPY in constant memory."""

from __future__ import annotations

import zlib
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from time import monotonic

from django.core.exceptions import EmptyResultSet
from django.db import DataError, connection, transaction
from django.db.models import Case, QuerySet, TextField, Value, When
from django.db.models.expressions import Combinable
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    QueryDict,
    StreamingHttpResponse,
)
from psycopg import ClientCursor
from psycopg.errors import QueryCanceled

from auditlog import access
from auditlog.dashboard import columns, lens
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.dashboard.text import visible
from auditlog.export.name import file_name
from auditlog.models import Site
from auditlog.models.log import COLUMNS
from auditlog.search import pages
from auditlog.search.errors import QuestionError
from auditlog.search.filters import Rows
from auditlog.search.language import in_words
from auditlog.search.question import Order, Question
from auditlog.search.snapshot import one_snapshot, part
from gatebook.capture import Capture, capture_of

BUDGET_MS = 15 * 60 * 1000
"""How long a query of a download may take."""
BLOCK_BYTES = 64 * 1024
SAMPLE_ROWS = 200
"""Rows by which a file's size is estimated."""
SAMPLE_BUDGET_MS = 1_000
"""For all of them."""

_GZIP = 16 + zlib.MAX_WBITS


class Block(bytes):
    """A part of a file that ends where a row ends; `rows` is how many it holds."""

    rows = 0


Lines = Callable[[Question, list[str], str], Iterator[bytes]]
"""Yields a file: of a question, with these columns, in this time zone."""


def answer(
    request: HttpRequest,
    site_slug: str,
    lines: Lines,
    extension: str,
    content_type: str,
    allowed: tuple[str, ...] = ("compress",),
) -> HttpResponseBase:
    """Send what `lines` makes of the question of the log page at the same address, to administrators of the site.

    The address may also say how it is written: the `allowed` of `zone` (of the dates) and `compress`. The entry that
    this request becomes says what was asked, how many rows that was, and the SHA-256 of what was sent.
    """
    site = access.administered_site_or_refuse(request, site_slug)
    try:
        if address := clean_address(request):
            return HttpResponseRedirect(address)
        query = request.GET.copy()
        zone, is_compressed = _written_how(query, allowed)
        chosen = columns.chosen(query) or list(COLUMNS)
        question = lens.question_of(request, site, query)
    except QuestionError as error:
        note_refusal(request, error)
        return HttpResponse(visible(str(error)), status=400, content_type="text/plain; charset=utf-8")
    capture = capture_of(request)
    capture.details["question"] = in_words(QueryDict(question.query(resolved=True)))
    if question.sites != (site,):
        capture.details["sites"] = ", ".join(each.slug for each in question.sites)
    if is_compressed:
        extension, content_type = f"{extension}.gz", "application/gzip"
    body = _sent(lines(question, chosen, zone), capture, is_compressed=is_compressed)
    response = StreamingHttpResponse(body, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{file_name(site, question, extension)}"'
    return response


def _written_how(query: QueryDict, allowed: tuple[str, ...]) -> tuple[str, bool]:
    """Take the zone of the dates and whether to compress out of `query`. Raises QuestionError."""
    given = {key: query.pop(key) for key in allowed if key in query}
    for key, values in given.items():
        if len(values) > 1:
            raise QuestionError({key: "is given more than once."})
    (zone,), (compress,) = given.get("zone", ["UTC"]), given.get("compress", [""])
    if zone != "UTC" and not _is_zone(zone):
        raise QuestionError({"zone": f"{zone} is not a time zone, expected one such as UTC or Europe/Berlin."})
    if compress not in ("", "gzip"):
        raise QuestionError({"compress": f"{compress} is not known, expected gzip."})
    return zone, bool(compress)


def _is_zone(name: str) -> bool:
    """Tell whether we and the database both know a zone of that name: it takes some that are none."""
    try:
        zoneinfo.ZoneInfo(name)
        with transaction.atomic():
            _set_zone(name)
            transaction.set_rollback(True)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError, DataError):
        return False
    return True


def _set_zone(name: str) -> None:
    """Let this transaction write times as the clocks there show them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('TimeZone', %s, true)", [name])


def _sent(blocks: Iterator[bytes], capture: Capture, *, is_compressed: bool) -> Iterator[bytes]:
    """Pass a file on, and let the entry of its request say what was sent: rows, bytes and their SHA-256."""
    digest, rows, size = sha256(), 0, 0
    said = "at least {}, then it was cut off"
    squeezer = compressor() if is_compressed else None
    try:
        for block in blocks:
            data = squeezer.compress(block) if squeezer else block
            if data:
                digest.update(data)
                size += len(data)
                yield data
            rows += getattr(block, "rows", 0)
        if squeezer:
            data = squeezer.flush()
            digest.update(data)
            size += len(data)
            yield data
        said = "{}"
        capture.details |= {"bytes": str(size), "sha256": digest.hexdigest()}
    finally:
        capture.details["rows"] = said.format(rows)


def compressor() -> zlib._Compress:
    """Return what makes gzip of a file, without a name or time in it: equal files stay equal."""
    return zlib.compressobj(wbits=_GZIP)


def by_site(question: Question, text: Callable[[Site], str]) -> Combinable:
    """Return the expression of what `text` says of a row's site."""
    if len(question.sites) == 1:
        return Value(text(question.sites[0]))
    named = [When(site_id=site.pk, then=Value(text(site))) for site in question.sites]
    return Case(*named, output_field=TextField())


def in_blocks(
    question: Question, copied: Callable[[Rows], Iterator[bytes]], broken_off: bytes, zone: str = "UTC"
) -> Iterator[bytes]:
    """Yield the question's rows as `copied` writes them, all of one moment.

    Where the database breaks off, `broken_off` is the last line and the exception goes on, which aborts the body.
    """
    try:
        with one_snapshot():
            if zone != "UTC":
                _set_zone(zone)
            for rows in pages.in_turn(question):
                yield from copied(rows)
    except GeneratorExit:
        raise
    except Exception:
        yield broken_off
        raise


def copy(rows: QuerySet, options: str, budget_ms: int = BUDGET_MS) -> Iterator[Block]:
    """Yield the rows of a `values_list` as COPY writes them, in blocks of about 64 KiB."""
    try:
        sql, params = rows.query.sql_with_params()
    except EmptyResultSet:  # a condition that nothing can meet, such as a code beyond all codes
        return
    block, held = bytearray(), 0
    with part():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [budget_ms])
        with (
            ClientCursor(connection.connection) as client,
            client.copy(f"COPY ({sql}) TO STDOUT WITH ({options})", params) as copied,
        ):
            for row in copied:
                block += row
                held += 1
                if len(block) >= BLOCK_BYTES:
                    yield _block(block, held)
                    block.clear()
                    held = 0
        yield _block(block, held)


def _block(data: bytearray, rows: int) -> Block:
    block = Block(data)
    block.rows = rows
    return block


def sample(question: Question, values: Callable[[Rows], QuerySet], options: str) -> Block:
    """Return some of the rows as a file would hold them, the newest; few or none where they are not found in time."""
    found, block, deadline = 0, bytearray(), monotonic() + SAMPLE_BUDGET_MS / 1000
    with suppress(QueryCanceled):
        for rows in pages.in_turn(replace(question, order=Order())):
            left = int((deadline - monotonic()) * 1000)
            if found == SAMPLE_ROWS or left <= 0:
                break
            for part_of_it in copy(values(rows)[: SAMPLE_ROWS - found], options, left):
                block += part_of_it
                found += part_of_it.rows
    return _block(block, found)
