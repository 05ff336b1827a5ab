"""Gatebook's capture: record what happened to an API request, now, from any Python process."""

from __future__ import annotations

from gatebook.entry import Entry
from gatebook.ids import new_id
from gatebook.logs import request_id

__all__ = ["Entry", "new_id", "record", "request_id"]


def record(entry: Entry, site: str | None = None) -> bool:
    """Keep an entry for the site with that slug (None: the root site); it is shipped in the background.

    Never raises for trouble with the spool: returns False, logged and counted.
    """
    from gatebook import recording  # needs Django's settings, the Entry does not

    return recording.record(entry, site)
