"""One moment of the log for a whole page, and a budget for each part of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar, cast

from django.db import OperationalError, connection, transaction
from psycopg import errors


class OutOfBudget(Exception):
    """A part of the page took longer than it may; the rest of the page stands."""


T = TypeVar("T")

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_known: ContextVar[dict[Hashable, Any] | None] = ContextVar("known", default=None)


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Answer everything inside from the same moment: REPEATABLE READ, READ ONLY."""
    outermost = not connection.in_atomic_block  # within a test's transaction the level can no longer be set
    token = _known.set({})
    try:
        with transaction.atomic():
            if outermost:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    finally:
        _known.reset(token)


def once(key: Hashable, ask: Callable[[], T]) -> T:
    """Return what `ask` answers, the same within one snapshot, in which it cannot change: several answers need it."""
    known = _known.get()
    if known is None:
        return ask()
    if key not in known:
        known[key] = ask()
    return cast(T, known[key])


@contextmanager
def shared_budget(milliseconds: int) -> Iterator[None]:
    """Let the parts inside together take up to `milliseconds`, or what is left of a budget around them."""
    around, own = _deadline.get(), monotonic() + milliseconds / 1000
    token = _deadline.set(own if around is None else min(own, around))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def budget(milliseconds: int) -> Iterator[None]:
    """Ask what is inside as one part with a budget of its own. Raises OutOfBudget when a query was stopped."""
    with shared_budget(milliseconds), part():
        yield


@contextmanager
def part() -> Iterator[None]:
    """Ask one part of an answer in what is left of the budget; reading alone, and with lists for results.

    Raises OutOfBudget when a query was stopped; the snapshot goes on. Its end is a rollback, which gives back the locks
    on the days it looked at: a long walk would fill the lock table.
    """
    deadline = _deadline.get()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if deadline is not None:
                left = int((deadline - monotonic()) * 1000)
                if left <= 0:
                    raise OutOfBudget
                cursor.execute("SET LOCAL statement_timeout = %s", [left])
            yield
            if deadline is not None:
                cursor.execute("SET LOCAL statement_timeout = 0")  # a rollback that is stopped breaks the whole page
            transaction.set_rollback(True)
    except (OperationalError, OutOfBudget) as error:
        if not isinstance(error, OutOfBudget) and not isinstance(error.__cause__, errors.QueryCanceled):
            raise
        _expect_rolled_back()
        raise OutOfBudget from error
    _expect_rolled_back()


def _expect_rolled_back() -> None:
    """Raise OperationalError where the end of a part met no server; Django breaks the transaction and says nothing."""
    if connection.needs_rollback:
        raise OperationalError("The connection was lost at the end of a part.")
