"""What the log page says it shows: the conditions as chips, the time, the counts and how they compare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl

from django.utils import timezone

from auditlog.dashboard.calendar import calendar
from auditlog.dashboard.chart import counted, range_words, share_words, span_words
from auditlog.dashboard.text import visible
from auditlog.models.log import COLUMNS
from auditlog.search import terms
from auditlog.search.answers import Outcomes, Volume
from auditlog.search.keys import KEYS
from auditlog.search.language import Term, as_word
from auditlog.search.question import Order, Question
from auditlog.search.timerange import DEFAULT_LAST, LAST_IN_WORDS
from gatebook.interfaces import label

TEXT_KEYS = ("user", "impersonator", "key", "api", "method", "path", "request", "host", "agent", "type")
"""Keys that compare whole texts."""
LEADS = {
    "": "containing",
    "user": "by",
    "impersonator": "impersonated by",
    "is": "that are",
    "interface": "through",
    "api": "calling",
    "path": "to",
    "ip": "from",
    "host": "at",
    "duration": "taking",
}
"""Key → what leads up to its value in the sentence, if not "with" and its name; bare words have no key."""
WORDS = {"parent": "from the parent site"}
"""Values of `is` that read badly after "that are"."""
DAY = timedelta(days=1)
LONG = 3 * DAY
"""A time that nobody counts in hours."""
PERIODS = {timedelta(hours=1): "hour", DAY: "day", timedelta(days=7): "week"}


@dataclass(frozen=True)
class Condition:
    """One condition of the question, as a chip; its addresses are query strings."""

    label: str
    lead: str
    """The words before it: "by", "not through"."""
    value: str
    """As the sentence shows it."""
    name: str
    """The parameter that holds it: a key, `-key`, or `q` for a term of the text."""
    written: str
    """Its value as one changes it."""
    kept: list[tuple[str, str]]
    """The parameters of all that stays when it is changed."""
    is_negated: bool
    without: str
    opposite: str
    """The address that leaves out what this one asks for, or asks for what it leaves out."""
    wider: str | None
    """The address that asks for texts which contain the value; None where that makes no sense."""


@dataclass(frozen=True)
class Time:
    """The time of a question in words."""

    lead: str
    words: str
    without: str | None
    """The address without it; None where it is the time that nobody has to ask for."""
    name: str = ""
    """What it is called, where the words say more than that."""

    def __str__(self) -> str:
        return f"{self.lead} {self.words}".strip()


@dataclass(frozen=True)
class Part:
    """A part of the sentence, and the query of exactly the requests it counts; None where there are none."""

    words: str
    query: str | None


def conditions(question: Question) -> list[Condition]:
    """Return the chips, in the order of the search keys, then of the text."""
    found = [of_key(question, name, terms.joined(values)) for name, values in question.conditions().items()]
    return found + [of_text(question, term, others) for term, others in question.words().items()]


def of_key(question: Question, name: str, value: str) -> Condition:
    """Return the chip of a key that is set."""
    key, is_negated, data = name.removeprefix("-"), name.startswith("-"), question.filters.data
    other = key if is_negated else f"-{key}"
    beside = terms.joined([given for given in data.getlist(other) if given])
    if is_negated and beside:  # both must hold, which only the text can say
        changes = {"q": " ".join(filter(None, [data.get("q"), f"{key}:{as_word(value)}"]))}
    else:  # neither this nor that: both are left out
        changes = {other: terms.joined([beside, value]) if beside else value}
    alternatives = terms.split(value)
    return Condition(
        label=KEYS[key][0],
        lead=lead(key, is_negated),
        value=visible(" or ".join(in_words(key, each) for each in alternatives)) + (" ms" if key == "duration" else ""),
        name=name,
        written=value,
        kept=parse_qsl(question.query({name: None})),
        is_negated=is_negated,
        without=question.query({name: None}),
        opposite=question.query({name: None, **changes}),
        wider=question.query({key: f"*{value}*"}) if can_be_wider(name, value) else None,
    )


def in_words(key: str, value: str) -> str:
    """Say one alternative as the page does elsewhere."""
    if key == "interface":
        return label(value)
    return WORDS.get(value, value) if key == "is" else value


def of_text(question: Question, term: Term, others: str) -> Condition:
    """Return the chip of a term that is left in the text, among `others`."""
    source = question.filters.data["q"][term.start : term.end]
    opposite = source[1:] if term.is_negated else f"-{source}"
    return Condition(
        label=KEYS[term.key][0] if term.key else "Text",
        lead=lead(term.key, term.is_negated),
        value=visible(term.value),
        name="q",
        written=source,
        kept=parse_qsl(question.query({"q": others or None})),
        is_negated=term.is_negated,
        without=question.query({"q": others or None}),
        opposite=question.query({"q": f"{others} {opposite}".strip()}),
        wider=None,
    )


def lead(key: str, is_negated: bool) -> str:
    """Return the words before a condition."""
    words = LEADS.get(key) or f"with {KEYS[key][0]}"
    return f"not {words}" if is_negated else words


def can_be_wider(name: str, value: str) -> bool:
    """Tell whether `*value*` would ask for more: one plain text under a key that compares whole texts."""
    return name in TEXT_KEYS and not set(value) & set('*,"\\') and not value.startswith("=")


def time_said(question: Question) -> Time:
    """Say the question's time range."""
    data, without = question.filters.data, question.query({"last": None, "from": None, "to": None})
    start, end = data.get("from"), data.get("to")
    if not start and not end:
        if data.get("request") and not data.get("last"):
            return Time("in", "everything that is kept", None)
        last = data.get("last") or DEFAULT_LAST
        return Time("in the", LAST_IN_WORDS[last], None if last == DEFAULT_LAST else without)
    if named := next((span for span in calendar() if span.time == question.time), None):
        return Time("", named.words, without, named.name)
    zone = timezone.get_current_timezone()
    is_of_this_year = timezone.localtime(question.time.start).year == timezone.localdate().year
    words = range_words(question.time, zone, with_year=not is_of_this_year)
    since, _, until = words.partition(" to ")
    if not end:
        return Time("since", since, without)
    if not start:
        return Time("until", until, without)
    return Time("from" if until else "on", words, without)


