"""A long time in slices of whole days, so that a walk can stop early and never holds the locks of many days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from auditlog.search.timerange import TimeRange, midnight

MOST_DAYS = 31
"""A slice's days: each is a partition with a dozen indexes, and a query locks them all."""


def slices(time: TimeRange, *, newest_first: bool = True) -> Iterator[TimeRange]:
    """Yield `time` from its end back, or from its beginning on, in slices that grow: a day, a week, then `MOST_DAYS`.

    They are cut at UTC midnights, as the partitions are; the first also holds the day that `time` cuts in two.
    """
    days = 1
    start, end = time.start, time.end
    while start < end:
        if newest_first:
            whole = midnight(end - timedelta(microseconds=1)) - timedelta(days=days - (end != time.end))
            start_here = max(start, whole)
            yield TimeRange(start_here, end)
            end = start_here
        else:
            whole = midnight(start) + timedelta(days=days + (start == time.start))
            end_here = min(end, whole)
            yield TimeRange(start, end_here)
            start = end_here
        days = 7 if days == 1 else MOST_DAYS
