"""Who a request came from and what went wrong: address, user, impersonator, API name, error."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpRequest

from gatebook.addresses import normal_address
from gatebook.conf import conf

HIJACK_HISTORY = "hijack_history"


class Person(NamedTuple):
    """Who acts, or who acts through them."""

    id: str | None
    username: str | None
    is_from_parent_site: bool = False


class ApiKey(NamedTuple):
    """The API key a request was made with; never the key itself."""

    id: str | None
    prefix: str | None


def peer_is_trusted(request: HttpRequest) -> bool:
    """Whether the request was handed over by a trusted proxy, whose headers may be believed."""
    peer = request.META.get("REMOTE_ADDR") or ""
    address = normal_address(peer) if peer else ""
    return address is not None and conf().trusts(address)


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address; X-Forwarded-For counts only as far as trusted proxies wrote it."""
    peer = request.META.get("REMOTE_ADDR") or ""
    address = normal_address(peer) if peer else ""
    if address is None:
        return None
    trusts = conf().trusts
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "")
    # Each proxy appends the peer it saw, so the right end is what the nearest, trusted one wrote.
    while hops and trusts(address):
        hops, _, hop = hops.rpartition(",")
        known = normal_address(hop)
        if known is None:
            break
        address = known
    return address or None


def user(request: HttpRequest) -> Person | None:
    """Return the signed-in user, or None."""
    account = getattr(request, "_acached_user", None) or getattr(request, "user", None)
    if account is None or not getattr(account, "is_authenticated", False):
        return None
    return Person(id=str(account.pk), username=account.get_username())


def impersonator(request: HttpRequest) -> Person | None:
    """Return who acts as the user by django-hijack: the first of the chain, for the others were acted as too."""
    session = getattr(request, "session", None)
    history = session.get(HIJACK_HISTORY) if session else None
    if not history:
        return None
    from django.contrib.auth import get_user_model

    model = get_user_model()
    found = model._default_manager.filter(pk=history[0]).first()
    return Person(id=str(history[0]), username=found.get_username() if found else None)


def api_name(request: HttpRequest) -> str | None:
    """Return the name of the view that answered: its URL's name, or the function's."""
    match = request.resolver_match
    return (match.view_name or match._func_path) if match else None
