"""The page of one entry, in words and in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from auditlog import access
from auditlog.dashboard.address import note_refusal
from auditlog.dashboard.durations import exact_words
from auditlog.dashboard.reader import ago
from auditlog.dashboard.table import entry_address, impersonator
from auditlog.dashboard.text import middle, visible, visible_json
from auditlog.export import jsonl
from auditlog.models import ApiRequestLog, Site
from auditlog.models.log import COLUMNS
from auditlog.search import around, entries
from auditlog.search.errors import QuestionError
from auditlog.search.keys import COLUMN_KEYS
from auditlog.search.snapshot import one_snapshot
from auditlog.search.timerange import TimeRange, written
from gatebook.capture import capture_of
from gatebook.interfaces import label

TITLE_LENGTH = 240
"""Characters of the heading; the whole path stands below it."""
GROUPS = {
    "Request": ("request_method", "request_path", "api_name", "request_host", "interface", "user_agent"),
    "Outcome": ("success", "response_code", "duration_ms", "error_type", "error_message"),
    "Who": (
        "username",
        "user_id",
        "impersonator_username",
        "impersonator_user_id",
        "user_is_from_parent_site",
        "api_key_id",
        "api_key_prefix",
        "request_ip",
    ),
}
"""The entry page's groups of fields; Date and Request-ID stand above them, details below."""

FILTER_KEYS = {name: key for name, key in COLUMN_KEYS.items() if key not in ("is", "status", "duration")} | {
    "user_id": "user",
    "impersonator_user_id": "impersonator",
    "error_message": "error",
}
"""Fields whose value leads to the log page that shows the same value."""


@dataclass(frozen=True)
class Field:
    """One value under its heading; `alike` is the query of the log page with the same value."""

    name: str
    heading: str
    text: str
    alike: str | None


@require_safe
@login_required
def entry_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show the entry that `at` and `request` name; `request` alone finds the newest of that Request-ID."""
    site = access.site_or_404(request, site_slug)
    try:
        with one_snapshot():
            entry = entry_or_404(request, site)
            json_line = line(site, entry)
    except QuestionError as error:
        return refused(request, site, error)
    context = {
        "site": site,
        "support_text": support_text(entry, site, request.build_absolute_uri(entry_address(site, entry))),
        "json_line": visible_json(json_line),
        "named": named(entry),
        "back": way_back(request, site),
        **facts(entry, site),
    }
    return render(request, "entry.html", context)


@require_safe
@login_required
def entry_json(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Send the entry as the line that a download of JSON lines has for it, so that it can be imported again."""
    site = access.site_or_404(request, site_slug)
    try:
        with one_snapshot():
            json_line = line(site, entry_or_404(request, site))
    except QuestionError as error:
        note_refusal(request, error)
        return HttpResponse(visible(str(error)), status=400, content_type="text/plain; charset=utf-8")
    return HttpResponse(f"{json_line}\n", content_type="application/json")


def entry_or_404(request: HttpRequest, site: Site) -> ApiRequestLog:
    """Return the entry that the address names, or raise Http404; QuestionError where the address makes no sense."""
    entry = entries.find(site, request.GET.get("request", ""), request.GET.get("at", ""))
    if entry is None:
        capture_of(request).error_type = "not-found/api-request-not-found"
        raise Http404(f"{site.name} has no API request with this Request-ID, or it is past the retention.")
    return entry


def line(site: Site, entry: ApiRequestLog) -> str:
    """Return the line that a download of the minutes around the entry has for it."""
    return jsonl.line(around.ask(site, around.minutes_around(entry), {}), entry)


def refused(request: HttpRequest, site: Site, error: QuestionError) -> HttpResponse:
    """Say what is wrong with the address of an entry."""
    note_refusal(request, error)
    errors = [(key, visible(sentence)) for key, sentence in error.errors.items()]
    return render(request, "entry_refused.html", {"site": site, "errors": errors}, status=400)


