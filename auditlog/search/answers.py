"""Answers about a question, each within its budget."""

from __future__ import annotations

from dataclasses import dataclass

from auditlog.search.question import Question

COUNT_LIMIT = 10_000
"""Counting stops here; a page says "10,000+"."""


@dataclass(frozen=True)
class Total:
    """How many rows match; `is_capped` where there are more than `count`."""

    count: int
    is_capped: bool

    def __str__(self) -> str:
        return f"{self.count:,}+" if self.is_capped else f"{self.count:,}"


def total(question: Question) -> Total:
    """Count the matching rows, up to `COUNT_LIMIT`."""
    count = question.rows().order_by()[: COUNT_LIMIT + 1].count()
    return Total(min(count, COUNT_LIMIT), count > COUNT_LIMIT)
