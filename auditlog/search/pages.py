"""Pages of an answer by keyset: never a row skipped or repeated, however many arrive meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, Q
from django.db.models.functions import Left

from auditlog.models import ApiRequestLog
from auditlog.search import answers
from auditlog.search.cursor import Cursor, cursor_at
from auditlog.search.filters import Rows
from auditlog.search.question import SORTED_OVER_EVERYTHING, Order, Question

PAGE_SIZE = 50
SORT_LIMIT = answers.COUNT_LIMIT
"""Rows up to which any heading sorts."""

LONG_COLUMNS = ("request_path", "user_agent", "error_message")
SORTED_LENGTH = 200
"""Characters by which long texts are sorted: a cursor holds them, and proxies refuse long addresses."""

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


def fetch(question: Question, size: int = PAGE_SIZE) -> Page:
    """Return the page of `question` at its cursor."""
    order, after, before = possible_order(question), question.after, question.before
    refused = order != question.order
    if refused:
        after = before = None
    rows = question.rows()
    if before:
        found = list(_sorted(_beyond(rows, order, before, backwards=True), order, backwards=True)[: size + 1])
        more, shown = len(found) > size, found[:size][::-1]
        newer, older = more, bool(shown)
    else:
        if after:
            rows = _beyond(rows, order, after)
        found = list(_sorted(rows, order)[: size + 1])
        more, shown = len(found) > size, found[:size]
        newer, older = after is not None and bool(shown), more

    def cursor(row: ApiRequestLog) -> Cursor:
        return _cursor(row, order, question)

    return Page(
        rows=shown,
        older=cursor(shown[-1]) if older else None,
        newer=cursor(shown[0]) if newer else None,
        order=order,
        sort_refused=refused,
    )


def ordered(question: Question) -> Rows:
    """Return all rows of `question` in its order; newest first where that order is refused."""
    return _sorted(question.rows(), possible_order(question))


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


def _beyond(rows: Rows, order: Order, cursor: Cursor, *, backwards: bool = False) -> Rows:
    """Keep the rows after `cursor` in this order, or before it when going backwards."""
    if order.column == "created_at":
        down = order.descending is not backwards
        # The outer bound repeats the row comparison so that PostgreSQL starts the index scan at the cursor.
        outer = Q(created_at__lte=cursor.created_at) if down else Q(created_at__gte=cursor.created_at)
        return rows.filter(outer).filter(_key_beyond(cursor, down=down))
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
