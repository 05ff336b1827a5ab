"""The formats a log file can have: one module each, listed here."""

from __future__ import annotations

from auditlog.intake.formats import cloudtrail, combined, gatebook_jsonl
from auditlog.intake.formats.shape import Format

FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in (gatebook_jsonl, cloudtrail, combined)}
"""Every format by its name for `--format`, in the order in which they are tried."""


def detect(head: bytes) -> Format | None:
    """Return the format whose files begin like `head`, or None."""
    return next((each for each in FORMATS.values() if each.recognises(head)), None)
