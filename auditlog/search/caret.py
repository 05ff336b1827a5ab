"""What is being typed at the caret of the search box: a key or a value, and the question around it."""

from __future__ import annotations

from dataclasses import dataclass

from auditlog.search import terms
from auditlog.search.language import tokens


@dataclass(frozen=True)
class Place:
    """What is being typed, at `start` to `end` of the text; without a `key` it is a key, or a bare word."""

    key: str
    typed: str
    start: int
    end: int
    beside: tuple[str, ...]
    """The other alternatives of the same value."""
    rest: str
    """The text without this term."""


def place_at(text: str, at: int) -> Place:
    """Return the place at a caret that stands before character number `at`."""
    begin, colon, is_closed = at, -1, True
    for start, end, first_colon, closed in tokens(text[:at]):
        if end == at:
            begin, colon, is_closed = start, first_colon, closed
    end = at + _reach(text[at:], is_closed=is_closed)
    rest = f"{text[:begin]} {text[end:]}".strip()
    if colon < 0:
        start = begin + text[begin:at].startswith("-")
        return Place("", text[start:at], start, at + _reach(text[at:end], ":"), (), rest)
    key, start = text[begin:colon].removeprefix("-").casefold(), colon + 1
    where = start
    for unit, quoted in terms.units(text[start:at]):
        where += len(unit)
        if unit == "," and not quoted:
            start = where
    stop = at + _reach(text[at:end], ",", is_closed=is_closed)
    stop -= text[at:stop].endswith(",")
    try:
        beside = terms.split(text[colon + 1 : start]) + terms.split(text[stop:end])
    except ValueError:  # in the midst of typing a quote
        beside = []
    return Place(key, _named(text[start:at]), start, stop, tuple(map(_named, beside)), rest)


def _named(part: str) -> str:
    """Return the text that an alternative names, without a `=` before it."""
    return terms.text(part).without_equals().value


def _reach(text: str, last: str = " ", *, is_closed: bool = True) -> int:
    """Return how much of what follows the caret belongs to what is before it: up to a blank, or with a `last` one.

    In an open quote it ends with the quote, but not with a far one, which is rather the beginning of another.
    """
    length = 0
    for unit, quoted in terms.units(text):
        if unit.isspace() and (not quoted or not is_closed):
            break
        length += len(unit)
        if (unit == last and not quoted) or (unit == terms.QUOTE and not is_closed):
            break
    return length
