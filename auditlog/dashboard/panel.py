"""One API request beside the table: what `entry` in a log page's address names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString

from auditlog.dashboard.entry import facts
from auditlog.dashboard.table import address_beside, entry_address
from auditlog.models import ApiRequestLog, Site
from auditlog.search import entries
from auditlog.search.errors import QuestionError
from auditlog.search.pages import Page
from auditlog.search.question import Question
from gatebook.capture import capture_of


@dataclass(frozen=True)
class Beside:
    """What is named: an entry and its site; no entry where it is not, or no longer, in the book."""

    site: Site
    entry: ApiRequestLog | None


def named(text: str, sites: Sequence[Site]) -> Beside | None:
    """Read `site,time,Request-ID`, None for no text. Raises QuestionError where it is none of `sites`, or malformed."""
    if not text:
        return None
    slug, _, rest = text.partition(",")
    at, _, request_id = rest.partition(",")
    site = {site.slug: site for site in sites}.get(slug)
    if site is None or not at or not request_id:
        raise QuestionError({"entry": f"{text[:80]} names no API request, expected site,time,Request-ID as links do."})
    try:
        return Beside(site, entries.find(site, request_id, at))
    except QuestionError as error:
        raise QuestionError({"entry": " ".join(error.errors.values())}) from None


def is_asked_alone(request: HttpRequest) -> bool:
    """Tell whether a log page that is already there asks for its panel."""
    return bool(request.htmx) and request.htmx.target == "panel"  # type: ignore[attr-defined]


def alone(request: HttpRequest, beside: Beside | None, question: Question, page: Page | None) -> HttpResponse:
    """Answer with the panel; the book says that an entry was opened."""
    capture_of(request).api_name = "entry"
    answer = HttpResponse(drawn(request, beside, question, page))
    patch_vary_headers(answer, ["HX-Target"])
    return answer


def drawn(request: HttpRequest, beside: Beside | None, question: Question, page: Page | None) -> SafeString:
    """Return the panel, empty where nothing is named: the entry, and the ways to its neighbours on this page."""
    if beside is None:
        return render_to_string("_panel.html")
    entry, rows = beside.entry, page.rows if page else []
    context: dict[str, object] = {
        "site": beside.site,
        "asked": request.GET["entry"],
        "without": address_beside(question),
    }
    if entry:
        context |= facts(entry, beside.site) | {"page_address": entry_address(beside.site, entry)}
        around = [None, *rows, None]
        at = around.index(entry) if entry in rows else None
        neighbours = {"previous": around[at - 1], "next": around[at + 1]} if at else {}
        for name, row in neighbours.items():
            context[name] = row and address_beside(question, question.site(row.site_id), row)
    return render_to_string("_panel.html", context, request)
