"""The Time menu: the ranges, days, weeks and months that a question can be asked about instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl

from auditlog.dashboard.calendar import calendar
from auditlog.search.language import TIME_KEYS
from auditlog.search.question import Question, site_retention
from auditlog.search.timerange import DEFAULT_LAST, LAST, LAST_IN_WORDS


@dataclass(frozen=True)
class Choice:
    """A time to choose, and the query of the same question about it."""

    words: str
    query: str
    is_chosen: bool
    last: str = ""
    """Its `last`, for a range that ends now."""


def time_menu(question: Question) -> dict[str, object]:
    """Return the menu's part of the page."""
    kept = [pair for pair in parse_qsl(question.query()) if pair[0] not in TIME_KEYS]
    return {"spans_offered": spans(question), "dates_offered": dates(question), "kept": kept}


def spans(question: Question) -> list[Choice]:
    """Return the ranges that end now, as far back as anything is kept."""
    data = question.filters.data
    has_ends = any(data.get(key) for key in ("from", "to", "request"))
    chosen = data.get("last") or ("" if has_ends else DEFAULT_LAST)
    kept = kept_longest(question)
    return [
        Choice(LAST_IN_WORDS[last], question.query({"last": last, "from": None, "to": None}), last == chosen, last)
        for last, span in LAST.items()
        if span <= kept or last == chosen
    ]


def dates(question: Question) -> list[Choice]:
    """Return the days, weeks and months of the reader's calendar of which everything is kept."""
    reach = question.now - kept_longest(question)
    return [
        Choice(span.name, question.query(span.as_parameters()), question.time == span.time)
        for span in calendar()
        if span.time.start >= reach or question.time == span.time
    ]


def kept_longest(question: Question) -> timedelta:
    """Return how long an entry of one of the question's sites is in sight."""
    return max(site_retention(site) for site in question.sites)


def further_back(question: Question) -> list[Choice]:
    """Return the longest ranges that begin before this question does."""
    now, start = question.now, question.time.start
    return [span for span in spans(question) if now - LAST[span.last] < start][-3:]
