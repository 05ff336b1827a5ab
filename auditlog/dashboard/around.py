"""What belongs to one entry: the minutes around it, the last success before it, how often it failed the same way.

A page of its own, and the same as a fragment that the entry's page fetches once it is on the screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard.allowance import in_time
from auditlog.dashboard.chart import counted
from auditlog.dashboard.durations import exact_words
from auditlog.dashboard.entry import GROUPS, entry_or_404, heading_of, named, refused, shown, title
from auditlog.dashboard.table import entry_address, shortened
from auditlog.dashboard.text import middle, visible
from auditlog.models import ApiRequestLog, Site
from auditlog.search import around
from auditlog.search.around import Conditions, Pace
from auditlog.search.errors import QuestionError
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot, shared_budget
from gatebook.capture import capture_of

BUDGET_MS = 2_500
"""All parts together; each alone:"""
PART_MS = 1_000
MINUS = "\N{MINUS SIGN}"
PATH_LENGTH = 90
VALUE_LENGTH = 300
NAME_LENGTH = 60
SPANS = {"24 hours": timedelta(days=1), "7 days": around.WEEK}
OUTCOME = ("success", "response_code", "error_type", "error_message")
"""Fields in which a success differs from a failure by its nature."""


@dataclass(frozen=True)
class Neighbour:
    """One line of the minutes around an entry."""

    offset: str
    code: str
    success: bool
    method: str
    what: SafeString
    duration: str
    address: str
    is_this: bool


@dataclass(frozen=True)
class Difference:
    """A field in which a failure and the last success differ."""

    heading: str
    here: str
    there: str


@dataclass(frozen=True)
class Success:
    """The last success before a failure, or in words that there is none or that it was not found in time."""

    words: str
    entry: ApiRequestLog | None = None
    address: str = ""
    earlier: str = ""
    differences: tuple[Difference, ...] = ()
    same: str = ""
    """The fields that are the same in both."""


@dataclass(frozen=True)
class Repeats:
    """How often a failure came: within some time the number and its address, then its users, the first and the last."""

    counts: list[tuple[str, str | None, str]]
    users: str | None
    users_address: str
    seen: list[Sight] | None


@dataclass(frozen=True)
class Sight:
    """When a failure was seen; no address where it is the very entry."""

    at: datetime
    address: str | None


@require_safe
@login_required
def around_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show what belongs to the entry that the address names; alone or as a part of the entry's page."""
    site = access.site_or_404(request, site_slug)
    try:
        entry = entry_or_404(request, site)
    except QuestionError as error:
        return refused(request, site, error)
    is_fragment = bool(request.htmx) and not request.htmx.boosted  # type: ignore[attr-defined]
    if is_fragment:
        capture_of(request).ignore = True  # the page it is a part of is in the book
    context = {
        "site": site,
        "entry": entry,
        "title": title(entry),
        "named": named(entry),
        **found(site, entry),
    }
    answer = render(request, "_around.html" if is_fragment else "around.html", context)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def found(site: Site, entry: ApiRequestLog) -> dict[str, object]:
    """Ask for all parts in one snapshot, each within its budget; None is a part that ran out of it."""
    with one_snapshot(), shared_budget(BUDGET_MS):
        neighbours = in_time(PART_MS, lambda: around.neighbours(site, entry))
        parts: dict[str, object] = {
            "whose": whose(entry),
            "neighbours": neighbours and neighbour_lines(site, entry, neighbours),
        }
        if neighbours:
            parts |= {"all_around": neighbours.question.query(), "has_more": neighbours.has_more}
            parts |= steps(site, entry, neighbours)
        if entry.success:
            pace = in_time(PART_MS, lambda: (around.pace(site, entry),))
            parts["pace"] = None if pace is None else pace_words(entry, *pace)
        else:
            parts["repeats"] = repeats(site, entry)
            parts["success"] = last_success(site, entry)
    return parts


def steps(site: Site, entry: ApiRequestLog, neighbours: around.Neighbours) -> dict[str, str]:
    """Return the addresses of the sender's `earlier` and `later` request, where there are any."""
    rows = neighbours.rows
    at = next(number for number, row in enumerate(rows) if row.pk == entry.pk)
    known = {"earlier": rows[at + 1 : at + 2], "later": rows[max(at - 1, 0) : at]}
    found = {
        name: row[0] if row else in_time(PART_MS, lambda name=name: around.step(site, entry, later=name == "later"))  # type: ignore[misc]
        for name, row in known.items()
    }
    return {name: entry_address(site, other) for name, other in found.items() if other}


def whose(entry: ApiRequestLog) -> str:
    """Say whose requests stand around the entry, as its sender is known: "of bob", "from 192.0.2.7"."""
    ((key, _),) = around.sender(entry).items() or [("", "")]
    match key:
        case "user":
            return f"of {visible(middle(entry.username or entry.user_id or '', NAME_LENGTH))}"
        case "key":
            return f"with the API key {visible(middle(entry.api_key_prefix or entry.api_key_id or '', NAME_LENGTH))}"
        case "ip":
            return f"from {entry.request_ip}"
    return "of everyone"


