"""`manage.py load_demo`: a book to look around in."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from auditlog.demo import load


def refuse_on_a_server(*, yes: bool) -> None:
    """Raise CommandError unless this is the quick start, or `yes` was said."""
    if not settings.QUICK_START and not yes:
        raise CommandError(
            "This is not the quick start but a server's book (DATABASE_URL is set); --yes writes to it all the same."
        )


class Command(BaseCommand):
    """Load the demo."""

    help = (
        "Make the demo's sites Acme, Acme Europe and Acme Labs, people with roles on them, and 180 days of made-up "
        "entries up to now. Running it again only adds what has become due since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --yes."""
        parser.add_argument("--yes", action="store_true", help="also where this is not the quick start")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load, and say how much that was."""
        refuse_on_a_server(yes=options["yes"])
        began = time.monotonic()
        sites = load.make_sites()
        load.make_people(sites)
        stored, since = load.fill(sites, datetime.now(UTC))
        names = ", ".join(site.name for site in sites.values())
        if not stored:
            self.stdout.write(f"Nothing new: all demo entries up to now are in {names}.")
            return
        entries = "1 demo entry" if stored == 1 else f"{stored:,} demo entries"
        self.stdout.write(f"{entries} since {since:%Y-%m-%d} stored in {names}, in {time.monotonic() - began:.1f} s.")
