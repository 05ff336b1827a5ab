"""The project's pages: JSON for a caller who is known by an API key."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.response import Response

from benchmarks.capture.contestants import CALLER

FILES = [
    {"id": number, "path": f"reports/2026/november/report-{number}.pdf", "size": 81_920 + number, "type": "file"}
    for number in range(600)
]
"""50 kB of JSON."""


def null(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Make a middleware that does nothing."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    return middleware


@cache
def _caller() -> User:
    return User.objects.get(username=CALLER)


class KeyAuthentication(BaseAuthentication):
    """Knows whose the key is, without asking the database each time."""

    def authenticate(self, request: Any) -> tuple[User, None] | None:
        """Return the user of the key."""
        return (_caller(), None) if request.META.get("HTTP_X_API_KEY") else None


@api_view(["GET"])
@authentication_classes([KeyAuthentication])
def small(request: Any) -> Response:
    """Answer with 160 bytes."""
    return Response(FILES[:2])


@api_view(["GET"])
@authentication_classes([KeyAuthentication])
def large(request: Any) -> Response:
    """Answer with 50 kB."""
    return Response(FILES)


urlpatterns = [path("api/small/", small), path("api/large/", large)]
