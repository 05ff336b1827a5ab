"""Rows of the result: what was measured, against what, and whether it is what we claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEADINGS = ("what", "Gatebook", "compared with", "ratio", "reach", "met?")


@dataclass(frozen=True)
class Reach:
    """What a ratio has to be: `at_least`, or with `is_most` at most, `ratio`."""

    ratio: float
    is_most: bool = False

    def met_by(self, ratio: float) -> bool:
        """Tell whether `ratio` is within reach."""
        return ratio <= self.ratio if self.is_most else ratio >= self.ratio

    def __str__(self) -> str:
        return f"{'≤' if self.is_most else '≥'} {self.ratio:g}"


AS_FAST = Reach(1.0)


@dataclass(frozen=True)
class Row:
    """One line of the table. A ratio is Gatebook's speed over the peer's, unless `what` says otherwise."""

    what: str
    gatebook: str
    compared: str = ""
    ratio: float | None = None
    reach: Reach | None = None
    trouble: str = ""
    """Why there is no result."""

    @property
    def met(self) -> bool | None:
        """Whether the claim holds; None where there is none to hold."""
        if self.trouble:
            return False
        if self.ratio is None or self.reach is None:
            return None
        return self.reach.met_by(self.ratio)

    def cells(self) -> tuple[str, ...]:
        """Return the row's texts, one to a heading."""
        if self.trouble:
            return (self.what, "not measured", self.trouble, "", "", "NO")
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}" if self.ratio < 100 else f"{self.ratio:,.0f}"
        reach = "" if self.reach is None else str(self.reach)
        met = {True: "yes", False: "NO", None: "report"}[self.met]
        return (self.what, self.gatebook, self.compared, ratio, reach, met)

    def as_json(self) -> dict[str, Any]:
        """Return the row for the JSON file, its verdict included."""
        return {**asdict(self), "met": self.met}


def not_measured(what: str, error: BaseException) -> Row:
    """Return the row of a measurement that broke off."""
    sentence = " ".join(str(error).split())
    return Row(what, "", trouble=f"{type(error).__name__}: {sentence}"[:200])


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table that also reads well as it is."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written)


def time_text(seconds: float) -> str:
    """Return a time in the unit that reads best."""
    if abs(seconds) < 0.001:
        return f"{round(seconds * 1e6)} µs"
    if abs(seconds) < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"


def rate_text(rows: float, seconds: float) -> str:
    """Return a rate in rows a second."""
    return f"{rows / seconds:,.0f} rows/s"


def bytes_text(number: float) -> str:
    """Return a size in the unit that reads best."""
    for unit in ("bytes", "kB", "MB"):
        if abs(number) < 1000:
            return f"{number:.3g} {unit}" if unit != "bytes" else f"{number:.0f} bytes"
        number /= 1000
    return f"{number:.3g} GB"
