"""Durations in words: of one API request to the millisecond, of many as exactly as roll-ups know them."""

from __future__ import annotations


def exact_words(milliseconds: int) -> str:
    """Say the duration of one API request, as the table writes it: "0 ms", "5,584 ms"."""
    return f"{milliseconds:,} ms"


def rough_words(milliseconds: float) -> str:
    """Say a duration that is known within 5 %, without digits that nobody knows: "172 ms", "3.9 s", "12 min"."""
    for unit, size in (("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds >= size:
            number = milliseconds / size
            return f"{number:.1f}".removesuffix(".0") + f" {unit}" if number < 10 else f"{number:,.0f} {unit}"
    return f"{milliseconds:.0f} ms"
