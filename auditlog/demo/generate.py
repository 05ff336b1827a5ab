"""The demo's entries of any span of time: the same entries, Request-IDs included, whenever they are asked for.

Everything is drawn from the calendar day, nothing from the moment of asking: what falls into a minute does not depend
on where a span begins or ends. So loading twice adds nothing, and live traffic goes on where loading ended.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from auditlog.demo import stories, work
from auditlog.demo.drawn import Drawn
from gatebook.entry import Entry


def generate(
    start: datetime, end: datetime, share: Callable[[datetime], float] = lambda at: 1.0
) -> Iterator[tuple[str, Entry]]:
    """Yield site slug and entry for each request from `start` until before `end`, in the order of time.

    `share` thins out: of a moment's everyday requests it keeps that part, always the same ones first. A smaller share
    is a subset of a larger one. The great stories are always told.
    """
    for item in drawn_between(start, end):
        if item.rank < share(item.at):
            yield item.site, item.make()


def drawn_between(start: datetime, end: datetime) -> Iterator[Drawn]:
    """Yield what happens from `start` until before `end`, not yet made into entries."""
    day = start.astimezone(UTC).date()
    while datetime(day.year, day.month, day.day, tzinfo=UTC) < end:
        items = of_day(day)
        yield from items[bisect_left(items, start, key=_at) : bisect_left(items, end, key=_at)]
        day += timedelta(days=1)


@lru_cache(maxsize=2)
def of_day(day: date) -> list[Drawn]:
    """Return all that happens on a UTC day, in order."""
    return sorted([*work.of_day(day), *stories.of_day(day)], key=_at)


def _at(item: Drawn) -> datetime:
    return item.at
