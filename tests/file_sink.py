"""A sink for programs that tests start: it writes the Request-IDs it is given into a file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gatebook.entry import Entry
from gatebook.sinks import Rejection


class FileSink:
    """Appends to the file that FILE_SINK names."""

    def write(self, site: str | None, entries: Sequence[Entry]) -> list[Rejection]:
        """Append one line per entry."""
        with open(os.environ["FILE_SINK"], "a") as file:
            file.write("".join(f"{entry.request_id}\n" for entry in entries))
        return []
