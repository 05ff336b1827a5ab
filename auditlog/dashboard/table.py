"""The log table: its columns and how each value is shown. Values are never trusted: `format_html` escapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import log1p

from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from auditlog.dashboard.text import middle, visible
from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search.keys import COLUMN_KEYS
from auditlog.search.pages import Page
from auditlog.search.question import Order, Question
from auditlog.search.timerange import written
from gatebook.interfaces import label

PATH_LENGTH = 160
TEXT_LENGTH = 60
"""Characters of a value before it is cut in the middle; the whole is in its title and on the entry page."""
TITLE_LENGTH = 2000
BEGINNING_LENGTH = 500
"""Characters of a value that is too long even for that, by which alike ones are searched."""
TAIL_LENGTH = 12
"""Characters at a long value's end that stay in sight where its column is too narrow for the rest."""
LONGEST_TAIL = 24
"""As many, where they are what follows the last slash: a file's name, what an error is."""
HEADINGS = {**COLUMNS, "site_id": "Site"}
"""Of the 19 columns, and of the one that is there where several sites are shown."""
BAR_WIDTH = 56
SLOW_MS = 60_000
"""The duration whose bar is full; the bars grow with the logarithm, so that 20 ms and 200 ms differ as well."""
DESCENDING_FIRST = ("created_at", "response_code", "duration_ms")
"""Columns whose heading sorts the highest first."""


@dataclass(frozen=True)
class Heading:
    """A column's head: the key that searches in it, how it is sorted now, and the address that sorts by it."""

    name: str
    text: str
    key: str
    direction: str
    address: str


@dataclass(frozen=True)
class Row:
    """One API request: its status, whether it is open beside the table, and its cells one after the other."""

    status: str
    is_open: bool
    cells: SafeString


class LogTable:
    """One row per API request of a page, in the columns that are shown."""

    def __init__(self, page: Page, shown: list[str], question: Question, opened: ApiRequestLog | None = None) -> None:
        self.page = page
        self.opened = opened
        self.leading = next((name for name in ("request_path", "created_at") if name in shown), shown[0])
        self.shown = list(shown)
        self.question = question
        if len(question.sites) > 1:
            self.shown.insert(shown[0] == "created_at", "site_id")
        self.today = timezone.localdate()
        first = timezone.localdate(question.time.start)
        last = timezone.localdate(question.time.end - timedelta(microseconds=1))
        self.has_dates = not first == self.today == last
        self.has_years = first.year != self.today.year

    def headings(self) -> Iterator[Heading]:
        """Yield the head of each column."""
        order = self.page.order
        for name in self.shown:
            is_sorted = order.column == name
            descending = not order.descending if is_sorted else name in DESCENDING_FIRST
            direction = ("descending" if order.descending else "ascending") if is_sorted else ""
            address = self.question.query({"sort": Order(name, descending).as_parameter()}) if name in COLUMNS else ""
            yield Heading(name, HEADINGS[name], COLUMN_KEYS.get(name, ""), direction, address)

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        for entry in self.page.rows:
            cells = [self._cell(name, entry) for name in self.shown]
            status = "success" if entry.success else "failure"
            yield Row(status, entry == self.opened, SafeString("".join(cells)))

    def _cell(self, name: str, entry: ApiRequestLog) -> str:
        content = _SHOWS[name](self, entry) if name in _SHOWS else _text(getattr(entry, name))
        attributes = f' data-heading="{HEADINGS[name]}"' if content and name not in PLACED else ""
        attributes += self._exact(name, entry)
        if name == self.leading:
            address = address_beside(self.question, self.question.site(entry.site_id), entry)
            content = format_html('<a href="{}" data-beside>{}</a>', address, content or "open")
        if name == "request_path" and entry.api_name and "api_name" not in self.shown:
            content += format_html(' <span class="api">{}</span>', visible(middle(entry.api_name, TEXT_LENGTH)))
        if name == self.shown[0] and not entry.success:
            content = SafeString('<span class="visually-hidden">Failure: </span>') + content
        return f'<td role="cell" data-column="{name}"{attributes}>{content}</td>'

    def _exact(self, name: str, entry: ApiRequestLog) -> SafeString:
        """Return the attributes that hold a value that its cell does not show as it is; `js/values.js` reads them."""
        value = getattr(entry, name)
        if name == "username":
            value = value or entry.user_id
        if value is None or name in ("created_at", "interface", "response_code"):
            return SafeString()
        if name == "site_id":
            value = self.question.site(value).slug
        elif name == "success":
            value = "success" if value else "failure"
        elif name == "user_is_from_parent_site":
            value = "parent" if value else ""
        elif name == "duration_ms":
            value = str(value)
        elif len(value) > TITLE_LENGTH:
            return format_html(' data-value="{}" data-begins', _attribute(value[:BEGINNING_LENGTH]))
        elif visible(value) == value:
            return SafeString()
        return format_html(' data-value="{}"', _attribute(value))

    def _date(self, entry: ApiRequestLog) -> SafeString:
        """The reader's time, with its day unless that is today, leading to the entry's page; UTC in its title."""
        local = timezone.localtime(entry.created_at)
        day = f"{local:%-d %b} " if local.year == self.today.year else f"{local:%-d %b %Y} "
        time = format_html(
            '<time datetime="{}" title="{} UTC"><span class="date">{}</span>{}<span class="ms">.{}</span></time>',
            written(entry.created_at),
            f"{entry.created_at:%Y-%m-%d %H:%M:%S.%f}",
            "" if local.date() == self.today else day,
            f"{local:%H:%M:%S}",
            f"{local:%f}"[:3],
        )
        if self.leading == "created_at":
            return time
        return format_html('<a href="{}">{}</a>', entry_address(self.question.site(entry.site_id), entry), time)

    def _user(self, entry: ApiRequestLog) -> SafeString:
        """Who it acted as, by name or else id, and what the badge columns would say where they are not shown."""
        name = entry.username or entry.user_id
        badges = SafeString()
        if "impersonator_username" not in self.shown and (by := impersonator(entry)):
            badges += format_html(' <span class="badge" title="Impersonated by {0}">by {0}</span>', visible(by))
        if "user_is_from_parent_site" not in self.shown and entry.user_is_from_parent_site:
            badges += SafeString(' <span class="badge badge--parent" title="User from the parent site">parent</span>')
        if not name and not badges:
            return SafeString()
        return format_html('<span class="who">{}{}</span>', shortened(name, TEXT_LENGTH) if name else "", badges)

    def _interface(self, entry: ApiRequestLog) -> SafeString:
        """The interface as people call it."""
        return _text(entry.interface and label(entry.interface))

    def _code(self, entry: ApiRequestLog) -> SafeString:
        """The code with a mark for its status, not by colour alone."""
        status = "Success" if entry.success else "Failure"
        code = "" if entry.response_code is None else entry.response_code
        return format_html('<span class="code" title="{}">{}</span>', status, code)

    def _duration(self, entry: ApiRequestLog) -> SafeString:
        """Milliseconds, and a bar for the eye that looks for slow ones."""
        value = entry.duration_ms
        if value is None:
            return SafeString()
        return format_html(
            '{} <span class="unit">ms</span>'
            '<svg class="duration-bar" width="{}" height="2" aria-hidden="true"><rect width="{}" height="2"/></svg>',
            f"{value:,}",
            BAR_WIDTH,
            min(BAR_WIDTH, round(BAR_WIDTH * log1p(value) / log1p(SLOW_MS))),
        )


