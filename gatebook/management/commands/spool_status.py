"""`manage.py spool_status`: what waits in the spool, and whether somebody should look at it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from gatebook import spool
from gatebook.conf import conf


class Command(BaseCommand):
    """Report the spool of this project. Ends with status 1 where something is wrong, for whoever watches over it."""

    help = "Say what waits in the spool to be shipped; status 1 where that is not as it should be."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Report."""
        try:
            backlog = spool.backlog()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        oldest = (
            f", the oldest entry from {backlog.oldest_at.isoformat(timespec='seconds')}" if backlog.oldest_at else ""
        )
        share = backlog.used_bytes / backlog.limit_bytes
        self.stdout.write(
            f"Spool     {conf().spool}\n"
            f"Waiting   {backlog.segments} segments, {backlog.bytes} bytes{oldest}\n"
            f"Streams   {backlog.streams} processes note answers that are being sent\n"
            f"Set aside {backlog.rejected} lines the book refused, with the reason, in {spool.REJECTED_NAME}.jsonl\n"
            f"Room      {backlog.used_bytes} of {backlog.limit_bytes} bytes used ({share:.1%})"
        )
        if complaints := backlog.complaints():
            raise CommandError("\n".join(f"Look at this: {complaint}." for complaint in complaints))
        self.stdout.write("All is well.")
