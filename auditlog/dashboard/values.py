"""One value of a column: the alternative of a search key that means it, and what people call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditlog.search import terms
from auditlog.search.answers import STANDING_IN, Facet
from auditlog.search.question import Question
from auditlog.search.terms import text
from gatebook.interfaces import label, value_of

VALUE_LENGTH = 60
"""Characters of a value before it is cut in the middle."""


def occurring(question: Question, facet: Facet) -> Iterator[tuple[Any, str, int]]:
    """Yield each value that entries have, sites as such, the alternative that means it, and how often it occurs."""
    for value, requests in facet.values:
        if value is not None:
            known = question.site(value) if facet.key == "site" else value
            yield known, part_of(facet.key, known, is_shared=value in facet.shared), requests


def means(key: str, part: str, value: Any) -> bool:
    """Tell whether an alternative means this value and nothing else; for none, whether it means any value."""
    if value is None:
        return part == "*"
    read = text(part)
    if read.has_wildcard:
        return False
    match key:
        case "interface":
            return value_of(read.value) == str(value)
        case "status":
            return read.value.casefold() == status(value)
        case "site":
            return read.value == str(value.slug)
    if key in STANDING_IN:
        read = read.without_equals()
    return read.value == str(value)


def is_plain(key: str, part: str) -> bool:
    """Tell whether an alternative means one value, not a pattern, a range or a network."""
    read = text(part)
    match key:
        case "code":
            return read.value.isdigit()
        case "ip":
            return "/" not in read.value and not read.has_wildcard
    return not read.has_wildcard


def part_of(key: str, value: Any, *, is_shared: bool = False) -> str:
    """Return the alternative that means this value and nothing else; as pages show it where others share it."""
    match key:
        case "interface":
            name = label(value) if value_of(label(value)) == value else value
        case "status":
            name = status(value)
        case "site":
            name = value.slug
        case _:
            name = str(value)
    return terms.shown(name) if is_shared else terms.exactly(name)


def status(success: bool) -> str:
    """Return a status as the key `status` has it."""
    return "success" if success else "failure"


def named(key: str, value: Any) -> str:
    """Return a value as people call it."""
    match key:
        case "interface":
            return label(value)
        case "status":
            return status(value).capitalize()
    return str(value)
