"""Where an answer is counted: in roll-ups as far as they are true and fine enough, in the rows for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count, QuerySet, Sum
from django.db.models.expressions import Combinable

from auditlog.models import ApiRequestLog, TouchedDay, TouchedHour
from auditlog.models.durations import DurationBucket
from auditlog.models.rollups import DAY, HOUR, MINUTE, ROLL_UPS, RollUp
from auditlog.search.question import Question, Span, in_spans, within
from auditlog.search.slices import slices
from auditlog.search.snapshot import once, part
from auditlog.search.timerange import EPOCH, TimeRange, midnight

MOST_RANGES = 40
"""Ranges of one query; more than so many touched hours are answered together with the hours between them."""
LONG = 3 * DAY
"""A time of rows whose locks are worth giving back at once."""
IN_EVERY_ROLL_UP = {"success", "site_id"}
"""Columns that every roll-up groups by."""


@dataclass(frozen=True)
class Source:
    """Some rows of the log, or groups of a roll-up, that match a question; `requests` counts the entries among them.

    The sources of a question together hold each matching entry once.
    """

    rows: QuerySet[Any]
    time: str
    requests: Combinable
    is_long: bool = False
    """It reads the rows of many days: asked in a `part()` of its own, which gives their locks back."""

    def grouped(self, *columns: str, **expressions: Combinable) -> Iterator[tuple[Any, ...]]:
        """Yield the values of the expressions and the columns, and the number of entries with them."""
        names = [*expressions, *columns]
        groups = self.rows.order_by().values(*columns, **expressions).annotate(_requests=self.requests)
        with part() if self.is_long else nullcontext():
            found = list(groups.values_list(*names, "_requests"))
        yield from found

    def grouped_by_each(self, groups: Sequence[Sequence[str]]) -> Iterator[tuple[int, tuple[Any, ...], int]]:
        """Yield, from one look at the rows, a group's place, the values of its columns and the number of entries."""
        columns = list(dict.fromkeys(column for group in groups for column in group))
        try:
            inner, parameters = self.rows.order_by().values_list(*columns).query.sql_with_params()
        except EmptyResultSet:  # what is asked for cannot be, such as the code 99999
            return
        sets = ", ".join(f"({', '.join(group)})" for group in groups)
        statement = (
            f"SELECT GROUPING({', '.join(columns)}), count(*), {', '.join(columns)} FROM ({inner}) AS rows "  # noqa: S608
            f"GROUP BY GROUPING SETS ({sets})"
        )
        # GROUPING has a bit for each column, the last one's lowest: 1 where a group is not by it.
        bits = {column: 1 << bit for bit, column in enumerate(reversed(columns))}
        whole = sum(bits.values())
        places = {whole - sum(bits[column] for column in group): place for place, group in enumerate(groups)}
        with part() if self.is_long else nullcontext(), connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            found = cursor.fetchall()
        for not_by, requests, *values in found:
            place = places[not_by]
            of = dict(zip(columns, values, strict=True))
            yield place, tuple(of[column] for column in groups[place]), requests

    def total(self) -> int:
        """Return the number of entries."""
        with part() if self.is_long else nullcontext():
            return int(self.rows.order_by().aggregate(_requests=self.requests)["_requests"] or 0)


