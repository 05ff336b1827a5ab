"""A site's quarantine: the lines that could not be taken, and what can still be done with them."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from auditlog import access
from auditlog.dashboard.settings.refusal import note_faults
from auditlog.dashboard.text import visible
from auditlog.intake import again
from auditlog.models import ApiKey, DroppedLines, QuarantinedLine, Site
from auditlog.models.quarantine import KEPT_DAYS, KEPT_LINES, LINE_LIMIT, QuarantineQuerySet

LINES = 50
"""Lines of a page."""
REASONS = 8
"""The most frequent reasons that the page names."""


class LineFilter(forms.Form):
    """Which lines: of which key, for which reason, and before which other line."""

    key = forms.ModelChoiceField(
        ApiKey.objects.none(),
        label="API key",
        required=False,
        empty_label="Any",
        error_messages={"invalid_choice": "No line in quarantine is of this key."},
    )
    reason = forms.CharField(label="Reason contains", required=False)
    before = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, site: Site, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.lines = QuarantinedLine.objects.in_sight(site, timezone.now())
        keys = self.fields["key"]
        keys.queryset = ApiKey.objects.filter(pk__in=self.lines.order_by().values("api_key"))  # type: ignore[attr-defined]
        keys.label_from_instance = lambda key: visible(str(key))  # type: ignore[attr-defined]

    def chosen(self) -> QuarantineQuerySet:
        """Return the lines of that key and reason."""
        lines = self.lines
        if key := self.cleaned_data["key"]:
            lines = lines.filter(api_key=key)
        if reason := self.cleaned_data["reason"]:
            lines = lines.with_reason(reason)
        return lines

    def query(self, **changes: object) -> str:
        """Return the query of the page with these lines, with `changes`."""
        key = self.cleaned_data["key"]
        wanted = {"key": key and key.pk, "reason": self.cleaned_data["reason"], **changes}
        return urlencode({name: value for name, value in wanted.items() if value})


class LineAct(LineFilter):
    """Which lines something is done with: one, or all those chosen up to the newest that the page knew."""

    line = forms.IntegerField(required=False)
    all = forms.IntegerField(required=False)

    def clean(self) -> None:
        """Refuse what names both or neither."""
        if bool(self.cleaned_data.get("line")) == bool(self.cleaned_data.get("all")):
            raise forms.ValidationError("Say with which line, or with all.")

    def meant(self) -> QuarantineQuerySet:
        """Return the lines."""
        if line := self.cleaned_data["line"]:
            return self.lines.filter(pk=line)
        return self.chosen().filter(pk__lte=self.cleaned_data["all"])


@require_safe
@login_required
def quarantine_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show the lines that the address asks for, newest first."""
    site = access.administered_site_or_404(request, site_slug)
    return _page(request, site, LineFilter(site, request.GET))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def send_again(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Send a line, or all that were chosen, through the ingest door once more."""
    site = access.administered_site_or_404(request, site_slug)
    if request.method != "POST":
        return redirect("settings_quarantine", site.slug)
    act = LineAct(site, request.POST)
    if not act.is_valid():
        return _page(request, site, act)
    sent = again.send_again(site, act.meant())
    outcomes = {"accepted": sent.accepted, "already in the book": sent.duplicates, "still refused": sent.refused}
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)
    if sent.accepted or sent.duplicates:
        messages.success(request, f"Sent again: {said}.")
    else:
        messages.info(request, f"Sent again: {said or 'nothing, the lines have left the quarantine'}.")
    return _back(site, act)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def discard_lines(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Ask whether to discard all that were chosen; discard a line, or all of them."""
    site = access.administered_site_or_404(request, site_slug)
    is_sure = request.method == "POST"
    act = LineAct(site, request.POST if is_sure else request.GET)
    if not act.is_valid():
        return _page(request, site, act)
    if not is_sure:
        count, reasons = act.meant().count(), act.meant().most_frequent_reasons(REASONS)
        context = {
            "site": site,
            "act": act,
            "count": count,
            "reasons": reasons,
            "other_lines": _others(count, reasons),
            "back": act.query(),
        }
        return render(request, "settings/discard_lines.html", context)
    discarded, _ = act.meant().delete()
    messages.success(request, f"{discarded:,} line{pluralize(discarded)} discarded.")
    return _back(site, act)


def _page(request: HttpRequest, site: Site, form: LineFilter) -> HttpResponse:
    context: dict[str, object] = {
        "site": site,
        "form": form,
        "kept_days": min(KEPT_DAYS, site.retention_days),
        "kept_lines": KEPT_LINES,
        "line_limit": LINE_LIMIT,
        "dropped": list(DroppedLines.objects.in_sight(site, timezone.now())),
    }
    if not form.is_valid():
        note_faults(request, form)
        return render(request, "settings/quarantine.html", context, status=400)
    chosen = form.chosen()
    numbers = chosen.aggregate(count=Count("pk"), newest=Max("pk"))
    before = form.cleaned_data["before"]
    rows = list(
        (chosen.filter(pk__lt=before) if before else chosen).select_related("api_key").order_by("-pk")[: LINES + 1]
    )
    reasons = chosen.most_frequent_reasons(REASONS)
    context |= {
        "count": numbers["count"],
        "newest": numbers["newest"],
        "lines": rows[:LINES],
        "older": form.query(before=rows[LINES - 1].pk) if len(rows) > LINES else None,
        "first": form.query() if before else None,
        "is_chosen": bool(form.query()),
        "all": form.query(all=numbers["newest"]),
        "reasons": [(reason, lines, form.query(reason=reason)) for reason, lines in reasons],
        "other_lines": _others(numbers["count"], reasons),
    }
    return render(request, "settings/quarantine.html", context)


def _others(count: int, reasons: list[tuple[str, int]]) -> int:
    """Return how many of so many lines have none of these reasons; never fewer than none, as they come and go."""
    return max(0, count - sum(lines for _, lines in reasons))


def _back(site: Site, act: LineAct) -> HttpResponse:
    return redirect(f"{reverse('settings_quarantine', args=[site.slug])}?{act.query()}".rstrip("?"))
