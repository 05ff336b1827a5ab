"""What may follow in the search box: keys with what they mean, values with how often they occur."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard import lens
from auditlog.dashboard.address import cleaned
from auditlog.dashboard.allowance import in_time, in_time_left
from auditlog.dashboard.search_box import TIME_MEANINGS
from auditlog.dashboard.text import middle, visible
from auditlog.dashboard.values import VALUE_LENGTH, occurring, part_of
from auditlog.models import Site
from auditlog.search import answers, terms
from auditlog.search.caret import Place, place_at
from auditlog.search.errors import QuestionError
from auditlog.search.keys import KEYS
from auditlog.search.language import LONGEST, as_word
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot, shared_budget
from auditlog.search.timerange import LAST_IN_WORDS, TimeRange
from gatebook.capture import capture_of
from gatebook.interfaces import LABELS

BUDGET_MS = 300
WHOLE_BUDGET_MS = 200
"""Of it, for the question's whole time; what is left is for its last hour."""
RECENT = timedelta(hours=1)
MOST_VALUES = 10
SHORTEST_NAME = 3
"""Characters of a bare word from which on it may be the beginning of a name."""
LINE_BREAK = re.compile("[\r\n]")

WORDS = {
    "status": {"failure": "", "success": ""},
    "is": {"impersonated": "acted as someone else", "parent": "came from the parent site"},
    "last": LAST_IN_WORDS,
    "code": {"400..499": "client errors", ">=500": "server errors"},
    "duration": {">1000": "over a second", ">10000": "over ten seconds"},
}
"""Keys that take fixed words, and what these mean."""


@dataclass(frozen=True)
class Suggestion:
    """A text that may stand at the caret, and what it means or how often it occurs."""

    text: str
    note: str
    value: str = ""
    """The value that the text means."""

    @property
    def shown(self) -> str:
        """The text as a page may show it: a value without its quotes."""
        return visible(middle(self.value or self.text, VALUE_LENGTH))


@require_safe
@login_required
def suggestions(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Answer with what may follow at character `at` of the text `q`, and which part of the text it replaces."""
    site = access.site_or_404(request, site_slug)
    capture_of(request).ignore = True  # a search is in the book once it is asked
    text, at = request.GET.get("q", "")[:LONGEST], request.GET.get("at", "")
    if not at.isdecimal() or len(at) > len(str(LONGEST)):
        return JsonResponse(
            {"errors": {"at": f"{visible(at)} is not a place in a text, expected a number."}}, status=400
        )
    place = place_at(text, min(int(at), len(text)))
    found = values(place, request, site) if place.key else [*keys(place), *names(place, request, site)]
    options = [{"text": each.text, "shown": each.shown, "note": each.note} for each in found]
    return JsonResponse({"start": place.start, "end": place.end, "options": options})


def keys(place: Place) -> list[Suggestion]:
    """Suggest the keys that begin as typed, a few words that do, and the keys whose meaning has such a word."""
    typed = place.typed.casefold()
    named = [
        Suggestion(f"{key}:", " · ".join(filter(None, [label, example]))) for key, (label, _, example) in KEYS.items()
    ]
    named += [Suggestion(f"{key}:", meaning) for key, meaning in TIME_MEANINGS.items()]
    begin = [each for each in named if each.text.startswith(typed)]
    words = [
        Suggestion(f"{key}:{word}", meaning)
        for key in ("status", "is")
        for word, meaning in WORDS[key].items()
        if len(typed) > 1 and word.startswith(typed)
    ]
    mean = [each for each in named if any(word.startswith(typed) for word in each.note.casefold().split())]
    return list(dict.fromkeys([*begin, *words, *mean]))


def names(place: Place, request: HttpRequest, site: Site) -> list[Suggestion]:
    """Suggest the interfaces and users whose names a bare word begins."""
    typed = place.typed.casefold()
    if len(typed) < SHORTEST_NAME:
        return []
    found = [
        Suggestion(f"interface:{as_word(name)}", "") for name in LABELS.values() if name.casefold().startswith(typed)
    ]
    users = values(replace(place, key="user"), request, site)
    return found + [
        Suggestion(f"user:{user.text}", user.note) for user in users if user.value.casefold().startswith(typed)
    ]


def values(place: Place, request: HttpRequest, site: Site) -> list[Suggestion]:
    """Suggest values of the place's key, those that begin as typed before those that hold it elsewhere."""
    typed = place.typed.casefold()
    offered = {each.value: each for each in (*fixed(place.key), *counted(place, request, site))}
    found = [each for value, each in offered.items() if typed in value.casefold() and value not in place.beside]
    return sorted(found, key=lambda each: not each.value.casefold().startswith(typed))[:MOST_VALUES]


def fixed(key: str) -> Iterator[Suggestion]:
    """Yield the words that a key takes."""
    for word, meaning in WORDS.get(key, {}).items():
        yield Suggestion(word, meaning, word)
    if key in ("from", "to"):
        for days, meaning in {0: "today", 1: "yesterday", 7: "a week ago", 30: "30 days ago"}.items():
            day = str(timezone.localdate() - timedelta(days=days))
            yield Suggestion(day, meaning, day)


def counted(place: Place, request: HttpRequest, site: Site) -> Iterator[Suggestion]:
    """Yield the values that occur where all other conditions hold, the most frequent first.

    Where they cannot be counted in time they are those of the last hour, without their numbers.
    """
    if place.key not in answers.COUNTED:
        return
    try:
        question = asked(place, request, site)
    except QuestionError:
        return  # the answer will say what is wrong
    end = min(question.time.end, question.now)
    recent = question.within(TimeRange(max(question.time.start, end - RECENT), end))
    with one_snapshot(), shared_budget(BUDGET_MS):
        whole = in_time(WHOLE_BUDGET_MS, lambda: answers.facet(question, place.key, size=None))
        facet = whole or in_time_left(lambda: answers.facet(recent, place.key, size=None))
    if facet is None:
        return
    for value, part, requests in occurring(question, facet):
        if part and not LINE_BREAK.search(part):  # which a line of text cannot hold
            meant = terms.text(part_of(place.key, value)).value
            yield Suggestion(as_word(part), f"{requests:,}" if whole else "", meant)


def asked(place: Place, request: HttpRequest, site: Site) -> Question:
    """Return the question without what is being typed. Raises QuestionError."""
    kept = request.GET.copy()
    kept["q"] = place.rest
    del kept["at"]
    return lens.question_of(request, site, cleaned(kept))
