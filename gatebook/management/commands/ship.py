"""`manage.py ship`: ship what dead processes have left in the spool."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gatebook import shipper, spool
from gatebook.sinks import SinkUnavailable


class Command(BaseCommand):
    """Adopt the spool's orphaned segments. Safe to run at any time, also twice."""

    help = "Ship the segments of the spool that no living process holds."

    def handle(self, *args: Any, **options: Any) -> None:
        """Ship and say what was done."""
        try:
            shipped = shipper.adopt()
        except (SinkUnavailable, OSError) as error:
            raise CommandError(f"Nothing is lost, but the spool could not be emptied: {error}") from error
        waiting = spool.backlog()
        self.stdout.write(
            f"{shipped.segments} segments adopted: {shipped.entries} entries shipped, {shipped.rejected} set aside. "
            f"{waiting.segments} segments of living processes wait, {waiting.bytes} bytes."
        )
