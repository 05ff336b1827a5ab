"""The API Logs page of a site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import chart, columns, lens, live, panel
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.dashboard.allowance import in_time
from auditlog.dashboard.saved_views import default_address, menu
from auditlog.dashboard.search_box import search_box
from auditlog.dashboard.table import LogTable
from auditlog.dashboard.text import visible
from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search import answers, pages, timerange
from auditlog.search.errors import QuestionError
from auditlog.search.filters import LogFilter
from auditlog.search.keys import KEYS
from auditlog.search.language import Term, faults, spread
from auditlog.search.question import Order, Question, site_retention
from auditlog.search.snapshot import one_snapshot
from auditlog.search.timerange import TimeRange, written
from gatebook.interfaces import LABELS

TEXT_KEYS = ("user", "impersonator", "key", "api", "method", "path", "request", "host", "agent", "type")
"""Keys that compare whole texts."""
FIRST_KEYS = ("status", "interface", "user", "path")
"""Keys whose fields are always in sight."""
ROWS_BUDGET_MS = 10_000
CHART_BUDGET_MS = 200
"""A chart takes a few milliseconds from roll-ups; what takes longer comes after the rows (`chart_part`)."""
COUNT_BUDGET_MS = 3_000


@dataclass(frozen=True)
class Condition:
    """One condition of the question, as a chip: what it says, and the addresses without it and with a wider one."""

    label: str
    value: str
    is_negated: bool
    without: str
    wider: str | None
    """The address that asks for texts which contain the value; None where that makes no sense."""


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
    chips = conditions(question)
    with one_snapshot():
        page = in_time(ROWS_BUDGET_MS, lambda: pages.fetch(question))
        if panel.is_asked_alone(request):
            return panel.alone(request, beside, question, page)
        volume = volume_of(question, CHART_BUDGET_MS)
        total = volume.total if volume else None
        if page and not total:
            total = in_time(COUNT_BUDGET_MS, lambda: answers.total(question))
    context = {
        "site": site,
        "lens": lens.choices(request, site, question),
        "question": question,
        "form": question.filters.form,
        "last": request.GET.get("last") or "",
        "time_words": time_words(request, question),
        "conditions": chips,
        "compares_whole": any(chip.wider for chip in chips),
        "total": total,
        "failures": volume and failures(question, volume),
        "chart": volume and drawn(question, volume),
        "live": live.offered(question, page, total, shown),
        "page": page,
        "table": page and LogTable(page, shown, question, beside.entry if beside else None),
        "panel": panel.drawn(request, beside, question, page),
        "order_words": order_words(page.order if page else question.order),
        "columns": [(name, COLUMNS[name], name in shown) for name in dict.fromkeys([*shown, *COLUMNS])],
        "days": days(question),
        "further_back": further_back(question),
        "newest": question.query(),
        "newer": page and page.newer and question.query({"sort": page.order.as_parameter(), "before": str(page.newer)}),
        "older": page and page.older and question.query({"sort": page.order.as_parameter(), "after": str(page.older)}),
        "can_export": access.administers(request.user, site),
        "resolved": question.query(resolved=True),
        "views": menu(request, site, question, shown),
        "sort_limit": f"{pages.SORT_LIMIT:,}",
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
    return question.query({"last": None, "from": written(time.start), "to": written(time.end)})


@dataclass(frozen=True)
class Failures:
    """How many of the matching requests failed, and the address of those."""

    words: str
    address: str | None


def failures(question: Question, volume: answers.Volume) -> Failures | None:
    """Say the failures and their share; None where the question itself is about the status, or nothing matches."""
    total = volume.total.count
    if not total or {"status", "-status"} & question.conditions().keys():
        return None
    if not volume.failures:
        return Failures("No failures", None)
    words = f"{chart.counted(volume.failures, 'failure')}, {chart.share_words(volume.failures, total)}"
    return Failures(words, question.query({"status": "failure"}, resolved=True))


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
            (names.get(key, visible(key)), key, visible(sentence))
            for key, joined in errors.items()
            for sentence in sentences(query, key, joined)
        ],
        "columns": [(name, heading, name in columns.DEFAULT_COLUMNS) for name, heading in COLUMNS.items()],
        "raw_from": query.get("from", ""),
        "raw_to": query.get("to", ""),
        **search_box(query, errors),
        **form_choices(form, None, None),
    }


def sentences(query: QueryDict, key: str, joined: str) -> list[str]:
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


def days(question: Question) -> list[tuple[str, str]]:
    """Return today and yesterday, as the reader's zone has them, with the address of this question on that day."""
    today = timezone.localdate()
    named = {"Today": today, "Yesterday": today - timedelta(days=1)}
    return [(name, question.query({"last": None, "from": str(day), "to": str(day)})) for name, day in named.items()]


def conditions(question: Question) -> list[Condition]:
    """Return the chips, in the order of the search keys, then of the text."""
    chips = [
        Condition(
            label=KEYS[key.removeprefix("-")][0],
            value=visible(", ".join(values)),
            is_negated=key.startswith("-"),
            without=question.query({key: None}),
            wider=question.query({key: f"*{values[0]}*"}) if can_be_wider(key, values) else None,
        )
        for key, values in question.conditions().items()
    ]
    return chips + [in_text(question, term, others) for term, others in question.words().items()]


def in_text(question: Question, term: Term, others: str) -> Condition:
    """Return the chip of a term that is left in the text, among `others`."""
    label = KEYS[term.key][0] if term.key else "Text"
    return Condition(label, visible(term.value), term.is_negated, question.query({"q": others or None}), wider=None)


def can_be_wider(key: str, values: list[str]) -> bool:
    """Tell whether `*value*` would ask for more: one plain text under a key that compares whole texts."""
    return key in TEXT_KEYS and len(values) == 1 and not set(values[0]) & set('*,"')


def further_back(question: Question) -> list[tuple[str, str]]:
    """Return the spans that begin before this question does, in words, with the address of the question over them."""
    retention = max(site_retention(site) for site in question.sites)
    offered = [
        (timerange.LAST_IN_WORDS[last], question.query({"last": last, "from": None, "to": None}))
        for last, span in timerange.LAST.items()
        if question.now - span < question.time.start and span <= retention
    ]
    return offered[-3:]


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
