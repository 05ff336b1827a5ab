"""New Request-IDs: UUIDs of version 7 (RFC 9562), which sort by time."""

from __future__ import annotations

import os
import time

_VARIANT = 0b10 << 62
_RANDOM = 2**62 - 1


def new_id() -> str:
    """Return a new Request-ID."""
    # Python has uuid.uuid7 from 3.14 on. After the milliseconds come twelve bits of their fraction (§6.2, method 3).
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    tail = f"{int.from_bytes(os.urandom(8), 'big') & _RANDOM | _VARIANT:016x}"
    head = f"{milliseconds:012x}"
    return f"{head[:8]}-{head[8:]}-7{fraction:03x}-{tail[:4]}-{tail[4:]}"
