"""The log table: its 19 columns and how each value is shown."""

from __future__ import annotations

from datetime import datetime
from math import log1p

import django_tables2 as tables
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
HEADINGS = {**COLUMNS, "site_id": "Site"}
"""Of the 19 columns, and of the one that is there where several sites are shown."""
BAR_WIDTH = 56
SLOW_MS = 60_000
"""The duration whose bar is full; the bars grow with the logarithm, so that 20 ms and 200 ms differ as well."""


class Column(tables.Column):
    """A column whose values are texts, unless the table renders them otherwise."""

    def __init__(self, name: str, heading: str) -> None:
        # Without a name, the User column still has an id or an impersonator to show; without a code, a status.
        empty_values = () if name in ("username", "response_code") else None
        super().__init__(verbose_name=heading, default="", empty_values=empty_values)

    def render(self, value: object) -> SafeString:
        """The text, cut in the middle."""
        return shortened(str(value), TEXT_LENGTH)


class LogTable(tables.Table):
    """One row per API request. Values are shown, never trusted: `format_html` escapes, `visible` unmasks."""

    def __init__(self, page: Page, shown: list[str], question: Question) -> None:
        self.question = question
        self.page_order = page.order
        self.shown = set(shown)
        columns = list(shown)
        if len(question.sites) > 1:
            columns.insert(shown[0] == "created_at", "site_id")
        super().__init__(
            data=page.rows,
            extra_columns=[(name, Column(name, HEADINGS[name])) for name in columns],
            sequence=columns,
            row_attrs={"data-status": lambda record: "success" if record.success else "failure"},
        )

    def headings(self) -> list[tuple[str, str, str, str]]:
        """Return name, heading, sorted (`ascending`, `descending` or empty) and its address to sort by."""
        return [(name, HEADINGS[name], *self._sorting(name)) for name in self.sequence]

    def _sorting(self, name: str) -> tuple[str, str]:
        order = self.page_order
        if name not in COLUMNS:
            return "", ""
        if order.column == name:
            direction = "descending" if order.descending else "ascending"
            following = Order(name, descending=not order.descending)
        else:
            direction, following = "", Order(name, descending=name in ("created_at", "response_code", "duration_ms"))
        return direction, self.question.query({"sort": following.as_parameter()})

    def render_created_at(self, value: datetime, record: ApiRequestLog) -> SafeString:
        """The reader's time; UTC in the title."""
        local = timezone.localtime(value)
        return format_html(
            '<a href="{}"><time datetime="{}" title="{} UTC"><span class="date">{}</span> {}'
            '<span class="ms">.{}</span></time></a>',
            self._address(record),
            written(value),
            f"{value:%Y-%m-%d %H:%M:%S.%f}",
            f"{local:%-d %b}" if local.year == timezone.localtime().year else f"{local:%-d %b %Y}",
            f"{local:%H:%M:%S}",
            f"{local:%f}"[:3],
        )

    def render_site_id(self, value: int) -> SafeString:
        """The site by its name; the slug, by which the key `site` asks, in the title."""
        site = self.question.site(value)
        return format_html('<bdi title="{}">{}</bdi>', site.slug, visible(middle(site.name, TEXT_LENGTH)))

    def _address(self, record: ApiRequestLog) -> str:
        return entry_address(self.question.site(record.site_id), record)

    def render_username(self, value: str | None, record: ApiRequestLog) -> SafeString:
        """Who it acted as, by name or else id, and what the badge columns would say where they are not shown."""
        name = value or record.user_id
        badges = SafeString()
        if "impersonator_username" not in self.shown and (by := impersonator(record)):
            badges += format_html(' <span class="badge" title="Impersonated by {0}">by {0}</span>', visible(by))
        if "user_is_from_parent_site" not in self.shown and record.user_is_from_parent_site:
            badges += SafeString(' <span class="badge badge--parent" title="User from the parent site">parent</span>')
        if not name and not badges:
            return SafeString()
        return format_html('<span class="who">{}{}</span>', shortened(name, TEXT_LENGTH) if name else "", badges)

    def render_user_is_from_parent_site(self, value: bool) -> str:
        """Yes or No."""
        return "Yes" if value else "No"

    def render_interface(self, value: str) -> SafeString:
        """The interface as people call it."""
        return shortened(label(value), TEXT_LENGTH)

    def render_request_path(self, value: str, record: ApiRequestLog) -> SafeString:
        """The path, cut in the middle, leading to the entry; the API Name beside it."""
        name = SafeString()
        if record.api_name and "api_name" not in self.shown:
            name = format_html(' <span class="api">{}</span>', visible(middle(record.api_name, TEXT_LENGTH)))
        return format_html('<a href="{}">{}</a>', self._address(record), shortened(value, PATH_LENGTH)) + name

    def render_response_code(self, value: int | None, record: ApiRequestLog) -> SafeString:
        """The code with a mark for its status, not by colour alone."""
        status = "Success" if record.success else "Failure"
        return format_html('<span class="code" title="{}">{}</span>', status, "" if value is None else value)

    def render_success(self, value: bool) -> SafeString:
        """Success or Failure."""
        return format_html('<span class="code">{}</span>', "Success" if value else "Failure")

    def render_duration_ms(self, value: int) -> SafeString:
        """Milliseconds, and a bar for the eye that looks for slow ones."""
        return format_html(
            '{} <span class="unit">ms</span>'
            '<svg class="duration-bar" width="{}" height="2" aria-hidden="true"><rect width="{}" height="2"/></svg>',
            f"{value:,}",
            BAR_WIDTH,
            min(BAR_WIDTH, round(BAR_WIDTH * log1p(value) / log1p(SLOW_MS))),
        )


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
