"""The API Logs page of a site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import columns
from auditlog.dashboard.table import LogTable
from auditlog.dashboard.text import visible
from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search import answers, pages, timerange
from auditlog.search.errors import QuestionError
from auditlog.search.filters import KEYS, LogFilter
from auditlog.search.question import Order, Question
from auditlog.search.snapshot import OutOfBudget, budget, one_snapshot
from gatebook.interfaces import LABELS

FIRST_KEYS = ("status", "interface", "user", "path")
"""Keys whose fields are always in sight."""
ROWS_BUDGET_MS = 10_000
COUNT_BUDGET_MS = 3_000


@dataclass(frozen=True)
class Condition:
    """One condition of the question, as a chip: what it says and the address without it."""

    label: str
    value: str
    is_negated: bool
    without: str


@require_safe
@login_required
def log_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show the page of entries that the address asks for."""
    site = access.site_or_404(request, site_slug)
    try:
        if address := clean_address(request):
            return HttpResponseRedirect(address)
        shown = columns.of_reader(request)
        question = Question.from_query(request.GET, [site])
    except QuestionError as error:
        return render(request, "logs.html", refused(request, site, error), status=400)
    total = page = None
    with one_snapshot():
        try:
            with budget(ROWS_BUDGET_MS):
                page = pages.fetch(question)
            with budget(COUNT_BUDGET_MS):
                total = answers.total(question)
        except OutOfBudget:
            pass  # the page says which part is missing
    context = {
        "site": site,
        "question": question,
        "form": question.filters.form,
        "last": request.GET.get("last")
        or ("" if any(request.GET.get(key) for key in ("from", "to", "request")) else timerange.DEFAULT_LAST),
        "time_words": time_words(request, question),
        "conditions": conditions(question),
        "total": total,
        "page": page,
        "table": page and LogTable(page, shown, question, site),
        "order_words": order_words(page.order if page else question.order),
        "columns": [(name, COLUMNS[name], name in shown) for name in dict.fromkeys([*shown, *COLUMNS])],
        "newest": question.query(),
        "newer": page and page.newer and question.query({"sort": page.order.as_parameter(), "before": str(page.newer)}),
        "older": page and page.older and question.query({"sort": page.order.as_parameter(), "after": str(page.older)}),
        "can_export": access.administers(request.user, site),
        "export": question.query(resolved=True),
        "sort_limit": f"{pages.SORT_LIMIT:,}",
        **form_choices(question.filters.form, question.time.start, question.time.end),
    }
    return render(request, "logs.html", context)


def clean_address(request: HttpRequest) -> str | None:
    """Return this page's address without empty parameters and with its times in UTC, or None if it is so already.

    A time without a zone is the reader's; written in UTC, the address means the same rows to everyone.
    """
    times = timerange.in_utc(request.GET.dict(), timezone.get_current_timezone())
    query = request.GET.copy()
    for key, values in list(query.lists()):
        query.setlist(key, [value for value in values if value])
    if len(query.getlist("columns")) > 1:  # the chooser's checkboxes
        query["columns"] = ",".join(query.getlist("columns"))
    for key, value in times.items():
        query[key] = value
    if query.lists() == request.GET.lists() or dict(query.lists()) == dict(request.GET.lists()):
        return None
    return f"{request.path}?{query.urlencode()}"


def refused(request: HttpRequest, site: Site, error: QuestionError) -> dict[str, object]:
    """Return the page's context for a question that cannot be asked: the form as it was sent, no rows."""
    form = LogFilter(request.GET, queryset=ApiRequestLog.objects.none()).form
    errors = {**all_errors(request, site), **error.errors}
    names = {"last": "Time", "from": "From", "to": "To"} | {key: field.label for key, field in form.fields.items()}
    return {
        "site": site,
        "form": form,
        "last": request.GET.get("last", ""),
        "errors": [(names.get(key, key), key, sentence) for key, sentence in errors.items()],
        "columns": [(name, heading, name in columns.DEFAULT_COLUMNS) for name, heading in COLUMNS.items()],
        "raw_from": request.GET.get("from", ""),
        "raw_to": request.GET.get("to", ""),
        **form_choices(form, None, None),
    }


def all_errors(request: HttpRequest, site: Site) -> dict[str, str]:
    """Return every error of the question, not only the one that was met first."""
    try:
        Question.from_query(request.GET, [site])
    except QuestionError as error:
        return error.errors
    return {}


def form_choices(form: Form, start: datetime | None, end: datetime | None) -> dict[str, object]:
    """Return what the form offers: the fields below "More filters" (negated ones only when set) and the choices."""
    more = [
        form[name]
        for name in form.fields
        if name not in FIRST_KEYS and (not name.startswith("-") or form[name].value())
    ]
    return {
        "spans": timerange.LAST_IN_WORDS.items(),
        "start": start,
        "end": end,
        "interfaces": LABELS.values(),
        "more": more,
        "more_set": sum(bool(field.value()) for field in more),
    }


def conditions(question: Question) -> list[Condition]:
    """Return the chips, in the order of the search keys."""
    return [
        Condition(
            KEYS[key.removeprefix("-")][0], visible(", ".join(values)), key.startswith("-"), question.query({key: None})
        )
        for key, values in question.conditions().items()
    ]


def time_words(request: HttpRequest, question: Question) -> str:
    """Say the question's time range as one says it."""
    if any(request.GET.get(key) for key in ("from", "to")):
        start, end = (timezone.localtime(moment) for moment in (question.time.start, question.time.end))
        return f"from {start:%-d %b %Y %H:%M:%S} to {end:%-d %b %Y %H:%M:%S}"
    if request.GET.get("request") and not request.GET.get("last"):
        return "in everything that is kept"
    return f"in the {timerange.LAST_IN_WORDS[request.GET.get('last') or timerange.DEFAULT_LAST]}"


def order_words(order: Order) -> str:
    """Say the order as one says it."""
    if order.column == "created_at":
        return "newest first" if order.descending else "oldest first"
    return f"by {COLUMNS[order.column]}, {'highest' if order.descending else 'lowest'} first"
