"""What a request to the REST door asks: its parameters, as the clients of Files.com write them, made a Question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from django.db.models import Q
from django.http import QueryDict

from auditlog.api import moments
from auditlog.api.moments import LATEST
from auditlog.models import Site
from auditlog.refusals import Refused
from auditlog.search import terms
from auditlog.search.errors import QuestionError
from auditlog.search.keys import any_of
from auditlog.search.pages import Page
from auditlog.search.question import SORTED_OVER_EVERYTHING, Question
from auditlog.search.timerange import EPOCH, TimeRange, written
from gatebook.addresses import normal_address
from gatebook.entry import clean
from gatebook.interfaces import value_of

FILTERS = {
    "filter": (
        "api_key_id",
        "interface",
        "request_id",
        "request_ip",
        "request_method",
        "success",
        "user_id",
        "created_at",
        "start_date",
        "end_date",
    ),
    "filter_prefix": ("interface", "request_id", "request_ip", "request_method"),
    "filter_gt": ("created_at",),
    "filter_gteq": ("created_at",),
    "filter_lt": ("created_at",),
    "filter_lteq": ("created_at",),
}
"""Parameter → the fields that it takes, in any combination; `start_date` and `end_date` are what there was before."""
ORDERS = SORTED_OVER_EVERYTHING
PLAIN = ("cursor", "per_page", "page", "q", "with_children")

DEFAULT_PER_PAGE = 100
MOST_PER_PAGE = 1_000
MOST_VALUES = 100
"""Values of one filter: more than anyone writes, and few enough to plan a query with."""

_SIDES = {"next": "after", "prev": "before"}
"""How a cursor begins → the parameter of a question that the rest of it is."""
_TICK = timedelta(microseconds=1)
_SHOWN = 100
_NAME = re.compile(r"(\w+)(?:\[(\w+)\](?:\[\d*\])?)?")
_NOTHING = ("", "null", "undefined")
"""How the clients write that there is no value; JavaScript's have words for it."""
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_ALIKE = {"api_key_id": "key", "request_id": "request", "request_ip": "ip", "user_id": "user"}
"""Field → the search key that asks for it and more; by it the pages know which index finds few."""

_Member = str | int | bool | None
Values = dict[tuple[str, str], list[str]]
"""(parameter, field) → its values."""


def with_children(query: QueryDict) -> bool:
    """Tell whether the child sites are asked too. Raises Refused."""
    return _boolean("with_children", _one(query, "with_children") or "false")


def per_page(query: QueryDict) -> int:
    """Return how many entries are asked for at a time. Raises Refused."""
    text = _one(query, "per_page") or str(DEFAULT_PER_PAGE)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_PER_PAGE:
        raise _refused("request-params-invalid", f"per_page: {_excerpt(text)}, expected 1 to {MOST_PER_PAGE:,}.")
    return int(text)


def asked(query: QueryDict, sites: Sequence[Site]) -> Question:
    """Read the parameters of a request about `sites`. Raises Refused, which names the parameter and the value."""
    values = _objects(query)
    params = QueryDict(mutable=True)
    params.update({"from": written(EPOCH), "to": written(LATEST)})
    params.setlist("q", query.getlist("q"))
    order = {field: values.pop((name, field)) for name, field in list(values) if name == "sort_by"}
    if order:
        params["sort"] = _sort(order)
    if cursor := _one(query, "cursor"):
        side, _, place = cursor.partition(":")
        if side not in _SIDES or not place:
            raise _invalid_cursor(cursor)
        params[_SIDES[side]] = place
    elif _one(query, "page") not in (None, "1"):
        raise _refused("request-params-invalid", "page: pages follow each other by cursor, from X-Files-Cursor-Next.")
    exactly, time = Q(), TimeRange(EPOCH, LATEST)
    for (name, field), given in values.items():
        if field in ("created_at", "start_date", "end_date"):
            time = time.clipped(_time(name, field, given)) or TimeRange(EPOCH, EPOCH)
            continue
        alternatives = _alternatives(f"{name}[{field}]", given)
        if name == "filter_prefix":
            exactly &= any_of(Q(**{f"{field}__startswith": text}) for text in alternatives)
            continue
        wanted = [_READERS.get(field, str)(text) for text in alternatives]
        if field != "request_id":  # which its key asks for exactly
            exactly &= Q(**{f"{field}__in": wanted})
        if field in _ALIKE:
            params.setlist(_ALIKE[field], [terms.exactly(text) for text in wanted])
    try:
        question = Question.from_query(params, sites, always=exactly)
    except QuestionError as error:
        raise _not_understood(error, cursor or "") from None
    return question.within(time)


def cursors(page: Page) -> dict[str, str]:
    """Return the headers that say where the answer goes on, to either side."""
    headers = {}
    if page.older:
        headers["X-Files-Cursor"] = headers["X-Files-Cursor-Next"] = f"next:{page.older}"
    if page.newer:
        headers["X-Files-Cursor-Prev"] = f"prev:{page.newer}"
    return headers


