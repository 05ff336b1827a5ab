"""The API key that a request was made with: enough of it to tell keys apart, never the key."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.encoding import force_bytes

FINGERPRINT = "fp:"
"""Begins an id that is the fingerprint of a key."""

SHOWN = 6
"""Characters of a key that are kept as its prefix; 14 or more stay unknown."""

_SCHEMES = frozenset({"bearer", "token", "api-key", "apikey"})

# Long and with a digit: made by a machine, so that the rest cannot be guessed from the beginning.
_KEY = re.compile(r"(?=\D*\d)[\w.~+/=-]{20,512}", re.ASCII)
_LABEL = re.compile(r"(?:[a-z][a-z0-9]{0,7}_){1,2}(?=[A-Za-z0-9]{20,}$)")  # sk_live_, ghp_

# JSON Web Tokens and PASETO: new ones every few minutes, and they name their user inside.
_SHORT_LIVED = re.compile(r"eyJ[\w-]*\.|v[1-9]\.(?:local|public)\.")

# What clients write beside a key in Basic, which has two fields; nobody's user name.
_PLACEHOLDERS = frozenset({"", "x", "api", "apikey", "api_key", "api-key", "api_token", "token", "x-access-token"})
_KEYS_NAME = "@api-"  # Files.com: the user name of a key, by its name or id

_LONGEST_PREFIX = 20
_LONGEST_NAME = 100


class ApiKey(NamedTuple):
    """The API key a request was made with; never the key itself."""

    id: str | None
    prefix: str | None


def presented(meta: Mapping[str, Any], names: Iterable[str]) -> tuple[str | None, str | None]:
    """Return the key in a request's META, and the user name that it is the password of where it came so.

    The key is a secret: do not keep it. `names` are the headers that may hold it, before Authorization.
    """
    for name in names:
        if value := str(meta.get(name, "")).strip():
            return value, None
    scheme, _, value = str(meta.get("HTTP_AUTHORIZATION", "")).partition(" ")
    scheme = scheme.lower()
    if scheme in _SCHEMES:
        return value.strip(), None
    return _in_basic(value) if scheme == "basic" else (None, None)


def described(key: str | None, known: object) -> ApiKey | None:
    """Return what may be kept of a key, and of the record that the project's authenticator knows it by.

    Without such a record the id is a fingerprint. None where there is nothing to tell.
    """
    if key and _SHORT_LIVED.match(key):
        return None
    found_id = found_prefix = None
    if known is not None and not hasattr(known, "is_authenticated"):  # django-ninja's is often the user
        found_id, found_prefix = _id_of(known, key), _prefix_of(known, key)
    if key and _KEY.fullmatch(key):
        found_id, found_prefix = found_id or fingerprint(key), found_prefix or _beginning(key)
    return ApiKey(found_id, found_prefix) if found_id or found_prefix else None


def fingerprint(key: str) -> str:
    """Return the text by which all requests of a key can be found, and from which nobody finds the key.

    It is a hash that SECRET_KEY keys: who has only the book cannot try keys against it.
    """
    return FINGERPRINT + keyed_digest(key)


def keyed_digest(secret: str) -> str:
    """Return what stands for a secret and is the same for the same one, and for nobody without SECRET_KEY."""
    return blake2b(secret.encode(), key=_hash_key(settings.SECRET_KEY), digest_size=8).hexdigest()


@lru_cache(maxsize=1)
def _hash_key(secret: str | bytes) -> bytes:
    return sha256(b"gatebook.api_keys" + force_bytes(secret)).digest()


def _in_basic(value: str) -> tuple[str | None, str | None]:
    """Return the field that is a key where the other one is a placeholder; a user name with a password has none."""
    try:
        username, _, password = b64decode(value).decode().partition(":")
    except ValueError:
        return None, None
    if password.lower() in _PLACEHOLDERS:
        return username, None
    if username.lower() in _PLACEHOLDERS or username.startswith(_KEYS_NAME):
        return password, username
    return None, None


def _beginning(key: str) -> str:
    label = _LABEL.match(key)
    return key[: (label.end() if label else 0) + SHOWN]


def _id_of(known: Any, key: str | None) -> str | None:
    """Return a number or UUID that is the id of a key's record, or its name.

    A text as primary key is the key itself (Django REST framework's Token) or its hash (knox).
    """
    pk = getattr(known, "pk", None)
    if isinstance(pk, int | UUID) and not isinstance(pk, bool):
        return str(pk)
    name = getattr(known, "name", None)
    return name if isinstance(name, str) and len(name) <= _LONGEST_NAME and not _holds(name, key) else None


def _prefix_of(known: Any, key: str | None) -> str | None:
    prefix = getattr(known, "prefix", None)
    return prefix if isinstance(prefix, str) and len(prefix) <= _LONGEST_PREFIX and not _holds(prefix, key) else None


def _holds(text: str, key: str | None) -> bool:
    return key in text if key else False
