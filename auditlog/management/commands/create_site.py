"""`manage.py create_site SLUG --name N [--parent P] [--retention-days D]`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from auditlog.models import Site


class Command(BaseCommand):
    """Make a site."""

    help = "Make a site, or a child site with --parent."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the site's fields."""
        parser.add_argument("slug", help="the first part of its addresses, such as acme-eu")
        parser.add_argument("--name", required=True)
        parser.add_argument("--parent", help="the slug of its parent site")
        parser.add_argument("--retention-days", type=int, default=180)

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, or say in a sentence why not."""
        parent = None
        if options["parent"]:
            parent = Site.objects.filter(slug=options["parent"]).first()
            if parent is None:
                raise CommandError(f"--parent: there is no site {options['parent']!r}.")
        try:
            site = Site.objects.create(
                slug=options["slug"], name=options["name"], parent=parent, retention_days=options["retention_days"]
            )
        except ValidationError as error:
            raise CommandError(
                " ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
            ) from None
        self.stdout.write(f"Made the site {site.name}: its log is at /{site.slug}/logs/.")
