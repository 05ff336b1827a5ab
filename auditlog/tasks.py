"""Work in the background, timed in `config/celery.py`."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from auditlog.store import partitions, retention
from gatebook import shipper


@shared_task
def purge() -> None:
    """Remove what is past its site's retention. Nightly."""
    retention.purge()


@shared_task
def make_days_ahead() -> None:
    """Make the log's next days before the first entry asks for them."""
    partitions.ensure_days_ahead(datetime.now(UTC).date())


@shared_task
def adopt_segments() -> None:
    """Ship what dead processes left in the spool. Every minute."""
    shipper.adopt()
