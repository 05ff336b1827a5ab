"""The reader's clock: the time zone, which the browser tells in a cookie, and moments in words."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.timesince import timesince

ZONE_COOKIE = "gatebook_zone"
"""Set by `static/zone.js`, such as Europe/Berlin; UTC without it."""


class ReaderMiddleware:
    """Show every time in the reader's zone, and what is shown to nobody else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in the reader's zone, for no cache on the way: some keep whatever ends in `.csv`."""
        with timezone.override(zone_named(request.COOKIES.get(ZONE_COOKIE, ""))):
            answer = self.get_response(request)
        answer.headers.setdefault("Cache-Control", "private")
        return answer


def zone_named(name: str) -> tzinfo:
    """Return the zone called `name`; UTC where there is none, since the cookie may hold anything."""
    try:
        return zoneinfo.ZoneInfo(name) if name else UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def ago(moment: datetime) -> str:
    """Say how long ago a moment was, in its largest unit: "3 hours ago", "just now" within the minute."""
    since = timesince(moment, depth=1)
    return "just now" if since == "0\xa0minutes" else f"{since} ago"


def at_words(moment: datetime) -> str:
    """Say a moment to the minute: "24 Nov, 14:30", with its year where that is another."""
    local = timezone.localtime(moment)
    return f"{local:%-d %b, %H:%M}" if local.year == timezone.localtime().year else f"{local:%-d %b %Y, %H:%M}"
