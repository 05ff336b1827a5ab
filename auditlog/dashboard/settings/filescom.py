"""The site of Files.com whose API logs are copied into this one: connect it, see how far it is, let it go."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.validators import RegexValidator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from kombu.exceptions import KombuError

from auditlog import access
from auditlog.dashboard.settings.refusal import note_faults, note_refusal
from auditlog.models import FilesComConnection, Site
from auditlog.models.filescom import DEFAULT_BASE_URL, fit_base_url
from config.celery import app

FILES_COM_DAYS = 180
"""How long Files.com itself keeps its API logs."""
_QUEUED_FOR_SECONDS = 600
_IDLE = timedelta(minutes=15)
"""Without a run for so long, whoever has the key is not at it."""


class ConnectionForm(forms.Form):
    """Where to copy from, with which key, from which day on."""

    base_url = forms.CharField(
        label="Base URL",
        max_length=255,
        validators=[fit_base_url],
        widget=forms.URLInput,
        help_text="Such as https://acme.files.com.",
        error_messages={"required": "Say which, such as https://acme.files.com."},
    )
    key = forms.CharField(
        label="API key",
        required=False,
        max_length=200,
        validators=[RegexValidator(r"\A[A-Za-z0-9]+\Z", "Expected letters and digits alone.")],
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    since = forms.DateField(
        label="From",
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "Expected a day such as 2027-06-30."},
    )

    def __init__(self, connection: FilesComConnection, data: QueryDict | None = None) -> None:
        super().__init__(data, initial={"base_url": connection.base_url})
        self._connection = connection
        if connection.pk:
            self.fields["key"].help_text = "Empty: the one there is. It is never shown again."
            self.fields["since"].help_text = "Read again from this day (UTC) on; empty: go on."
        else:
            self.fields["key"].help_text = "Of a site administrator. It is never shown again."
            self.fields["since"].help_text = "The first day (UTC); empty: the oldest entry there is."

    def clean_base_url(self) -> str:
        """Return the address without a path, in small letters."""
        parts = urlsplit(self.cleaned_data["base_url"])
        return f"{parts.scheme}://{parts.netloc}".lower()

    def clean_since(self) -> date | None:
        """Refuse days that are to come, and those before there were any."""
        day: date | None = self.cleaned_data["since"]
        if day and not date(1970, 1, 2) <= day <= datetime.now(UTC).date():
            raise forms.ValidationError(f"Expected a day from 1970 on that is not after {datetime.now(UTC).date()}.")
        return day

    def clean(self) -> None:
        """Want the key anew where it would go elsewhere than whoever gave it meant."""
        there = self._connection
        if self.cleaned_data.get("key") or "key" in self.errors or os.environ.get(there.variable):
            return
        if there.pk is None:
            self.add_error("key", "Give the key.")
        elif self.cleaned_data.get("base_url", there.base_url) != there.base_url:
            self.add_error("key", "Give the key again: it would go to another address.")


@require_safe
@login_required
def filescom_page(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Show what is connected and how far it is."""
    site = access.administered_site_or_404(request, site_slug)
    connection = _connection(site)
    return _page(request, connection, ConnectionForm(connection))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def connect_filescom(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Connect the site, or connect it otherwise."""
    site = access.administered_site_or_404(request, site_slug)
    if request.method != "POST":
        return redirect("settings_filescom", site.slug)
    connection = _connection(site)
    form = ConnectionForm(connection, request.POST)
    if not form.is_valid():
        note_faults(request, form)
        return _page(request, connection, form, status=400)
    chosen = form.cleaned_data
    connection.copy_from(chosen["base_url"])
    if chosen["key"]:
        connection.key = chosen["key"]
    if chosen["since"]:
        connection.begin_at(datetime.combine(chosen["since"], time(), UTC))
    connection.last_error, connection.not_before = "", None
    connection.save_beside_a_run()
    messages.success(request, f"{site.name} is copied from {connection.base_url} from now on, every minute.")
    return redirect("settings_filescom", site.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def disconnect_filescom(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Ask whether to disconnect the site; disconnect it."""
    site = access.administered_site_or_404(request, site_slug)
    connection = _connection(site)
    if connection.pk is None:
        raise Http404(f"{site.name} is not connected to Files.com.")
    if request.method != "POST":
        return render(request, "settings/disconnect_filescom.html", {"site": site, "connection": connection})
    connection.delete()
    messages.success(request, f"{site.name} is not copied from Files.com any more; what was copied stays.")
    return redirect("settings_filescom", site.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def sync_filescom_now(request: HttpRequest, site_slug: str) -> HttpResponse:
    """Let the worker copy what is new without waiting for the minute."""
    site = access.administered_site_or_404(request, site_slug)
    connection = _connection(site)
    if request.method != "POST":
        return redirect("settings_filescom", site.slug)
    if connection.pk is None:
        raise Http404(f"{site.name} is not connected to Files.com.")
    if connection.is_resting:
        messages.info(request, "Files.com asked to be left alone for a while; the worker goes on after that.")
        return redirect("settings_filescom", site.slug)
    try:
        app.send_task("auditlog.tasks.sync_filescom_site", [connection.pk], expires=_QUEUED_FOR_SECONDS, retry=False)
    except (KombuError, OSError) as error:
        note_refusal(request, f"The broker is away: {type(error).__name__}.", "service-unavailable/broker-away")
        sentence = "The worker cannot be told: its broker is away. Ask whoever runs Gatebook."
        return _page(request, connection, ConnectionForm(connection), refusal=sentence, status=503)
    messages.success(request, "The worker has been told; look again in a moment.")
    return redirect("settings_filescom", site.slug)


def _connection(site: Site) -> FilesComConnection:
    """Return the connection of the site; a new one, not saved, where it has none."""
    found = FilesComConnection.objects.filter(site=site).first()
    connection = found or FilesComConnection(site=site, base_url=DEFAULT_BASE_URL)
    connection.site = site
    return connection


def _page(
    request: HttpRequest, connection: FilesComConnection, form: ConnectionForm, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    last = connection.last_run_at
    is_idle = not (connection.last_error or connection.is_resting or (last and timezone.now() - last < _IDLE))
    context = {
        "site": connection.site,
        "connection": connection,
        "form": form,
        "refusal": refusal,
        "variable": connection.variable if os.environ.get(connection.variable) else "",
        "wants_key_elsewhere": is_idle and not connection.sealed_key,
        "is_behind": connection.lag is not None and connection.lag > timedelta(minutes=30),
        "keeps_no_longer": connection.site.retention_days <= FILES_COM_DAYS,
        "files_com_days": FILES_COM_DAYS,
        "now": timezone.now(),
    }
    return render(request, "settings/filescom.html", context, status=status)
