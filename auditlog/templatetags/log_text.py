"""`{{ value|visible }}`: a text that others wrote, with everything in it visible; `moment`: a time; `number`: 1,234."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from auditlog.dashboard.text import visible
from auditlog.search.timerange import written

register = template.Library()
register.filter("visible", visible)


@register.filter
def moment(at: datetime) -> SafeString:
    """Return a time to the minute as the reader's clock has it; UTC in the title."""
    utc, local = at.astimezone(UTC), timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        written(at),
        f"{utc:%Y-%m-%d %H:%M:%S}",
        f"{local:%-d %b %Y, %H:%M}",
    )


@register.filter
def number(count: int) -> str:
    """Return a count with its thousands apart."""
    return f"{count:,}"
