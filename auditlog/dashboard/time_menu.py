"""The Time menu: the ranges and days that a question can be asked about instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import parse_qsl

from django.utils import timezone

from auditlog.search.question import Question, site_retention
from auditlog.search.timerange import DEFAULT_LAST, LAST, LAST_IN_WORDS, TimeRange


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
    kept = parse_qsl(question.query({"last": None, "from": None, "to": None}))
    return {"spans_offered": spans(question), "days": days(question), "kept": kept}


def spans(question: Question) -> list[Choice]:
    """Return the ranges that end now, as far back as anything is kept."""
    data = question.filters.data
    has_ends = any(data.get(key) for key in ("from", "to", "request"))
    chosen = data.get("last") or ("" if has_ends else DEFAULT_LAST)
    kept = max(site_retention(site) for site in question.sites)
    return [
        Choice(LAST_IN_WORDS[last], question.query({"last": last, "from": None, "to": None}), last == chosen, last)
        for last, span in LAST.items()
        if span <= kept or last == chosen
    ]


def days(question: Question) -> list[Choice]:
    """Return today and yesterday as the reader's zone has them."""
    today = timezone.localdate()
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    return [
        Choice(name, question.query({"last": None, "from": str(day), "to": str(day)}), question.time == of_day(day))
        for name, day in named.items()
    ]


def of_day(day: date) -> TimeRange:
    """Return a day of the reader's zone."""
    begin, end = (timezone.make_aware(datetime.combine(each, time())) for each in (day, day + timedelta(days=1)))
    return TimeRange(begin, end)


def further_back(question: Question) -> list[Choice]:
    """Return the longest ranges that begin before this question does."""
    now, start = question.now, question.time.start
    return [span for span in spans(question) if now - LAST[span.last] < start][-3:]