def order_words(order: Order) -> str:
    """Say the order as one says it."""
    if order.column == "created_at":
        return "newest first" if order.descending else "oldest first"
    return f"by {COLUMNS[order.column]}, {'highest' if order.descending else 'lowest'} first"


def outcomes_said(
    question: Question, volume: Volume, earlier: Question | None, before: Outcomes | None
) -> dict[str, Part]:
    """Say the failures and their share, and how these and the requests compare with those `before`, asked `earlier`.

    Silent of failures where the question itself is about the status, and of what is not known.
    """
    said = {}
    now = Outcomes(volume.total.count, volume.failures)
    if now.count and not {"status", "-status"} & question.conditions().keys():
        said["failures"] = failures_said(question, now)
    if before and earlier and (now.count or before.count):
        words = f"{change_words(now.count, before.count)} the {period_words(question)} before"
        said["compared"] = Part(words, earlier.query(resolved=True) if before.count else None)
        if "failures" in said and before.count:
            query = earlier.query({"status": "failure"}, resolved=True) if before.failures else None
            said["failures_before"] = Part(failures_change_words(now, before), query)
    return said


def failures_said(question: Question, outcomes: Outcomes) -> Part:
    """Say the failures and their share."""
    if not outcomes.failures:
        return Part("No failures", None)
    words = f"{counted(outcomes.failures, 'failure')}, {share_words(outcomes.failures, outcomes.count)}"
    return Part(words, question.query({"status": "failure"}, resolved=True))


def failures_change_words(now: Outcomes, before: Outcomes) -> str:
    """Say how the share of failures has changed."""
    share = share_words(before.failures, before.count) if before.failures else "none"
    if now.failures and share == share_words(now.failures, now.count):
        return "as before"
    now_share, share_before = now.failures / now.count, before.failures / before.count
    if now_share == share_before:
        return "as before"
    return f"{'up' if now_share > share_before else 'down'} from {share}"


def change_words(now: int, before: int) -> str:
    """Say how many more or fewer requests there are than before: "12 % more than", "twice as many as"."""
    if not before:
        return "None"
    if not now:
        return f"{before:,}"
    percent = round(100 * abs(now - before) / before)
    if not percent:
        return "About as many as"
    if now >= 2 * before:
        times = f"{now / before:,.1f}".removesuffix(".0")
        return "Twice as many as" if times == "2" else f"{times} times as many as"
    return f"{percent} % {'more' if now > before else 'fewer'} than"


def period_words(question: Question) -> str:
    """Say how long the question's time is: "day", "week", "30 days", "time" where it is no round one."""
    length = question.time.end - question.time.start
    if length > LONG and length % DAY:  # such as a month in which the clocks change: 745 hours
        return "time"
    words = PERIODS.get(length) or span_words(length)
    return "time" if words == "one bar" else words
