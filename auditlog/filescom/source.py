"""Files.com, asked by its own SDK and politely: one question at a time, and again only after the wait it asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar

import files_sdk
from files_sdk.error import APIConnectionError, AuthenticationError, Error

from auditlog.api.record import moment
from auditlog.search.timerange import EPOCH
from gatebook.entry import clean

PER_PAGE = 1_000
"""The most that Files.com gives at a time."""
ATTEMPTS = 5
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT = timedelta(days=1)
"""More than that no answer makes us wait."""
NAMES_KEPT = 1_000
PRECISION = timedelta(hours=1)
"""How closely the oldest entry is looked for."""

_DIGITS = re.compile(r"[0-9]{1,19}")
_SHOWN = 300

T = TypeVar("T")


class SourceError(Exception):
    """Files.com does not give what it was asked for; the message is for its administrators."""

    def __init__(self, sentence: str, wait_seconds: float = 0) -> None:
        super().__init__(sentence)
        self.wait_seconds = wait_seconds
        """For how long not to ask again."""


class Source:
    """One site of Files.com."""

    def __init__(self, base_url: str, key: str, patience_seconds: float) -> None:
        self._base_url = base_url
        self._key = key
        self._patience_seconds = patience_seconds
        # It would ask again at once, take the key along to other hosts, and follow a host that an answer names.
        self._client = files_sdk.Client(
            api_key=key, base_url=base_url, max_network_retries=0, max_redirects=0, region_policy="disabled"
        )
        self.username = lru_cache(NAMES_KEPT)(self._username)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def page(
        self, start: datetime, end: datetime, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return entries that began from `start` on and before `end`, and the cursor of the next ones.

        Raises SourceError.
        """
        filters = {"filter_gteq": {"created_at": moment(start)}, "filter_lt": {"created_at": moment(end)}}
        return self._page({**filters, "per_page": PER_PAGE, **({"cursor": cursor} if cursor else {})})

    def has_any(self, start: datetime, end: datetime) -> bool:
        """Tell whether there is an entry from `start` on and before `end`. Raises SourceError."""
        filters = {"filter_gteq": {"created_at": moment(start)}, "filter_lt": {"created_at": moment(end)}}
        return bool(self._page({**filters, "per_page": 1})[0])

    def oldest(self, now: datetime) -> datetime | None:
        """Return a moment at most an hour before the oldest entry; None where there is none. Raises SourceError.

        Files.com knows no order to ask for, so it is looked for by halves.
        """
        newer, span = now, timedelta(days=1)
        if not self.has_any(EPOCH, now):
            return None
        while self.has_any(EPOCH, older := max(EPOCH, now - span)):
            newer, span = older, span * 2
        while newer - older > PRECISION:
            middle = (older + (newer - older) / 2).replace(microsecond=0)
            if self.has_any(EPOCH, middle):
                newer = middle
            else:
                older = middle
        return older

    def _username(self, user_id: str) -> str | None:
        """Return what a user is called; None of one who is gone, or whom the key may not see. Raises SourceError."""
        if not _DIGITS.fullmatch(user_id):
            return None
        try:
            user = self._ask(lambda: self._client.user.find(int(user_id)))
        except _Answered as answered:
            if answered.status in (403, 404):
                return None
            raise
        return user.username if isinstance(user.username, str) else None

    def _page(self, parameters: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        found = self._ask(lambda: self._client.api_request_log.list(parameters))
        return [record.get_attributes() for record in found], found.cursor  # type: ignore[no-untyped-call]

    def _ask(self, question: Callable[[], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return question()
            except (Error, RecursionError) as raised:
                error = raised if isinstance(raised, Error) else _nested()
                status = error.http_status
                wait = _asked_wait(error) or FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
                if not _passes(error, status):
                    raise _Answered(self._sentence(error, status), status) from None
                if attempt == ATTEMPTS or wait > self._patience_seconds:
                    raise SourceError(self._sentence(error, status), wait) from None
            time.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    def _sentence(self, error: Error, status: int | None) -> str:
        """Say what happened, to people; what Files.com said is cut, and never holds the key."""
        body = error.json_body
        kind = str(body.get("type", "")) if isinstance(body, dict) else ""
        message = str(error._message).partition("\n")[0]
        said = clean(f"{kind}: {message}" if kind else message).replace(self._key, "…")[:_SHOWN]
        if isinstance(error, AuthenticationError) or status == 401:
            return f"Files.com does not take the API key; replace it. ({said})"
        if "TooManyRedirects" in str(error):
            return f"{self._base_url} sends us on to another address, where the API key must not go; name that one."
        if kind.startswith("not-authenticated/lockout-region-mismatch"):
            return f"This site of Files.com wants to be asked at an address of its own; set that as base URL. ({said})"
        if status == 403 and kind.startswith("not-authorized"):
            return f"The API key may not read the API logs; it has to be one of a site administrator. ({said})"
        if status == 429:
            return f"Files.com asks for fewer questions; it goes on later. ({said})"
        if status is None:
            return f"{self._base_url} cannot be reached."
        if isinstance(error, APIConnectionError):
            return f"{self._base_url} answered {status} with what is no answer of Files.com."
        return f"Files.com answered {status}. ({said})"


class _Answered(SourceError):
    """A refusal that asking again does not change."""

    def __init__(self, sentence: str, status: int | None) -> None:
        super().__init__(sentence)
        self.status = status


def _nested() -> Error:
    """Return the error of an answer that the SDK cannot read, for all the brackets in it."""
    return APIConnectionError("nested too deeply", http_status=200)  # type: ignore[no-untyped-call]


def _passes(error: Error, status: int | None) -> bool:
    if isinstance(error, APIConnectionError):  # no answer, or one that is broken
        return status is None or status < 400 or status == 429 or status >= 500
    return status is not None and (status == 429 or (status >= 500 and status != 501))


def _asked_wait(error: Error) -> float:
    """Return for how many seconds the answer asks to be left alone: a number, or until a date."""
    text = str(error.headers.get("Retry-After", "")).strip()
    longest = LONGEST_WAIT.total_seconds()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return min(float(text), longest)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), longest)
