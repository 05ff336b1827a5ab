"""The page's question as CSV, streamed from PostgreSQL's COPY in constant memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from django.contrib.auth.decorators import login_required
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Case, F, Func, GenericIPAddressField, IntegerField, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat
from django.db.models.lookups import In
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.views.decorators.http import require_safe
from psycopg import ClientCursor

from auditlog import access
from auditlog.dashboard import columns
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.models import ApiRequestLog
from auditlog.models.log import COLUMNS
from auditlog.search import pages
from auditlog.search.errors import QuestionError
from auditlog.search.filters import Rows
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot, part

BUDGET_MS = 15 * 60 * 1000
"""How long a query of a download may take."""
BLOCK_BYTES = 64 * 1024

_FORMULA = [ord(first) for first in "=+-@\t\r\n"]
"""A spreadsheet takes a cell that begins so for a formula; an apostrophe before it makes it text."""


@require_safe
@login_required
def download(request: HttpRequest, site_slug: str) -> HttpResponseBase:
    """Send the rows that the log page of the same address counts, in its order."""
    site = access.administered_site_or_refuse(request, site_slug)
    try:
        if address := clean_address(request):
            return HttpResponseRedirect(address)
        chosen = columns.chosen(request.GET) or list(COLUMNS)
        question = Question.from_query(request.GET, [site])
    except QuestionError as error:
        note_refusal(request, error)
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(lines(question, chosen), content_type="text/csv; charset=utf-8")
    name = f"{site.slug}-api-logs-{question.time.start:%Y%m%dT%H%M%SZ}-{question.time.end:%Y%m%dT%H%M%SZ}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def lines(question: Question, names: list[str]) -> Iterator[bytes]:
    """Yield the file in blocks: the headings, then a line per row.

    Where the database breaks off, the last line says so and the exception goes on, which aborts the body.
    """
    heading = io.StringIO()
    csv.writer(heading, lineterminator="\n").writerow([COLUMNS[name] for name in names])
    yield heading.getvalue().encode()
    try:
        with one_snapshot():
            for rows in pages.in_turn(question):
                yield from copied(rows.values_list(*(cell(name) for name in names)))
    except GeneratorExit:
        raise
    except Exception:
        yield b"\n# This file is incomplete: the database broke off. Download it again.\n"
        raise


def copied(rows: Rows) -> Iterator[bytes]:
    """Yield the rows of a `values_list` as CSV in blocks of about 64 KiB."""
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
            client.copy(f"COPY ({sql}) TO STDOUT WITH (FORMAT csv)", params) as copy,
        ):
            for row in copy:
                block += row
                if len(block) >= BLOCK_BYTES:
                    yield bytes(block)
                    block.clear()
        yield bytes(block)


def cell(name: str) -> Combinable:
    """Return the expression of one column's cells."""
    field = ApiRequestLog._meta.get_field(name)
    if name == "created_at":
        return Func(
            F(name), template="""to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        )
    if name == "success":
        return _words(name, "Success", "Failure")
    if name == "user_is_from_parent_site":
        return _words(name, "Yes", "No")
    if isinstance(field, TextField):
        # A number compared, not an expression matched: a fifth of the query's time.
        first = Func(F(name), function="ascii", output_field=IntegerField())
        return Case(
            When(In(first, _FORMULA), then=Concat(Value("'"), F(name), output_field=TextField())),
            default=F(name),
            output_field=TextField(),
        )
    if isinstance(field, GenericIPAddressField):
        return Func(F(name), function="host", output_field=TextField())
    return F(name)


def _words(name: str, yes: str, no: str) -> Case:
    return Case(When(**{name: True}, then=Value(yes)), default=Value(no), output_field=TextField())
