"""`manage.py purge`: what the nightly task does, by hand."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from auditlog.store import retention


class Command(BaseCommand):
    """Remove entries that are older than their site's retention."""

    help = "Remove entries that are older than their site's retention. Safe to run at any time, also twice."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --dry-run."""
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    def handle(self, *args: Any, **options: Any) -> None:
        """Purge, and say what left."""
        dry_run = options["dry_run"]
        purged = retention.purge(dry_run=dry_run)
        if purged is None:
            self.stdout.write("Another purge is running; nothing to do.")
            return
        done = "would be" if dry_run else "were"
        span = f" ({purged.days[0]} to {purged.days[-1]})" if purged.days else ""
        self.stdout.write(f"{len(purged.days)} whole days or months{span} {done} dropped.")
        for slug, count in purged.rows.items():
            self.stdout.write(f"{count:,} entries of {slug} {done} deleted from days that other sites still need.")
        if purged.quarantined:
            self.stdout.write(f"{purged.quarantined:,} lines {done} removed from quarantine.")
        if purged.busy:
            self.stdout.write(f"{len(purged.busy)} days are being read right now; the next purge takes them.")
