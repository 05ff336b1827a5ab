"""Signing in, and what someone sees who tried too often."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from gatebook.capture import capture_of
from gatebook.identity import client_ip


class SignIn(LoginView):
    """Django's sign-in; a wrong password is a 401, so that the book shows it as a failure."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Show the form again, and say in the entry which name was tried."""
        note = capture_of(self.request)
        note.error_type = "not-authenticated/invalid-username-or-password"
        note.error_message = "Invalid username or password"
        note.details["attempted_username"] = form.data.get("username", "")
        return self.render_to_response(self.get_context_data(form=form), status=401)


def guesser(request: HttpRequest) -> str | None:
    """Return whose failed sign-ins are counted together: an address, or an IPv6 client's whole /64 network."""
    address = client_ip(request)
    if address and ":" in address:
        return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)
    return address


def locked_out(request: HttpRequest, response: Any, credentials: dict[str, Any]) -> HttpResponse:
    """Answer an attempt after too many: 429 and when to come back."""
    minutes = round(settings.AXES_COOLOFF_TIME * 60)
    note = capture_of(request)
    note.error_type = "rate-limited/too-many-login-attempts"
    note.error_message = "Too many failed sign-ins for this name from this address"
    note.details["attempted_username"] = credentials.get("username", "")
    answer = render(request, "sign_in_locked.html", {"minutes": minutes}, status=429)
    answer["Retry-After"] = str(minutes * 60)
    return answer