def sources(
    question: Question,
    columns: Iterable[str] = (),
    *,
    without: str | None = None,
    among: Sequence[type[RollUp]] = ROLL_UPS,
    boundaries: Sequence[datetime] = (),
) -> list[Source]:
    """Return where to count the entries that match `question`, grouped by `columns` and split at `boundaries`.

    `without` names the key whose condition is left out. A roll-up serves where it has every column that is asked for
    and no boundary lies within its grain. Ask inside `one_snapshot`: the marks are read here, before everything else.
    """
    wanted = {*columns, *question.columns_asked(without)} - IN_EVERY_ROLL_UP
    able: dict[timedelta, type[RollUp]] = {}
    for model in among:
        if wanted <= set(model.columns()):
            for grain in model.grains:
                if all(is_whole(moment, grain) for moment in boundaries):
                    able.setdefault(grain, model)
    rest = list(question.spans)
    found = []
    touched = _touched(question) if able and rest else {grain: [] for grain in able}
    for grain in sorted(able, reverse=True):
        covered, rest = _covered(rest, touched[grain], grain)
        if covered:
            groups = able[grain]._default_manager.filter(in_spans(covered, "start"), minutes=grain // MINUTE)
            found.append(Source(question.meeting(groups, without), "start", Sum("requests")))
    log = question.meeting(ApiRequestLog.objects.all(), without)
    if "duration_bucket" in wanted:
        log = log.annotate(duration_bucket=DurationBucket("duration_ms"))
    for time in slices(question.reach):
        if here := within(rest, time):
            is_long = max(span.time.end - span.time.start for span in here) > LONG
            rows = log.filter(in_spans(here, "created_at"))
            found.append(Source(rows, "created_at", Count("*"), is_long=is_long))
    return found


def is_rolled_up(
    question: Question,
    columns: Iterable[str] = (),
    *,
    without: str | None = None,
    among: Sequence[type[RollUp]] = ROLL_UPS,
) -> bool:
    """Tell whether a roll-up has every column that is asked for, so that it can be counted at any size."""
    wanted = {*columns, *question.columns_asked(without)} - IN_EVERY_ROLL_UP
    return any(wanted <= set(model.columns()) for model in among)


def is_whole(moment: datetime, grain: timedelta) -> bool:
    """Tell whether `moment` begins a day, an hour or whatever `grain` is."""
    return not (moment - EPOCH) % grain


def _covered(spans: list[Span], touched: list[TimeRange], grain: timedelta) -> tuple[list[Span], list[Span]]:
    """Split `spans` into what a roll-up of `grain` can answer, and the rest."""
    covered, rest = [], []
    for span in spans:
        start = span.time.start + (EPOCH - span.time.start) % grain
        end = span.time.end - (span.time.end - EPOCH) % grain
        if start >= end:
            rest.append(span)
            continue
        holes = [hole for hole in touched if hole.start < end and hole.end > start]
        true = list(_between(start, end, holes))
        covered += [Span(span.sites, each) for each in true]
        rest += [Span(span.sites, each) for each in _between(span.time.start, span.time.end, true)]
    return covered, rest


def _between(start: datetime, end: datetime, holes: list[TimeRange]) -> Iterator[TimeRange]:
    """Yield what is left of a range without `holes`, which are in order and apart."""
    for hole in holes:
        if hole.start > start:
            yield TimeRange(start, hole.start)
        start = max(start, hole.end)
    if start < end:
        yield TimeRange(start, end)


def _touched(question: Question) -> dict[timedelta, list[TimeRange]]:
    """Return, for each grain, where its roll-ups are not true: at most `MOST_RANGES` in order and apart."""
    reach = question.reach
    return once(("touched", reach), lambda: _touched_within(reach))


def _touched_within(time: TimeRange) -> dict[timedelta, list[TimeRange]]:
    hours = _in_order(TouchedHour.objects.filter(hour__gt=time.start - HOUR, hour__lt=time.end), "hour")
    days = {midnight(hour) for hour in hours}
    days.update(_in_order(TouchedDay.objects.filter(day__gt=time.start - DAY, day__lt=time.end), "day"))
    by_hour = _few([TimeRange(hour, hour + HOUR) for hour in hours])
    by_day = _few([TimeRange(day, day + DAY) for day in sorted(days)])
    return {DAY: by_day, HOUR: by_hour, MINUTE: by_hour}


def _in_order(marks: QuerySet[Any], column: str) -> list[datetime]:
    return list(marks.order_by(column).values_list(column, flat=True).distinct())


def _few(ranges: Sequence[TimeRange]) -> list[TimeRange]:
    """Join what touches, and where that leaves too many, what is nearest.

    What lies in a gap is then counted in finer grains or rows, which is as true and only slower.
    """
    joined: list[TimeRange] = []
    for each in ranges:
        if joined and joined[-1].end == each.start:
            joined[-1] = TimeRange(joined[-1].start, each.end)
        else:
            joined.append(each)
    if len(joined) <= MOST_RANGES:
        return joined
    gaps = sorted(range(1, len(joined)), key=lambda place: joined[place].start - joined[place - 1].end)
    kept = sorted(gaps[len(joined) - MOST_RANGES :])
    starts, ends = [0, *kept], [*kept, len(joined)]
    return [TimeRange(joined[first].start, joined[end - 1].end) for first, end in zip(starts, ends, strict=True)]
