"""Where the tests' own requests go: no further than the spool's shipper."""

from __future__ import annotations

from collections.abc import Sequence

from gatebook.entry import Entry
from gatebook.sinks import Rejection


class NoSink:
    """Take entries and keep none: a test's transaction is invisible to the shipper's thread."""

    def write(self, site: str | None, entries: Sequence[Entry]) -> Sequence[Rejection]:
        """Accept everything."""
        return []
