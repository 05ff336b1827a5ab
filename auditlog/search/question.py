"""A question to the log: which sites, when, which conditions, in which order.

Page, count, CSV and every other answer take the same Question, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict

from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search import timerange
from auditlog.search.cursor import Cursor
from auditlog.search.errors import QuestionError
from auditlog.search.filters import KEYS, LogFilter, Rows
from auditlog.search.timerange import TimeRange

TIME_KEYS = ("last", "from", "to")
VIEW_KEYS = ("sort", "after", "before", "columns")
"""Keys of the URL that change what is shown of the answer, not the question."""
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
class Question:
    """One question, resolved at the moment `now`: asked again, it covers the same time."""

    sites: tuple[Site, ...]
    time: TimeRange
    now: datetime
    order: Order
    filters: LogFilter
    after: Cursor | None = None
    before: Cursor | None = None

    @classmethod
    def from_query(cls, query: QueryDict, sites: Sequence[Site], now: datetime | None = None) -> Question:
        """Read the parameters of an address.

        `from` and `to` without a zone are taken as UTC; the page redirects to the reader's zone first
        (`timerange.in_utc`). Raises QuestionError that names every key at fault.
        """
        errors = {
            key: f"is not a search key, expected one of {', '.join(_ALLOWED)}." for key in query if key not in _ALLOWED
        }
        params = {key: value for key in query if (value := query.get(key))}
        for key in (*TIME_KEYS, *VIEW_KEYS):
            if len(query.getlist(key)) > 1:
                errors[key] = "is given more than once."
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
        if errors or time is None:
            raise QuestionError(errors)
        return cls(tuple(sites), time, now, order, filters, after, before)

    def rows(self) -> Rows:
        """Return the matching rows, in no order: conditions, time and retention, but no cursor."""
        rows: Rows = self.filters.qs.filter(
            site_id__in=[site.pk for site in self.sites],
            created_at__gte=self.time.start,
            created_at__lt=self.time.end,
        )
        # An entry is out of sight the moment it is older than its site's retention, purged or not.
        present = datetime.now(UTC)
        for site in self.sites:
            oldest = present - site_retention(site)
            if oldest <= self.time.start:
                continue
            if len(self.sites) == 1:
                return rows.filter(created_at__gte=oldest)
            rows = rows.exclude(Q(site_id=site.pk, created_at__lt=oldest))
        return rows

    def conditions(self) -> dict[str, list[str]]:
        """Return the key parameters that are set, as the address has them."""
        return {key: values for key in _CONDITION_KEYS if (values := [v for v in self.filters.data.getlist(key) if v])}

    def query(self, changes: Mapping[str, str | None] | None = None, *, resolved: bool = False) -> str:
        """Return the query string of this question's address, with `changes`; None drops a key.

        With `resolved`, the range is written out, so that a link made now and followed later asks the same. Cursors
        belong to one page and are left out unless given.
        """
        kept: Mapping[str, list[str]] = dict(self.filters.data.lists())
        params = {key: [v for v in values if v] for key, values in kept.items() if key not in ("after", "before")}
        if resolved:
            params.pop("last", None)
            params["from"] = [timerange.written(self.time.start)]
            params["to"] = [timerange.written(self.time.end)]
        for key, value in (changes or {}).items():
            params[key] = [] if value is None else [value]
        return urlencode([(key, value) for key, values in params.items() for value in values], safe="*,:/.><")


def site_retention(site: Site) -> timedelta:
    """Return how long an entry of `site` is in sight."""
    return timedelta(days=site.retention_days)


_CONDITION_KEYS = tuple(name for key in KEYS for name in (key, f"-{key}"))
_ALLOWED = (*_CONDITION_KEYS, *TIME_KEYS, *VIEW_KEYS)
