"""What the matching API requests have in common: counts by value, durations, errors, the slowest.

A page of its own, and the same as a fragment that the log page fetches once its rows are on the screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import lens, logs, sentence
from auditlog.dashboard.address import clean_address, note_refusal
from auditlog.dashboard.allowance import in_time_left
from auditlog.dashboard.durations import exact_words, rough_words
from auditlog.dashboard.table import entry_address, shortened
from auditlog.dashboard.text import middle, visible
from auditlog.dashboard.values import VALUE_LENGTH, is_plain, means, named, part_of
from auditlog.models import ApiRequestLog
from auditlog.search import answers
from auditlog.search.answers import FACETS, Counts, Facet, Grouping, Percentiles, TopError
from auditlog.search.errors import QuestionError
from auditlog.search.keys import KEYS
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot, shared_budget
from auditlog.search.terms import joined, split
from auditlog.search.timerange import LAST
from gatebook.capture import capture_of

BUDGET_MS = 2_500
"""All parts together. From roll-ups they take some 50 ms; who counts by user over months would wait for long."""
IN_SIGHT = 6
"""Values of a facet that are always in sight; the others unfold."""
SLOWEST = 5

Changes = dict[str, str | None]
"""Parameters of an address to set, or to drop."""


@dataclass(frozen=True)
class Value:
    """One value of a facet, and the addresses that choose it, or drop or take back what is chosen or left out."""

    name: str
    text: SafeString
    requests: str
    share: str
    """Of the most frequent value, in percent; none has no bar, since it would often dwarf the others."""
    address: str
    """Also to be chosen, either this or the others; dropped where it is chosen, taken back where it is left out."""
    without: str | None
    """Left out; None where it is."""
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
        **found(question, times_of(request, question) if is_fragment else question.time.as_parameters()),
    }
    answer = render(request, "_facets.html" if is_fragment else "facets.html", context)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def times_of(request: HttpRequest, question: Question) -> Changes:
    """Return the time that addresses have: the question's own, or "last 24 hours" where the page around asks so.

    A log page asks for its counts with the range that it resolved; whoever narrows it stays in a time that moves on.
    """
    shown_page = request.htmx.current_url if request.htmx else None  # type: ignore[attr-defined]
    query = QueryDict(urlsplit(shown_page or "").query)
    if shown_page and not {"from", "to", "request"} & query.keys() and query.get("last", "") in ("", *LAST):
        return {"from": None, "to": None, "last": query.get("last") or None}
    return question.time.as_parameters()


def found(question: Question, times: Changes) -> dict[str, object]:
    """Ask for all parts in one snapshot.

    First what roll-ups know, then in one look at the rows what these tell of the entries that meet all conditions, last
    what may be of very many entries, which leaves a condition out or has none: the server counts that in parallel.
    """
    groupings = {key: answers.BY_KEY[key] for key in FACETS if key != "site" or len(question.sites) > 1}
    groupings |= {"durations": answers.BY_DURATION, "errors": answers.BY_ERROR}
    known = {name: by for name, by in groupings.items() if answers.is_known(question, by)}
    others = {name: by for name, by in groupings.items() if name not in known}
    has_conditions = bool(question.columns_asked())
    read = {name: by for name, by in others.items() if has_conditions and answers.is_of_all(question, by)}

    def each(groupings: Mapping[str, Grouping]) -> dict[str, Counts | None]:
        return {name: in_time_left(lambda by=by: answers.counted(question, by)) for name, by in groupings.items()}  # type: ignore[misc]

    with one_snapshot(), shared_budget(BUDGET_MS):
        counts = each(known) | at_once(question, read)
        errors = counts["errors"]
        top = None if errors is None else in_time_left(lambda: answers.top_errors(question, counts=errors))
        slowest = in_time_left(lambda: answers.slowest(question, SLOWEST))
        counts |= each({name: by for name, by in others.items() if name not in read})
    facets = {key: facet_of(key, counts[key]) for key in FACETS if key in counts}
    durations = counts["durations"]
    return {
        "facets": [
            shown(question, key, facet, times)
            for key, facet in facets.items()
            if is_worth_showing(question, key, facet)
        ],
        "durations": None if durations is None else duration_lines(answers.percentiles_of(durations)),
        "errors": None if top is None else [shown_error(question, error, times) for error in top],
        "slowest": None if slowest is None else [shown_slow(question, entry) for entry in slowest],
    }


def at_once(question: Question, groupings: Mapping[str, Grouping]) -> dict[str, Counts | None]:
    """Count by all the groupings in one look at the rows; None for each where that takes longer than what is left."""
    if not groupings:
        return {}
    found = in_time_left(lambda: answers.counted_at_once(question, list(groupings.values())))
    return dict.fromkeys(groupings) if found is None else dict(zip(groupings, found, strict=True))


def facet_of(key: str, counts: Counts | None) -> Facet | None:
    """Return the facet of what was counted by its key, if it was."""
    return None if counts is None else answers.facet_of(key, counts)


def is_worth_showing(question: Question, key: str, facet: Facet | None) -> bool:
    """Tell whether a facet says anything: that no entry has a value is worth no lines."""
    has_values = facet is None or any(value is not None for value, _ in facet.values)
    return has_values or bool({key, f"-{key}"} & question.conditions().keys())


def shown(question: Question, key: str, facet: Facet | None, times: Changes) -> Counted:
    """Return a facet with its words and addresses, which have `times` for their time."""
    heading = KEYS[key][0]
    if facet is None:
        return Counted(heading, None, has_more=False)
    if key == "site":
        facet = replace(facet, values=tuple((question.site(pk), requests) for pk, requests in facet.values))
    most = max((requests for value, requests in facet.values if value is not None), default=0)
    choice = Choice(
        key,
        alternatives(question, key),
        alternatives(question, f"-{key}"),
        question.text_without(key),
        facet.shared,
    )
    values = []
    for value, requests in sorted(facet.values, key=lambda pair: pair[0] is None):
        is_left_out = choice.leaves_out(value)
        is_chosen = not is_left_out and choice.has(value)
        changes = choice.back(value) if is_left_out else choice.dropped(value) if is_chosen else choice.also(value)
        values.append(
            Value(
                name="none" if value is None else visible(middle(named(key, value), VALUE_LENGTH)),
                text=words(key, value),
                requests=f"{requests:,}",
                share="0" if value is None else f"{100 * requests / most:.1f}",
                address=question.query({**changes, **times}),
                without=None if is_left_out else question.query({**choice.without(value), **times}),
                is_chosen=is_chosen,
                is_left_out=is_left_out,
            )
        )
    return Counted(heading, values, facet.has_more)


def alternatives(question: Question, name: str) -> list[str]:
    """Return the alternatives that the question asks for under a key, negated or not."""
    return split(",".join(question.conditions().get(name, [])))


@dataclass(frozen=True)
class Choice:
    """What a question asks for under one key, and how that changes with a value; the value None is to have none.

    To have no value is `-key=*` in an address, to have any is `key=*`.
    """

    key: str
    chosen: list[str]
    left_out: list[str]
    text: str | None
    """The question's text without its terms of this key."""
    shared: frozenset[str]
    """As the facet has it."""

    def has(self, value: Any) -> bool:
        """Tell whether the value is among the alternatives; of what is left out, whether it is any."""
        parts = self.left_out if value is None else self.chosen
        return any(means(self.key, part, value) for part in parts) and (value is not None or not self.chosen)

    def leaves_out(self, value: Any) -> bool:
        """Tell whether the value itself is left out, not only by a pattern."""
        return any(means(self.key, part, value) for part in (self.chosen if value is None else self.left_out))

    def also(self, value: Any) -> Changes:
        """Choose it, or one of the values that are chosen already; patterns and what is left out make way."""
        if value is None:
            return self._changes([], ["*"]) | {"q": self.text}
        plain = [part for part in self.chosen if is_plain(self.key, part)]
        return self._changes([*plain, self._part(value)], []) | {"q": self.text}

    def without(self, value: Any) -> Changes:
        """Leave it out, beside what else is left out."""
        if value is None:
            return self._changes(self.chosen or ["*"], self._others(self.left_out, value))
        return self._changes(self._others(self.chosen, value), [*self.left_out, self._part(value)])

    def dropped(self, value: Any) -> Changes:
        """Choose it no longer."""
        if value is None:
            return self._changes(self.chosen, self._others(self.left_out, value))
        return self._changes(self._others(self.chosen, value), self.left_out)

    def back(self, value: Any) -> Changes:
        """Leave it out no longer."""
        if value is None:
            return self._changes(self._others(self.chosen, value), self.left_out)
        return self._changes(self.chosen, self._others(self.left_out, value))

    def _part(self, value: Any) -> str:
        return part_of(self.key, value, is_shared=value in self.shared)

    def _others(self, parts: list[str], value: Any) -> list[str]:
        return [part for part in parts if not means(self.key, part, value)]

    def _changes(self, chosen: list[str], left_out: list[str]) -> Changes:
        return {self.key: joined(chosen) or None, f"-{self.key}": joined(left_out) or None}


