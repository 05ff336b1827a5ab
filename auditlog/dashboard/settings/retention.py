"""How long a site's entries are kept, and what another number of days would do, said before it is done."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from auditlog import access
from auditlog.dashboard.allowance import in_time
from auditlog.dashboard.settings.refusal import note_faults, note_refusal
from auditlog.models import QuarantinedLine, Site
from auditlog.models.sites import MOST_RETENTION_DAYS
from auditlog.search import answers
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot
from auditlog.search.timerange import EPOCH, written
from auditlog.store.writer import TOLERATED_AHEAD

BUDGET_MS = 5_000
"""A count takes milliseconds from roll-ups; while those are behind it is worth this much waiting."""
EXPECTED = f"Expected a whole number from 1 to {MOST_RETENTION_DAYS:,}."


class RetentionForm(forms.Form):
    """Another number of days."""

    days = forms.IntegerField(
        label="Days",
        min_value=1,
        max_value=MOST_RETENTION_DAYS,
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), EXPECTED),
    )


class ChangeForm(RetentionForm):
    """The same once somebody is sure: it also says from which number of days they set out."""

    was = forms.IntegerField()


@dataclass(frozen=True)
class Entries:
    """The entries of a time, by UTC day; None where they could not be counted in time."""

    by_day: dict[date, int] | None
    query: str
    """Of the log page that shows them."""

    @property
    def count(self) -> int:
        """How many there are."""
        return sum((self.by_day or {}).values())

    @property
    def first(self) -> date:
        """The earliest day that has any."""
        return min(self.by_day or {})

    @property
    def last(self) -> date:
        """The latest day that has any."""
        return max(self.by_day or {})


@require_safe
@login_required
def retention_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show what is kept; with `days` also what would change."""
    site = access.administered_site_or_404(request, site_slug)
    return _page(request, site, RetentionForm(request.GET) if "days" in request.GET else None)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def change_retention(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Keep entries for another number of days, if it still is what somebody saw the outcome of."""
    site = access.administered_site_or_404(request, site_slug)
    if request.method != "POST":
        return redirect("settings_retention", site.slug)
    form = ChangeForm(request.POST)
    if not form.is_valid():
        return _page(request, site, form)
    days, was = form.cleaned_data["days"], form.cleaned_data["was"]
    if not Site.objects.filter(pk=site.pk, retention_days=was).update(retention_days=days):
        site.refresh_from_db(fields=["retention_days"])
        sentence = f"Meanwhile somebody else has set {site.retention_days} days. Nothing was changed; look again:"
        note_refusal(request, sentence, "conflict/changed-meanwhile")
        return _page(request, site, form, refusal=sentence)
    messages.success(request, f"Entries of {site.name} are kept for {days:,} day{pluralize(days)} from now on.")
    return redirect("settings_retention", site.slug)


def _page(request: HttpRequest, site: Site, form: RetentionForm | None, *, refusal: str = "") -> HttpResponse:
    now = datetime.now(UTC)
    context: dict[str, object] = {"site": site, "refusal": refusal}
    is_valid = form is None or form.is_valid()
    with one_snapshot():
        context["kept"] = _entries(site, now - timedelta(days=site.retention_days), now + TOLERATED_AHEAD)
        if form and is_valid:
            days = context["days"] = form.cleaned_data["days"]
            if days != site.retention_days:
                context |= _outcome(site, days, now)
    if form and not is_valid:
        note_faults(request, form)
    context["form"] = form or RetentionForm(initial={"days": site.retention_days})
    return render(request, "settings/retention.html", context, status=409 if refusal else 200 if is_valid else 400)


def _outcome(site: Site, days: int, now: datetime) -> dict[str, object]:
    """Say what would change with so many days: the entries out of sight, or those in sight again."""
    changed = copy(site)
    changed.retention_days = days
    shorter, longer = sorted((site, changed), key=lambda each: each.retention_days)
    between = [now - timedelta(days=each.retention_days) for each in (longer, shorter)]
    lines = QuarantinedLine.objects.in_sight(site, now)
    return {
        "entries": _entries(longer, *between),
        "lines": lines.count() - lines.filter(pk__in=QuarantinedLine.objects.in_sight(changed, now)).count(),
    }


def _entries(site: Site, start: datetime, end: datetime) -> Entries:
    """Count the entries of a time in which all are in sight; no question reaches before 1970."""
    start, end = max(start, EPOCH), max(end, EPOCH + timedelta(microseconds=1))
    query = urlencode({"from": written(start), "to": written(end)})
    question = Question.from_query(QueryDict(query), [site])
    return Entries(in_time(BUDGET_MS, lambda: answers.by_day(question)), query)
