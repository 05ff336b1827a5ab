"""One moment of the log for a whole page, and a budget for each part of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction
from psycopg import errors


class OutOfBudget(Exception):
    """A part of the page took longer than it may; the rest of the page stands."""


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Answer everything inside from the same moment: REPEATABLE READ, READ ONLY."""
    outermost = not connection.in_atomic_block  # within a test's transaction the level can no longer be set
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextmanager
def budget(milliseconds: int) -> Iterator[None]:
    """Let each query inside, and after it in this snapshot, take up to `milliseconds`.

    Raises OutOfBudget when one was stopped; the snapshot goes on.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [milliseconds])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, errors.QueryCanceled):
            raise OutOfBudget from error
        raise
