"""How often one key may ask: each web process keeps count for itself, without asking the database."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from django.db import connection

from auditlog.models import ApiKey
from auditlog.refusals import Refused

A_SECOND = 20
"""Requests of a key in the long run."""
AT_FIRST = 100
"""Requests that it may save up while it does not ask."""
OF_A_KEY = 4
"""Requests of a key at a time."""
AT_ONCE = 4
"""Questions of all keys that are asked at a time: the other connections are for the pages and the intake."""
PATIENCE_SECONDS = 2
"""How long one waits, for its turn or for its key's pace, before it is sent away: some clients never try again."""

_lock = threading.Lock()
_turns = threading.BoundedSemaphore(AT_ONCE)
_asking: Counter[int] = Counter()
_due: dict[int, float] = {}
"""Key → when all it has asked would have been asked at its pace."""


@contextmanager
def turn(key: ApiKey) -> Iterator[None]:
    """Hold a turn to ask, after a wait where the key asks faster than it may. Raises Refused."""
    with _lock:
        if _asking[key.pk] >= OF_A_KEY:
            sentence = f"{key} asks {OF_A_KEY} questions at this moment; ask again when one is answered."
            raise Refused(429, "rate-limited/too-many-concurrent-requests", sentence, {"Retry-After": "1"})
        wait = _wait(key)
        _asking[key.pk] += 1
    try:
        if wait:
            if not connection.in_atomic_block:
                connection.close()  # or whoever waits would keep the pages from the database
            time.sleep(wait)
        if not _turns.acquire(timeout=PATIENCE_SECONDS):
            sentence = "Too many others ask at this moment; ask again."
            raise Refused(429, "rate-limited/too-many-concurrent-requests", sentence, {"Retry-After": "1"})
        try:
            yield
        finally:
            _turns.release()
    finally:
        with _lock:
            _asking[key.pk] -= 1
            if not _asking[key.pk]:
                del _asking[key.pk]


def _wait(key: ApiKey) -> float:
    """Return for how many seconds a request of the key waits, and count it. Raises Refused where that is too long."""
    now = time.monotonic()
    for pk in [pk for pk, due in _due.items() if due < now]:
        del _due[pk]
    due = max(_due.get(key.pk, now), now)
    wait = due - now - (AT_FIRST - 1) / A_SECOND
    if wait > PATIENCE_SECONDS:
        sentence = f"{key} asks more than {A_SECOND} times a second; ask again later, or for more at a time (per_page)."
        raise Refused(429, "rate-limited/too-many-requests", sentence, {"Retry-After": str(ceil(wait))})
    _due[key.pk] = due + 1 / A_SECOND
    return max(wait, 0)
