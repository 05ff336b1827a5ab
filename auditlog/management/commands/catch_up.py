"""`manage.py catch_up`: what the worker does behind the writer, by hand."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from auditlog.store import closing, rollups


class Command(BaseCommand):
    """Count touched hours anew and close the days that are over."""

    help = "Count touched hours anew and close the days that are over, as the worker does. Safe to run twice."

    def handle(self, *args: Any, **options: Any) -> None:
        """Catch up, and say what was done."""
        self.stdout.write(f"{rollups.roll_up():,} hours counted anew.")
        self.stdout.write(f"{len(closing.close_days()):,} days closed.")
