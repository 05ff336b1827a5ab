"""`manage.py import_logs FILE… --site S`: take log files into the book."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGINT, SIGTERM, signal
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from tqdm import tqdm

from auditlog.intake import files, formats
from auditlog.intake.follow import follow
from auditlog.intake.opening import STDIN, is_packed
from auditlog.models import Site

SHIFT_LIMIT = 36_500

EPILOG = """\
Every line is stored, already there, or rejected with a reason; a bad line never ends the run. Importing a file again
adds nothing. All entries go to --site, also those whose lines name another site.

Logs older than the site's retention are rejected, unless they are moved: --shift-days N moves every entry by N days,
--rebase-time by as many whole days as bring the newest entry of all the files to yesterday (UTC), and says how many.
That number is the same all day, so repeating the import on the same day adds nothing. On another day it is another
number, and --rebase-time stores all entries once more, at their new days; to repeat an earlier import on a later day,
give the number it printed as --shift-days. A moved entry notes the shift in its details.

--follow reads the files from their beginnings and goes on with what is written to them, also after they are renamed or
emptied, until Ctrl-C or SIGTERM. Starting it again adds nothing twice.
"""


class _Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's, that keeps the epilog's lines."""


class Command(BaseCommand):
    """Import log files into a site."""

    help = "Import log files: plain or packed (.gz, .bz2, .zst), of any known format; - is standard input."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Show the epilog as it is written."""
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=_Formatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take files, site, format and shift."""
        known = "; ".join(f"{each.name}: {each.title}" for each in formats.FORMATS.values())
        parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
        parser.add_argument(
            "--site", required=True, help="the slug of the site the entries go to; a `site` in them is not followed"
        )
        parser.add_argument("--format", help=f"of all the files; by default each one's content tells ({known})")
        parser.add_argument(
            "--zone", default="UTC", help="of times that name none (default UTC), such as Europe/Berlin"
        )
        parser.add_argument(
            "--follow", action="store_true", help="go on with what is written to the files, until Ctrl-C or SIGTERM"
        )
        shift = parser.add_mutually_exclusive_group()
        shift.add_argument("--shift-days", type=int, default=0, metavar="N", help="move every entry by N days")
        shift.add_argument(
            "--rebase-time", action="store_true", help="move the newest entry to yesterday, by whole days"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at all the files first, then import one after the other, then say what became of them."""
        site = Site.objects.filter(slug=options["site"]).first()
        if site is None:
            raise CommandError(f"--site: there is no site {options['site']!r}.")
        if options["format"] not in (None, *formats.FORMATS):
            known = ", ".join(formats.FORMATS)
            raise CommandError(f"--format: {options['format']!r} is not known, expected one of {known}.")
        try:
            zone = ZoneInfo(options["zone"])
        except (ValueError, ZoneInfoNotFoundError, OSError):
            raise CommandError(f"--zone: {options['zone']!r} is not known, expected one like Europe/Berlin.") from None
        shift_days = options["shift_days"]
        if abs(shift_days) > SHIFT_LIMIT:
            raise CommandError(f"--shift-days: {shift_days} is too far, expected at most {SHIFT_LIMIT:,} days.")
        if options["files"].count(STDIN) > 1 or (options["rebase_time"] and STDIN in options["files"]):
            raise CommandError("-: standard input can be read only once; not twice, and not with --rebase-time.")
        try:
            if options["follow"]:
                self._check_follow(options["files"], options)
            found = [files.find(path, options["format"], zone) for path in options["files"]]
        except files.UnreadableError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}.") from None
        if options["rebase_time"]:
            shift_days = self._rebase(found)
        intake = files.Intake(site, shift_days=shift_days)
        if options["follow"]:
            self._follow(found, intake)
        else:
            with self._bar(found, "Importing") as bar:
                for file in found:
                    files.import_file(file, intake, bar.update)
        self._report(intake.tally, site, len(found))

    def _check_follow(self, paths: list[Path], options: dict[str, Any]) -> None:
        if options["rebase_time"]:
            raise CommandError("--follow: new lines have no newest one to rebase by; use --shift-days.")
        for path in paths:
            if path == STDIN:
                raise CommandError("--follow: standard input cannot be followed; name the file that is written to.")
            if is_packed(path):
                raise CommandError(f"--follow: {path} is packed and will not grow; import it without --follow.")
            if path.stat().st_size == 0 and options["format"] is None:
                raise CommandError(f"--follow: {path} is empty; say with --format what will be in it.")

    def _follow(self, found: list[files.LogFile], intake: files.Intake) -> None:
        stop = Event()
        before = {number: signal(number, lambda *_: stop.set()) for number in (SIGINT, SIGTERM)}
        try:
            names = ", ".join(str(file.path) for file in found)
            self.stdout.write(f"Following {names}; Ctrl-C ends it.")
            self.stdout.flush()
            follow(found, intake, stop)
        except files.UnreadableError as error:
            raise CommandError(str(error)) from None
        finally:
            for number, handler in before.items():
                signal(number, handler)

    def _rebase(self, found: list[files.LogFile]) -> int:
        with self._bar(found, "Looking for the newest entry") as bar:
            newest = files.newest(found, bar.update)
        if newest is None:
            return 0
        days = files.days_to_yesterday(newest, datetime.now(UTC).date())
        moved = newest + timedelta(days=days)
        self.stdout.write(
            f"Moving every entry by {days} days: the newest, of {newest:%Y-%m-%d %H:%M:%S} UTC, "
            f"becomes {moved:%Y-%m-%d %H:%M:%S} UTC. (On another day, --shift-days {days} repeats this.)"
        )
        return days

    def _bar(self, found: list[files.LogFile], what: str) -> tqdm[Any]:
        size = sum(file.size for file in found)
        return tqdm(
            total=size or None, desc=what, unit="B", unit_scale=True, disable=not sys.stderr.isatty(), leave=False
        )

    def _report(self, tally: files.Tally, site: Site, count: int) -> None:
        rejected = tally.rejected.total()
        where = "1 file" if count == 1 else f"{count:,} files"
        self.stdout.write(
            f"{tally.read:,} read from {where} = {tally.stored:,} stored in {site.slug} "
            f"+ {tally.duplicates:,} already there + {rejected:,} rejected"
        )
        for reason, times in tally.rejected.most_common():
            self.stdout.write(f"  {times:,} rejected: {reason}")
            for example in tally.examples[reason]:
                self.stdout.write(f"      {example}")
        if any("older than the retention" in reason for reason in tally.rejected):
            self.stdout.write(
                "To take in old entries, move them with --rebase-time or --shift-days, "
                f"or give {site.slug} a longer retention."
            )
