"""What `manage.py check` says about capture in a project."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from gatebook import spool
from gatebook.conf import conf
from gatebook.sinks import StoreSink

MIDDLEWARE = "gatebook.middleware.GatebookMiddleware"


def check(**kwargs: Any) -> list[checks.CheckMessage]:
    """Check the settings and the place of the middleware."""
    found: list[checks.CheckMessage] = []
    try:
        settings_of_capture = conf()
    except ImproperlyConfigured as error:
        found.append(checks.Error(str(error), id="gatebook.E001"))
    else:
        if settings_of_capture.make_sink is StoreSink and not _is_server():
            message = (
                "GATEBOOK names neither BOOK_URL nor SINK, and this project is no Gatebook: entries can go nowhere."
            )
            hint = "Name the Gatebook that keeps them: BOOK_URL and BOOK_KEY."
            found.append(checks.Error(message, hint=hint, id="gatebook.E002"))
        if not spool.current().is_writable():
            message = f"{settings_of_capture.spool} cannot be made or written by this user."
            hint = "Make it, and give it to the user that runs the server."
            found.append(checks.Warning(message, hint=hint, id="gatebook.W003"))
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


def _is_server() -> bool:
    return any(app.label == "gatebook" for app in apps.get_app_configs())
