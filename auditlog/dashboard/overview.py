"""The overview of a site: how its requests went in a time, beside the time before, and who and what was behind them.

What roll-ups know is in the page; what only the rows know is a page of its own, and the same as a fragment that the
page fetches. Every number leads to the API Logs of exactly the requests it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import chart, facets, lens, logs, sentence
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.dashboard.allowance import in_time
from auditlog.dashboard.durations import rough_words
from auditlog.dashboard.reader import ago, at_words
from auditlog.dashboard.table import entry_address, shortened
from auditlog.dashboard.time_menu import time_menu
from auditlog.dashboard.values import VALUE_LENGTH
from auditlog.models import ApiRequestLog, Site
from auditlog.search import answers, overview
from auditlog.search.errors import QuestionError
from auditlog.search.language import TIME_KEYS
from auditlog.search.overview import Outcome
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot, shared_budget
from gatebook.capture import capture_of

KEYS = (*TIME_KEYS, "scope")
"""What the address may ask; conditions are for API Logs."""
PART_MS = 1_000
PAGE_MS = 2_500
"""What one part of either page may take, and all together."""
MOST = 10
"""Lines of a list."""
WHO = ("user", "ip", "key")


@dataclass(frozen=True)
class Figure:
    """A number of requests, the address that shows them, and what became of the number since the time before."""

    words: str
    address: str
    change: str
    before: str | None
    """The address of the requests before; None where there is nothing to compare with."""


@dataclass(frozen=True)
class Line:
    """How the requests of one interface, or site, ended."""

    name: SafeString | None
    note: str
    requests: Figure
    failures: Figure
    share: str
    """The failures' share of the requests."""
    is_worse: bool
    """There are more failures than in the time before."""


@dataclass(frozen=True)
class Session:
    """What someone did as someone else."""

    impersonator: SafeString
    user: SafeString
    requests: str
    first: str
    last: str
    address: str


@dataclass(frozen=True)
class Slow:
    """How long the requests of an API Name took."""

    name: SafeString
    requests: str
    address: str
    half: str
    most: str
    longest: str
    """The address of its requests, the slowest first."""


@require_safe
@login_required
def overview_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show how the requests of a time went."""
    return _answered(request, site_slug, "overview.html", found)


@require_safe
@login_required
def more_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show who and what was behind the requests of a time; alone or as a part of the overview."""
    is_fragment = bool(request.htmx)  # type: ignore[attr-defined]
    answer = _answered(request, site_slug, "_overview_more.html" if is_fragment else "overview_more.html", more)
    if is_fragment and answer.status_code == 200:
        capture_of(request).ignore = True  # the page it is a part of is in the book
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def _answered(
    request: HttpRequest, site_slug: str, template: str, answers: Callable[[Question], dict[str, object]]
) -> HttpResponse:
    site = access.site_or_404(request, site_slug)
    try:
        if address := clean_address(request):
            return HttpResponseRedirect(address)
        question = question_of(request, site)
    except QuestionError as error:
        note_refusal(request, error)
        # No form: its fields are on the API Logs.
        context = {**logs.refused(request, site, error), "form": None}
        return render(request, "overview.html", context, status=400)
    with one_snapshot(), shared_budget(PAGE_MS):
        parts = answers(question)
    context = {
        "site": site,
        "lens": lens.choices(request, site, question),
        **time_menu(question),
        "start": question.time.start if request.GET.get("from") else None,
        "end": question.time.end if request.GET.get("to") else None,
        "time_said": sentence.time_said(question),
        "ingest_address": request.build_absolute_uri(reverse("api_request_logs")),
        "resolved": question.query(resolved=True),
        **parts,
    }
    return render(request, template, context)


def question_of(request: HttpRequest, site: Site) -> Question:
    """Return the question of an overview's address: time and scope. Raises QuestionError."""
    if beyond := [key for key in request.GET if key not in KEYS]:
        sentence = f"is nothing an overview asks, expected some of {', '.join(KEYS)}; API Logs take it."
        raise QuestionError(dict.fromkeys(beyond, sentence))
    return lens.question_of(request, site)


def found(question: Question) -> dict[str, object]:
    """Ask for what roll-ups know."""
    before = question.period_before() if question.is_over else None
    zone = timezone.get_current_timezone()
    volume = in_time(PART_MS, lambda: answers.volume(question, zone))
    interfaces = in_time(PART_MS, lambda: compared(question, before, "interface"))
    sites = in_time(PART_MS, lambda: compared(question, before, "site_id")) if len(question.sites) > 1 else None
    last = in_time(PART_MS, lambda: overview.last_received(question))
    durations = in_time(PART_MS, lambda: (answers.percentiles(question),))
    errors = in_time(PART_MS, lambda: answers.top_errors(question, MOST))
    is_new = last == {} and question.always is None
    newest = max(last.values(), key=lambda entry: entry.created_at) if last else None
    return {
        "is_over": question.is_over,
        "is_new": is_new,
        "is_empty": is_new and volume is not None and not volume.total.count,
        "is_last_known": last is not None,
        "newest": newest,
        "newest_address": newest and entry_address(question.site(newest.site_id), newest),
        "newest_ago": newest and ago(newest.created_at),
        "is_silent": newest is not None and is_before(newest, question),
        "figures": None if interfaces is None else line(question, before, whole(interfaces, before)),
        "chart": volume and chart.draw(volume, zone, lambda time: logs.within(question, time)),
        "durations": None if durations is None else facets.duration_lines(*durations),
        "slowest": question.query({"sort": "-duration_ms"}, resolved=True),
        "interfaces": None if interfaces is None else interface_lines(question, before, interfaces),
        "sites": None if sites is None else site_lines(question, before, sites, last),
        "several": len(question.sites) > 1,
        "errors_found": None
        if errors is None
        else [facets.shown_error(question, error, question.time.as_parameters()) for error in errors],
    }


