"""Times as programs write them into an address."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from auditlog.search.timerange import is_storable

_COMMENT = re.compile(r"\s*\(.*\)$|\s+(?:UTC|GMT)$|(?<=[+-]\d{4}) UTC$")
_LOST_PLUS = re.compile(r"(\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?) (?=\d{2}:?\d{2}$)")
_BLANK_BEFORE_ZONE = re.compile(r" (?=[+-]\d{2}:?\d{2}$)")
_OF_JAVASCRIPT = "%a %b %d %Y %H:%M:%S GMT%z"


def read(text: str) -> tuple[datetime, timedelta]:
    """Return the moment that a text names, UTC where it names no zone, and how long what it names lasts.

    A date lasts a day, a time without a fraction a second, any other a microsecond. Raises ValueError where it is none.
    """
    written = _COMMENT.sub("", _COMMENT.sub("", text.strip()))
    try:
        moment = datetime.fromisoformat(_BLANK_BEFORE_ZONE.sub("", _LOST_PLUS.sub(r"\1+", written)))
    except ValueError:
        moment = _in_words(written)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError from error
    if not is_storable(moment):
        raise ValueError
    if len(written) <= len("2026-08-01"):
        return moment, timedelta(days=1)
    return moment, timedelta(microseconds=1) if re.search(r"[.,]\d", written) else timedelta(seconds=1)


def _in_words(text: str) -> datetime:
    """Read what JavaScript's `String(date)` writes, or a date of e-mail."""
    try:
        return datetime.strptime(text, _OF_JAVASCRIPT)  # noqa: DTZ007  it ends in the zone
    except ValueError:
        return parsedate_to_datetime(text)
