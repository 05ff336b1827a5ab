"""A question to the log: which sites, when, which conditions, in which order.

Page, count, CSV and every other answer take the same Question, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict

from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search import timerange
from auditlog.search.cursor import Cursor
from auditlog.search.errors import QuestionError
from auditlog.search.filters import AnyRows, LogFilter, Rows
from auditlog.search.keys import all_of, any_of
from auditlog.search.language import CONDITION_KEYS, TIME_KEYS, VIEW_KEYS, Term, parse, spread
from auditlog.search.timerange import EPOCH, TimeRange
from auditlog.store.writer import TOLERATED_AHEAD

SORTED_OVER_EVERYTHING = ("created_at", "response_code", "duration_ms")
"""Columns that sort however many rows match; the others up to `pages.SORT_LIMIT`."""


@dataclass(frozen=True)
class Order:
    """The column the answer is sorted by. Ties, and Date itself, go by the key."""

    column: str = "created_at"
    descending: bool = True

    @classmethod
    def from_text(cls, text: str) -> Order:
        """Read the `sort` parameter: a field name, with `-` for descending."""
        if not text:
            return cls()
        column = text.removeprefix("-")
        if column not in COLUMNS:
            allowed = ", ".join(COLUMNS)
            raise QuestionError(
                {"sort": f"{column} is not a column, expected one of {allowed}, with - for descending."}
            )
        return cls(column, text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    def as_parameter(self) -> str | None:
        """Return the `sort` parameter; None for the order that needs none."""
        return None if self == Order() else str(self)


@dataclass(frozen=True)
class Span:
    """A time in which some sites are asked; all spans of a question together are its sites and its time."""

    sites: tuple[int, ...]
    time: TimeRange


@dataclass(frozen=True)
class Question:
    """One question, resolved at the moment `now`: asked again, it covers the same time."""

    sites: tuple[Site, ...]
    time: TimeRange
    now: datetime
    spans: tuple[Span, ...]
    order: Order
    filters: LogFilter
    always: Q | None = None
    """What holds beside the conditions, and no condition can change."""
    after: Cursor | None = None
    before: Cursor | None = None

    @classmethod
    def from_query(
        cls, query: QueryDict, sites: Sequence[Site], now: datetime | None = None, always: Q | None = None
    ) -> Question:
        """Read the parameters of an address, with its text spread over them.

        `from` and `to` without a zone are taken as UTC; the page redirects to the reader's zone first
        (`timerange.in_utc`). Raises QuestionError that names every key at fault.
        """
        query = spread(query)
        errors = {
            key: f"is not a search key, expected one of {', '.join(_ALLOWED)}." for key in query if key not in _ALLOWED
        }
        params = {key: value for key in query if (value := query.get(key))}
        after = before = None
        order = Order()
        try:
            order = Order.from_text(params.get("sort", ""))
            after = Cursor.from_text("after", params.get("after", ""), str(order))
            before = Cursor.from_text("before", params.get("before", ""), str(order))
            if after and before:
                raise QuestionError({"before": "cannot be combined with after."})
        except QuestionError as error:
            errors.update(error.errors)
        if cursor := after or before:
            now = cursor.now  # the walk goes on in the range in which it began
        now = now or datetime.now(UTC)
        time = None
        try:
            time = timerange.resolve(params, now, retention=max(site_retention(site) for site in sites))
        except QuestionError as error:
            errors.update(error.errors)
        filters = LogFilter(query, queryset=ApiRequestLog.objects.all())
        if not filters.is_valid():
            errors.update({key: " ".join(messages) for key, messages in filters.form.errors.items()})
        for key in (*TIME_KEYS, *VIEW_KEYS, "q"):
            if len(query.getlist(key)) > 1:
                errors[key] = "is given more than once."
        if errors or time is None:
            raise QuestionError(errors)
        return cls(tuple(sites), time, now, _spans_in_sight(sites, time), order, filters, always, after, before)

    def rows(self, *, without: str | None = None) -> Rows:
        """Return the matching rows, in no order: conditions, time and retention, but no cursor.

        `without` leaves out what one key asks for, negated or not.
        """
        return self.meeting(ApiRequestLog.objects.all(), without).filter(in_spans(self.spans, "created_at"))

    def meeting(self, rows: AnyRows, without: str | None = None) -> AnyRows:
        """Keep the rows of the log or of a roll-up that meet the conditions, whenever they were and whosever."""
        for name, value in self._asked(without).items():
            rows = self.filters.filters[name].filter(rows, value)
        return rows if self.always is None else rows.filter(self.always)

    def site(self, pk: int) -> Site:
        """Return the one of its sites with this primary key, as an entry's `site_id` has it."""
        return next(site for site in self.sites if site.pk == pk)

    @property
    def reach(self) -> TimeRange:
        """The part of its time in which there can be entries; empty where there is none."""
        if not self.spans:
            return TimeRange(self.time.start, self.time.start)
        return TimeRange(min(span.time.start for span in self.spans), max(span.time.end for span in self.spans))

    def within(self, time: TimeRange) -> Question:
        """Return the same question about a part of its time."""
        return replace(self, time=time, spans=within(self.spans, time))

    def about(self, sites: Sequence[Site], time: TimeRange) -> Question:
        """Return the same question about other sites and another time, from the beginning of its answer."""
        spans = _spans_in_sight(sites, time)
        return replace(self, sites=tuple(sites), time=time, spans=spans, after=None, before=None)

    def over_everything_kept(self) -> Question:
        """Return the same question about all the time in which there can be entries."""
        return self.about(self.sites, TimeRange(EPOCH, self.now + TOLERATED_AHEAD))

    @property
    def is_over(self) -> bool:
        """Whether all of the question's time has passed; part of a time is compared with no other."""
        return self.time.end <= self.now

    def period_before(self) -> Question | None:
        """Return the same question about the time of equal length before; None where not all of that is kept."""
        length = self.time.end - self.time.start
        if length > self.time.start - EPOCH:
            return None
        before = self.about(self.sites, TimeRange(self.time.start - length, self.time.start))
        return before if [span.time.start for span in before.spans] == [before.time.start] else None

    def columns_asked(self, without: str | None = None) -> set[str]:
        """Return the columns that the conditions look at."""
        asked = [*self._asked(without).values(), self.always or Q()]
        return {column for value in asked for column in _columns_of(value)}

    def _asked(self, without: str | None) -> dict[str, Q]:
        left_out = (without, f"-{without}")
        cleaned = self.filters.form.cleaned_data
        asked = {name: value for name, value in cleaned.items() if value is not None and name not in left_out}
        if "q" in asked and self.text_without(without) != self.filters.data["q"]:
            text = self.text_without(without)
            del asked["q"]
            if text:
                asked["q"] = all_of(term.condition() for term in parse(text).terms)
        return asked

    def conditions(self) -> dict[str, list[str]]:
        """Return the key parameters that are set, as the address has them; what is left in the text is in `words`."""
        return {key: values for key in CONDITION_KEYS if (values := [v for v in self.filters.data.getlist(key) if v])}

    def asks(self, key: str) -> bool:
        """Tell whether there is a condition of the key, negated or not, as a parameter or in the text."""
        is_in_text = self.text_without(key) != (self.filters.data.get("q") or None)
        return is_in_text or bool({key, f"-{key}"} & self.conditions().keys())

    def text_without(self, key: str | None) -> str | None:
        """Return the text without its terms of one key; None where nothing is left of it."""
        text = self.filters.data.get("q", "")
        reading = parse(text)
        if all(term.key != key for term in reading.terms):
            return text or None
        return " ".join(reading.source(term) for term in reading.terms if term.key != key) or None

    def words(self) -> dict[Term, str]:
        """Return the terms left in the text, each with the text without it."""
        reading = parse(self.filters.data.get("q", ""))
        sources = [reading.source(term) for term in reading.terms]
        return {term: " ".join(sources[:at] + sources[at + 1 :]) for at, term in enumerate(reading.terms)}

    def query(self, changes: Mapping[str, str | None] | None = None, *, resolved: bool = False) -> str:
        """Return the query string of this question's address, with `changes`; None drops a key.

        With `resolved`, the range is written out, so that a link made now and followed later asks the same. Cursors and
        the entry beside the table belong to one page and are left out unless given.
        """
        kept: Mapping[str, list[str]] = dict(self.filters.data.lists())
        params = {key: [v for v in values if v] for key, values in kept.items() if key not in OF_ONE_PAGE}
        if resolved:
            params.pop("last", None)
            params["from"] = [timerange.written(self.time.start)]
            params["to"] = [timerange.written(self.time.end)]
        for key, value in (changes or {}).items():
            params[key] = [] if value is None else [value]
        pairs = [(key, value) for key, values in params.items() for value in values]
        # Never empty: an address that asks nothing leads to the reader's default view.
        return urlencode(pairs or [("last", timerange.DEFAULT_LAST)], safe="*,:/.><")


