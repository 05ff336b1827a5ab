"""What someone sees when a page breaks, and the second try that spares them a database's restart."""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost, TooManyFieldsSent
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults
from psycopg import errors
from psycopg_pool import PoolTimeout, TooManyRequests

from auditlog.intake import otlp
from auditlog.refusals import Refused

WAITED = (PoolTimeout, TooManyRequests, errors.QueryCanceled, errors.LockNotAvailable)
"""Causes after which another try would only wait again."""

_AWAY = Refused(503, "service-unavailable", "The database is away; ask again.", {"Retry-After": "10"})
_BROKEN = Refused(500, "internal-server-error", "Gatebook failed; its log has the reason under this Request-ID.")
_OTLP = ("v1/logs", "v1/traces")


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


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django refuses before any view reads it: an unknown host, too many parameters."""
    if isinstance(exception, DisallowedHost):
        sentence = "Gatebook does not answer to this Host; ALLOWED_HOSTS names those that it answers to."
        refused = Refused(400, "bad-request/unknown-host", sentence)
    elif isinstance(exception, TooManyFieldsSent):
        sentence = f"There are more than {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} parameters; send fewer."
        refused = Refused(400, "bad-request/too-many-parameters", sentence)
    else:
        refused = Refused(400, "bad-request", "The request cannot be read.")
    answer = _to_a_program(request, refused)
    if answer is None:
        return defaults.bad_request(request, exception)
    refused.note(request)
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception: 503 and when to come back while the database is away, else 500."""
    error = sys.exc_info()[1]
    is_away = isinstance(error, OperationalError | InterfaceError)
    answer = _to_a_program(request, _AWAY if is_away else _BROKEN)
    if answer is None and is_away:
        answer = HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "10"})
    elif answer is None:
        answer = HttpResponse(render_to_string("500.html"), status=500)
    answer.broke_off = is_away and not isinstance(error and error.__cause__, WAITED)  # type: ignore[attr-defined]
    return answer


def _to_a_program(request: HttpRequest, refused: Refused) -> HttpResponse | None:
    """Return the answer in the words that clients of the address read; None where people do."""
    path = request.path_info.lstrip("/")
    if path.startswith("api/"):
        return refused.unnoted_answer(request)
    return otlp.refusal(request, refused) if path in _OTLP else None