def more(question: Question) -> dict[str, object]:
    """Ask for what only the rows know."""
    impersonated = in_time(PART_MS, lambda: overview.impersonations(question))
    who = {key: in_time(PART_MS, lambda key=key: answers.facet(question, key)) for key in WHO}  # type: ignore[misc]
    slow = in_time(PART_MS, lambda: overview.durations_by_api_name(question))
    return {
        "sessions": None if impersonated is None else [session(question, each) for each in impersonated[:MOST]],
        "sessions_more": len(impersonated or []) - MOST,
        "impersonated": question.query({"is": "impersonated"}, resolved=True),
        "who": [facets.shown(question, key, facet, question.time.as_parameters()) for key, facet in who.items()],
        "slow": None if slow is None else [slow_name(question, *each) for each in slow[:MOST]],
        "slow_more": len(slow or []) - MOST,
    }


@dataclass(frozen=True)
class Ended:
    """How requests ended now, and in the time before; None where not all of that is kept."""

    now: Outcome
    then: Outcome | None


def compared(question: Question, before: Question | None, column: str) -> dict[Any, Ended]:
    """Return how the requests ended, by each value that a column has now or had in the time before."""
    now = overview.outcomes(question, column)
    if before is None:
        return {value: Ended(outcome, None) for value, outcome in now.items()}
    then = overview.outcomes(before, column)
    return {value: Ended(now.get(value, Outcome()), then.get(value, Outcome())) for value in {**now, **then}}


def whole(parts: dict[Any, Ended], before: Question | None) -> Ended:
    """Return how all of the requests ended."""
    now = sum((part.now for part in parts.values()), Outcome())
    return Ended(now, sum((part.then for part in parts.values() if part.then), Outcome()) if before else None)


def interface_lines(question: Question, before: Question | None, ended: dict[Any, Ended]) -> list[Line]:
    """Return a line for each interface that there is now or was before, the one with most failures first."""

    def most_failures(pair: tuple[Any, Ended]) -> tuple[int, int, str]:
        value, each = pair
        return -each.now.failures, -each.now.requests, str(value)

    return [
        line(question, before, each, facets.words("interface", value), changes=facets.only("interface", value))
        for value, each in sorted(ended.items(), key=most_failures)
    ]


def site_lines(
    question: Question, before: Question | None, ended: dict[Any, Ended], last: dict[int, ApiRequestLog] | None
) -> list[Line]:
    """Return a line for each site, in their order; also one without requests, with when it was last heard of."""
    nothing = Ended(Outcome(), Outcome() if before else None)
    return [
        line(
            question,
            before,
            ended.get(site.pk, nothing),
            facets.words("site", site),
            "" if last is None else heard_of(last.get(site.pk), question),
            facets.only("site", site),
        )
        for site in question.sites
    ]


def heard_of(entry: ApiRequestLog | None, question: Question) -> str:
    """Say when a site was last heard of."""
    if entry is None:
        return "nothing yet"
    if is_before(entry, question):
        return f"nothing since {at_words(entry.created_at)}"
    return f"last {ago(entry.created_at)}"


def is_before(entry: ApiRequestLog, question: Question) -> bool:
    """Tell whether an entry began before the time that is asked for."""
    return entry.created_at < question.time.start


def line(
    question: Question,
    before: Question | None,
    ended: Ended,
    name: SafeString | None = None,
    note: str = "",
    changes: dict[str, str | None] | None = None,
) -> Line:
    """Return how some requests ended, in words, with the addresses of those that `changes` to the question ask for."""

    def figure(count: int, earlier: int | None, changes: dict[str, str | None]) -> Figure:
        return Figure(
            words=f"{count:,}",
            address=question.query(changes, resolved=True),
            change="" if earlier is None else change_words(count, earlier),
            before=before.query(changes, resolved=True) if before else None,
        )

    now, then = ended.now, ended.then
    changes = changes or {}
    return Line(
        name=name,
        note=note,
        requests=figure(now.requests, then.requests if then else None, changes),
        failures=figure(now.failures, then.failures if then else None, {**changes, "status": "failure"}),
        share=chart.share_words(now.failures, now.requests) if now.failures else "",
        is_worse=then is not None and now.failures > then.failures,
    )


def change_words(now: int, before: int) -> str:
    """Say what became of a number."""
    if now == before:
        return "as before"
    if not before:
        return "none before"
    if now >= 2 * before:
        return f"{now / before:,.1f}".removesuffix(".0") + " times as many"
    return chart.share_words(abs(now - before), before) + (" more" if now > before else " fewer")


def session(question: Question, found: overview.Impersonation) -> Session:
    """Return an impersonation with its words and address."""
    changes = {
        **facets.only("impersonator", found.impersonator, is_shared=found.is_shared),
        **facets.only("user", found.user, is_shared=found.is_shared),
    }
    return Session(
        impersonator=facets.words("impersonator", found.impersonator),
        user=facets.words("user", found.user),
        requests=f"{found.requests:,}",
        first=at_words(found.first_at),
        last=at_words(found.last_at),
        address=question.query(changes, resolved=True),
    )


def slow_name(question: Question, name: str, durations: answers.Percentiles) -> Slow:
    """Return how long an API Name's requests took, with its addresses."""
    changes = {**facets.only("api", name), "duration": "*"}
    return Slow(
        name=shortened(name, VALUE_LENGTH),
        requests=f"{durations.requests:,}",
        address=question.query(changes, resolved=True),
        half=rough_words(durations.p50),
        most=rough_words(durations.p95),
        longest=question.query({**changes, "sort": "-duration_ms"}, resolved=True),
    )
