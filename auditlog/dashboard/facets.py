"""What the matching API requests have in common: counts by value, durations, errors, the slowest.

A page of its own, and the same as a fragment that the log page fetches once its rows are on the screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import lens, logs, sentence
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.dashboard.allowance import in_time_left
from auditlog.dashboard.table import entry_address, shortened
from auditlog.models import ApiRequestLog
from auditlog.search import answers
from auditlog.search.answers import FACETS, ROW_FACETS, Facet, Percentiles, TopError
from auditlog.search.errors import QuestionError
from auditlog.search.keys import KEYS
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot, shared_budget
from auditlog.search.terms import exactly, split, text
from gatebook.capture import capture_of
from gatebook.interfaces import label, value_of

BUDGET_MS = 1_500
"""All parts together. From roll-ups they take some 50 ms; who counts by user over months would wait for seconds."""
IN_SIGHT = 6
"""Values of a facet that are always in sight; the others unfold."""
SLOWEST = 5
VALUE_LENGTH = 60
"""Characters of a value before it is cut in the middle; the whole is in its title."""


@dataclass(frozen=True)
class Value:
    """One value of a facet: the address of exactly its requests, or where it is chosen, of the question without it."""

    text: SafeString
    requests: str
    share: str
    """Of the most frequent value, in percent; none has no bar, since it would often dwarf the others."""
    address: str
    is_chosen: bool
    is_left_out: bool


@dataclass(frozen=True)
class Counted:
    """A facet as shown; without values where the budget ran out."""

    heading: str
    values: list[Value] | None
    has_more: bool

    @property
    def in_sight(self) -> list[Value]:
        """The values that are always in sight: the first ones and what is chosen; one more is no reason to fold."""
        values = self.values or []
        if len(values) <= IN_SIGHT + 1:
            return values
        return [*values[:IN_SIGHT], *(value for value in values[IN_SIGHT:] if value.is_chosen)]

    @property
    def folded(self) -> list[Value]:
        """The others."""
        return [value for value in self.values or [] if value not in self.in_sight]


@dataclass(frozen=True)
class Error:
    """An Error Type by API Name and interface, and the address of exactly its requests."""

    error_type: SafeString
    where: list[SafeString]
    requests: str
    is_new: bool
    address: str


@dataclass(frozen=True)
class Slow:
    """A request that took long."""

    duration: str
    what: SafeString
    success: bool
    address: str


@require_safe
@login_required
def facets_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show what the entries that the address asks for have in common; alone or as a part of the log page."""
    site = access.site_or_404(request, site_slug)
    try:
        if address := clean_address(request):
            return HttpResponseRedirect(address)
        question = lens.question_of(request, site)
    except QuestionError as error:
        note_refusal(request, error)
        return render(request, "logs.html", logs.refused(request, site, error), status=400)
    is_fragment = bool(request.htmx) and not request.htmx.boosted  # type: ignore[attr-defined]
    if is_fragment:
        capture_of(request).ignore = True  # the page it is a part of is in the book
    context = {
        "site": site,
        "question": question,
        "resolved": question.query(resolved=True),
        "conditions": sentence.conditions(question),
        "time_said": sentence.time_said(question),
        **found(question),
    }
    answer = render(request, "_facets.html" if is_fragment else "facets.html", context)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def found(question: Question) -> dict[str, object]:
    """Ask for all parts in one snapshot: first what roll-ups know, then what only the rows know."""
    apart = (*ROW_FACETS, *(["site"] if len(question.sites) == 1 else []))

    def facets(keys: list[str]) -> dict[str, Facet | None]:
        return {key: in_time_left(lambda key=key: answers.facet(question, key)) for key in keys}  # type: ignore[misc]

    with one_snapshot(), shared_budget(BUDGET_MS):
        counted = facets([key for key in FACETS if key not in apart])
        durations = in_time_left(lambda: (answers.percentiles(question),))
        errors = in_time_left(lambda: answers.top_errors(question))
        counted |= facets(list(ROW_FACETS))
        slowest = in_time_left(lambda: answers.slowest(question, SLOWEST))
    return {
        "facets": [
            shown(question, key, facet) for key, facet in counted.items() if is_worth_showing(question, key, facet)
        ],
        "durations": None if durations is None else duration_lines(*durations),
        "errors": None if errors is None else [shown_error(question, error) for error in errors],
        "slowest": None if slowest is None else [shown_slow(question, entry) for entry in slowest],
    }


def is_worth_showing(question: Question, key: str, facet: Facet | None) -> bool:
    """Tell whether a facet says anything: that no entry has a value is worth no lines."""
    has_values = facet is None or any(value is not None for value, _ in facet.values)
    return has_values or bool({key, f"-{key}"} & question.conditions().keys())


