"""One API request as the REST door writes it: the 21 fields of Files.com's ApiRequestLog."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from auditlog.models import ApiRequestLog

FIELDS = {
    "timestamp": ("date-time", "The same as created_at, under its older name"),
    "created_at": ("date-time", "When it began, UTC to the microsecond"),
    "user_id": ("id", "Who"),
    "username": ("string", "Who, by name"),
    "impersonator_user_id": ("id", "Who acted as the user"),
    "user_is_from_parent_site": ("boolean", "Whether the user is one of the parent site"),
    "interface": ("string", "The door it came by, such as restapi or sftp"),
    "api_key_id": ("id", "The API key it was made with"),
    "api_key_prefix": ("string", "The beginning of that key"),
    "api_name": ("string", "The operation"),
    "request_method": ("string", "The HTTP method"),
    "request_path": ("string", "The path with its query string, without its secrets"),
    "request_ip": ("string", "The address of the client"),
    "request_id": ("string", "The Request-ID"),
    "request_host": ("string", "The host it was sent to"),
    "response_code": ("integer", "The HTTP status of the answer"),
    "user_agent": ("string", "The program of the client"),
    "error_type": ("string", "What went wrong, in a word"),
    "error_message": ("string", "What went wrong, in a sentence"),
    "success": ("boolean", "False from status 400 on, or where there is an error and no status"),
    "duration_ms": ("integer", "How long it took, in milliseconds"),
}
"""Field → (its kind, what it means). A field without a value is null."""

LARGEST_ID = 2**63 - 1
"""Clients read a number into 64 bits."""


def record(row: ApiRequestLog) -> dict[str, Any]:
    """Return the fields of an entry, in their order."""
    return {name: _written(kind, row, name) for name, (kind, _) in FIELDS.items()}


def _written(kind: str, row: ApiRequestLog, name: str) -> Any:
    value = getattr(row, "created_at" if name == "timestamp" else name)
    if kind == "date-time":
        return moment(value)
    return number_or_text(value) if kind == "id" else value


def moment(value: datetime) -> str:
    """Return a time as RFC 3339 has it, always with its microseconds: texts that sort as the times do."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def number_or_text(value: str | None) -> int | str | None:
    """Return an id as a number where clients that expect one read it back as the same id."""
    if value and value.isascii() and value.isdigit() and (number := int(value[:20])) <= LARGEST_ID:
        return number if str(number) == value else value
    return value
