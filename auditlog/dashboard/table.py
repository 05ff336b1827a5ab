"""The log table: its columns and how each value is shown. Values are never trusted: `format_html` escapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import log1p

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from auditlog.dashboard.text import middle, visible
from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search.pages import Page
from auditlog.search.question import Order, Question
from auditlog.search.timerange import written
from gatebook.interfaces import label

PATH_LENGTH = 160
TEXT_LENGTH = 60
"""Characters of a value before it is cut in the middle; the whole is in its title and on the entry page."""
TAIL_LENGTH = 12
"""Characters at a long value's end that stay in sight where its column is too narrow for the rest."""
BAR_WIDTH = 56
SLOW_MS = 60_000
"""The duration whose bar is full; the bars grow with the logarithm, so that 20 ms and 200 ms differ as well."""
DESCENDING_FIRST = ("created_at", "response_code", "duration_ms")
"""Columns whose heading sorts the highest first."""


@dataclass(frozen=True)
class Heading:
    """A column's head: `direction` says how it is sorted now, if at all; `address` sorts by it."""

    name: str
    text: str
    direction: str
    address: str


@dataclass(frozen=True)
class Row:
    """One API request: its status, and its cells one after the other."""

    status: str
    cells: SafeString


class LogTable:
    """One row per API request of a page, in the columns that are shown."""

    def __init__(self, page: Page, shown: list[str], question: Question) -> None:
        self.page = page
        self.shown = shown
        self.question = question
        self.sites = {site.pk: site for site in question.sites}
        self.has_dates = question.time.end - question.time.start > timedelta(days=1)
        self.this_year = timezone.localtime().year

    def headings(self) -> Iterator[Heading]:
        """Yield the head of each column."""
        order = self.page.order
        for name in self.shown:
            is_sorted = order.column == name
            descending = not order.descending if is_sorted else name in DESCENDING_FIRST
            direction = ("descending" if order.descending else "ascending") if is_sorted else ""
            address = self.question.query({"sort": Order(name, descending).as_parameter()})
            yield Heading(name, COLUMNS[name], direction, address)

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        for entry in self.page.rows:
            cells = [self._cell(name, entry) for name in self.shown]
            yield Row("success" if entry.success else "failure", SafeString("".join(cells)))

    def _cell(self, name: str, entry: ApiRequestLog) -> str:
        content = _SHOWS[name](self, entry) if name in _SHOWS else _text(getattr(entry, name))
        if name == self.shown[0] and not entry.success:
            content = SafeString('<span class="visually-hidden">Failure: </span>') + content
        heading = f' data-heading="{COLUMNS[name]}"' if content and name not in PLACED else ""
        return f'<td role="cell" data-column="{name}"{heading}>{content}</td>'

    def _date(self, entry: ApiRequestLog) -> SafeString:
        """The reader's time, with the date where there may be several, leading to the entry; UTC in the title."""
        local = timezone.localtime(entry.created_at)
        date = f"{local:%-d %b} " if local.year == self.this_year else f"{local:%-d %b %Y} "
        return format_html(
            '<a href="{}"><time datetime="{}" title="{} UTC"><span class="date">{}</span>{}'
            '<span class="ms">.{}</span></time></a>',
            entry_address(self.sites[entry.site_id], entry),
            written(entry.created_at),
            f"{entry.created_at:%Y-%m-%d %H:%M:%S.%f}",
            date if self.has_dates else "",
            f"{local:%H:%M:%S}",
            f"{local:%f}"[:3],
        )

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
        return _text(label(entry.interface)) if entry.interface else SafeString()

    def _path(self, entry: ApiRequestLog) -> SafeString:
        """The path, cut in the middle, leading to the entry; the API Name beside it."""
        if entry.request_path is None:
            return SafeString()
        name = SafeString()
        if entry.api_name and "api_name" not in self.shown:
            name = format_html(' <span class="api">{}</span>', visible(middle(entry.api_name, TEXT_LENGTH)))
        address = entry_address(self.sites[entry.site_id], entry)
        return format_html('<a href="{}">{}</a>{}', address, shortened(entry.request_path, PATH_LENGTH), name)

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
    "username": LogTable._user,
    "user_is_from_parent_site": lambda _, entry: SafeString("Yes" if entry.user_is_from_parent_site else "No"),
    "interface": LogTable._interface,
    "request_path": LogTable._path,
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


def _text(value: str | None) -> SafeString:
    return SafeString() if value is None else shortened(value, TEXT_LENGTH)


def shortened(value: str, length: int) -> SafeString:
    """Return a text, cut in the middle to `length` characters, that gives way in its middle where it has less room."""
    shown = visible(middle(value, length))
    if len(shown) <= TAIL_LENGTH + TAIL_LENGTH // 2:
        return format_html("<bdi>{}</bdi>", shown)
    return format_html(
        '<bdi class="cut" title="{}"><span class="cut__head">{}</span><span class="cut__tail">{}</span></bdi>',
        visible(value[:2000]),
        shown[:-TAIL_LENGTH],
        shown[-TAIL_LENGTH:],
    )


def entry_address(site: Site, entry: ApiRequestLog) -> str:
    """Return the address of one entry's page."""
    query = urlencode({"at": written(entry.created_at), "request": entry.request_id})
    return f"{reverse('entry', args=[site.slug])}?{query}"


def impersonator(entry: ApiRequestLog) -> str | None:
    """Return who was behind the effective user: the name, else the id, else None."""
    return entry.impersonator_username or entry.impersonator_user_id
