"""What every measurement gets, and the frame in which one that fails cannot end the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.books import Book, say
from benchmarks.data import Generator
from benchmarks.peers import Peer
from benchmarks.report import Row, not_measured
from benchmarks.timing import REPEATS


@dataclass
class Bench:
    """The books and peers of this run."""

    generator: Generator
    book: Book
    tenth: Book | None
    peers: Sequence[Peer]
    profile: bool = False
    repeats: int = REPEATS


@dataclass(frozen=True)
class Measurement:
    """One subject: its name for ONLY, what it measures, and what it needs besides the book."""

    name: str
    measure: Callable[[Bench], Iterable[Row]]
    needs_book: bool = True
    """Else the book may be a small one."""
    needs_tenth: bool = False
    needs_peers: bool = False


class Disagreement(Exception):
    """Gatebook and a peer answer differently: then there is nothing to compare."""


def run(measurement: Measurement, bench: Bench) -> Iterator[Row]:
    """Yield the rows of a measurement; where it breaks off, the last one says why."""
    say(f"measuring: {measurement.name}")
    try:
        with bench.book.opened():
            yield from measurement.measure(bench)
    except Exception as error:  # noqa: BLE001  (the other measurements stand)
        yield not_measured(measurement.name, error)


def each(subjects: Iterable[tuple[str, Callable[[], Iterable[Row]]]]) -> Iterator[Row]:
    """Yield the rows of several subjects, each of which may fail alone."""
    for what, measure in subjects:
        try:
            yield from measure()
        except Exception as error:  # noqa: BLE001  (the other subjects stand)
            yield not_measured(what, error)
