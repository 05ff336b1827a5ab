"""Live traffic: the demo's entries as their time comes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event

from django.db import InterfaceError, OperationalError, close_old_connections

from auditlog.demo.generate import generate
from auditlog.demo.load import fill, make_sites, store
from auditlog.models import Site

logger = logging.getLogger(__name__)

SECONDS = 3.0
"""Between two writes."""


def _now() -> datetime:
    return datetime.now(UTC)


def run(stop: Event, *, seconds: float = SECONDS, now: Callable[[], datetime] = _now) -> int:
    """Write what is due every few seconds until `stop` is set; return how many entries that were.

    While the database is away nothing is lost: what has become due since is written when it is back.
    """
    written = 0
    sites: dict[str, Site] = {}
    done: datetime | None = None
    away = False
    while not stop.is_set():
        due = now()
        try:
            if done is None:
                sites = make_sites()
                count, _ = fill(sites, due)
            else:
                count = store(sites, generate(done, due))
        except (InterfaceError, OperationalError) as error:
            if not away:
                logger.warning("The database is away; trying again every %g seconds: %s", seconds, error)
            away = True
            close_old_connections()
        else:
            if away:
                logger.info("The database is back: %s entries written.", count)
            done, away = due, False
            written += count
        stop.wait(seconds)
    return written