def shown(question: Question, key: str, facet: Facet | None) -> Counted:
    """Return a facet with its words and addresses."""
    heading = KEYS[key][0]
    if facet is None:
        return Counted(heading, None, has_more=False)
    if key == "site":
        facet = replace(facet, values=tuple((question.site(pk), requests) for pk, requests in facet.values))
    most = max((requests for value, requests in facet.values if value is not None), default=0)
    chosen, left_out = alternatives(question, key), alternatives(question, f"-{key}")
    values = []
    for value, requests in sorted(facet.values, key=lambda pair: pair[0] is None):
        meant, barred = [[part for part in parts if means(key, part, value)] for parts in (chosen, left_out)]
        is_chosen = bool(barred) and not chosen if value is None else bool(meant)
        if is_chosen:
            changes = {key: ",".join(part for part in chosen if part not in meant) or None, f"-{key}": None}
        else:
            changes = only(key, value)
        values.append(
            Value(
                text=words(key, value),
                requests=f"{requests:,}",
                share="0" if value is None else f"{100 * requests / most:.1f}",
                address=question.query(changes, resolved=True),
                is_chosen=is_chosen,
                is_left_out=value is not None and bool(barred),
            )
        )
    return Counted(heading, values, facet.has_more)


def alternatives(question: Question, name: str) -> list[str]:
    """Return the alternatives that the question asks for under a key, negated or not."""
    return split(",".join(question.conditions().get(name, [])))


def means(key: str, part: str, value: Any) -> bool:
    """Tell whether an alternative means this value and nothing else; for none, whether it means any value."""
    if value is None:
        return part == "*"
    read = text(part)
    if read.has_wildcard:
        return False
    match key:
        case "interface":
            return value_of(read.value) == str(value)
        case "status":
            return read.value.casefold() == status(value)
        case "site":
            return read.value == str(value.slug)
    return read.value == str(value)


def only(key: str, value: Any) -> dict[str, str | None]:
    """Return the changes to a question that keep the entries with this value under `key`; None is no value."""
    if value is None:
        return {key: None, f"-{key}": "*"}
    match key:
        case "interface":
            written = label(value) if value_of(label(value)) == value else value
        case "status":
            written = status(value)
        case "site":
            written = value.slug
        case _:
            written = str(value)
    return {key: exactly(written), f"-{key}": None}


def status(success: bool) -> str:
    """Return a status as the key `status` has it."""
    return "success" if success else "failure"


def words(key: str, value: Any) -> SafeString:
    """Return a value as pages write it."""
    if value is None:
        return SafeString('<span class="facet__none">none</span>')
    match key:
        case "interface":
            value = label(value)
        case "status":
            value = status(value).capitalize()
    return shortened(str(value), VALUE_LENGTH)


def duration_lines(percentiles: Percentiles | None) -> list[tuple[str, str]]:
    """Return the shares of requests, and the time within which they were answered."""
    if percentiles is None:
        return []
    shares = {"Half within": percentiles.p50, "95 % within": percentiles.p95, "99 % within": percentiles.p99}
    return [(share, duration_words(milliseconds)) for share, milliseconds in shares.items()]


def duration_words(milliseconds: float) -> str:
    """Say a duration as exactly as it is known, which is within 5 %."""
    if milliseconds < 1:
        return "1 ms"
    for unit, size in (("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds >= size:
            number = milliseconds / size
            return f"{number:.1f}".removesuffix(".0") + f" {unit}" if number < 10 else f"{number:,.0f} {unit}"
    return f"{milliseconds:.0f} ms"


def shown_error(question: Question, error: TopError) -> Error:
    """Return a top error with its words and address."""
    changes: Mapping[str, str | None] = {
        **only("type", error.error_type),
        **only("api", error.api_name),
        **only("interface", error.interface),
    }
    return Error(
        error_type=shortened(error.error_type, VALUE_LENGTH),
        where=[words(key, value) for key, value in (("api", error.api_name), ("interface", error.interface)) if value],
        requests=f"{error.requests:,}",
        is_new=error.is_new is True,
        address=question.query(changes, resolved=True),
    )


def shown_slow(question: Question, entry: ApiRequestLog) -> Slow:
    """Return a slow request with its words and address."""
    what = " ".join(filter(None, [entry.request_method, entry.request_path or entry.api_name]))
    return Slow(
        duration=duration_words(entry.duration_ms or 0),
        what=shortened(what or entry.request_id, VALUE_LENGTH),
        success=entry.success,
        address=entry_address(question.site(entry.site_id), entry),
    )
