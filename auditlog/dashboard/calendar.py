"""The reader's calendar: today and yesterday, this and last week and month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

from auditlog.search.timerange import TimeRange

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Dates:
    """Whole days of the reader's zone, from `first` to `last`, by their name."""

    name: str
    first: date
    last: date

    @property
    def time(self) -> TimeRange:
        """From the first midnight to the last, however long the days between them are."""
        return TimeRange(_midnight(self.first), _midnight(self.last + _DAY))

    @property
    def words(self) -> str:
        """The name and what it means: "last week, 16 Nov to 22 Nov", "last month, October"; years only of another."""
        year = "" if self.first.year == timezone.localdate().year else " %Y"
        first, last = (f"{day:%-d %b{year}}" for day in (self.first, self.last))
        if self.name.endswith("month"):
            return f"{self.name}, {self.first:%B{year}}"
        return f"{self.name}, {first}" if first == last else f"{self.name}, {first} to {last}"

    def as_parameters(self) -> dict[str, str | None]:
        """Return the time as an address has it, in the reader's zone."""
        return {"last": None, "from": str(self.first), "to": str(self.last)}


def calendar() -> list[Dates]:
    """Return what has a name today; weeks begin on Monday."""
    today = timezone.localdate()
    yesterday = today - _DAY
    monday = today - today.weekday() * _DAY
    first = today.replace(day=1)
    next_first = (first + 31 * _DAY).replace(day=1)
    last_of_previous = first - _DAY
    return [
        Dates("today", today, today),
        Dates("yesterday", yesterday, yesterday),
        Dates("this week", monday, monday + 6 * _DAY),
        Dates("last week", monday - 7 * _DAY, monday - _DAY),
        Dates("this month", first, next_first - _DAY),
        Dates("last month", last_of_previous.replace(day=1), last_of_previous),
    ]


def _midnight(day: date) -> datetime:
    """Return the beginning of a day as `timerange` reads it, in UTC: other zones' moments are never equal in a fold."""
    return datetime.combine(day, time(), timezone.get_current_timezone()).astimezone(UTC)
