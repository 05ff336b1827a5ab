"""Times as programs write them into an address."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from auditlog.search.timerange import EPOCH, is_storable

LATEST = datetime(9998, 12, 30, tzinfo=UTC)
"""Later than any entry, and early enough to count on from."""

_LONGEST = 100
"""Characters of a time: the longest name of a zone fits in, and what is no time is not read for long."""
_BEHIND = re.compile(r" (?:UTC|GMT|\(.*\))$")
"""What some write behind a time, and says no more than the time itself."""
_LOST_PLUS = re.compile(r"(\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?) (?=\d{2}:?\d{2}$)")
_BLANK_BEFORE_ZONE = re.compile(r" (?=[+-]\d{2}:?\d{2}$)")
_OF_JAVASCRIPT = "%a %b %d %Y %H:%M:%S GMT%z"


def read(text: str) -> tuple[datetime, timedelta]:
    """Return the moment that a text names, UTC where it names no zone, and how long what it names lasts.

    A date lasts a day, a time without a fraction a second, any other a microsecond. What lies before or after all
    entries is the first or last moment there can be. Raises ValueError where the text is no time.
    """
    if len(text) > _LONGEST:
        raise ValueError
    written = _BEHIND.sub("", text)
    try:
        moment = datetime.fromisoformat(_BLANK_BEFORE_ZONE.sub("", _LOST_PLUS.sub(r"\1+", written)))
    except ValueError:
        moment = _in_words(written)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if not is_storable(moment):  # Go's zero time is of the year 1
        moment = EPOCH if moment.year < EPOCH.year else LATEST
    moment = max(EPOCH, moment.astimezone(UTC))
    if len(written) <= len("2026-08-01"):
        return moment, timedelta(days=1)
    return moment, timedelta(microseconds=1) if re.search(r"[.,]\d", written) else timedelta(seconds=1)


def _in_words(text: str) -> datetime:
    """Read what JavaScript's `String(date)` writes, or a date of e-mail."""
    try:
        return datetime.strptime(text, _OF_JAVASCRIPT)  # noqa: DTZ007  it ends in the zone
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except OverflowError:  # more hours than an integer holds
        raise ValueError from None
