"""The page's question as CSV, made by PostgreSQL."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from django.contrib.auth.decorators import login_required
from django.db.models import Case, F, Func, GenericIPAddressField, IntegerField, QuerySet, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat
from django.db.models.lookups import In
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from auditlog.export import rows
from auditlog.models import ApiRequestLog
from auditlog.models.log import COLUMNS
from auditlog.search.filters import Rows
from auditlog.search.question import Question

OPTIONS = "FORMAT csv"
"""Of COPY."""

_FORMULA = [ord(first) for first in "=+-@\t\r\n"]
"""A spreadsheet takes a cell that begins so for a formula; an apostrophe before it makes it text."""

_BROKEN_OFF = b"\n# This file is incomplete: the database broke off. Download it again.\n"


@require_safe
@login_required
def download(request: HttpRequest, site_slug: str) -> HttpResponseBase:
    """Send the rows that the log page of the same address counts, in its order."""
    return rows.answer(request, site_slug, lines, "csv", "text/csv; charset=utf-8", ("compress", "zone"))


def lines(question: Question, names: list[str], zone: str = "UTC") -> Iterator[bytes]:
    """Yield the file in blocks: the headings, then a line per row; dates as the clocks of `zone` show them."""
    yield heading(question, names, zone)
    yield from rows.in_blocks(
        question, lambda found: rows.copy(values(question, found, names, zone), OPTIONS), _BROKEN_OFF, zone
    )


def heading(question: Question, names: list[str], zone: str = "UTC") -> bytes:
    """Return the first line; another zone than UTC stands beside the Date."""
    line = io.StringIO()
    date = COLUMNS["created_at"] if zone == "UTC" else f"{COLUMNS['created_at']} ({zone})"
    sites = ["Site"] if len(question.sites) > 1 else []
    csv.writer(line, lineterminator="\n").writerow(
        [*sites, *(date if name == "created_at" else COLUMNS[name] for name in names)]
    )
    return line.getvalue().encode()


def values(question: Question, found: Rows, names: list[str], zone: str = "UTC") -> QuerySet:
    """Return the cells of rows that the question finds."""
    sites = [rows.by_site(question, lambda site: site.slug)] if len(question.sites) > 1 else []
    return found.values_list(*sites, *(cell(name, zone) for name in names))


def cell(name: str, zone: str = "UTC") -> Combinable:
    """Return the expression of one column's cells."""
    field = ApiRequestLog._meta.get_field(name)
    if name == "created_at":
        # Of another zone as the transaction has it, with the offset: an hour in autumn is there twice.
        date = "%(expressions)s AT TIME ZONE 'UTC'" if zone == "UTC" else "%(expressions)s"
        offset = '"Z"' if zone == "UTC" else "TZH:TZM"
        return Func(F(name), template=f"""to_char({date}, 'YYYY-MM-DD"T"HH24:MI:SS.US{offset}')""")
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
