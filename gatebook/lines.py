"""Lines: what one line of a segment says."""

from __future__ import annotations

import msgspec

from gatebook.entry import Entry


class Line(msgspec.Struct, frozen=True):
    """An entry and the site it is for."""

    site: str | None
    entry: Entry


decode_line = msgspec.json.Decoder(Line).decode
"""Read one line. Raises msgspec.DecodeError, ValueError or RecursionError."""
