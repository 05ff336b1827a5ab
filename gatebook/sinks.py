"""Sinks: where the shipper takes entries to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from django.db import DataError, Error, IntegrityError

from gatebook.entry import Entry


class SinkUnavailable(Exception):
    """The sink cannot take anything now; the entries stay in the spool and are sent again."""


class Rejection(NamedTuple):
    """An entry the sink will never take: its place in the batch and why."""

    place: int
    field: str | None
    error: str


class Sink(Protocol):
    """Takes batches. Writing the same entries again must be harmless: after a crash they come again."""

    def write(self, site: str | None, entries: Sequence[Entry]) -> Sequence[Rejection]:
        """Store all entries but those returned. Raises SinkUnavailable when none could be stored."""
        ...


class StoreSink:
    """The book in this project's own database."""

    def write(self, site: str | None, entries: Sequence[Entry]) -> Sequence[Rejection]:
        """Store entries in the site with that slug, else in the root site."""
        from auditlog.models import Site
        from auditlog.store import writer

        try:
            home = (Site.objects.filter(slug=site).first() if site else None) or Site.objects.root()
            if home is None:
                raise SinkUnavailable("no site yet")
            written = writer.write(home, entries)
        except (DataError, IntegrityError):
            raise  # an entry's fault, not the database's: the shipper finds out which one
        except (Error, OSError) as error:
            raise SinkUnavailable(f"{type(error).__name__}: {error}") from error
        return [Rejection(rejected.index, rejected.field, rejected.error) for rejected in written.rejected]