def only(key: str, value: Any, *, is_shared: bool = False) -> Changes:
    """Return the changes to a question that keep the entries with this value under `key`; None is no value."""
    if value is None:
        return {key: None, f"-{key}": "*"}
    return {key: part_of(key, value, is_shared=is_shared), f"-{key}": None}


def words(key: str, value: Any) -> SafeString:
    """Return a value as pages write it, cut to what has room."""
    if value is None:
        return SafeString('<span class="facet__none">none</span>')
    return shortened(named(key, value), VALUE_LENGTH)


def duration_lines(percentiles: Percentiles | None) -> list[tuple[str, str]]:
    """Return the shares of requests, and the time within which they were answered."""
    if percentiles is None:
        return []
    shares = {"Half": percentiles.p50, "95 %": percentiles.p95, "99 %": percentiles.p99}
    return [(f"{share} within about", rough_words(milliseconds)) for share, milliseconds in shares.items()]


def shown_error(question: Question, error: TopError, times: Changes) -> Error:
    """Return a top error with its words and address."""
    changes: Changes = {
        **only("type", error.error_type),
        **only("api", error.api_name),
        **only("interface", error.interface),
        **times,
    }
    return Error(
        error_type=shortened(error.error_type, VALUE_LENGTH),
        where=[words(key, value) for key, value in (("api", error.api_name), ("interface", error.interface)) if value],
        requests=f"{error.requests:,}",
        is_new=error.is_new is True,
        address=question.query(changes),
    )


def shown_slow(question: Question, entry: ApiRequestLog) -> Slow:
    """Return a slow request with its words and address."""
    what = " ".join(filter(None, [entry.request_method, entry.request_path or entry.api_name]))
    return Slow(
        duration=exact_words(entry.duration_ms or 0),
        what=shortened(what or entry.request_id, VALUE_LENGTH),
        success=entry.success,
        address=entry_address(question.site(entry.site_id), entry),
    )
