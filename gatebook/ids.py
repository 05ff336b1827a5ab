"""New Request-IDs: UUIDs of version 7, which sort by time."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7


def new_id() -> str:
    """Return a new Request-ID."""
    return str(uuid7())
