"""The entry: one API request as every door, the spool and the store see it."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec.structs import force_setattr

from gatebook.addresses import normal_address

INDEXED_LIMIT = 200
"""Characters of a text that an index holds: usernames, ids, the Request-ID."""

TEXT_LIMITS = {
    "request_id": INDEXED_LIMIT,
    "user_id": INDEXED_LIMIT,
    "username": INDEXED_LIMIT,
    "impersonator_user_id": INDEXED_LIMIT,
    "impersonator_username": INDEXED_LIMIT,
    "interface": 64,
    "api_key_id": INDEXED_LIMIT,
    "api_key_prefix": INDEXED_LIMIT,
    "api_name": INDEXED_LIMIT,
    "request_method": 32,
    "request_path": 8192,
    "request_ip": 64,
    "request_host": 255,
    "user_agent": 2048,
    "error_type": INDEXED_LIMIT,
    "error_message": 4096,
}
"""Every text field and the characters it keeps; what is over is cut and noted in `details["cut"]`."""

_limits = tuple(TEXT_LIMITS.values())
_texts = attrgetter(*TEXT_LIMITS)

DETAILS_LIMIT = 20
DETAIL_KEY_LIMIT = 64
DETAIL_VALUE_LIMIT = 1000

_REQUEST_ID_KEPT = 160  # the rest of a long Request-ID becomes a hash, so that distinct ones stay distinct
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

MAX_CODE = 999
FIRST_FAILURE = 400
"""The Response Code from which on a request is a failure."""
MAX_MILLISECONDS = 2**31 - 1

Code = Annotated[int, msgspec.Meta(ge=0, le=MAX_CODE)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_MILLISECONDS)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One API request. Field names are those of the database, the JSON lines and the API.

    However it is made, an Entry is fit to be stored: `created_at` is UTC, texts have their limits and no NUL,
    an empty text is None, `request_ip` is an address or None. Raises ValueError (TypeError for a wrong type,
    msgspec.ValidationError when decoding) naming the field.
    """

    created_at: Moment
    request_id: str
    user_id: str | None = None
    username: str | None = None
    impersonator_user_id: str | None = None
    impersonator_username: str | None = None
    user_is_from_parent_site: bool = False
    interface: str | None = None
    api_key_id: str | None = None
    api_key_prefix: str | None = None
    api_name: str | None = None
    request_method: str | None = None
    request_path: str | None = None
    request_ip: str | None = None
    request_host: str | None = None
    response_code: Code | None = None
    user_agent: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    duration_ms: Milliseconds | None = None
    details: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not isinstance(self.created_at, datetime):
            raise TypeError(f"created_at: {self.created_at!r}, expected a datetime")
        if self.created_at.tzinfo is None:
            raise ValueError(f"created_at: {self.created_at.isoformat()} has no time zone, expected one (such as Z)")
        if self.created_at.tzinfo is not UTC:
            force_setattr(self, "created_at", _in_utc(self.created_at))
        if self.response_code is not None:
            _check_number("response_code", self.response_code, MAX_CODE)
        if self.duration_ms is not None:
            _check_number("duration_ms", self.duration_ms, MAX_MILLISECONDS)
        if self.user_is_from_parent_site is not True and self.user_is_from_parent_site is not False:
            raise TypeError(f"user_is_from_parent_site: {self.user_is_from_parent_site!r}, expected True or False")
        notes: dict[str, str] = {}
        if self.request_ip is not None:
            address = normal_address(self.request_ip)
            if address is None and self.request_ip:
                notes["request_ip"] = clean(self.request_ip)[:DETAIL_VALUE_LIMIT]
            force_setattr(self, "request_ip", address)
        for name, limit, text in zip(TEXT_LIMITS, _limits, _texts(self), strict=True):
            # Three looks that cost next to nothing, for there is a text here more than ten times an entry.
            if text is None or (0 < len(text) <= limit and text.isascii() and "\x00" not in text):
                continue
            text = clean(text)
            if len(text) > limit:
                notes["cut"] = ", ".join(filter(None, [notes.get("cut"), f"{name} of {len(text)} characters"]))
                text = stored_request_id(text) if name == "request_id" else text[:limit]
            force_setattr(self, name, text or None)
        if not self.request_id:
            raise ValueError("request_id: is empty, expected a text")
        if self.details or notes:
            force_setattr(self, "details", _fit(self.details, notes))

    @property
    def success(self) -> bool:
        """Status: a code below 400, or without a code neither an error type nor a message."""
        if self.response_code is not None:
            return self.response_code < FIRST_FAILURE
        return self.error_type is None and self.error_message is None


FIELDS = tuple(Entry.__struct_fields__)


def clean(text: str) -> str:
    """Return `text` with NUL and what is not valid Unicode replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def text_of(data: bytes) -> str:
    """Return bytes from outside as text: UTF-8, with U+FFFD for what is none."""
    return clean(data.decode("utf-8", "replace"))


encode_json = msgspec.json.Encoder().encode
"""Turn an Entry (or a struct that holds one) into JSON bytes without a newline."""

decode_entry = msgspec.json.Decoder(Entry).decode
"""Read one Entry from JSON. Raises msgspec.ValidationError or msgspec.DecodeError."""


def entry_from(fields: dict[str, Any]) -> Entry:
    """Make an Entry from loose values, checked. Raises msgspec.ValidationError naming the field."""
    return msgspec.convert(fields, Entry)


def _check_number(name: str, value: object, largest: int) -> None:
    if not isinstance(value, int) or value is True or value is False:
        raise TypeError(f"{name}: {value!r}, expected a whole number")
    if not 0 <= value <= largest:
        raise ValueError(f"{name}: {value}, expected 0 to {largest}")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"created_at: {moment.isoformat()} is outside the years 1 to 9999 in UTC") from None


def stored_request_id(text: str) -> str:
    """Return a Request-ID as entries hold it: a long one keeps its beginning and a hash, so that it stays distinct."""
    text = clean(text)
    if len(text) <= INDEXED_LIMIT:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:_REQUEST_ID_KEPT]}-{digest[: INDEXED_LIMIT - _REQUEST_ID_KEPT - 1]}"


def _fit(details: dict[str, str], notes: dict[str, str]) -> dict[str, str]:
    """Return the details within their limits and our own notes, which always find room."""
    short = {
        clean(key)[:DETAIL_KEY_LIMIT]: clean(value)[:DETAIL_VALUE_LIMIT]
        for key, value in islice(details.items(), DETAILS_LIMIT)
    }
    kept = {key: value for key, value in short.items() if value}
    if not notes and len(short) == len(details):
        return kept
    earlier = kept.pop("cut", None)  # at a door before this one, or the sender's own
    kept = {key: value for key, value in kept.items() if key not in notes}
    cut = [notes.pop("cut", None), earlier]
    if len(short) < len(details) or len(kept) + len(notes) + any(cut) > DETAILS_LIMIT:
        kept = dict(islice(kept.items(), DETAILS_LIMIT - len(notes) - 1))
        cut.insert(0, f"details of {len(details)} entries")
    if any(cut):
        notes["cut"] = ", ".join(filter(None, cut))[:DETAIL_VALUE_LIMIT]
    return {**kept, **notes}
