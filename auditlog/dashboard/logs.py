"""The API Logs page of a site."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import chart, columns, lens, live, panel, sentence
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.dashboard.allowance import in_time
from auditlog.dashboard.nothing import nothing
from auditlog.dashboard.saved_views import default_address, menu
from auditlog.dashboard.search_box import search_box
from auditlog.dashboard.table import LogTable
from auditlog.dashboard.text import visible
from auditlog.dashboard.time_menu import further_back, time_menu
from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search import answers, pages, timerange
from auditlog.search.errors import QuestionError
from auditlog.search.filters import LogFilter
from auditlog.search.language import faults, spread
from auditlog.search.question import Question, site_retention
from auditlog.search.snapshot import one_snapshot
from auditlog.search.timerange import TimeRange
from gatebook.interfaces import LABELS

FIRST_KEYS = ("status", "interface", "user", "path")
"""Keys whose fields are always in sight."""
ROWS_BUDGET_MS = 10_000
CHART_BUDGET_MS = 200
"""A chart takes a few milliseconds from roll-ups; what takes longer comes after the rows (`chart_part`)."""
COUNT_BUDGET_MS = 3_000
BEFORE_BUDGET_MS = 300
"""What a comparison with the period before is worth."""


@require_safe
@login_required
def log_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show the page of entries that the address asks for."""
    site = access.site_or_404(request, site_slug)
    try:
        if address := default_address(request, site) or clean_address(request):
            return HttpResponseRedirect(address)
        shown = columns.of_reader(request)
        question = lens.question_of(request, site)
        beside = panel.named(request.GET.get("entry", ""), question.sites)
    except QuestionError as error:
        note_refusal(request, error)
        return render(request, "logs.html", refused(request, site, error), status=400)
    conditions = sentence.conditions(question)
    earlier = question.period_before() if question.is_over else None
    with one_snapshot():
        page = in_time(ROWS_BUDGET_MS, lambda: pages.fetch(question))
        if panel.is_asked_alone(request):
            return panel.alone(request, beside, question, page)
        volume = volume_of(question, CHART_BUDGET_MS)
        before = in_time(BEFORE_BUDGET_MS, lambda: answers.outcomes(earlier)) if volume and earlier else None
        total = volume.total if volume else None
        is_empty = page and not page.rows and not page.searched_to and not (question.after or question.before)
        explained = nothing(question, conditions) if is_empty else None
        if page and not total:
            total = in_time(COUNT_BUDGET_MS, lambda: answers.total(question))
    context = {
        "site": site,
        "lens": lens.choices(request, site, question),
        "question": question,
        "form": question.filters.form,
        "last": request.GET.get("last") or "",
        "total": total,
        "said": volume and sentence.outcomes_said(question, volume, earlier, before),
        "chart": volume and drawn(question, volume),
        "live": live.offered(question, page, total, shown),
        "page": page,
        "table": page and LogTable(page, shown, question, beside.entry if beside else None),
        "panel": panel.drawn(request, beside, question, page),
        "order_words": sentence.order_words(page.order if page else question.order),
        "columns": [(name, COLUMNS[name], name in shown) for name in dict.fromkeys([*shown, *COLUMNS])],
        "further_back": further_back(question),
        "newest": question.query(),
        "newer": page and page.newer and question.query({"sort": page.order.as_parameter(), "before": str(page.newer)}),
        "older": page and page.older and question.query({"sort": page.order.as_parameter(), "after": str(page.older)}),
        "can_export": access.administers(request.user, site),
        "resolved": question.query(resolved=True),
        "views": menu(request, site, question, shown),
        "ingest_address": request.build_absolute_uri(reverse("api_request_logs")),
        "sort_limit": f"{pages.SORT_LIMIT:,}",
        "conditions": conditions,
        "time_said": sentence.time_said(question),
        "nothing": explained,
        **time_menu(question),
        **search_box(request.GET),
        **form_choices(question.filters.form, question.time.start, question.time.end),
    }
    answer = render(request, "logs.html", context)
    patch_vary_headers(answer, ["HX-Target"])
    return answer


def volume_of(question: Question, milliseconds: int) -> answers.Volume | None:
    """Return the requests over the question's time, cut by the reader's clock; None where that takes longer."""
    return in_time(milliseconds, lambda: answers.volume(question, timezone.get_current_timezone()))


def drawn(question: Question, volume: answers.Volume) -> chart.Chart:
    """Return the chart of a question's requests, in the reader's time."""
    kept = max(site_retention(site) for site in question.sites)
    sight = TimeRange(question.now - kept, question.now)
    return chart.draw(volume, timezone.get_current_timezone(), lambda time: within(question, time), sight)


def within(question: Question, time: TimeRange) -> str:
    """Return the query of the same question about a part of its time."""
    return question.query(time.as_parameters())


def refused(request: HttpRequest, site: Site, error: QuestionError) -> dict[str, object]:
    """Return the page's context for a question that cannot be asked: the form as it was sent, no rows."""
    query = spread(request.GET)
    form = LogFilter(query, queryset=ApiRequestLog.objects.none()).form
    errors = {**all_errors(query, site), **error.errors}
    names = {"last": "Time", "from": "From", "to": "To"} | {key: field.label for key, field in form.fields.items()}
    return {
        "site": site,
        "form": form,
        "views": menu(request, site),
        "last": query.get("last", ""),
        "errors": [
            (names.get(key, visible(key)), key, visible(fault))
            for key, joined in errors.items()
            for fault in each_fault(query, key, joined)
        ],
        "columns": [(name, heading, name in columns.DEFAULT_COLUMNS) for name, heading in COLUMNS.items()],
        "raw_from": query.get("from", ""),
        "raw_to": query.get("to", ""),
        **search_box(query, errors),
        **form_choices(form, None, None),
    }


def each_fault(query: QueryDict, key: str, joined: str) -> list[str]:
    """Return what is wrong with a key, fault by fault where it is the text."""
    texts = query.getlist("q")
    return [fault.sentence for fault in faults(texts[0])] if key == "q" and len(texts) == 1 else [joined]


def all_errors(query: QueryDict, site: Site) -> dict[str, str]:
    """Return every error of the question, not only the one that was met first."""
    try:
        Question.from_query(query, [site])
    except QuestionError as error:
        return error.errors
    return {}


def form_choices(form: Form, start: datetime | None, end: datetime | None) -> dict[str, object]:
    """Return what the form offers: the fields below "More filters" and "Leave out", and the choices."""
    fields = [form[name] for name in form.fields if "site" not in name or form.data.get("scope") or form[name].value()]
    more = [field for field in fields if field.name not in (*FIRST_KEYS, "q") and not field.name.startswith("-")]
    without = [field for field in fields if field.name.startswith("-")]
    return {
        "spans": timerange.LAST_IN_WORDS.items(),
        "start": start,
        "end": end,
        "interfaces": LABELS.values(),
        "statuses": [("success", "Success"), ("failure", "Failure")],
        "kinds": [("impersonated", "Impersonated"), ("parent", "From the parent site")],
        "more": more,
        "more_set": sum(bool(field.value()) for field in more),
        "without": without,
        "without_set": sum(bool(field.value()) for field in without),
    }
