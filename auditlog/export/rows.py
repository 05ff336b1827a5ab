"""What the downloads share: who may have one, the page's rows in its order, PostgreSQL's COPY in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Case, TextField, Value, When
from django.db.models.expressions import Combinable
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from psycopg import ClientCursor

from auditlog import access
from auditlog.dashboard import columns, lens
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.models import Site
from auditlog.models.log import COLUMNS
from auditlog.search import pages
from auditlog.search.errors import QuestionError
from auditlog.search.filters import Rows
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot, part

BUDGET_MS = 15 * 60 * 1000
"""How long a query of a download may take."""
BLOCK_BYTES = 64 * 1024


def answer(
    request: HttpRequest,
    site_slug: str,
    lines: Callable[[Question, list[str]], Iterator[bytes]],
    extension: str,
    content_type: str,
) -> HttpResponseBase:
    """Send what `lines` makes of the question of the log page at the same address, to administrators of the site."""
    site = access.administered_site_or_refuse(request, site_slug)
    try:
        if address := clean_address(request):
            return HttpResponseRedirect(address)
        chosen = columns.chosen(request.GET) or list(COLUMNS)
        question = lens.question_of(request, site)
    except QuestionError as error:
        note_refusal(request, error)
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(lines(question, chosen), content_type=content_type)
    name = site.slug if question.sites == (site,) else f"{site.slug}-{request.GET['scope']}"
    name = f"{name}-api-logs-{question.time.start:%Y%m%dT%H%M%SZ}-{question.time.end:%Y%m%dT%H%M%SZ}.{extension}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def by_site(question: Question, text: Callable[[Site], str]) -> Combinable:
    """Return the expression of what `text` says of a row's site."""
    if len(question.sites) == 1:
        return Value(text(question.sites[0]))
    named = [When(site_id=site.pk, then=Value(text(site))) for site in question.sites]
    return Case(*named, output_field=TextField())


def in_blocks(question: Question, copied: Callable[[Rows], Iterator[bytes]], broken_off: bytes) -> Iterator[bytes]:
    """Yield the question's rows as `copied` writes them, all of one moment.

    Where the database breaks off, `broken_off` is the last line and the exception goes on, which aborts the body.
    """
    try:
        with one_snapshot():
            for rows in pages.in_turn(question):
                yield from copied(rows)
    except GeneratorExit:
        raise
    except Exception:
        yield broken_off
        raise


def copy(rows: Rows, options: str) -> Iterator[bytes]:
    """Yield the rows of a `values_list` as COPY writes them, in blocks of about 64 KiB."""
    try:
        sql, params = rows.query.sql_with_params()
    except EmptyResultSet:  # a condition that nothing can meet, such as a code beyond all codes
        return
    block = bytearray()
    with part():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [BUDGET_MS])
        with (
            ClientCursor(connection.connection) as client,
            client.copy(f"COPY ({sql}) TO STDOUT WITH ({options})", params) as copied,
        ):
            for row in copied:
                block += row
                if len(block) >= BLOCK_BYTES:
                    yield bytes(block)
                    block.clear()
        yield bytes(block)
