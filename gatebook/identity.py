"""Who a request came from, and what it asked for: address, user, impersonator, API name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signals import setting_changed
from django.core.signing import TimestampSigner
from django.http import HttpRequest
from django.urls import ResolverMatch
from django.utils.functional import LazyObject, empty

from gatebook import api_keys
from gatebook.addresses import normal_address
from gatebook.api_keys import ApiKey as ApiKey
from gatebook.conf import conf

SIGNED_IN_ID = "_auth_user_id"
"""In a session: the id of who is signed in, as django.contrib.auth keeps it."""


class Person(NamedTuple):
    """Who acts, or who acts through them."""

    id: str | None
    username: str | None
    is_from_parent_site: bool = False


def peer_is_trusted(request: HttpRequest) -> bool:
    """Whether the request was handed over by a trusted proxy, whose headers may be believed."""
    address = _peer(request)
    return address is not None and conf().trusts(address)


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address; X-Forwarded-For counts only as far as trusted proxies wrote it."""
    address = _peer(request)
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
    """Return the user as whom the request was carried out, or None.

    That is whom the API's authentication found (Django REST framework, django-ninja), else who is signed in.
    """
    account = _account(request)
    if not getattr(account, "is_authenticated", False):
        return None
    name = account.get_username() if hasattr(account, "get_username") else getattr(account, "username", None)
    return Person(text_of_id(getattr(account, "pk", None)), text_of_id(name))


def user_is_loaded(request: HttpRequest) -> bool:
    """Whether the user can be told without asking the database."""
    account = _account(request)
    return account is not None and not _is_unevaluated(account)


def impersonator(request: HttpRequest) -> Person | None:
    """Return who acts as the user by django-hijack or django-loginas; the id stays when that account is gone.

    Of a chain it is the first, for the others were acted as too; django-loginas itself remembers the last only.
    """
    session = getattr(request, "session", None)
    if session is None or not (readers := _session_readers()):
        return None
    found: Any = next(filter(None, (read(session) for read in readers)), None)
    if found is None:
        return None
    acting = user(request)
    if acting is not None and acting.id != session.get(SIGNED_IN_ID, acting.id):
        return None  # a token came with the session's cookie, and it is the token's user that acts
    from django.contrib.auth import get_user_model

    try:
        account = get_user_model()._base_manager.filter(pk=found).first()
    except (TypeError, ValueError, ValidationError):  # an id of the accounts before these
        account = None
    return Person(str(found), account.get_username() if account else None)


def api_key(request: HttpRequest) -> ApiKey | None:
    """Return what is known of the API key that came with a request, whether or not it was accepted; else None."""
    key, username = api_keys.presented(request.META, conf().api_key_metas)
    if username and (person := user(request)) and person.username == username:
        return None  # an account that is called like a placeholder, with its password
    return api_keys.described(key, getattr(request, "auth", None))


def api_name(request: HttpRequest) -> str | None:
    """Return the name of what answered: its URL's name, or the path of its function or class.

    Where one URL has an operation for each method it is the operation's: `file-create` for a router of Django
    REST framework, `api-1.0.0:create_file` for django-ninja.
    """
    match = request.resolver_match
    if match is None:
        return None
    operation = _operation(match, request.method or "")
    return ":".join([*match.namespaces, operation]) if operation else match.view_name


def _operation(match: ResolverMatch, method: str) -> str | None:
    view: Any = match.func
    actions = getattr(view, "actions", None)
    if isinstance(actions, dict):  # a ViewSet of Django REST framework
        action, basename = actions.get(method.lower()), getattr(view, "initkwargs", {}).get("basename")
        return f"{basename}-{action.replace('_', '-')}" if action and basename else None
    if getattr(view, "__module__", None) == "ninja.operation":  # only its closure knows what it is a view of
        for cell in view.__closure__ or ():
            for operation in getattr(cell.cell_contents, "operations", ()):
                if method in operation.methods:
                    return str(getattr(operation, "url_name", None) or operation.view_func.__name__)
    return None


def _account(request: HttpRequest) -> Any:
    found = getattr(request, "auth", None)  # what django-ninja's authenticator returned: a user, a key, a text
    if getattr(found, "is_authenticated", False):
        return found
    account = getattr(request, "user", None)
    if _is_unevaluated(account):  # an asynchronous view has asked request.auser() instead
        return getattr(request, "_acached_user", account)
    return account


def _is_unevaluated(account: object) -> bool:
    return isinstance(account, LazyObject) and account._wrapped is empty


def _hijacker(session: Any) -> object:
    history = session.get("hijack_history")
    return history[0] if history else None


def _logged_in_as(session: Any) -> object:
    signed = session.get(getattr(settings, "LOGINAS_FROM_USER_SESSION_FLAG", "loginas_from_user"))
    return TimestampSigner().unsign(signed) if signed else None


@cache
def _session_readers() -> tuple[Callable[[Any], object], ...]:
    """Find the impersonator's id in a session, for each app that is installed; who has none pays nothing."""
    readers = {"hijack": _hijacker, "loginas": _logged_in_as}
    return tuple(read for app, read in readers.items() if apps.is_installed(app))


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "INSTALLED_APPS":
        _session_readers.cache_clear()


setting_changed.connect(_forget, dispatch_uid="gatebook.identity")


def _peer(request: HttpRequest) -> str | None:
    """Return the address of who handed the request over, "" for a unix socket; None where it is no address."""
    peer = request.META.get("REMOTE_ADDR") or ""
    return normal_address(peer) if peer else ""


def text_of_id(value: object) -> str | None:
    """Return an id or a name as text, also one that is a number."""
    return None if value is None else str(value)
