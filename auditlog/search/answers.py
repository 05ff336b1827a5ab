"""Answers about a question, one function for each; ask them inside `one_snapshot`, each within its budget.

They are exact: counted from roll-ups where these are true, from the rows elsewhere (`search/sources.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from math import ceil
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import DateTimeField, F, Func, IntegerField, Q, Value
from django.db.models.functions import TruncDate

from auditlog.models import ApiRequestLog
from auditlog.models.durations import typical_ms
from auditlog.models.rollups import ROLL_UPS, ByError, RollUp
from auditlog.search import buckets
from auditlog.search.question import Question
from auditlog.search.slices import slices
from auditlog.search.snapshot import part
from auditlog.search.sources import is_rolled_up, sources
from auditlog.search.timerange import TimeRange

COUNT_LIMIT = 10_000
"""Counting rows stops here; a page says "10,000+"."""
FACET_SIZE = 10
"""The most frequent values that a facet names."""


@dataclass(frozen=True)
class Total:
    """How many rows match; `is_capped` where there are more than `count`."""

    count: int
    is_capped: bool = False

    def __str__(self) -> str:
        return f"{self.count:,}+" if self.is_capped else f"{self.count:,}"


def total(question: Question) -> Total:
    """Count the matching rows: all of them where a roll-up knows, else up to `COUNT_LIMIT`."""
    if is_rolled_up(question):
        return Total(sum(source.total() for source in sources(question)))
    count = 0
    for time in slices(question.reach):
        with part():
            count += question.within(time).rows().order_by()[: COUNT_LIMIT + 1 - count].count()
        if count > COUNT_LIMIT:
            break
    return Total(min(count, COUNT_LIMIT), count > COUNT_LIMIT)


@dataclass(frozen=True)
class Outcomes:
    """How many matching requests there are, and how many of them failed."""

    count: int
    failures: int


def outcomes(question: Question) -> Outcomes:
    """Count the matching requests by status."""
    counts: Counter[bool] = Counter()
    for source in sources(question):
        for success, requests in source.grouped("success"):
            counts[success] += requests
    return Outcomes(counts.total(), counts[False])


@dataclass(frozen=True)
class Bucket:
    """The successes and failures that began in one part of the time."""

    time: TimeRange
    successes: int
    failures: int

    @property
    def count(self) -> int:
        """All requests of the bucket."""
        return self.successes + self.failures


@dataclass(frozen=True)
class Volume:
    """The requests over time, split into success and failure."""

    buckets: tuple[Bucket, ...]

    @property
    def successes(self) -> int:
        """Successes in the whole time."""
        return sum(bucket.successes for bucket in self.buckets)

    @property
    def failures(self) -> int:
        """Failures in the whole time."""
        return sum(bucket.failures for bucket in self.buckets)

    @property
    def total(self) -> Total:
        """All requests in the whole time."""
        return Total(self.successes + self.failures)


def volume(question: Question, zone: tzinfo = UTC) -> Volume:
    """Return the requests in about 60 buckets, which from a day on begin at midnights of `zone`."""
    parts = buckets.cut(question.time, zone)
    counts: Counter[tuple[int, bool]] = Counter()
    for source in sources(question, boundaries=parts.boundaries):
        for place, success, requests in source.grouped("success", _place=_place(source.time, parts.boundaries)):
            counts[place, success] += requests
    return Volume(
        tuple(Bucket(time, counts[place, True], counts[place, False]) for place, time in enumerate(parts.ranges))
    )


def newest(question: Question) -> datetime | None:
    """Return when the newest matching request was made; None where there is none."""
    for time in slices(question.reach):
        with part():
            found = question.within(time).rows().order_by("-created_at").values_list("created_at", flat=True).first()
        if found:
            return found
    return None


def by_day(question: Question, among: Sequence[type[RollUp]] = ROLL_UPS) -> dict[date, int]:
    """Count the matching requests of each UTC day that has any, the earliest first; from the roll-ups `among`."""
    counts: Counter[date] = Counter()
    for source in sources(question, among=among):
        # No group of a roll-up reaches over a UTC midnight.
        for day, requests in source.grouped(_day=TruncDate(source.time, tzinfo=UTC)):
            counts[day] += requests
    return dict(sorted(counts.items()))


def _place(time: str, boundaries: Sequence[datetime]) -> Func | Value:
    """Return the number of the bucket in which `time` lies."""
    if not boundaries:
        return Value(0)
    array = Value(list(boundaries), output_field=ArrayField(DateTimeField()))
    return Func(F(time), array, function="width_bucket", output_field=IntegerField())


FACETS = {
    "site": "site_id",
    "interface": "interface",
    "status": "success",
    "code": "response_code",
    "method": "request_method",
    "api": "api_name",
    "type": "error_type",
    "user": "username",
    "impersonator": "impersonator_username",
    "ip": "request_ip",
    "key": "api_key_id",
    "host": "request_host",
}
"""Search key → the column whose values its facet counts. Up to `type` they are in roll-ups, the others are too many."""

COUNTED = FACETS | {"agent": "user_agent"}
"""Those and another key whose values can be counted."""

STANDING_IN = {"user": "user_id", "impersonator": "impersonator_user_id", "key": "api_key_prefix"}
"""Keys that ask for a second column as well → that column; its value counts where the first has none."""


@dataclass(frozen=True)
class Facet:
    """The most frequent values of a column among the entries that meet all conditions but the facet's own key."""

    key: str
    values: tuple[tuple[Any, int], ...]
    """Value (None where an entry has none) and number of entries, the most frequent first."""
    has_more: bool
    """There are more values than these."""
    shared: frozenset[str] = frozenset()
    """Values that the key also finds in its second column, beside another value in the first."""