_SHOWS: dict[str, Callable[[LogTable, ApiRequestLog], SafeString]] = {
    "created_at": LogTable._date,
    "site_id": lambda table, entry: shortened(table.question.site(entry.site_id).name, TEXT_LENGTH),
    "username": LogTable._user,
    "user_is_from_parent_site": lambda _, entry: SafeString("Yes" if entry.user_is_from_parent_site else "No"),
    "interface": LogTable._interface,
    "request_path": lambda _, entry: _text(entry.request_path, PATH_LENGTH),
    "response_code": LogTable._code,
    "success": lambda _, entry: format_html('<span class="code">{}</span>', "Success" if entry.success else "Failure"),
    "duration_ms": LogTable._duration,
}
"""How a column is shown that is more than a text, cut in the middle."""

PLACED = (
    *("created_at", "response_code", "username", "duration_ms"),
    *("request_method", "request_path", "interface", "error_type"),
)
"""Columns that have a place of their own in a phone's rows; the others stand there with their headings."""


def _attribute(value: str) -> SafeString:
    """Return a text that an attribute keeps as it is: HTML makes a line feed of a bare carriage return."""
    return SafeString(escape(value).replace("\r", "&#13;"))


def _text(value: str | None, length: int = TEXT_LENGTH) -> SafeString:
    return SafeString() if value is None else shortened(value, length)


def shortened(value: str, length: int) -> SafeString:
    """Return a text, cut in the middle to `length` characters, that gives way in its middle where it has less room.

    What follows its last slash stays whole, unless that is long.
    """
    shown = visible(middle(value, length))
    if len(shown) <= TAIL_LENGTH + TAIL_LENGTH // 2:
        return format_html("<bdi>{}</bdi>", shown)
    last_part = len(shown) - shown.rfind("/")
    tail = last_part if TAIL_LENGTH // 2 < last_part <= min(LONGEST_TAIL, len(shown) - 4) else TAIL_LENGTH
    return format_html(
        '<bdi class="cut" title="{}"><span class="cut__head">{}</span><span class="cut__tail">{}</span></bdi>',
        visible(value[:TITLE_LENGTH]),
        shown[:-tail],
        shown[-tail:],
    )


def address_beside(question: Question, site: Site | None = None, entry: ApiRequestLog | None = None) -> str:
    """Return the address of the page that `question` is on, with an entry beside its table, or with none."""
    name = f"{site.slug},{written(entry.created_at)},{entry.request_id}" if site and entry else None
    cursors = {"after": question.after, "before": question.before}
    here = {key: str(cursor) if cursor else None for key, cursor in cursors.items()}
    return f"?{question.query({**here, 'entry': name})}"


def entry_address(site: Site, entry: ApiRequestLog) -> str:
    """Return the address of one entry's page."""
    query = urlencode({"at": written(entry.created_at), "request": entry.request_id})
    return f"{reverse('entry', args=[site.slug])}?{query}"


def impersonator(entry: ApiRequestLog) -> str | None:
    """Return who was behind the effective user: the name, else the id, else None."""
    return entry.impersonator_username or entry.impersonator_user_id
