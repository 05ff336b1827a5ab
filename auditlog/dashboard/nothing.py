"""What the log page says where no request matches: what stands in the way, and when there was something."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.http import QueryDict

from auditlog.dashboard.allowance import in_time, in_time_left
from auditlog.dashboard.sentence import Condition
from auditlog.dashboard.text import middle, visible
from auditlog.dashboard.values import VALUE_LENGTH, is_plain, named, occurring
from auditlog.search import answers, terms
from auditlog.search.answers import COUNTED, STANDING_IN, Total
from auditlog.search.language import CONDITION_KEYS
from auditlog.search.question import Question
from auditlog.search.snapshot import shared_budget
from auditlog.search.timerange import TimeRange

BUDGET_MS = 1_000
"""All that explains an empty answer; what is not counted by then is offered without its number."""
ALIKE_BUDGET_MS = 300
"""Of it, for the values that were probably meant."""
MOST_ALIKE = 3
AROUND = timedelta(minutes=5)
"""Before and after the newest request, where a link shows it."""


@dataclass(frozen=True)
class Way:
    """A question that asks for less, and how many requests match it; None where that was not counted in time."""

    query: str
    total: Total | None
    condition: Condition | None = None
    """The one that it is without, or asks for in a wider sense; None for all of them."""
    is_wider: bool = False


@dataclass(frozen=True)
class Alike:
    """A value that exists and looks like the one that was typed, and the address that asks for it instead."""

    name: str
    requests: int
    query: str


@dataclass(frozen=True)
class Nothing:
    """Why nothing matches."""

    is_first_day: bool
    """The site has no request at all."""
    ways: list[Way]
    """Those that lead to something, or may."""
    newest_at: datetime | None
    """When the newest request was made that meets the conditions, whenever that was; None where nobody knows of one."""
    newest: str
    """The query of the time around it."""
    is_never: bool = False
    """No request that is kept meets the conditions."""
    alike: tuple[Alike, ...] = ()
    """What was probably meant by the condition that stands in the way."""

    @property
    def has_wider(self) -> bool:
        """Tell whether a value that is compared whole could be a part of others."""
        return any(way.is_wider for way in self.ways)

    @property
    def culprit(self) -> Condition | None:
        """The one condition that stands in the way, where it is one alone."""
        return culprit_of(self.ways)


def nothing(question: Question, conditions: list[Condition]) -> Nothing:
    """Explain an empty answer; ask inside `one_snapshot`."""
    bare = question.query(dict.fromkeys((*CONDITION_KEYS, "q")))
    with shared_budget(BUDGET_MS):
        last = in_time_left(lambda: (answers.newest(asked(question, bare).over_everything_kept()),))
        if last == (None,):
            return Nothing(True, [], None, "")
        ways = [counted(question, Way(each.without, None, each)) for each in conditions]
        ways += [counted(question, Way(each.wider, None, each, is_wider=True)) for each in conditions if each.wider]
        if len(conditions) > 1 and not any(way.total and way.total.count for way in ways):
            ways.append(counted(question, Way(bare, None)))
        ways = [way for way in ways if not way.total or way.total.count]
        culprit = culprit_of(ways)
        meant = alike(question, culprit) if culprit else ()
        if conditions:
            last = in_time_left(lambda: (answers.newest(question.over_everything_kept()),))
    at = last[0] if last else None
    around = question.query(TimeRange(at - AROUND, at + AROUND).as_parameters()) if at else ""
    return Nothing(False, ways, at, around, is_never=last == (None,), alike=meant)


def culprit_of(ways: list[Way]) -> Condition | None:
    """Return the one condition that stands in the way, where it is one alone."""
    without = [way for way in ways if way.condition and not way.is_wider]
    return without[0].condition if len(without) == 1 and without[0].total else None


def alike(question: Question, condition: Condition) -> tuple[Alike, ...]:
    """Return the values that occur where the other conditions hold and look like the one that a condition asks for.

    What differs in upper and lower case alone comes first, then the most frequent. None where the key cannot be
    counted in time or is asked for otherwise too, and where the value is more than one plain text.
    """
    key, typed = condition.name, plain(condition)
    is_asked_twice = f"-{key}" in question.conditions() or any(term.key == key for term in question.words())
    if not typed or is_asked_twice:
        return ()
    facet = in_time(ALIKE_BUDGET_MS, lambda: answers.facet(question, key, size=None))
    if facet is None:
        return ()
    found = []
    for value, part, requests in occurring(question, facet):
        own = value.slug if key == "site" else str(value)
        spellings = {own.casefold(), named(key, value).casefold()}
        if any(typed in spelling for spelling in spellings):
            name = visible(middle(named(key, value), VALUE_LENGTH))
            found.append((typed not in spellings, Alike(name, requests, question.query({key: part}))))
    return tuple(each for _, each in sorted(found, key=lambda pair: pair[0])[:MOST_ALIKE])


def plain(condition: Condition) -> str:
    """Return the one text that a condition asks for under a key that is counted, in lower case; else nothing."""
    if condition.name not in COUNTED:
        return ""
    parts = terms.split(condition.written)
    if len(parts) != 1 or not is_plain(condition.name, parts[0]):
        return ""
    text = terms.text(parts[0])
    return (text.without_equals() if condition.name in STANDING_IN else text).value.casefold()


def counted(question: Question, way: Way) -> Way:
    """Return the way with its number."""
    return replace(way, total=in_time_left(lambda: answers.total(asked(question, way.query))))


def asked(question: Question, query: str) -> Question:
    """Return another question to the same sites at the same moment."""
    return Question.from_query(QueryDict(query), question.sites, question.now, question.always)
