"""Pages of an answer by keyset: never a row skipped or repeated, however many arrive meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, Value
from django.db.models.functions import Left

from auditlog.models import ApiRequestLog
from auditlog.search import answers
from auditlog.search.cursor import Cursor, cursor_at, cursor_at_time
from auditlog.search.filters import Rows
from auditlog.search.question import SORTED_OVER_EVERYTHING, Order, Question
from auditlog.search.slices import slices
from auditlog.search.snapshot import OutOfBudget, budget, part
from auditlog.search.timerange import TimeRange

PAGE_SIZE = 50
SORT_LIMIT = answers.COUNT_LIMIT
"""Rows up to which any heading sorts."""

LONG_COLUMNS = ("request_path", "user_agent", "error_message")
SORTED_LENGTH = 200
"""Characters by which long texts are sorted: a cursor holds them, and proxies refuse long addresses."""

LOOKED_UP = {"user", "impersonator", "key", "ip", "error"}
"""Keys that closed days have look-up indexes for."""
IN_ORDER_MS = 100
"""How long to walk rows in order for one that a look-up index would find. Who did much is met at once that way, and
would take long to sort; who did little is not met at all."""

_KEY = ("created_at", "site_id", "request_id")


@dataclass(frozen=True)
class Page:
    """Some rows in order, and the cursors to either side of them (None where the answer ends)."""

    rows: list[ApiRequestLog]
    older: Cursor | None
    newer: Cursor | None
    order: Order
    sort_refused: bool = False
    """The order asked for needs fewer matches; these rows are newest first instead."""
    searched_to: datetime | None = None
    """How far the search came before its budget was spent, and where the walk goes on; None: it came through."""


def fetch(question: Question, size: int = PAGE_SIZE) -> Page:
    """Return the page of `question` at its cursor. Raises OutOfBudget where not even a day was searched in time."""
    order, cursor = possible_order(question), question.after or question.before
    refused = order != question.order
    if refused:
        cursor = None
    backwards = cursor is not None and cursor is question.before
    found, searched_to = _found(question, order, cursor, size + 1, backwards=backwards)
    shown = found[:size]
    onward = _cursor(shown[-1], order, question) if len(found) > size else None
    if searched_to:
        onward = cursor_at_time(searched_to, str(order), question.now)
    back = _cursor(shown[0], order, question) if cursor and shown else None
    return Page(
        rows=shown[::-1] if backwards else shown,
        older=back if backwards else onward,
        newer=onward if backwards else back,
        order=order,
        sort_refused=refused,
        searched_to=searched_to,
    )


def _found(
    question: Question, order: Order, cursor: Cursor | None, size: int, *, backwards: bool
) -> tuple[list[ApiRequestLog], datetime | None]:
    """Return the first `size` rows from the cursor on, and where the search stopped if its budget was spent before.

    By date it goes slice by slice, so that what is found early is not lost to what takes long.
    """
    if order.column != "created_at":
        rows = question.rows()
        if cursor:
            rows = _beyond(rows, order, cursor, backwards=backwards)
        return list(_sorted(rows, order, backwards=backwards)[:size]), None
    down = order.descending is not backwards
    beyond = _key_beyond(cursor, down=down) if cursor else Q()
    found: list[ApiRequestLog] = []
    time = question.reach if cursor is None else _from_cursor(question.reach, cursor, down=down)
    looks_up = not LOOKED_UP.isdisjoint(question.conditions())
    # A Request-ID is a row or none: its index is asked at once, not slice by slice. It cannot find one by a wildcard.
    ids = question.conditions().get("request")
    is_one = ids is not None and "*" not in "".join(ids)
    for number, here in enumerate([time] if is_one else slices(time, newest_first=down)):
        rows = question.within(here).rows().filter(beyond)
        try:
            found += _first(rows, order, size - len(found), backwards=backwards, looks_up=looks_up)
        except OutOfBudget:
            if number == 0:
                raise
            return found, here.end if down else here.start
        if len(found) == size:
            break
    return found, None


def _first(rows: Rows, order: Order, size: int, *, backwards: bool, looks_up: bool) -> list[ApiRequestLog]:
    """Return the first rows by date, in their order at first; where that takes long, what the look-up finds, sorted."""
    in_order = _sorted(rows, order, backwards=backwards)
    if not looks_up:
        with part():
            return list(in_order[:size])
    try:
        with budget(IN_ORDER_MS):
            return list(in_order[:size])
    except OutOfBudget:
        # Few match. A sum is a value that no index is in the order of: PostgreSQL has to find them by another one.
        date = F("created_at") + Value(timedelta(0))
        date_first = date.desc() if order.descending is not backwards else date.asc()
        with part():
            return list(in_order.order_by(date_first, *in_order.query.order_by[1:])[:size])


def in_turn(question: Question) -> Iterator[Rows]:
    """Yield all rows of `question` in its order, newest first where that order is refused.

    By date they come slice by slice, each to be read in a `part()` of its own, which frees the days before.
    """
    order = possible_order(question)
    if order.column != "created_at":
        yield _sorted(question.rows(), order)
        return
    for time in slices(question.reach, newest_first=order.descending):
        yield _sorted(question.within(time).rows(), order)


def possible_order(question: Question) -> Order:
    """Return the question's order, or newest first where too many rows match to sort them so."""
    order = question.order
    if order.column in SORTED_OVER_EVERYTHING:
        return order
    total = answers.total(question)
    return Order() if total.is_capped or total.count > SORT_LIMIT else order