def neighbour_lines(site: Site, entry: ApiRequestLog, neighbours: around.Neighbours) -> list[Neighbour]:
    """Return the lines of the minutes around an entry."""
    return [
        Neighbour(
            offset=offset_words(row.created_at - entry.created_at),
            code="" if row.response_code is None else str(row.response_code),
            success=row.success,
            method=visible(row.request_method or ""),
            what=shortened(row.request_path or row.api_name or row.request_id, PATH_LENGTH),
            duration="" if row.duration_ms is None else exact_words(row.duration_ms),
            address=entry_address(site, row),
            is_this=row.pk == entry.pk,
        )
        for row in neighbours.rows
    ]


def offset_words(offset: timedelta) -> str:
    """Say how much later or earlier something was: "+40 ms", "+2.3 s", "+4 min 05 s", with its sign."""
    sign = MINUS if offset < timedelta(0) else "+"
    milliseconds = round(abs(offset) / timedelta(milliseconds=1))
    if milliseconds < 1_000:
        return f"{sign}{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{sign}{milliseconds / 1_000:.1f} s"
    minutes, seconds = divmod(milliseconds // 1_000, 60)
    return f"{sign}{minutes} min {seconds:02} s"


def before_words(offset: timedelta) -> str:
    """Say roughly how long before: "3 days", "2 hours", "4 min 05 s"."""
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        if offset >= size:
            return counted(offset // size, unit)
    return offset_words(offset).removeprefix("+")


def last_success(site: Site, entry: ApiRequestLog) -> Success | None:
    """Return the last success of the same call by its sender, else by anyone; None where nothing names the call."""
    if not around.call(entry):
        return None
    sender = around.sender(entry)
    askers: list[tuple[str, Conditions]] = (
        [(whose(entry), sender), ("of anyone", {})] if sender else [("of anyone", {})]
    )
    missed = ""
    for words, conditions in askers:
        success = in_time(PART_MS, lambda conditions=conditions: around.last_success(site, entry, conditions))  # type: ignore[misc]
        if success is None:
            return Success(f"{missed}Too much to search in time for one {words}.")
        if success.entry:
            return compared(site, entry, success.entry, f"{missed}The last success {words}:")
        missed = f"None {words}. "
        none = f"No success of anyone in the {before_words(entry.created_at - success.since)} before."
    return Success(none)


def compared(site: Site, entry: ApiRequestLog, success: ApiRequestLog, words: str) -> Success:
    """Return a success beside the failure, field by field."""
    names = [name for group in GROUPS.values() for name in group if name not in OUTCOME]
    pairs = {name: (getattr(entry, name), getattr(success, name)) for name in names}
    return Success(
        words=words,
        entry=success,
        address=entry_address(site, success),
        earlier=before_words(entry.created_at - success.created_at),
        differences=tuple(
            Difference(heading_of(name), in_words(name, here), in_words(name, there))
            for name, (here, there) in pairs.items()
            if here != there
        ),
        same=", ".join(
            heading_of(name).removesuffix("?") for name, (here, there) in pairs.items() if here == there is not None
        ),
    )


def in_words(name: str, value: object) -> str:
    """Return a field's value as the comparison has it; empty for none."""
    return "" if value is None else middle(shown(name, value), VALUE_LENGTH)


def repeats(site: Site, entry: ApiRequestLog) -> Repeats:
    """Count how often the failure came around the entry, whom it met, and when it was first and last seen."""
    conditions = around.failure(entry)
    questions = {words: around.ask(site, around.span_around(entry, span), conditions) for words, span in SPANS.items()}
    counts = []
    for words, question in questions.items():
        total = in_time(PART_MS, lambda question=question: around.count(question))  # type: ignore[misc]
        counts.append((words, None if total is None else str(total), question.query()))
    week: Question = questions["7 days"]
    return Repeats(
        counts=counts,
        users=in_time(PART_MS, lambda: users_words(around.users(week))),
        users_address=week.query(),
        seen=in_time(PART_MS, lambda: sights(site, entry)),
    )


def users_words(users: around.Users) -> str:
    """Say how many users it were."""
    words = [counted(users.count.count, "user") if not users.count.is_capped else f"{users.count} users"]
    if users.has_nobody:
        words = [*words, "some not signed in"] if users.count.count else ["nobody signed in"]
    return ", ".join(words)


def sights(site: Site, entry: ApiRequestLog) -> list[Sight]:
    """Return when the failure was first and last seen."""
    seen = around.seen(site, entry)
    return [
        Sight(each.created_at, None if each.pk == entry.pk else entry_address(site, each))
        for each in (seen.first, seen.last)
    ]


def pace_words(entry: ApiRequestLog, pace: Pace | None) -> str:
    """Say how the duration compares with those before it; nothing where too few are known."""
    if pace is None:
        return ""
    name = visible(middle(entry.api_name or "", NAME_LENGTH))
    half = f"half of them took {exact_words(pace.median_ms)} or less"
    others = f"the {pace.requests:,} successes of {name} before it; {half}"
    slower, faster = (100 * part // pace.requests for part in (pace.shorter, pace.longer))
    if not slower and not faster:
        return f"It took as long as {others}."
    if slower >= faster:
        return f"It took longer than {slower} % of {others}."
    return f"It took less time than {faster} % of {others}."
