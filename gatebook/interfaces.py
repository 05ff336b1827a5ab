"""Interfaces: what they are called, and the rules that tell through which one a request came."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

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

Rule = Callable[[HttpRequest], str | None]
"""Says the interface of a request that it fits, else None."""

DEFAULT_RULES = (
    ("/api/", "restapi"),
    ("host:api.*", "restapi"),
    ("/dav/", "dav"),
    ("/webdav/", "dav"),
    ("method:PROP*", "dav"),  # PROPFIND, PROPPATCH
    ("method:MKCOL", "dav"),
    ("method:*LOCK", "dav"),
    ("/scim/", "scim"),
    ("/", "web"),
)

HEADER = re.compile(r"[A-Za-z0-9-]+")
"""The name of a header."""


def label(interface: str) -> str:
    """Return what pages write for a stored interface."""
    return LABELS.get(interface, interface)


def value_of(label_or_value: str) -> str:
    """Return the stored value for a label or a value, in any case; an unknown one comes back as it is."""
    text = label_or_value.strip()
    return _VALUES.get(text.casefold(), text)


def meta_name(header: str) -> str:
    """Return the name of a header in request.META."""
    return "HTTP_" + header.upper().replace("-", "_")


def rule(text: str, interface: str) -> Rule:
    """Make a rule that gives `interface` where `text` fits a request.

    `/api/` is a path's beginning; `host:dav.*`, `agent:rclone/*`, `method:PROP*` and `header:X-Client=mobile*` are
    patterns in which case does not count. Raises ValueError for anything else.
    """
    if text.startswith("/"):
        return lambda request: interface if request.path.startswith(text) else None
    kind, _, pattern = text.partition(":")
    name = {"host": "Host", "agent": "User-Agent"}.get(kind)
    if kind == "header":
        name, _, pattern = pattern.partition("=")
    if pattern and kind == "method":
        fits = _matcher(pattern)
        return lambda request: interface if fits(request.method or "") else None
    if not (pattern and name and HEADER.fullmatch(name)):
        raise ValueError(
            "a path's beginning (/api/), host:PATTERN, agent:PATTERN, method:PATTERN or header:NAME=PATTERN"
        )
    fits, meta = _matcher(pattern), meta_name(name)
    if kind == "host":
        return lambda request: interface if fits(_without_port(request.META.get(meta, ""))) else None
    return lambda request: interface if fits(request.META.get(meta, "")) else None


def first(rules: Iterable[Rule], request: HttpRequest) -> str | None:
    """Return what the first rule that fits the request says."""
    for ask in rules:
        if interface := ask(request):
            return interface
    return None


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(translate(pattern), re.IGNORECASE).match


def _without_port(host: str) -> str:
    return host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
