"""`manage.py sync_filescom --site S [--since DATE] [--once]`: copy the API logs of Files.com into a site."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from signal import SIGTERM, default_int_handler, signal
from time import sleep as pause
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from auditlog.filescom.source import SourceError
from auditlog.filescom.sync import AFTER_AN_ERROR, Synced, run
from auditlog.models import FilesComConnection, Site
from auditlog.models.filescom import DEFAULT_BASE_URL

PATIENCE_SECONDS = 3600.0
EVERY_SECONDS = 60.0


class Command(BaseCommand):
    """Copy the API logs of Files.com into a site."""

    help = (
        "Copy the API logs of Files.com into a site: all that Files.com still has, then, every minute until Ctrl-C or "
        "SIGTERM, what is new. Where it was interrupted it goes on; nothing is stored twice. The site is connected on "
        "its page Settings, Files.com; or its API key is in FILESCOM_API_KEY_<SITE>, such as FILESCOM_API_KEY_ACME_EU."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the site, from when on, and whether to end."""
        parser.add_argument("--site", required=True, help="the slug of the site the entries go to")
        parser.add_argument("--base-url", help=f"where to ask, for this and later runs ({DEFAULT_BASE_URL})")
        parser.add_argument("--since", help="read from this day (UTC) or time on, also what was read before")
        parser.add_argument("--once", action="store_true", help="end when it has come to now")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run once, or every minute."""
        connection = self._connection(options)
        before = signal(SIGTERM, default_int_handler)
        try:
            if options["once"]:
                try:
                    self._run(connection)
                except SourceError as error:
                    raise CommandError(str(error)) from None
                return
            while True:
                wait = EVERY_SECONDS
                try:
                    self._run(connection)
                except SourceError as error:
                    self.stderr.write(str(error))
                    wait = max(AFTER_AN_ERROR.total_seconds(), error.wait_seconds)
                pause(wait)
        except KeyboardInterrupt:
            self.stdout.write("Ended; the next start goes on from here.")
        finally:
            signal(SIGTERM, before)

    def _connection(self, options: dict[str, Any]) -> FilesComConnection:
        site = Site.objects.filter(slug=options["site"]).first()
        if site is None:
            raise CommandError(f"--site: there is no site {options['site']!r}.")
        found = FilesComConnection.objects.filter(site=site).first()
        connection = found or FilesComConnection(site=site)
        connection.copy_from(options["base_url"] or connection.base_url)
        if since := options["since"]:
            connection.begin_at(_moment(since))
        try:
            connection.full_clean()
        except ValidationError as error:
            raise CommandError(f"--base-url: {' '.join(error.messages)}") from None
        connection.save_beside_a_run()
        return connection

    def _run(self, connection: FilesComConnection) -> None:
        with tqdm(desc="Copying", unit="s", unit_scale=True, disable=not sys.stderr.isatty(), leave=False) as bar:

            def progress(start: datetime, end: datetime, now: datetime) -> None:
                bar.total = (now - start).total_seconds()
                bar.update((end - start).total_seconds() - bar.n)

            synced = run(connection, patience_seconds=PATIENCE_SECONDS, progress=progress)
        self.stdout.write(_report(connection, synced))


def _report(connection: FilesComConnection, synced: Synced | None) -> str:
    if synced is None:
        return f"{connection.site.slug} is being copied by another run."
    return (
        f"{synced.read:,} read from {connection.base_url} = {synced.stored:,} stored in {connection.site.slug} "
        f"+ {synced.duplicates:,} already there + {synced.rejected:,} rejected, into quarantine"
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment > datetime.now(UTC) or moment.year < 1970:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(f"--since: {text!r}, expected a day that has begun, such as 2026-06-01.") from None
