"""`manage.py create_api_key SITE --name N --scope ingest [--scope read] [--expires-days D]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from auditlog.models import ApiKey, Scope, Site

MOST_DAYS = 36_500


class Command(BaseCommand):
    """Make an API key."""

    help = "Make an API key of a site and show it, once: the last line is the key alone."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the key's fields."""
        parser.add_argument("site", help="the slug of its site; the key also reaches the child sites of that")
        parser.add_argument("--name", required=True, help="who uses it, such as the web shop")
        parser.add_argument(
            "--scope", required=True, action="append", choices=Scope.values, help="what it may do; can be repeated"
        )
        parser.add_argument("--expires-days", type=int, metavar="D", help="in how many days it expires; never without")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, or say in a sentence why not."""
        site = Site.objects.filter(slug=options["site"]).first()
        if site is None:
            raise CommandError(f"There is no site {options['site']!r}.")
        expires_at = None
        if (days := options["expires_days"]) is not None:
            if not 1 <= days <= MOST_DAYS:
                raise CommandError(f"--expires-days: {days}, expected 1 to {MOST_DAYS:,}.")
            expires_at = timezone.now() + timedelta(days=days)
        try:
            key, secret = ApiKey.objects.issue(site, options["name"], options["scope"], expires_at)
        except ValidationError as error:
            raise CommandError(
                " ".join(f"--{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
            ) from None
        until = f"until {expires_at.isoformat(timespec='seconds')}" if expires_at else "until it is revoked"
        self.stdout.write(f"{key.name} may {' and '.join(key.scopes)} at {site.name}, {until}.")
        self.stdout.write("Its key is shown this once; Gatebook keeps no more than a hash of it:")
        self.stdout.write(secret)
