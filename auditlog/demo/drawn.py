"""What the demo draws: a moment, and how to make its entry. Making costs fifty times as much, so it comes last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from auditlog.demo.cast import DemoSite, Someone
from gatebook.entry import Entry


class Drawn(NamedTuple):
    """One request to come."""

    at: datetime
    rank: float
    """Kept where the share of that moment is above it: 0 is always kept."""
    site: str
    make: Callable[[], Entry]


class Failure(NamedTuple):
    """How a request fails."""

    code: int | None
    type: str
    message: str


BAD_PASSWORD = Failure(401, "not-authenticated/invalid-username-or-password", "Invalid username or password")
TOO_MANY = Failure(429, "rate-limited/too-many-requests", "Too many requests, please try again later.")
DISK_FULL = Failure(503, "service-unavailable/uploads-unavailable", "No space left on device: storage-eu-1")


def drawing(*about: object) -> Random:
    """Return random numbers that depend on `about` alone."""
    return Random(" ".join(map(str, about)))  # noqa: S311 (made up, and the same each time)


def midnight(day: date) -> datetime:
    """Return a UTC day's first instant."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def moment(day: date, hour: float) -> datetime:
    """Return the instant `hour` hours into the UTC day, to the microsecond."""
    return midnight(day) + timedelta(microseconds=int(hour * 3_600_000_000))


def key_of(who: Someone) -> dict[str, Any]:
    """Return the fields that a request with someone's API key has."""
    return {"api_key_id": who.key_id, "api_key_prefix": who.key_prefix}


def acting(impersonator: Someone) -> dict[str, Any]:
    """Return the fields of a request that someone makes as another user."""
    return {
        "impersonator_user_id": impersonator.user_id,
        "impersonator_username": impersonator.username,
        "request_ip": impersonator.address,
    }


def request(
    rng: Random,
    at: datetime,
    who: Someone | None,
    site: DemoSite,
    interface: str,
    median_ms: float,
    failure: Failure | None,
    fields: dict[str, Any],
) -> Entry:
    """Make an entry with what most requests have; `fields` say the rest, or otherwise."""
    made: dict[str, Any] = {
        "created_at": at,
        "request_id": f"{rng.getrandbits(128):032x}",
        "interface": interface,
        "request_host": site.host,
        "duration_ms": max(1, round(median_ms * rng.lognormvariate(0, 0.7))),
    }
    if who is not None:
        made |= {"user_id": who.user_id, "username": who.username, "request_ip": who.address}
    made |= fields
    if failure is not None:
        made |= {"response_code": failure.code, "error_type": failure.type, "error_message": failure.message}
    return Entry(**made)
