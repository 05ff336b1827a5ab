"""What goes wrong with everybody's requests at once: a full disk, a bad release of the mobile app.

Placed by the calendar: a mishap returns every so many days, on the same days whenever one asks.
"""

from __future__ import annotations

from datetime import date, datetime

from auditlog.demo.cast import EUROPE, DemoSite, Someone
from auditlog.demo.drawn import DISK_FULL, Failure

DISK_FULL_EVERY, DISK_FULL_ON, DISK_FULL_HOUR = 23, 9, 13
RELEASE_EVERY, RELEASE_ON, RELEASE_DAYS = 31, 14, 3

_NO_ENDPOINT = Failure(404, "not-found", "There is no such endpoint: /api/rest/v1/folders")


def day_of_cycle(day: date, length: int) -> int:
    """Return where `day` stands in a cycle of `length` days, counted from 0."""
    return day.toordinal() % length


def disk_is_full(at: datetime, site: DemoSite) -> bool:
    """Whether Acme Europe's disk is full: for an hour, every few weeks."""
    on_that_day = day_of_cycle(at.date(), DISK_FULL_EVERY) == DISK_FULL_ON
    return site is EUROPE and on_that_day and at.hour == DISK_FULL_HOUR


def bad_release_is_out(at: datetime) -> bool:
    """Whether the mobile app asks for an endpoint that is gone, until it is fixed two days later."""
    day = day_of_cycle(at.date(), RELEASE_EVERY) - RELEASE_ON
    return 0 <= day < RELEASE_DAYS and (day > 0 or at.hour >= 9) and (day < RELEASE_DAYS - 1 or at.hour < 16)


def mobile_app(at: datetime, who: Someone) -> str:
    """Return the mobile app's user agent of that moment: each cycle brings a bad release and its fix."""
    cycle, day = divmod(at.date().toordinal(), RELEASE_EVERY)
    minor = cycle % 60
    if bad_release_is_out(at):
        version = f"5.{minor}.0"
    else:
        version = f"5.{minor}.1" if day >= RELEASE_ON + RELEASE_DAYS - 1 else f"5.{(minor - 1) % 60}.1"
    return f"AcmeMobile/{version} ({'iOS 18.5' if int(who.user_id) % 2 else 'Android 15'})"


def failure_of(at: datetime, site: DemoSite, interface: str, api_name: str) -> Failure | None:
    """Return how an everyday request fails in what goes on at that moment, or None."""
    if disk_is_full(at, site) and any(writing in api_name for writing in ("upload", "put", "store", "write")):
        return DISK_FULL
    if interface == "mobile" and api_name == "folders.list" and bad_release_is_out(at):
        return _NO_ENDPOINT
    return None
