"""Interfaces: what they are called, and the rules that tell through which one a request came."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from django.http import HttpRequest

LABELS = {
    "web": "Web",
    "restapi": "API",
    "jsapi": "JavaScript API",
    "webdesktopapi": "Web Desktop API",
    "ftp": "FTP",
    "sftp": "SFTP",
    "dav": "WebDAV",
    "s3": "S3",
    "as2": "AS2",
    "desktop": "Desktop",
    "mobile": "Mobile",
    "office": "Office",
    "robot": "Robot",
    "sync": "Sync",
    "scim": "SCIM",
    "remote": "Remote",
    "inbound_email": "Email",
    "inbound_s3": "Inbound S3",
}
"""The known interfaces, as stored and as pages write them. The stored text is open: others are shown as they are."""

_VALUES = {name.casefold(): value for value, label in LABELS.items() for name in (value, label)} | {
    "rest api": "restapi",
    "rest": "restapi",
    "inbound email": "inbound_email",
    "webdav": "dav",
}

Rule = Callable[[HttpRequest], bool]


def label(interface: str) -> str:
    """Return what pages write for a stored interface."""
    return LABELS.get(interface, interface)


def value_of(label_or_value: str) -> str:
    """Return the stored value for a label or a value, in any case; an unknown one comes back as it is."""
    text = label_or_value.strip()
    return _VALUES.get(text.casefold(), text)


def rule(text: str) -> Rule:
    """Make a rule: `/api/` is a path's beginning, `host:*.example.com` and `agent:rclone/*` are patterns.

    Raises ValueError for anything else.
    """
    kind, colon, pattern = text.partition(":")
    if text.startswith("/"):
        return lambda request: request.path.startswith(text)
    pattern = pattern.lower()
    if colon and pattern and kind == "host":
        return lambda request: fnmatchcase(request.META.get("HTTP_HOST", "").partition(":")[0].lower(), pattern)
    if colon and pattern and kind == "agent":
        return lambda request: fnmatchcase(request.META.get("HTTP_USER_AGENT", "").lower(), pattern)
    raise ValueError(f"{text!r} is no rule, expected a path's beginning (/api/), host:pattern or agent:pattern")


def interface_of(request: HttpRequest, rules: Iterable[tuple[Rule, str]]) -> str | None:
    """Return the interface of the first rule that fits the request."""
    for fits, interface in rules:
        if fits(request):
            return interface
    return None
