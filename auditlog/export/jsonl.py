r"""The page's question as Gatebook JSON lines, made by PostgreSQL: every field, so that an import makes them again.

COPY's own formats would escape what JSON has escaped already. Its CSV with a quote and a delimiter that JSON never
holds as they are (U+0001, U+0002) leaves each line as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth.decorators import login_required
from django.db.models import BooleanField, F, Func, GeneratedField, IntegerField, JSONField, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from auditlog.export import rows
from auditlog.models import ApiRequestLog
from auditlog.search.filters import Rows
from auditlog.search.question import Question
from gatebook.entry import FIELDS

OPTIONS = r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02'"
"""Of COPY."""

_BROKEN_OFF = b'\n{"error": "This file is incomplete: the database broke off. Download it again."}\n'


@require_safe
@login_required
def download(request: HttpRequest, site_slug: str) -> HttpResponseBase:
    """Send the rows that the log page of the same address counts, in its order; all fields, whatever it shows."""
    return rows.answer(
        request, site_slug, lambda question, *_: lines(question), "jsonl", "application/x-ndjson; charset=utf-8"
    )


def lines(question: Question) -> Iterator[bytes]:
    """Yield the file in blocks: an object per row, without what it has no value for."""
    yield from rows.in_blocks(question, lambda found: rows.copy(values(question, found), OPTIONS), _BROKEN_OFF)


def values(question: Question, found: Rows) -> QuerySet:
    """Return the lines of rows that the question finds."""
    return found.values_list(entry(question))


def entry(question: Question) -> Combinable:
    """Return the expression of one row's line.

    Texts put together: concat leaves out what is null, and is faster than json_build_object, which does not.
    """
    site = rows.by_site(question, lambda site: f'{{"site":"{site.slug}"')
    pieces = [site, *map(_piece, (*FIELDS, "success")), Value("}")]
    return Func(*pieces, function="concat", output_field=TextField())


def _piece(name: str) -> Func:
    """Return `,"name":value`, or null where there is no value."""
    is_json = isinstance(ApiRequestLog._meta.get_field(name), IntegerField | BooleanField | GeneratedField | JSONField)
    value = "%(expressions)s" if is_json else "to_json(%(expressions)s)"
    return Func(F(name), template=f"""',"{name}":' || {value}::text""", output_field=TextField())


def line(question: Question, one: ApiRequestLog) -> str:
    """Return the line of one row, of a site that the question asks."""
    return str(ApiRequestLog.objects.filter(pk=one.pk).values_list(entry(question), flat=True).get())