def site_retention(site: Site) -> timedelta:
    """Return how long an entry of `site` is in sight."""
    return timedelta(days=site.retention_days)


def within(spans: Iterable[Span], time: TimeRange) -> tuple[Span, ...]:
    """Return what of `spans` lies in `time`."""
    return tuple(Span(span.sites, clipped) for span in spans if (clipped := span.time.clipped(time)))


def in_spans(spans: Iterable[Span], column: str) -> Q:
    """Return the condition that `column`, a time, lies in the spans, bounded on both sides for all of them together."""
    spans = list(spans)
    if not spans:
        return Q(pk__in=[])
    each = [
        Q(site_id__in=span.sites, **{f"{column}__gte": span.time.start, f"{column}__lt": span.time.end})
        for span in spans
    ]
    if len(each) == 1:
        return each[0]
    bounds = {
        f"{column}__gte": min(span.time.start for span in spans),
        f"{column}__lt": max(span.time.end for span in spans),
    }
    return Q(**bounds) & any_of(each)


def _spans_in_sight(sites: Sequence[Site], time: TimeRange) -> tuple[Span, ...]:
    """Return the sites with the part of `time` in which each can be seen.

    An entry is out of sight the moment it is older than its site's retention, purged or not.
    """
    present = datetime.now(UTC)
    end = min(time.end, present + TOLERATED_AHEAD + timedelta(microseconds=1))  # the store refuses what is later
    starts: dict[datetime, list[int]] = {}
    for site in sites:
        starts.setdefault(max(time.start, present - site_retention(site)), []).append(site.pk)
    return tuple(Span(tuple(ids), TimeRange(start, end)) for start, ids in starts.items() if start < end)


def _columns_of(condition: Q) -> Iterator[str]:
    for child in condition.children:
        if isinstance(child, Q):
            yield from _columns_of(child)
        else:
            yield str(child[0]).partition("__")[0]  # type: ignore[index]  # (look-up, value)


_ALLOWED = (*CONDITION_KEYS, "q", *TIME_KEYS, *VIEW_KEYS)
OF_ONE_PAGE = ("after", "before", "entry")
