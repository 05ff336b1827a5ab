"""Times and durations as logs write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

# Not strptime: it is slow and speaks the machine's language.
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}

NOT_A_TIME = "created_at: not a time there is"

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_COMMON = re.compile(r"(\d{1,2})/([A-Za-z]{3})/(\d{4}):(\d\d:\d\d:\d\d(?:\.\d{1,6})?) ([+-]\d\d):?(\d\d)", re.ASCII)
_ASCTIME = re.compile(r"(?:[A-Za-z]{3} )?([A-Za-z]{3}) +(\d{1,2}) (\d\d):(\d\d):0?(\d\d)(?: (\d{4}))?", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)")
_PART_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_FRACTIONS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # from where on a number counts nano-, micro-, milliseconds
_YEARS_BACK = 8  # a 29 February is at most that far


def moment_of(value: Any, zone: tzinfo = UTC) -> datetime:
    """Return a time: seconds since 1970, ISO 8601 (of `zone` where it names none), or as in an access log.

    Raises ValueError.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            unit = next((unit for least, unit in _FRACTIONS if abs(value) >= least), 1.0)
            return datetime.fromtimestamp(value / unit, UTC)
        if isinstance(value, str):
            if match := _COMMON.fullmatch(value):
                day, month, year, time, hours, minutes = match.groups()
                value = f"{year}-{MONTHS[month.lower()]:02}-{int(day):02}T{time}{hours}:{minutes}"
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    except (ValueError, KeyError, OverflowError, OSError):
        raise ValueError(NOT_A_TIME) from None
    raise ValueError("created_at: is missing" if value is None else NOT_A_TIME)


def moment_in_words(text: str, zone: tzinfo, until: datetime) -> datetime:
    """Return the time of `Tue Mar  3 08:12:30 2026` or, of the last year before `until`, `Mar  3 08:12:30`."""
    match = _ASCTIME.fullmatch(text)
    if match is None or (month := MONTHS.get(match[1].lower())) is None:
        raise ValueError(NOT_A_TIME)
    day, hour, minute, second = (int(match[group]) for group in range(2, 6))
    latest = until.astimezone(zone)
    for year in [int(match[6])] if match[6] else range(latest.year + 1, latest.year - _YEARS_BACK, -1):
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        except ValueError:
            continue  # no 29 February in this year, or no such time in any
        if match[6] or moment <= until + timedelta(days=1):
            return moment
    raise ValueError(NOT_A_TIME)


def milliseconds(value: Any, unit: float = 1.0) -> int | None:
    """Return a duration: a number, also as a text, of `unit` milliseconds each, or `1m2.5s`. Raises ValueError."""
    if value is None or value in ("", "-"):
        return None
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            value = float(value)
        elif (parts := _PART.findall(value)) and "".join(map("".join, parts)) == value:
            value, unit = sum(float(number) * _PART_MS[name] for number, name in parts), 1.0
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return round(float(value) * unit)
    except (OverflowError, ValueError):  # infinite, or no number
        pass
    raise ValueError("duration_ms: not a duration")
