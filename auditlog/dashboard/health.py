"""`/healthz`: this process is alive. `/readyz`: everything it needs is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.utils import ConnectionHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError

from auditlog.models import Site, TouchedHour
from auditlog.store import closing, partitions
from config.celery import app
from gatebook import spool

LOCKS_WANTED = 256
"""Below this `max_locks_per_transaction`, questions over 180 days can exhaust the lock table."""
SECONDS = 2
"""How long the database and the broker have to answer."""
HOURS_BEHIND = timedelta(hours=2)
"""Hours older than this should be counted; the running one never is for long."""
DAYS_BEHIND = timedelta(hours=6)
"""How long the closing of a day may take."""

_IS_IT_RUNNING = "is the Celery worker with its beat running?"


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that this process is alive, whatever else is not."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Report each part; 503 while the database or the broker is away. Warnings leave it at 200."""
    failures = {"database": database(), "broker": broker()}
    warnings = {"spool": spooled()}
    if failures["database"] == "ok":
        warnings |= {
            "sites": sites(),
            "partitions": days_ahead(),
            "roll-ups": rolled_up(),
            "closed days": closed(),
            "locks": locks(),
        }
    is_ready = all(state == "ok" for state in failures.values())
    return JsonResponse({"ready": is_ready, **failures, **warnings}, status=200 if is_ready else 503)


def database() -> str:
    """Ask the database for an answer, outside the pool, in which a page waits for it to come back."""
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
    here = {**connection.settings_dict, "OPTIONS": {**options, "connect_timeout": SECONDS}}
    direct = ConnectionHandler({"default": here})["default"]
    try:
        with direct.cursor() as cursor:
            cursor.execute("SELECT 1")
        direct.close()
    except Error as error:
        return f"away: {type(error).__name__}"
    return "ok"


def broker() -> str:
    """Reach the broker that carries work to the Celery worker."""
    try:
        with app.connection_for_write(connect_timeout=SECONDS) as link:
            link.ensure_connection(max_retries=0, timeout=SECONDS)
    except (KombuError, OSError) as error:
        return f"away: {type(error).__name__}"
    return "ok"


def spooled() -> str:
    """Say how much is written down but not yet in the book, where that is more than usual."""
    backlog = spool.backlog()
    if complaints := backlog.complaints():
        return f"warning: {'; '.join(complaints)}; {backlog.segments} segments wait, {backlog.bytes} bytes"
    return "ok"


def sites() -> str:
    """Tell whether Gatebook's own entries have the site they are meant for."""
    root = Site.objects.root()
    if root is None:
        return "warning: there is no site yet; Gatebook's own entries wait in the spool"
    if settings.ROOT_SITE and root.slug != settings.ROOT_SITE:
        return f"warning: ROOT_SITE is {settings.ROOT_SITE!r}, expected the slug of a site; {root.slug} serves instead"
    return "ok"


def days_ahead() -> str:
    """Tell whether tomorrow's partition is there, so that no writer has to make it."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    if any(partition.holds(tomorrow) for partition in partitions.attached()):
        return "ok"
    return f"warning: the partition of {tomorrow} is missing; {_IS_IT_RUNNING}"


def rolled_up() -> str:
    """Tell whether the roll-ups follow the writer; answers stay exact without, but slow."""
    hours = TouchedHour.objects.filter(hour__lt=datetime.now(UTC) - HOURS_BEHIND)
    behind = hours.values("hour").distinct().count()
    return f"warning: {behind} hours wait to be counted anew; {_IS_IT_RUNNING}" if behind else "ok"


def closed() -> str:
    """Tell whether the days that are over have their look-up indexes; answers stay exact without, but slow."""
    due = datetime.now(UTC) - closing.GRACE - DAYS_BEHIND
    behind = [day for day in closing.open_days() if day.end <= due]
    return f"warning: {len(behind)} days wait to be closed; {_IS_IT_RUNNING}" if behind else "ok"


def locks() -> str:
    """Tell whether the lock table is large enough for questions over many days."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_locks_per_transaction")
        setting = int(cursor.fetchone()[0])
    if setting >= LOCKS_WANTED:
        return "ok"
    return f"warning: max_locks_per_transaction is {setting}, set it to {LOCKS_WANTED} or more"
