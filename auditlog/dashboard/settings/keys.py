"""A site's API keys: what there is, a new one, the end of one."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from auditlog import access
from auditlog.dashboard.settings.refusal import note_faults
from auditlog.dashboard.text import visible
from auditlog.models import ApiKey, Scope, Site
from auditlog.models.log import OWN_ACCOUNT
from auditlog.search.terms import exactly
from auditlog.search.timerange import written
from gatebook.ids import new_id

SCOPES = {Scope.INGEST: "ingest: send entries", Scope.READ: "read: ask for entries"}
MOST_DAYS = 36_500
STATES = ("active", "expired", "revoked")
"""In the order in which the page lists them."""

_MADE_BY = "key_made_by"
"""In the session: the form that made a key last. Sent again, as a reload does, it makes no other."""


class KeyForm(forms.Form):
    """A new key."""

    name = forms.CharField(
        max_length=100,
        help_text="Who uses it, such as the web shop.",
        error_messages={"required": "Say who uses it."},
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=list(SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.INGEST],
        error_messages={"required": "Choose one at least."},
    )
    expires = forms.DateField(
        label="Last day",
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "Expected a day such as 2027-06-30."},
        help_text="Empty: until it is revoked.",
    )
    form_id = forms.CharField(max_length=64, widget=forms.HiddenInput, initial=new_id)

    def clean_expires(self) -> date | None:
        """Refuse days that are over or too far away."""
        day: date | None = self.cleaned_data["expires"]
        today = timezone.localdate()
        if day and day < today:
            raise forms.ValidationError(f"{day} is over, expected {today} or later.")
        if day and day > today + timedelta(days=MOST_DAYS):
            raise forms.ValidationError(f"{day} is more than {MOST_DAYS:,} days ahead.")
        return day

    def expires_at(self) -> datetime | None:
        """Return the end of the last day, as the reader's zone has it."""
        day = self.cleaned_data["expires"]
        return day and datetime.combine(day + timedelta(days=1), time(), timezone.get_current_timezone())


@require_safe
@login_required
def keys_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """List the site's keys, and offer to make one."""
    site = access.administered_site_or_404(request, site_slug)
    return render(request, "settings/keys.html", _context(site, KeyForm()))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def make_key(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Make a key and show it, in this one answer: to redirect, its secret would have to be kept somewhere."""
    site = access.administered_site_or_404(request, site_slug)
    if request.method != "POST":
        return redirect("settings_keys", site.slug)
    form = KeyForm(request.POST)
    if not form.is_valid():
        note_faults(request, form)
        return render(request, "settings/keys.html", _context(site, form), status=400)
    form_id = form.cleaned_data["form_id"]
    if request.session.get(_MADE_BY) == form_id:
        messages.info(request, "This key was made before and is not shown again. Revoke it if you have lost it.")
        return redirect("settings_keys", site.slug)
    key, secret = ApiKey.objects.issue(site, form.cleaned_data["name"], form.cleaned_data["scopes"], form.expires_at())
    request.session[_MADE_BY] = form_id
    made = {"made": key, "secret": secret, "command": _command(request, key, secret)}
    answer = render(request, "settings/keys.html", _context(site, KeyForm()) | made)
    answer["Cache-Control"] = "no-store"
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def revoke_key(request: HttpRequest, site_slug: str, key_id: int) -> HttpResponse:
    """Ask whether to revoke a key; revoke it from now on."""
    site = access.administered_site_or_404(request, site_slug)
    key = ApiKey.objects.filter(site=site, pk=key_id).first()
    if key is None:
        raise Http404(f"{site.name} has no such API key.")
    if request.method == "POST":
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            messages.success(request, f"The API key {visible(str(key))} is refused from now on.")
        else:
            messages.info(request, f"The API key {visible(str(key))} was revoked before.")
        return redirect("settings_keys", site.slug)
    return render(request, "settings/revoke_key.html", {"site": site, "key": key})


def _context(site: Site, form: KeyForm) -> dict[str, object]:
    keys = sorted(ApiKey.objects.filter(site=site).order_by("name", "-pk"), key=lambda key: STATES.index(key.state))
    return {
        "site": site,
        "form": form,
        "keys": [(key, _requests_made_with(site, key)) for key in keys],
        "children": list(site.children.all()),
    }


def _requests_made_with(site: Site, key: ApiKey) -> str:
    """Return the address of the site's log of requests that showed the key."""
    query = urlencode({"key": exactly(f"{OWN_ACCOUNT}{key.pk}"), "last": "30d"})
    return f"{reverse('logs', args=[site.slug])}?{query}"


def _command(request: HttpRequest, key: ApiKey, secret: str) -> str:
    """Return a line for a shell that sends a first entry with the key, or reads the newest where it may only read."""
    address = request.build_absolute_uri(reverse("api_request_logs"))
    if Scope.INGEST not in key.scopes:
        return f"curl '{address}?per_page=3' -H 'X-FilesAPI-Key: {secret}'"
    entry = {
        "created_at": written(timezone.now().replace(microsecond=0)),
        "request_id": f"first-{key.prefix}",
        "request_path": "/",
        "response_code": 200,
    }
    return (
        f"curl {address} -H 'X-FilesAPI-Key: {secret}' -H 'Content-Type: application/x-ndjson' -d '{json.dumps(entry)}'"
    )
