"""What someone sees when a page breaks, and the second try that spares them a database's restart."""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from psycopg import errors
from psycopg_pool import PoolTimeout, TooManyRequests

from auditlog.refusals import Refused

WAITED = (PoolTimeout, TooManyRequests, errors.QueryCanceled, errors.LockNotAvailable)
"""Causes after which another try would only wait again."""

_AWAY = Refused(503, "service-unavailable", "The database is away; ask again.", {"Retry-After": "10"})
_BROKEN = Refused(500, "internal-server-error", "Gatebook failed; its log has the reason under this Request-ID.")


class SecondTryMiddleware:
    """Ask once more for a page whose connection to the database broke off under it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; what changes something is never tried twice."""
        answer = self.get_response(request)
        if request.method not in ("GET", "HEAD") or not getattr(answer, "broke_off", False):
            return answer
        connection.close()
        request.__dict__.pop("_cached_user", None)
        return self.get_response(request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception: 503 and when to come back while the database is away, else 500."""
    error = sys.exc_info()[1]
    is_away = isinstance(error, OperationalError | InterfaceError)
    if request.path_info.lstrip("/").startswith("api/"):
        answer: HttpResponse = (_AWAY if is_away else _BROKEN).unnoted_answer(request)
    elif is_away:
        answer = HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "10"})
    else:
        answer = HttpResponse(render_to_string("500.html"), status=500)
    answer.broke_off = is_away and not isinstance(error and error.__cause__, WAITED)  # type: ignore[attr-defined]
    return answer