def _objects(query: QueryDict) -> Values:
    """Return the values of the parameters that are objects: `filter[a]=1`, `filter[a][]=1` or `filter={"a": 1}`."""
    values: Values = {}
    for written_name, given in query.lists():
        match = _NAME.fullmatch(written_name)
        name, field = match.groups() if match else (written_name, None)
        if name in PLAIN and field is None:
            continue
        if name not in FILTERS and name != "sort_by":
            allowed = ", ".join((*PLAIN, *FILTERS, "sort_by"))
            sentence = f"{_excerpt(written_name)} is not a parameter, expected one of {allowed}."
            raise _refused("request-params-invalid", sentence)
        for text in given:
            for each, value in [(field, text.strip())] if field else _members(name, text):
                if name in FILTERS and each not in FILTERS[name]:
                    fields = ", ".join(FILTERS[name])
                    sentence = f"{name} does not take {_excerpt(each)}, expected one of {fields}."
                    raise _refused("invalid-filter-field", sentence)
                if value not in _NOTHING:
                    values.setdefault((name, each), []).append(value)
    return values


def _members(name: str, text: str) -> Iterable[tuple[str, str]]:
    if text in _NOTHING:
        return
    try:
        members = msgspec.json.decode(text, type=dict[str, _Member | list[_Member]])
    except msgspec.MsgspecError:
        sentence = f"{name}: {_excerpt(text)} is no object, expected {name}[field]=value."
        raise _refused("invalid-filter-param-format", sentence) from None
    for field, value in members.items():
        for each in value if isinstance(value, list) else [value]:
            yield field, "" if each is None else str(each)


def _one(query: QueryDict, name: str) -> str | None:
    """Return the value of a parameter that has one at most. Raises Refused."""
    given = [value for value in query.getlist(name) if value not in _NOTHING]
    if len(given) > 1:
        raise _refused("request-params-invalid", f"{name} is given more than once.")
    return given[0] if given else None


def _sort(given: dict[str, list[str]]) -> str:
    """Return the order as a question writes it."""
    if len(given) > 1 or len(next(iter(given.values()))) > 1:
        raise _refused("multiple-sort-params-not-allowed", "sort_by takes one field and one direction.")
    ((column, (direction,)),) = given.items()
    if column not in ORDERS:
        sentence = f"sort_by does not take {_excerpt(column)}, expected one of {', '.join(ORDERS)}."
        raise _refused("invalid-sort-field", sentence)
    if direction.lower() not in ("asc", "desc"):
        sentence = f"sort_by[{column}]: {_excerpt(direction)}, expected asc or desc."
        raise _refused("invalid-sort-field", sentence)
    return f"-{column}" if direction.lower() == "desc" else column


def _alternatives(name: str, given: list[str]) -> list[str]:
    """Return the values of a filter, of which one is to hold: a comma joins several, as repeating does."""
    parts = [part.strip() for text in given for part in clean(text).split(",")]
    values = list(dict.fromkeys(filter(None, parts))) or given
    if len(values) > MOST_VALUES:
        sentence = f"{name} has {len(values):,} values, expected {MOST_VALUES} at most."
        raise _refused("invalid-filter-param-value", sentence)
    return values


def _address(text: str) -> str:
    address = normal_address(text)
    if address is None:
        sentence = f"filter[request_ip]: {_excerpt(text)} is no IP address, expected one such as 192.0.2.7."
        raise _refused("invalid-filter-param-value", sentence)
    return address


_READERS: dict[str, Callable[[str], Any]] = {
    "success": lambda text: _boolean("filter[success]", text),
    "request_ip": _address,
    "interface": value_of,
}
"""Field → what makes of a text the value that entries have."""


def _time(name: str, field: str, given: list[str]) -> TimeRange:
    """Return the time that a filter on it leaves. A date means the whole of its day."""
    if len(given) > 1:
        raise _refused("invalid-filter-param-value", f"{name}[{field}] is given more than once.")
    try:
        start, length = moments.read(given[0])
    except (ValueError, TypeError):
        expected = "expected one such as 2026-08-01T14:30:00Z or 2026-08-01"
        raise _refused("datetime-parse", f"{name}[{field}]: {_excerpt(given[0])} is no time, {expected}.") from None
    end = start + (length if length == timedelta(days=1) or (name == "filter" and field == "created_at") else _TICK)
    return {
        "created_at": TimeRange(start, end),
        "start_date": TimeRange(start, LATEST),
        "end_date": TimeRange(EPOCH, end),
        "filter_gt": TimeRange(end, LATEST),
        "filter_gteq": TimeRange(start, LATEST),
        "filter_lt": TimeRange(EPOCH, start),
        "filter_lteq": TimeRange(EPOCH, end),
    }[field if name == "filter" else name]


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise _refused("invalid-filter-param-value", f"{name}: {_excerpt(text)}, expected true or false.")
    return _BOOLEANS[text.lower()]


def _not_understood(error: QuestionError, cursor: str) -> Refused:
    if {"after", "before"} & error.errors.keys():
        return _invalid_cursor(cursor)
    said = " ".join(sentence if key == "q" else f"{key}: {sentence}" for key, sentence in error.errors.items())
    return _refused("invalid-filter-param-value", f"q: {said}")


def _invalid_cursor(text: str) -> Refused:
    sentence = f"cursor: {_excerpt(text)} is no place in this answer; take it from X-Files-Cursor-Next of a page."
    return _refused("invalid-cursor", sentence)


def _refused(kind: str, sentence: str) -> Refused:
    return Refused(422, f"bad-request/{kind}", sentence)


def _excerpt(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
