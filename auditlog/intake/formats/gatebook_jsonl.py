"""Gatebook's own JSON lines: what the export writes, one entry a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from auditlog.intake.formats.shape import (
    Format,
    Rejected,
    decode_object,
    excerpt,
    first_lines,
    numbered_lines,
    reason_for,
)
from gatebook.entry import Entry, entry_from


def recognises(head: bytes) -> bool:
    """Whether a first line is an object with an entry's two required fields."""
    return any(
        line.startswith(b"{") and b'"created_at"' in line and b'"request_id"' in line for line in first_lines(head)
    )


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read one entry a line.

    An export also writes `success` and `site`. `success` follows from the other fields, so one that contradicts them
    is a reason to reject the line. `site` is not followed: the import says where entries go.
    """
    for number, line in numbered_lines(stream):
        if isinstance(line, Rejected):
            yield line
            continue
        try:
            yield entry_and_site(line)[0]
        except (ValueError, TypeError) as error:
            yield Rejected(number, reason_for(error), excerpt(line))


def entry_and_site(line: bytes) -> tuple[Entry, str | None]:
    """Return the entry on a line and the site it names. Raises ValueError or TypeError, for `reason_for` to word."""
    fields = decode_object(line)
    success = fields.pop("success", None)
    site = fields.pop("site", None)
    if success is not None and not isinstance(success, bool):
        raise ValueError("success: expected true or false")
    if site is not None and not isinstance(site, str):
        raise ValueError("site: expected a text")
    # An export may write every field; these two are never null in an Entry.
    for name in ("user_is_from_parent_site", "details"):
        if fields.get(name, ...) is None:
            del fields[name]
    entry = entry_from(fields)
    if success is not None and success != entry.success:
        raise ValueError(f"success: is {str(success).lower()}, but the response code or error says otherwise")
    return entry, site


FORMAT = Format("gatebook", "Gatebook JSON lines", recognises, read)
