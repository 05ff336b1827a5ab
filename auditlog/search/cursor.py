"""A place in a sorted answer, written as an opaque text for the URL."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.core.exceptions import ValidationError

from auditlog.models import ApiRequestLog
from auditlog.models.log import COLUMNS
from auditlog.search.errors import QuestionError
from auditlog.search.timerange import is_storable
from gatebook.entry import Moment


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The key of one row and its value in the sorted column; `now` is when the question was first asked."""

    sort: str
    value: str | int | bool | None
    created_at: Moment
    site_id: int
    request_id: str
    now: Moment

    @classmethod
    def from_text(cls, key: str, text: str, sort: str) -> Cursor | None:
        """Read the parameter `key`, empty for none. Raises QuestionError where it is no cursor of this order."""
        if not text:
            return None
        try:
            padded = text + "=" * (-len(text) % 4)
            cursor = _decode(base64.b64decode(padded, altchars=b"-_", validate=True))
            if not cursor.is_sound():
                raise ValueError
        except (binascii.Error, msgspec.MsgspecError, ValidationError, ValueError):
            raise QuestionError({key: f"{text[:40]} is not a place in an answer; take the links of a page."}) from None
        if cursor.sort != sort:
            raise QuestionError({key: f"belongs to the order {cursor.sort}, not to {sort}; begin at the first page."})
        return cursor

    def is_sound(self) -> bool:
        """Tell whether the database can compare with these values: anyone may write a cursor."""
        column = self.sort.removeprefix("-")
        if column not in COLUMNS or any("\x00" in text for text in (self.request_id, str(self.value))):
            return False
        if self.value is not None:
            field = ApiRequestLog._meta.get_field(column)
            field = getattr(field, "output_field", field)  # a generated field checks nothing itself
            if column == "created_at" or field.clean(self.value, None) != self.value:  # type: ignore[union-attr]
                return False
        return abs(self.site_id) < 2**31 and is_storable(self.created_at) and is_storable(self.now)

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()


_decode = msgspec.json.Decoder(Cursor).decode


def cursor_at(row: Any, sort: str, value: Any, now: datetime) -> Cursor:
    """Return the cursor at `row`, whose sorted column holds `value`."""
    return Cursor(sort, value, row.created_at.astimezone(UTC), row.site_id, row.request_id, now)


def cursor_at_time(moment: datetime, sort: str, now: datetime) -> Cursor:
    """Return the cursor between what began before `moment` and what began then or later."""
    return Cursor(sort, None, moment.astimezone(UTC), -(2**31) + 1, "", now)