def facts(entry: ApiRequestLog, site: Site) -> dict[str, object]:
    """Return what `_entry_facts.html` shows of an entry, its title and its summary."""
    local = timezone.localtime(entry.created_at)
    return {
        "entry": entry,
        "title": title(entry),
        "summary": summary(entry, site),
        "local": f"{local:%A, %-d %B %Y, %H:%M:%S.%f}",
        "ago": ago(entry.created_at),
        "zone": timezone.get_current_timezone_name(),
        "utc": f"{entry.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}",
        "written": written(entry.created_at),
        "groups": [(heading, list(fields_of(entry, names))) for heading, names in GROUPS.items()],
        "details": [(visible(key), visible(value)) for key, value in sorted((entry.details or {}).items())],
        "request_id": visible(entry.request_id),
        "minutes_around": within(around.minutes_around(entry)),
    }


def title(entry: ApiRequestLog) -> str:
    """Return what an entry is called: its method, or else its interface, and its path."""
    words = f"{entry.request_method or label(entry.interface or '')} {entry.request_path or ''}".strip()
    return visible(middle(words, TITLE_LENGTH)) or "An API request"


def fields_of(entry: ApiRequestLog, names: tuple[str, ...]) -> Iterator[Field]:
    """Yield the fields that the entry has."""
    week = around.span_around(entry, around.WEEK)
    for name in names:
        value = getattr(entry, name)
        if value is None:
            continue
        key = FILTER_KEYS.get(name)
        alike = within(week, **{key: around.like(value)}) if key else None
        yield Field(name, heading_of(name), shown(name, value), alike)


def heading_of(name: str) -> str:
    """Return the heading of a field."""
    return COLUMNS.get(name) or str(ApiRequestLog._meta.get_field(name).verbose_name)  # type: ignore[union-attr]


def shown(name: str, value: object) -> str:
    """Return a field's value as the entry page and the support text write it."""
    match name:
        case "success":
            return "Success" if value else "Failure"
        case "user_is_from_parent_site":
            return "Yes" if value else "No"
        case "duration_ms":
            return exact_words(value)  # type: ignore[arg-type]
        case "interface":
            return visible(label(str(value)))
    return visible(str(value))


def summary(entry: ApiRequestLog, site: Site) -> str:
    """Say who did it and how it ended, in a sentence."""
    actor = who(entry, site)
    outcome = "succeeded" if entry.success else "failed"
    code = f" with {entry.response_code}" if entry.response_code is not None else ""
    reason = visible(entry.error_type or entry.error_message or "")
    error = f": {reason}" if reason else ""
    comma = "," if "," in actor else ""
    through = f"{comma} through {visible(label(entry.interface))}" if entry.interface else ""
    return f"{actor}{through}. It {outcome}{code}{error}."


def who(entry: ApiRequestLog, site: Site) -> str:
    """Say who acted: "bob, impersonated by alice, from the parent site Acme"."""
    name = entry.username or entry.user_id
    parts = [visible(name) if name else "someone not signed in"]
    if by := impersonator(entry):
        parts.append(f"impersonated by {visible(by)}")
    if entry.user_is_from_parent_site:
        parts.append(f"from the parent site {site.parent.name}" if site.parent else "from the parent site")
    return ", ".join(parts)


def support_text(entry: ApiRequestLog, site: Site, address: str) -> str:
    """Return what one sends to support: one fact to a line, whatever line breaks a value holds."""
    lines = {
        "Request-ID": visible(entry.request_id),
        "Date": f"{entry.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC",
        "Site": f"{site.name} ({site.slug})",
        "User": who(entry, site),
    }
    skipped = {"user_id", "impersonator_user_id", "username", "impersonator_username", "user_is_from_parent_site"}
    for names in GROUPS.values():
        lines |= {field.heading: field.text for field in fields_of(entry, names) if field.name not in skipped}
    lines["Address"] = address
    return "\n".join(f"{heading}: {text}" for heading, text in lines.items())


def way_back(request: HttpRequest, site: Site) -> str:
    """Return the address of the log page one came from, its own or its parent's, with its question; else its own."""
    logs = reverse("logs", args=[site.slug])
    all_logs = [logs, *([reverse("logs", args=[site.parent.slug])] if site.parent else [])]
    came_from = urlsplit(request.headers.get("Referer", ""))
    return f"{came_from.path}?{came_from.query}" if came_from.path in all_logs and came_from.query else logs


def named(entry: ApiRequestLog) -> str:
    """Return the query that names an entry."""
    return urlencode({"at": written(entry.created_at), "request": entry.request_id})


def within(time: TimeRange, **conditions: str) -> str:
    """Return the query of the log page for a time."""
    return urlencode({**conditions, "from": written(time.start), "to": written(time.end)})
