"""How a range of time is cut for a chart: about 60 buckets that begin at round times of the reader's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from auditlog.search.timerange import TimeRange, midnight

MOST_BUCKETS = 61
"""A range of 60 whole steps touches 61 where it begins within one."""

_DAY = timedelta(days=1)
STEPS = (
    *(timedelta(milliseconds=number) for number in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(timedelta(seconds=number) for number in (1, 2, 5, 10, 15, 30)),
    *(timedelta(minutes=number) for number in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=number) for number in (1, 2, 3, 4, 6, 12)),
    *(timedelta(days=number) for number in (1, 2, 3, 7, 14, 30, 90, 180, 365, 730)),
)
"""The widths a bucket may have; beyond the last they double."""


@dataclass(frozen=True)
class Buckets:
    """Ranges side by side that together are the range they were cut from; `step` is the width of all but the ends."""

    step: timedelta
    ranges: tuple[TimeRange, ...]

    @property
    def boundaries(self) -> list[datetime]:
        """The moments at which one bucket ends and the next begins."""
        return [bucket.start for bucket in self.ranges[1:]]


def cut(time: TimeRange, zone: tzinfo = UTC) -> Buckets:
    """Cut `time` at round times: of the UTC clock below a day, at the midnights of `zone` from a day on.

    A zone whose midnights are not at whole hours of UTC gets UTC's: long ranges are counted by the hour.
    """
    step = _step(time.end - time.start)
    boundaries = _midnights(time, step, zone) if step >= _DAY else _multiples(time, step)
    moments = [time.start, *(moment for moment in boundaries if time.start < moment < time.end), time.end]
    return Buckets(step, tuple(TimeRange(start, end) for start, end in pairwise(moments)))


def _step(length: timedelta) -> timedelta:
    step = next((step for step in STEPS if length / step <= MOST_BUCKETS - 1), STEPS[-1])
    while length / step > MOST_BUCKETS - 1:
        step *= 2
    return step


def _multiples(time: TimeRange, step: timedelta) -> list[datetime]:
    begin = midnight(time.start)
    first = (time.start - begin) // step + 1
    last = (time.end - begin) // step
    return [begin + number * step for number in range(first, last + 1)]


def _midnights(time: TimeRange, step: timedelta, zone: tzinfo) -> list[datetime]:
    """Return every so many midnights; counted from a fixed day, so that a moving range keeps its cuts."""
    if any(moment.astimezone(UTC).minute for moment in _local_midnights(time, step, zone)):
        zone = UTC
    return [moment.astimezone(UTC) for moment in _local_midnights(time, step, zone)]


def _local_midnights(time: TimeRange, step: timedelta, zone: tzinfo) -> list[datetime]:
    first = time.start.astimezone(zone).date().toordinal()
    last = time.end.astimezone(zone).date().toordinal()
    days = (datetime.fromordinal(day) for day in range(first + -first % step.days, last + 1, step.days))
    return [day.replace(tzinfo=zone) for day in days]