Counts = Counter[tuple[Any, ...]]
"""How many entries have each combination of some columns' values."""


@dataclass(frozen=True)
class Grouping:
    """Columns whose values are counted, and the roll-ups that may know them; those of the key `without` count all."""

    columns: tuple[str, ...]
    without: str | None = None
    among: tuple[type[RollUp], ...] = ROLL_UPS


BY_KEY = {
    key: Grouping((column, *([STANDING_IN[key]] if key in STANDING_IN else [])), without=key)
    for key, column in COUNTED.items()
}
BY_DURATION = Grouping(("duration_bucket",))
BY_ERROR = Grouping(("error_type", "api_name", "interface"), among=(ByError,))


def counted(question: Question, by: Grouping) -> Counts:
    """Count the matching entries by columns; of a key, those that meet all conditions but the key's own."""
    counts: Counts = Counter()
    for source in sources(question, by.columns, without=by.without, among=by.among):
        for *values, requests in source.grouped(*by.columns):
            counts[tuple(values)] += requests
    return counts


def is_known(question: Question, by: Grouping) -> bool:
    """Tell whether a roll-up knows such counts."""
    return is_rolled_up(question, by.columns, without=by.without, among=by.among)


def is_of_all(question: Question, by: Grouping) -> bool:
    """Tell whether such counts are of exactly the entries that match: there is no condition that they leave out."""
    return by.without is None or not question.asks(by.without)


def counted_at_once(question: Question, groupings: Sequence[Grouping]) -> list[Counts]:
    """Count the entries by each grouping that is of all that match, as `counted` does, in one look at the rows."""
    counts: list[Counts] = [Counter() for _ in groupings]
    columns = {column for by in groupings for column in by.columns}
    for source in sources(question, columns, among=()):
        for place, values, requests in source.grouped_by_each([by.columns for by in groupings]):
            counts[place][values] += requests
    return counts


def facet(question: Question, key: str, size: int | None = FACET_SIZE) -> Facet:
    """Count the values of one of `COUNTED`, and name the `size` most frequent; with None all."""
    return facet_of(key, counted(question, BY_KEY[key]), size)


def facet_of(key: str, counts: Counts, size: int | None = FACET_SIZE) -> Facet:
    """Return the facet of what was counted by its key."""
    requests_of: Counter[Any] = Counter()
    shared: set[str] = set()
    for (value, *standing_in), requests in counts.items():
        if value is None and standing_in:
            (value,) = standing_in
        requests_of[value] += requests
        shared.update(other for other in standing_in if other not in (None, value))
    most = sorted(requests_of.items(), key=lambda item: (-item[1], str(item[0])))
    return Facet(key, tuple(most[:size]), size is not None and len(most) > size, frozenset(shared & requests_of.keys()))


@dataclass(frozen=True)
class Percentiles:
    """Durations in milliseconds, each within 5 % of the exact one; `requests` are those that have a duration."""

    requests: int
    p50: float
    p95: float
    p99: float


def percentiles(question: Question) -> Percentiles | None:
    """Return the durations that 50, 95 and 99 % of the matching requests do not exceed; None where none has one."""
    return percentiles_of(counted(question, BY_DURATION))


def percentiles_of(counts: Counts) -> Percentiles | None:
    """Return the percentiles of what was counted by the buckets of durations."""
    buckets = Counter({bucket: requests for (bucket,), requests in counts.items() if bucket is not None})
    requests = buckets.total()
    if not requests:
        return None
    return Percentiles(
        requests, *(typical_ms(_bucket_at(buckets, ceil(share * requests))) for share in (0.5, 0.95, 0.99))
    )


def _bucket_at(counts: Counter[int], rank: int) -> int:
    """Return the bucket that holds the duration at `rank`, counted from the shortest."""
    below = 0
    for bucket in sorted(counts):
        below += counts[bucket]
        if below >= rank:
            return bucket
    raise ValueError(f"there are only {below} durations, expected {rank}")


def slowest(question: Question, size: int = 10) -> list[ApiRequestLog]:
    """Return the matching requests that took longest, the longest first."""
    slow: list[ApiRequestLog] = []
    for time in slices(question.reach):
        rows = question.within(time).rows().filter(duration_ms__isnull=False)
        with part():
            slow += rows.order_by(F("duration_ms").desc(nulls_last=True), "-created_at", "-site_id", "-request_id")[
                :size
            ]
    return sorted(slow, key=lambda row: (row.duration_ms, row.created_at), reverse=True)[:size]


@dataclass(frozen=True)
class TopError:
    """How often an Error Type occurred for one API Name and interface; `is_new`: not once in the period before."""

    error_type: str
    api_name: str | None
    interface: str | None
    requests: int
    is_new: bool | None
    """None where the period before is not kept as a whole, so that nobody can tell."""


def top_errors(question: Question, size: int = FACET_SIZE, counts: Counts | None = None) -> list[TopError]:
    """Return the most frequent Error Types by API Name and interface among the matching requests.

    `counts` are those by error where they are known already.
    """
    errors = _errors(question) if counts is None else counts
    found = [(error, requests) for error, requests in errors.items() if error[0] is not None]
    top = sorted(found, key=lambda item: (-item[1], tuple(map(str, item[0]))))[:size]
    before = question.period_before() if top else None
    known = _errors(before) if before else None
    return [
        TopError(
            error_type,
            api_name,
            interface,
            requests,
            None if known is None else (error_type, api_name, interface) not in known,
        )
        for (error_type, api_name, interface), requests in top
    ]


def _errors(question: Question) -> Counts:
    """Count the failures alone: an Error Type is rare among rows, and in every group of its roll-up."""
    return counted(replace(question, always=(question.always or Q()) & Q(error_type__isnull=False)), BY_ERROR)
