"""Pages: a book with ten times the rows should turn its pages as fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from auditlog.search import pages
from auditlog.search.question import Question
from benchmarks.bench import Bench
from benchmarks.books import Book
from benchmarks.report import Reach, Row, time_text
from benchmarks.timing import Contestant, alternate

FLAT = Reach(1.3, is_most=True)
REPEATS = 51
DEEP = 1_000
"""The page of the third case. In a small run it is one in the newest tenth of the smaller book: further back a question
has fewer days to plan for, and the two books would differ in that."""


def page_rows(bench: Bench) -> Iterator[Row]:
    """Compare pages of the book with those of the book of a tenth."""
    assert bench.tenth  # noqa: S101
    with bench.tenth.opened():
        available = bench.tenth.question("last=30d").rows().count() // pages.PAGE_SIZE
    deep = min(DEEP, available // 10)
    cases = {
        "first page, 24 h": ("last=24h", 1),
        "first page, 30 d": ("last=30d", 1),
        f"page {deep:,}, 30 d": ("last=30d", deep),
    }
    for what, (query, number) in cases.items():
        times = alternate(
            {"full": _turner(bench.book, query, number), "tenth": _turner(bench.tenth, query, number)}, repeats=REPEATS
        )
        yield Row(
            f"{what}: time over that at a tenth of the rows",
            time_text(times["full"]),
            f"Gatebook at {bench.tenth.plan.rows:,} rows: {time_text(times['tenth'])}",
            times["full"] / times["tenth"],
            FLAT,
        )


def _turner(book: Book, query: str, number: int) -> Contestant:
    with book.opened():
        question = at_page(book.question(query), number)
        assert len(pages.fetch(question).rows) == pages.PAGE_SIZE  # noqa: S101

    def turn(_: int) -> object:
        with book.opened():
            return pages.fetch(question)

    return turn


def at_page(question: Question, number: int) -> Question:
    """Return the question with its cursor at page `number`."""
    if number == 1:
        return question
    return replace(question, after=pages.fetch(question, size=(number - 1) * pages.PAGE_SIZE).older)
