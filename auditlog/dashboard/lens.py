"""Which sites a page of a site is about: that site, the site with its child sites, or what its users did in those."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest, QueryDict

from auditlog import access
from auditlog.models import Site
from auditlog.search.errors import QuestionError
from auditlog.search.question import Question
from gatebook.capture import capture_of

SCOPES = {
    "site": "this site alone",
    "children": "this site with its child sites",
    "parent": "what users from this site, the parent, did in its child sites",
}
"""The values of the address' key `scope`, the first of which it need not name, and what each shows."""


@dataclass(frozen=True)
class Choice:
    """One of the things to choose from, here a scope, with the address of the same question there."""

    words: str
    title: str
    address: str
    is_current: bool


def question_of(request: HttpRequest, site: Site, query: QueryDict | None = None) -> Question:
    """Return the question of an address below `site`, about the sites of its scope that the reader may see.

    Every page, fragment and download of a site's log asks through here, so that they agree; `query` replaces an
    address that holds more than a question. Its "now" is when this request began, as the book will have it: a range
    does not include its end, so what a page counts and what its links find later do not differ by the page's own entry.
    Raises QuestionError.
    """
    now = capture_of(request).created_at
    query = request.GET if query is None else query
    scope = query.get("scope") or "site"
    if scope not in SCOPES:
        raise QuestionError({"scope": f"{scope} is not a scope, expected one of {', '.join(SCOPES)}."})
    if scope == "site":
        return Question.from_query(query, [site], now)
    children = list(access.child_sites_of(request.user, site))
    if not children:
        raise QuestionError({"scope": f"{scope} asks for child sites, and you have a role on none of {site.slug}."})
    if scope == "children":
        return Question.from_query(query, [site, *children], now)
    return Question.from_query(query, children, now, always=Q(user_is_from_parent_site=True))


def choices(request: HttpRequest, site: Site, question: Question) -> list[Choice]:
    """Return the scopes to choose from; none where there is nothing to choose."""
    children = access.child_sites_of(request.user, site).count()
    if not children:
        return []
    current = request.GET.get("scope") or "site"
    words = {
        "site": f"{site.name} alone",
        "children": "With its child site" if children == 1 else f"With its {children} child sites",
        "parent": "Its users in child sites",
    }
    return [
        Choice(
            words=words[scope],
            title=f"Show {title}",
            address=question.query({"scope": None if scope == "site" else scope, "site": None, "-site": None}),
            is_current=scope == current,
        )
        for scope, title in SCOPES.items()
    ]
