"""The reader's time zone, which the browser tells in a cookie."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from datetime import UTC, tzinfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

ZONE_COOKIE = "gatebook_zone"
"""Set by `static/zone.js`, such as Europe/Berlin; UTC without it."""


class ReaderMiddleware:
    """Show every time in the reader's zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in the reader's zone."""
        with timezone.override(zone_named(request.COOKIES.get(ZONE_COOKIE, ""))):
            return self.get_response(request)


def zone_named(name: str) -> tzinfo:
    """Return the zone called `name`; UTC where there is none, since the cookie may hold anything."""
    try:
        return zoneinfo.ZoneInfo(name) if name else UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
