"""`manage.py demo_traffic`: the demo goes on."""

from __future__ import annotations

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from auditlog.demo import traffic
from auditlog.management.commands.load_demo import refuse_on_a_server


class Command(BaseCommand):
    """Write the demo's entries as their time comes."""

    help = (
        "Write the demo's entries as their time comes, until Ctrl-C or SIGTERM. A database that is away is waited for."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --yes."""
        parser.add_argument("--yes", action="store_true", help="also where this is not the quick start")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        refuse_on_a_server(yes=options["yes"])
        stop = Event()
        before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            written = traffic.run(stop)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        self.stdout.write("1 demo entry written." if written == 1 else f"{written:,} demo entries written.")
