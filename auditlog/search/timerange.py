"""The time a question covers: `last`, or `from` and `to`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from auditlog.search.errors import QuestionError

LAST = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "180d": timedelta(days=180),
}
LAST_IN_WORDS = {
    "15m": "last 15 minutes",
    "1h": "last hour",
    "24h": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "180d": "last 180 days",
}
DEFAULT_LAST = "24h"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_EXPECTED = "expected a date or time such as 2026-11-23, 2026-11-23T14:30 or 2026-11-23T14:30:00Z."


@dataclass(frozen=True)
class TimeRange:
    """From `start` up to, not including, `end`; both UTC."""

    start: datetime
    end: datetime

    def as_parameters(self) -> dict[str, str | None]:
        """Return the time as an address has it, for `Question.query`."""
        return {"last": None, "from": written(self.start), "to": written(self.end)}

    def clipped(self, other: TimeRange) -> TimeRange | None:
        """Return what this and `other` have in common; None for nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return TimeRange(start, end) if start < end else None


def resolve(params: Mapping[str, str], now: datetime, retention: timedelta) -> TimeRange:
    """Return the range that `last`, `from` and `to` name at the moment `now`.

    Without any of them it is the last 24 hours, or the whole retention where `request` alone is asked for.
    Raises QuestionError naming the key at fault.
    """
    last, start, end = (params.get(key, "") for key in ("last", "from", "to"))
    if last:
        if start or end:
            raise QuestionError({"last": "cannot be combined with from or to; give one or the other."})
        if last not in LAST:
            raise QuestionError({"last": f"{last} is not a span of time, expected one of {', '.join(LAST)}."})
        return TimeRange(now - LAST[last], now)
    if not start and not end:
        if params.get("request"):
            return TimeRange(now - retention, now + timedelta(days=1))
        return TimeRange(now - LAST[DEFAULT_LAST], now)
    since = _parse("from", start, UTC) if start else now - retention
    until = _parse("to", end, UTC) if end else now
    if since >= until:
        raise QuestionError({"from": f"{written(since)} is not before {written(until)}."})
    return TimeRange(since, until)


def in_utc(params: Mapping[str, str], zone: tzinfo) -> dict[str, str]:
    """Return `from` and `to` rewritten to UTC where they name no zone, which means the reader's.

    Empty where nothing needs rewriting. Raises QuestionError naming the key at fault.
    """
    return {
        key: written(_parse(key, params[key], zone))
        for key in ("from", "to")
        if params.get(key) and not _names_a_zone(params[key])
    }


def written(moment: datetime) -> str:
    """Return `moment` as addresses and files write it: 2026-11-23T14:30:00Z, with microseconds where it has any."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def midnight(moment: datetime) -> datetime:
    """Return the beginning of the UTC day of `moment`, which is where its partition begins."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def is_storable(moment: datetime) -> bool:
    """Tell whether every server, zone and calendar here can count with `moment`."""
    return 1970 <= moment.year < 9999


def _names_a_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        return False


def _parse(key: str, text: str, zone: tzinfo) -> datetime:
    """Read a moment; a date alone is the whole day: its beginning as `from`, its end as `to`."""
    text = text.strip()
    try:
        if _DATE.match(text):
            day = date.fromisoformat(text) + timedelta(days=key == "to")
            moment = datetime.combine(day, time(), zone).astimezone(UTC)
        else:
            moment = datetime.fromisoformat(text)
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
        if not is_storable(moment):
            raise ValueError
    except (ValueError, OverflowError):
        raise QuestionError({key: f"{text} is not a time, {_EXPECTED}"}) from None
    return moment
