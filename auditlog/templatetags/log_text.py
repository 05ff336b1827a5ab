"""`{{ value|visible }}`: a text that others wrote, with everything in it visible."""

from __future__ import annotations

from django import template

from auditlog.dashboard.text import visible

register = template.Library()
register.filter("visible", visible)
