"""Gatebook's own JSON lines: what the export writes, one entry a line."""

from __future__ import annotations

from typing import Any

from auditlog.intake.formats.lines import Objects, line_format
from auditlog.intake.formats.shape import decode_object, first_lines
from gatebook.entry import Entry, decode_entry, entry_from


def recognises(head: bytes) -> bool:
    """Whether a first line is an object with an entry's two required fields."""
    return any(
        line.startswith(b"{") and b'"created_at"' in line and b'"request_id"' in line for line in first_lines(head)
    )


def entry_and_site(line: bytes) -> tuple[Entry, str | None]:
    """Return the entry that a line is, and the site it names. Raises ValueError or TypeError for `reason_for`."""
    try:
        return decode_entry(line), None  # most lines hold nothing else
    except (ValueError, TypeError):
        return _from_object(decode_object(line))


def _from_object(fields: dict[str, Any]) -> tuple[Entry, str | None]:
    """Return what `entry_and_site` does.

    An export also writes `success` and `site`. `success` follows from the other fields, so one that contradicts them
    is a reason to reject the line.
    """
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


def _entry(fields: dict[str, Any], line: bytes) -> Entry:
    return _from_object(fields)[0]  # the import says where entries go


FORMAT = line_format("gatebook", "Gatebook JSON lines", recognises, lambda source: Objects(_entry))
