"""The page before a download: how many rows, about how large, which columns, whose clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import columns, lens
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.dashboard.allowance import in_time
from auditlog.dashboard.sentence import time_said
from auditlog.dashboard.text import visible
from auditlog.export import csv, jsonl, rows
from auditlog.export.name import file_name
from auditlog.models.log import COLUMNS
from auditlog.search import answers, pages
from auditlog.search.answers import Total
from auditlog.search.errors import QuestionError
from auditlog.search.filters import Rows
from auditlog.search.language import written
from auditlog.search.question import Order, Question
from auditlog.search.snapshot import one_snapshot

COUNT_BUDGET_MS = 3_000


@dataclass(frozen=True)
class Size:
    """How large a file will be, as it is and compressed, in words; empty where that could not be estimated in time."""

    plain: str
    compressed: str


@dataclass(frozen=True)
class Choice:
    """Columns that a CSV may have: in words, as the address has them, and how large the file will be."""

    words: str
    names: str
    size: Size


@require_safe
@login_required
def export_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show what a download of this address' question would be, and offer to start it."""
    site = access.administered_site_or_refuse(request, site_slug)
    try:
        if address := clean_address(request):
            return HttpResponseRedirect(address)
        shown = columns.of_reader(request)
        question = lens.question_of(request, site)
    except QuestionError as error:
        note_refusal(request, error)
        errors = [(visible(key), visible(sentence)) for key, sentence in error.errors.items()]
        return render(request, "export_refused.html", {"site": site, "errors": errors}, status=400)
    with one_snapshot():
        volume = in_time(COUNT_BUDGET_MS, lambda: answers.volume(question))
        total = volume.total if volume else in_time(COUNT_BUDGET_MS, lambda: answers.total(question))

        def of_csv(names: list[str]) -> Size:
            return size(
                question,
                total,
                csv.heading(question, names),
                lambda found: csv.values(question, found, names),
                csv.OPTIONS,
            )

        choices = [
            Choice(words, ",".join(names), of_csv(names))
            for names, words in ((shown, f"the {len(shown)} shown"), (list(COLUMNS), f"all {len(COLUMNS)}"))
        ]
        lines = size(question, total, b"", lambda found: jsonl.values(question, found), jsonl.OPTIONS)
        is_sorted = in_time(COUNT_BUDGET_MS, lambda: pages.possible_order(question)) == question.order
    asked = QueryDict(question.query({"view": None, "columns": None}, resolved=True))
    own = {"api": "logs_csv,logs_jsonl", "last": "30d"}
    context = {
        "site": site,
        "asks": visible(written(asked)),
        "time": time_said(question),
        "asked": [(key, value) for key, values in asked.lists() for value in values],
        "back": question.query(),
        "total": total,
        "is_sorted": is_sorted,
        "sorted_by": is_sorted and question.order != Order() and COLUMNS[question.order.column],
        "sites": len(question.sites) > 1 and ", ".join(each.name for each in question.sites),
        "choices": choices[:1] if shown == list(COLUMNS) else choices,
        "shown": ", ".join(COLUMNS[name] for name in shown),
        "lines": lines,
        "zone": timezone.get_current_timezone_name(),
        "names": {"csv": file_name(site, question, "csv"), "jsonl": file_name(site, question, "jsonl")},
        "exports": f"{reverse('logs', args=[site.slug])}?{urlencode(own)}",
    }
    return render(request, "export.html", context)


def size(
    question: Question, total: Total | None, head: bytes, values: Callable[[Rows], QuerySet], options: str
) -> Size:
    """Say how large a file will be: exactly where all of it was looked at, else by some of its rows."""
    some = rows.sample(question, values, options) if total and total.count else rows.Block()
    if total is None or (total.count and not some.rows):
        return Size("", "")
    squeezer = rows.compressor()
    squeezed = len(squeezer.compress(head + some) + squeezer.flush())
    if total.count == some.rows and not total.is_capped:
        return Size(filesizeformat(len(head + some)), filesizeformat(squeezed))
    share = total.count / some.rows
    about = "more than" if total.is_capped else "about"
    return Size(
        f"{about} {filesizeformat(len(head) + len(some) * share)}",
        f"{about} {filesizeformat(squeezed * share)}",
    )
