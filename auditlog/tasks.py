"""Work in the background, timed in `config/celery.py`."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from axes.models import AccessAttempt
from celery import Task, shared_task
from django.core.management import call_command
from django.db.models import Q
from django.utils import timezone

from auditlog.filescom import sync
from auditlog.filescom.source import SourceError
from auditlog.models import FilesComConnection
from auditlog.store import closing, partitions, retention, rollups
from gatebook import shipper

SYNC_PATIENCE_SECONDS = 20
SYNC_BUDGET_SECONDS = 40
"""Of a run: others wait for the worker too, and the next minute goes on from where it ended."""


@shared_task(bind=True, max_retries=100)
def purge(self: Task) -> None:
    """Remove what is past its site's retention, and again in five minutes what was being read. Nightly."""
    purged = retention.purge()
    if purged and purged.busy:
        raise self.retry(countdown=300)


@shared_task
def tidy() -> None:
    """Forget ended sessions, old failed sign-ins and the roll-ups of removed sites. Nightly."""
    call_command("clearsessions")
    AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - timedelta(days=1)).delete()
    rollups.forget_sites()


@shared_task
def make_days_ahead() -> None:
    """Make the log's next days before the first entry asks for them."""
    partitions.ensure_days_ahead(datetime.now(UTC).date())


@shared_task
def roll_up() -> None:
    """Count the hours anew in which entries came or went. Every minute."""
    rollups.roll_up()


@shared_task
def close_days() -> None:
    """Give the days that are over their look-up indexes. Every hour."""
    closing.close_days()


@shared_task
def adopt_segments() -> None:
    """Ship what dead processes left in the spool. Every minute."""
    shipper.adopt()


@shared_task
def sync_filescom() -> None:
    """Copy what is new from every connected site of Files.com that does not want to be left alone. Every minute."""
    now = timezone.now()
    failed = Q(last_run_at__gt=now - sync.AFTER_AN_ERROR) & ~Q(last_error="")
    may_be_asked = FilesComConnection.objects.filter(Q(not_before=None) | Q(not_before__lte=now)).exclude(failed)
    for connection in may_be_asked.select_related("site"):
        if connection.has_key:  # else whoever has it copies, such as the command; the page says where it is expected
            sync_filescom_site.apply_async([connection.pk], expires=60)


@shared_task
def sync_filescom_site(pk: int) -> None:
    """Copy what is new from one connected site; what goes wrong is noted in the connection, which its page shows."""
    connection = FilesComConnection.objects.select_related("site").filter(pk=pk).first()
    if connection is None:
        return
    with suppress(SourceError):
        sync.run(connection, patience_seconds=SYNC_PATIENCE_SECONDS, budget_seconds=SYNC_BUDGET_SECONDS)
