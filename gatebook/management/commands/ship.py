"""`manage.py ship`: ship what dead processes have left in the spool."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gatebook import shipper, spool
from gatebook.sinks import SinkUnavailable


class Command(BaseCommand):
    """Adopt the spool's orphaned segments. Safe to run at any time, also twice."""

    help = "Ship the segments of the spool that no living process holds."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the one option."""
        parser.add_argument("--set-aside", action="store_true", help="try the lines again that the book has refused")

    def handle(self, *args: Any, set_aside: bool, **options: Any) -> None:
        """Ship and say what was done."""
        try:
            again = spool.current().take_back() if set_aside else 0
            shipped = shipper.adopt()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except (SinkUnavailable, OSError) as error:
            raise CommandError(f"Nothing is lost, but the spool could not be emptied: {error}") from error
        waiting = spool.backlog()
        if set_aside:
            self.stdout.write(f"{again} lines that were set aside were tried again.")
        self.stdout.write(
            f"{shipped.segments} segments adopted: {shipped.entries} entries shipped, {shipped.rejected} set aside. "
            f"{waiting.segments} segments of living processes wait, {waiting.bytes} bytes."
        )