def _sorted(rows: Rows, order: Order, *, backwards: bool = False) -> Rows:
    key_descending = order.descending if order.column == "created_at" else True
    key = [F(name).desc() if key_descending is not backwards else F(name).asc() for name in _KEY]
    if order.column == "created_at":
        return rows.order_by(*key)
    column = _sorted_by(order)
    if order.descending is not backwards:
        return rows.order_by(column.desc(**_nulls(backwards)), *key)
    return rows.order_by(column.asc(**_nulls(backwards)), *key)


def _sorted_by(order: Order) -> F | Left:
    return Left(order.column, SORTED_LENGTH) if order.column in LONG_COLUMNS else F(order.column)


def _nulls(backwards: bool) -> dict[str, bool]:
    return {"nulls_first": True} if backwards else {"nulls_last": True}


def _from_cursor(time: TimeRange, cursor: Cursor, *, down: bool) -> TimeRange:
    """Return the part of `time` that lies beyond the cursor, so that PostgreSQL starts the index scan there."""
    if down:
        return TimeRange(time.start, min(time.end, cursor.created_at + timedelta(microseconds=1)))
    return TimeRange(max(time.start, cursor.created_at), time.end)


def _beyond(rows: Rows, order: Order, cursor: Cursor, *, backwards: bool = False) -> Rows:
    """Keep the rows after `cursor` in an order other than by date, or before it when going backwards."""
    key = _key_beyond(cursor, down=not backwards)
    rows = rows.alias(sorted_by=_sorted_by(order))
    is_null = Q(sorted_by__isnull=True)
    if cursor.value is None:
        return rows.filter(~is_null | (is_null & key) if backwards else is_null & key)
    comparison = "lt" if order.descending is not backwards else "gt"
    condition = Q(**{f"sorted_by__{comparison}": cursor.value}) | (Q(sorted_by=cursor.value) & key)
    return rows.filter(condition if backwards else condition | is_null)


def _key_beyond(cursor: Cursor, *, down: bool) -> Q:
    than = "lt" if down else "gt"
    at, site_id = Q(created_at=cursor.created_at), Q(site_id=cursor.site_id)
    return (
        Q(**{f"created_at__{than}": cursor.created_at})
        | (at & Q(**{f"site_id__{than}": cursor.site_id}))
        | (at & site_id & Q(**{f"request_id__{than}": cursor.request_id}))
    )


def _cursor(row: ApiRequestLog, order: Order, question: Question) -> Cursor:
    value = None if order.column == "created_at" else getattr(row, order.column)
    if order.column in LONG_COLUMNS and value is not None:
        value = value[:SORTED_LENGTH]
    return cursor_at(row, str(order), value, question.now)
