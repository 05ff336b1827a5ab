"""Who a request came from and what went wrong: address, user, impersonator, API name, error."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from gatebook.addresses import normal_address
from gatebook.conf import conf

BODY_LIMIT_BYTES = 65_536
"""A larger error body is not read: it is no error document."""

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


class Error(NamedTuple):
    """What went wrong, as far as it is known."""

    type: str | None
    message: str | None


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


def error_of_exception(exception: BaseException) -> Error:
    """Return an exception's class and message."""
    return Error(type(exception).__name__, str(exception) or None)


def error_of_response(response: HttpResponseBase) -> Error:
    """Return what a failed answer says of itself, where its body is JSON of a known shape."""
    if response.streaming or not isinstance(response, HttpResponse):
        return Error(None, None)
    if "json" not in response.get("Content-Type", "") or len(response.content) > BODY_LIMIT_BYTES:
        return Error(None, None)
    data = getattr(response, "data", None)  # Django REST framework keeps its error codes there only
    if not isinstance(data, dict):
        try:
            data = msgspec.json.decode(response.content)
        except (msgspec.DecodeError, RecursionError):
            return Error(None, None)
    return error_of_body(data)


def error_of_body(data: object) -> Error:
    """Return the error in decoded JSON: RFC 9457, Files.com, Django REST framework, OAuth, JSON:API and their like."""
    if isinstance(data, list):
        return error_of_body(data[0]) if data else Error(None, None)
    if isinstance(data, str):
        return Error(_code(data), str(data))
    if not isinstance(data, dict):
        return Error(None, None)
    if isinstance(data.get("error"), dict):  # {"error": {"type": …, "message": …}}
        return error_of_body(data["error"])
    if isinstance(data.get("errors"), list) and data["errors"] and isinstance(data["errors"][0], dict):
        return error_of_body(data["errors"][0])
    detail = data.get("detail")
    if isinstance(detail, list) and detail:
        return _first_complaint(detail)
    kind = _text(data, "type", "code")
    if kind == "about:blank":
        kind = None
    message = _text(data, "detail", "message", "msg", "error_description", "error", "title")
    if kind is None:
        kind = _code(detail) or _text(data, "title")
        if kind is None and "error_description" in data:
            kind = _text(data, "error")
    if kind is None and message is None:
        return _first_complaint(data)
    return Error(kind, message if message != kind else None)


def _first_complaint(data: Any, depth: int = 0) -> Error:
    """Return the first of validation errors: {"email": ["Enter a valid address."]} or [{"type", "loc", "msg"}]."""
    if depth > 4:
        return Error(None, None)
    if isinstance(data, list):
        if not data:
            return Error(None, None)
        first = data[0]
        if isinstance(first, dict) and "msg" in first:
            loc = first.get("loc")
            where = ".".join(map(str, loc)) if isinstance(loc, list) else ""
            return Error(_text(first, "type"), f"{where}: {first['msg']}" if where else str(first["msg"]))
        return Error(_code(first), str(first)) if isinstance(first, str) else _first_complaint(first, depth + 1)
    if isinstance(data, dict):
        for field, complaint in data.items():
            if isinstance(complaint, list | dict):
                error = _first_complaint(complaint, depth + 1)
                if error.message:
                    return Error(error.type, f"{field}: {error.message}")
    return Error(None, None)


def _text(data: dict[Any, Any], *names: str) -> str | None:
    for name in names:
        value = data.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def _code(text: object) -> str | None:
    """Return the code of a Django REST framework ErrorDetail, which is a text with a `code`."""
    code = getattr(text, "code", None)
    return code if isinstance(code, str) else None
