"""What `manage.py check` says about capture in a project."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from gatebook.conf import conf

MIDDLEWARE = "gatebook.middleware.GatebookMiddleware"


def check(**kwargs: Any) -> list[checks.CheckMessage]:
    """Check the settings and the place of the middleware."""
    found: list[checks.CheckMessage] = []
    try:
        conf()
    except ImproperlyConfigured as error:
        found.append(checks.Error(str(error), id="gatebook.E001"))
    middleware = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in middleware:
        hint = f"Put {MIDDLEWARE!r} first in MIDDLEWARE."
        found.append(
            checks.Warning("No request is recorded: MIDDLEWARE lacks Gatebook's.", hint=hint, id="gatebook.W001")
        )
    elif middleware[0] != MIDDLEWARE:
        hint = f"Put {MIDDLEWARE!r} before {middleware[0]!r}."
        message = "What earlier middleware answers or refuses is not recorded."
        found.append(checks.Warning(message, hint=hint, id="gatebook.W002"))
    return found
