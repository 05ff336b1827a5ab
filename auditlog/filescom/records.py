"""One record of Files.com as an entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditlog.intake.formats.shape import with_status
from auditlog.intake.formats.times import moment_of
from gatebook.entry import Entry, entry_from

_IDS = ("user_id", "impersonator_user_id", "api_key_id")


def fields_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record under the names and with the kinds of values that an entry has; ids are texts."""
    fields = {
        name: value for name, value in record.items() if value is not None and name not in ("timestamp", "success")
    }
    fields.setdefault("created_at", record.get("timestamp"))  # its older name
    for name in _IDS:
        if isinstance(fields.get(name), int):
            fields[name] = str(fields[name])
    return fields


def entry_of(record: dict[str, Any], username_of: Callable[[str], str | None]) -> Entry:
    """Return the entry of a record; the impersonator, of whom it has the id alone, gets a name.

    Raises ValueError or TypeError for `reason_for`.
    """
    fields = fields_of(record)
    fields["created_at"] = moment_of(fields["created_at"])
    if "request_id" not in fields:
        raise ValueError("request_id: is missing")
    if impersonator := fields.get("impersonator_user_id"):
        fields["impersonator_username"] = username_of(impersonator)
    success = record.get("success")
    return with_status(entry_from(fields), success if isinstance(success, bool) else None)
