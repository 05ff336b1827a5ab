"""How long the parts of a page may take."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from auditlog.search.snapshot import OutOfBudget, budget

T = TypeVar("T")


class Allowance:
    """A time that the answers asked with it share."""

    def __init__(self, milliseconds: int) -> None:
        self._until = monotonic() + milliseconds / 1000

    def ask(self, answer: Callable[[], T]) -> T | None:
        """Return the answer, or None where it takes longer than what is left."""
        left = int((self._until - monotonic()) * 1000)
        if left < 1:
            return None
        try:
            with budget(left):
                return answer()
        except OutOfBudget:
            return None


def in_time(milliseconds: int, answer: Callable[[], T]) -> T | None:
    """Return the answer, or None where it takes longer."""
    return Allowance(milliseconds).ask(answer)
