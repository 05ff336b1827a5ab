"""What belongs to one entry: what its sender did just then, the same call when it worked, the same failure again.

Where an answer counts or lists entries it asks a Question, so that a page can lead to exactly those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.http import urlencode

from auditlog.models import ApiRequestLog, Site
from auditlog.models.rollups import DAY, ROLL_UPS, ByError
from auditlog.search import answers, pages
from auditlog.search.answers import Total
from auditlog.search.cursor import cursor_at
from auditlog.search.question import Order, Question, site_retention
from auditlog.search.slices import slices
from auditlog.search.snapshot import OutOfBudget, part
from auditlog.search.sources import is_rolled_up, sources
from auditlog.search.terms import beginning, exactly
from auditlog.search.timerange import TimeRange, written
from auditlog.store.writer import TOLERATED_AHEAD
from gatebook.interfaces import label, value_of

NEARBY = timedelta(minutes=5)
NEIGHBOURS = 20
LOOK_BACK = timedelta(days=30)
"""How far back the last success may be."""
WEEK = timedelta(days=7)
PACE_SIZE = 1_000
"""Durations that an entry's is compared with; fewer than `PACE_LEAST` tell nothing."""
PACE_LEAST = 20
USERS_LIMIT = 1_000
"""Counting users stops here."""
EXACT_LENGTH = 500
"""Characters of a longer value that a question asks for: proxies refuse long addresses."""

Conditions = Mapping[str, str]
"""Search key → value."""


def ask(site: Site, time: TimeRange, conditions: Conditions) -> Question:
    """Return the question for the entries of `site` in `time` that meet the conditions."""
    query = {**conditions, "from": written(time.start), "to": written(time.end)}
    return Question.from_query(QueryDict(urlencode(query)), [site])


def like(value: object) -> str:
    """Return the alternative that means `value`; of a very long one, every value that begins like it."""
    text = str(value)
    return exactly(text) if len(text) <= EXACT_LENGTH else beginning(text[:EXACT_LENGTH])


def same(**values: object) -> Conditions:
    """Return the conditions that each key has this value; None is no value."""
    return dict((f"-{key}", "*") if value is None else (key, like(value)) for key, value in values.items())


def sender(entry: ApiRequestLog) -> Conditions:
    """Return the condition that it was the same user; where nobody was signed in, the same key, else address."""
    known = {
        "user": entry.username or entry.user_id,
        "key": entry.api_key_id or entry.api_key_prefix,
        "ip": entry.request_ip,
    }
    return next(({key: like(value)} for key, value in known.items() if value), {})


def call(entry: ApiRequestLog) -> Conditions:
    """Return the conditions that it was the same API call: by API Name, else by method and path; empty for neither."""
    if entry.api_name:
        return same(api=entry.api_name)
    return same(method=entry.request_method, path=entry.request_path) if entry.request_path else {}


def failure(entry: ApiRequestLog) -> Conditions:
    """Return the conditions that it failed alike: Error Type, API Name and interface; without a type, the code."""
    interface = entry.interface
    if interface is not None and value_of(label(interface)) == interface:
        interface = label(interface)
    if entry.error_type is not None:
        return {"status": "failure", **same(type=entry.error_type, api=entry.api_name, interface=interface)}
    return {"status": "failure", **same(type=None, code=entry.response_code, interface=interface), **call(entry)}


def minutes_around(entry: ApiRequestLog) -> TimeRange:
    """Return the ten minutes around an entry, in whole seconds."""
    second = entry.created_at.astimezone(UTC).replace(microsecond=0)
    return TimeRange(second - NEARBY, second + NEARBY + timedelta(seconds=1))


def span_around(entry: ApiRequestLog, length: timedelta) -> TimeRange:
    """Return a time of this length that has the entry in its middle, or ends now where the middle is too late."""
    at = entry.created_at.astimezone(UTC)
    end = max(min(at + length / 2, datetime.now(UTC)), at + timedelta(seconds=1)).replace(microsecond=0)
    end += timedelta(seconds=1)
    return TimeRange(end - length, end)


@dataclass(frozen=True)
class Neighbours:
    """The entries of the same sender nearest to one, newest first, with that one among them."""

    question: Question
    """Asks for all of them."""
    rows: list[ApiRequestLog]
    has_more: bool


