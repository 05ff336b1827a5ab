"""New Request-IDs: UUIDs of version 7 (RFC 9562), which sort by time."""

from __future__ import annotations

import os
import random
import time

_chance = random.Random()  # noqa: S311 - ours alone: a project that seeds Python's would get its ids twice
_VARIANT = 0b10 << 62

os.register_at_fork(after_in_child=_chance.seed)


def new_id() -> str:
    """Return a new Request-ID. It is unique, not secret."""
    # Python has uuid.uuid7 from 3.14 on. After the milliseconds come twelve bits of their fraction (§6.2, method 3).
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    tail = _chance.getrandbits(62) | _VARIANT
    head = f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{(nanoseconds << 12) // 1_000_000:03x}"
    return f"{head}-{tail >> 48:04x}-{tail & 0xFFFF_FFFF_FFFF:012x}"
