"""What arrives while someone looks at a log page: the rows its live switch asks for every few seconds.

Entries arrive late, some seconds after they began or, imported, much later. So the switch asks each time for all of the
last two minutes, as far as its page reaches, and names the rows it has; what began before that is told as a number.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import columns, lens
from auditlog.dashboard.address import note_refusal
from auditlog.dashboard.allowance import in_time
from auditlog.dashboard.table import LogTable
from auditlog.dashboard.text import visible
from auditlog.models import ApiRequestLog, Site
from auditlog.search import answers, pages
from auditlog.search.answers import Total
from auditlog.search.errors import QuestionError
from auditlog.search.pages import Page
from auditlog.search.question import Order, Question
from auditlog.search.snapshot import one_snapshot
from auditlog.search.timerange import EPOCH, TimeRange, written
from gatebook.capture import capture_of

MOST_NEW = pages.PAGE_SIZE
"""New rows that one answer brings; of more it says so, and the reader takes the newest page."""
MOST_KNOWN = 300
"""Rows that `static/js/live.js` names at most."""
ROWS_BUDGET_MS = 1_000
COUNT_BUDGET_MS = 300
UNRECORDED = timedelta(minutes=10)
"""How far back a poll reads without being in the book: some times what a switch needs that was never paused."""

_MICROSECOND = timedelta(microseconds=1)
_KEY_BYTES = 6
_KEY_LENGTH = 8
"""Characters of a key: `_KEY_BYTES` in base64."""


@dataclass(frozen=True)
class Live:
    """What a page tells its live switch; moments are microseconds since 1970."""

    query: str
    columns: str
    start: int
    now: int
    rows: str
    """The moment and key of each row on the page."""
    has_older: bool
    past: str
    """The query of the question up to the moment that stands for TO."""
    total: int | None
    """Entries that matched at `now`; None where that is not known exactly, or what is out of sight changes it."""


def offered(question: Question, page: Page | None, total: Total | None, shown: list[str]) -> Live | None:
    """Return what the live switch needs; None where nothing can arrive at the top of this page."""
    is_first = not (question.after or question.before or question.filters.data.get("to"))
    if page is None or page.searched_to or not is_first or page.order != Order():
        return None
    return Live(
        query=question.query(),
        columns=",".join(shown),
        start=_microseconds(question.time.start),
        now=_microseconds(question.now),
        rows=named(page.rows),
        has_older=page.older is not None,
        past=question.query({"last": None, "from": written(question.time.start), "to": "TO"}),
        total=None if total is None or total.is_capped else total.count,
    )


@require_safe
@login_required
def newer_rows(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Return the rows of the question that began at `since` or later and are not among the `known` ones.

    They have the columns `shown`. With `counted`, two moments, it also counts the entries between those, which tells
    how many arrived there.
    """
    site = access.site_or_404(request, site_slug)
    query = request.GET.copy()
    own = {name: "".join(query.pop(name, [])) for name in ("since", "known", "shown", "counted")}
    try:
        since = _moment("since", own["since"])
        shown = columns.chosen(QueryDict(urlencode({"columns": own["shown"]}))) or columns.of_reader(request)
        question = lens.question_of(request, site, query)
        counted = _between(request, site, query, own["counted"]) if own["counted"] else None
    except QuestionError as error:
        note_refusal(request, error)
        return HttpResponse(visible(str(error)), status=400, content_type="text/plain; charset=utf-8")
    if datetime.now(UTC) - since <= UNRECORDED:  # the question's now may be of a cursor, which anyone can write
        capture_of(request).ignore = True  # the page that asks is in the book
    recent = question.within(TimeRange(since, question.time.end))
    with one_snapshot():
        page = in_time(ROWS_BUDGET_MS, lambda: pages.fetch(recent, MOST_KNOWN + MOST_NEW + 1))
        total = in_time(COUNT_BUDGET_MS, lambda: answers.total(counted)) if counted else None
    if page is None:
        return HttpResponse("This takes too long to follow.", status=503, headers={"Retry-After": "10"})
    known = {own["known"][at : at + _KEY_LENGTH] for at in range(0, len(own["known"]), _KEY_LENGTH)}
    new = replace(page, rows=[row for row in page.rows if _key(row) not in known])
    context = {
        "site": site,
        "question": question,
        "page": new,
        "table": LogTable(new, shown, question),
        "order_words": "newest first",
        "now": _microseconds(question.now),
        "rows": named(new.rows),
        "is_too_much": len(new.rows) > MOST_NEW,
        "total": total.count if total and not total.is_capped else None,
    }
    return render(request, "_newer.html", context)


def named(rows: Iterable[ApiRequestLog]) -> str:
    """Return the moments and keys of rows, in their order."""
    return " ".join(f"{_microseconds(row.created_at)}.{_key(row)}" for row in rows)


def _between(request: HttpRequest, site: Site, query: QueryDict, moments: str) -> Question | None:
    """Return the question between two moments; None where time alone changes its answer, by retention."""
    start, _, end = moments.partition(",")
    time = TimeRange(_moment("counted", start), _moment("counted", end))
    query = query.copy()
    query.pop("last", None)
    query["from"] = written(time.start)
    question = lens.question_of(request, site, query).within(time)
    return question if question.reach.start == time.start else None


def _key(row: ApiRequestLog) -> str:
    digest = blake2b(f"{row.site_id} {row.created_at.timestamp()} {row.request_id}".encode(), digest_size=_KEY_BYTES)
    return urlsafe_b64encode(digest.digest()).decode()


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND


def _moment(name: str, text: str) -> datetime:
    try:
        return EPOCH + int(text) * _MICROSECOND
    except (ValueError, OverflowError):
        raise QuestionError({name: f"{text[:40]} is not a number of microseconds since 1970."}) from None
