"""The address of a question: how it is written, and what the book says of one that makes no sense."""

from __future__ import annotations

from django.http import HttpRequest, QueryDict
from django.utils import timezone

from auditlog.search import timerange
from auditlog.search.errors import QuestionError
from auditlog.search.language import parse, spread
from gatebook.capture import capture_of


def clean_address(request: HttpRequest) -> str | None:
    """Return this address as `cleaned` makes it; None if it is so already. Raises QuestionError on a malformed time."""
    query = cleaned(request.GET)
    if dict(query.lists()) == dict(request.GET.lists()):
        return None
    # Never empty: that would lead to the reader's default view.
    return f"{request.path}?{query.urlencode() or f'last={timerange.DEFAULT_LAST}'}"


def cleaned(query: QueryDict) -> QueryDict:
    """Return a query with its text spread, without empty parameters and with its times in UTC.

    A time without a zone is the reader's; written in UTC, the address means the same rows to everyone. Raises
    QuestionError on a malformed time.
    """
    query = query.copy()
    texts = query.getlist("q")
    if len(texts) > 1 and not any(parse(text).faults for text in texts[:-1]):  # a changed chip, and the other terms
        query["q"] = " ".join(texts)
    query = spread(query)
    once = {key: values[0] for key, values in query.lists() if len(values) == 1}
    times = timerange.in_utc(once, timezone.get_current_timezone())
    for key, values in list(query.lists()):
        query.setlist(key, [value for value in values if value])
    if len(query.getlist("columns")) > 1:  # the chooser's checkboxes
        query["columns"] = ",".join(query.getlist("columns"))
    for key, value in times.items():
        query[key] = value
    return query


def note_refusal(request: HttpRequest, error: QuestionError) -> None:
    """Let the entry of this request say what the reader was told."""
    capture = capture_of(request)
    capture.error_type, capture.error_message = "bad-request", str(error)
