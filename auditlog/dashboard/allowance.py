"""Parts of a page that may be missing: their answers, or None where they take longer than they may."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from auditlog.search.snapshot import OutOfBudget, part, shared_budget

T = TypeVar("T")


def in_time(milliseconds: int, answer: Callable[[], T]) -> T | None:
    """Return the answer, or None where it takes longer."""
    with shared_budget(milliseconds):
        return in_time_left(answer)


def in_time_left(answer: Callable[[], T]) -> T | None:
    """Return the answer, or None where it takes longer than what is left of the budget around it."""
    try:
        with part():
            return answer()
    except OutOfBudget:
        return None