def neighbours(site: Site, entry: ApiRequestLog) -> Neighbours:
    """Return what the sender of `entry` did in the minutes around it; where nothing says who it was, what all did."""
    question = ask(site, minutes_around(entry), sender(entry))
    here = cursor_at(entry, str(question.order), None, question.now)
    others = NEIGHBOURS - 1
    later = pages.fetch(replace(question, before=here), others)
    earlier = pages.fetch(replace(question, after=here), others)
    after = later.rows[-max(NEIGHBOURS // 2, others - len(earlier.rows)) :]
    before = earlier.rows[: others - len(after)]
    return Neighbours(
        question=question,
        rows=[*after, entry, *before],
        has_more=len(after) < len(later.rows) or len(before) < len(earlier.rows) or bool(later.newer or earlier.older),
    )


def step(site: Site, entry: ApiRequestLog, *, later: bool) -> ApiRequestLog | None:
    """Return the next entry of the same sender within a week after `entry`, or the one before it; None for none."""
    at = entry.created_at.astimezone(UTC)
    time = TimeRange(at, at + WEEK) if later else TimeRange(at - WEEK, at + timedelta(microseconds=1))
    question = ask(site, time, sender(entry))
    here = cursor_at(entry, str(question.order), None, question.now)
    page = pages.fetch(replace(question, before=here) if later else replace(question, after=here), 1)
    return page.rows[0] if page.rows else None


@dataclass(frozen=True)
class Success:
    """The last success before a failure, None where there is none since `since`; `sender` are whose were asked for."""

    entry: ApiRequestLog | None
    since: datetime


def last_success(site: Site, entry: ApiRequestLog, whose: Conditions) -> Success:
    """Return the last success of the same API call before `entry`, among those that meet `whose` as well.

    Raises OutOfBudget where it was not found in time.
    """
    at = entry.created_at.astimezone(UTC)
    question = ask(site, TimeRange(at - LOOK_BACK, at), {"status": "success", **call(entry)})
    since = question.reach.start
    if is_rolled_up(question):  # it is known which days had one of anyone: no others need be searched
        days = answers.by_day(question)
        if not days:
            return Success(None, since)
        first, last = min(days) if whose else max(days), max(days)
        question = question.within(TimeRange(_midnight(first), _midnight(last) + DAY))
    if whose:
        question = ask(site, question.reach, {"status": "success", **call(entry), **whose})
    page = pages.fetch(question, 1)
    if not page.rows and page.searched_to:
        raise OutOfBudget
    return Success(page.rows[0] if page.rows else None, since)


def count(question: Question) -> Total:
    """Count what matches: a failure by its Error Type from the roll-up that knows, else as a page does."""
    if "type" in question.conditions():
        return Total(sum(source.total() for source in sources(question, among=(ByError,))))
    return answers.total(question)


@dataclass(frozen=True)
class Seen:
    """The first and the last entry that is kept of one failure."""

    first: ApiRequestLog
    last: ApiRequestLog


def seen(site: Site, entry: ApiRequestLog) -> Seen:
    """Return when the failure of `entry` was first and last seen."""
    now = datetime.now(UTC)
    kept = TimeRange(now - site_retention(site), now + TOLERATED_AHEAD)
    question = ask(site, kept, failure(entry))
    days = list(answers.by_day(question, among=(ByError,) if entry.error_type is not None else ROLL_UPS))
    days = days or [entry.created_at.astimezone(UTC).date()]  # it has passed the retention since it was found

    def outermost(day: date, *, descending: bool) -> ApiRequestLog:
        there = question.within(TimeRange(_midnight(day), _midnight(day) + DAY))
        rows = pages.fetch(replace(there, order=Order(descending=descending)), 1).rows
        return rows[0] if rows else entry

    return Seen(outermost(min(days), descending=False), outermost(max(days), descending=True))


@dataclass(frozen=True)
class Users:
    """How many users, up to `USERS_LIMIT`, and whether nobody was signed in at times."""

    count: Total
    has_nobody: bool


def users(question: Question) -> Users:
    """Count the users of the matching entries."""
    names: set[str | None] = set()
    for here in slices(question.reach):
        rows = question.within(here).rows().order_by()
        with part():
            names.update(rows.values_list(Coalesce("username", "user_id"), flat=True).distinct()[: USERS_LIMIT + 2])
        if len(names) > USERS_LIMIT + 1:
            break
    found = len(names - {None})
    return Users(Total(min(found, USERS_LIMIT), found > USERS_LIMIT), None in names)


@dataclass(frozen=True)
class Pace:
    """How long the successes of the same API Name just before an entry took, beside how long that one took."""

    requests: int
    shorter: int
    longer: int
    median_ms: int


def pace(site: Site, entry: ApiRequestLog) -> Pace | None:
    """Compare the duration of `entry`; None where too few are known to tell."""
    if entry.api_name is None or entry.duration_ms is None:
        return None
    at = entry.created_at.astimezone(UTC)
    question = ask(site, TimeRange(at - WEEK, at), {"status": "success", **same(api=entry.api_name)})
    durations: list[int] = []
    for here in slices(question.reach):
        timed = question.within(here).rows().filter(duration_ms__isnull=False)
        newest = timed.order_by("-created_at", "-site_id", "-request_id").values_list("duration_ms", flat=True)
        try:
            with part():
                durations += [known for known in newest[: PACE_SIZE - len(durations)] if known is not None]
        except OutOfBudget:
            if len(durations) < PACE_LEAST:
                raise
            break
        if len(durations) == PACE_SIZE:
            break
    if len(durations) < PACE_LEAST:
        return None
    return Pace(
        requests=len(durations),
        shorter=sum(duration < entry.duration_ms for duration in durations),
        longer=sum(duration > entry.duration_ms for duration in durations),
        median_ms=sorted(durations)[(len(durations) - 1) // 2],
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
