"""The host project's settings.GATEBOOK: read once, completed with defaults and checked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.utils.module_loading import import_string

from gatebook import interfaces
from gatebook.redact import HIDDEN, Redactor
from gatebook.secret_names import plain

if TYPE_CHECKING:
    from gatebook.identity import ApiKey, Person
    from gatebook.sinks import Sink

UNIX_SOCKET = "unix"
"""In TRUSTED_PROXIES: a proxy that connects over a unix socket and so has no address."""

SPOOL_LIMIT_BYTES = 4 * 2**30
"""Some eight million entries: enough for a long outage of the book, and no end of the disk."""

PATTERN_SIGN = "re:"
"""In REDACT: a regular expression of values, not a name."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_INTERFACE = re.compile(r"[a-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Book:
    """Where a Gatebook is, and the key that opens its door."""

    url: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Conf:
    """What capture needs to know, ready to use. The names are those of the GATEBOOK keys."""

    spool: Path
    spool_limit_bytes: int
    syncs_each_line: bool
    make_sink: Callable[[], Sink]
    book: Book | None
    ship: bool
    site: Callable[[HttpRequest], str | None]
    user: Callable[[HttpRequest], Person | None]
    impersonator: Callable[[HttpRequest], Person | None]
    user_from_parent_site: Callable[[HttpRequest], bool] | None
    api_key: Callable[[HttpRequest], ApiKey | None] | None
    api_key_metas: tuple[str, ...]
    trusts: Callable[[str], bool]
    request_id_header: str
    request_id_meta: str
    ignored_paths: frozenset[str]
    ignored_prefixes: tuple[str, ...]
    interface: Callable[[HttpRequest], str | None]
    redactor: Redactor
    refuses_unrecorded: bool

    def ignores(self, path: str) -> bool:
        """Whether requests of `path` are not captured."""
        return path in self.ignored_paths or path.startswith(self.ignored_prefixes)


DEFAULTS: dict[str, Any] = {
    "SPOOL": None,  # the directory that holds lines until they are shipped; required
    "SPOOL_LIMIT_BYTES": SPOOL_LIMIT_BYTES,  # what the directory may hold; beyond it see ON_SPOOL_FAILURE
    "SYNC_EACH_LINE": False,  # True: wait for the disk with each request, so that not even a power cut costs one
    "SINK": None,  # where lines are shipped to; None: with BOOK_URL to that Gatebook, else into this project's database
    "BOOK_URL": None,  # the address of a Gatebook elsewhere, such as https://book.example.org
    "BOOK_KEY": None,  # an API key of a site there, with the scope ingest
    "SHIP": True,  # False: this project's processes only fill the spool, `manage.py ship` or another one empties it
    "SITE": None,  # a slug, or the dotted path of f(request) -> str | None; None is the root site
    "USER": "gatebook.identity.user",  # f(request) -> Person | None
    "IMPERSONATOR": "gatebook.identity.impersonator",  # f(request) -> Person | None
    "USER_FROM_PARENT_SITE": None,  # f(request) -> bool; without it, what USER says
    "API_KEY": "gatebook.identity.api_key",  # f(request) -> ApiKey | None; None keeps nothing of API keys
    "API_KEY_HEADERS": ("X-FilesAPI-Key", "X-API-Key", "Api-Key"),  # looked into before Authorization
    "TRUSTED_PROXIES": (),  # addresses and networks whose X-Forwarded-For counts; "unix" for a unix socket
    "REQUEST_ID_HEADER": "X-Request-Id",  # sent with every answer; taken from trusted proxies only
    "IGNORE_PATHS": (),  # not captured: /healthz is that page and all below it, /static/ all below it
    "INTERFACES": interfaces.DEFAULT_RULES,  # the first rule that fits decides
    "REDACT": (),  # names whose values to hide besides the built-in ones, and "re:…" patterns of such values
    "NOT_SECRET": (),  # built-in names to leave alone, such as "code" where it is a currency
    "ON_SPOOL_FAILURE": "serve",  # or "refuse": answer 503 rather than act unrecorded
}


@cache
def conf() -> Conf:
    """Return the settings. Raises ImproperlyConfigured naming the key, its value and what is expected."""
    return read(getattr(settings, "GATEBOOK", {}))


def read(given: Mapping[str, Any]) -> Conf:
    """Complete and check what the host project gives."""
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"GATEBOOK is {given!r}, expected a dict.")
    if unknown := [key for key in given if key not in DEFAULTS]:
        raise ImproperlyConfigured(f"GATEBOOK[{unknown[0]!r}] is unknown, expected one of {', '.join(DEFAULTS)}.")
    values = {**DEFAULTS, **given}
    header = _header(values["REQUEST_ID_HEADER"])
    ignored = _paths(values["IGNORE_PATHS"])
    book = _book(values["BOOK_URL"], values["BOOK_KEY"])
    sink = "gatebook.http_sink.HttpSink" if book else "gatebook.sinks.StoreSink"
    return Conf(
        spool=_directory(values["SPOOL"]),
        spool_limit_bytes=_limit("SPOOL_LIMIT_BYTES", values["SPOOL_LIMIT_BYTES"]),
        syncs_each_line=_one_of("SYNC_EACH_LINE", values["SYNC_EACH_LINE"], True, False),
        make_sink=_imported("SINK", sink if values["SINK"] is None else values["SINK"]),
        book=book,
        ship=_one_of("SHIP", values["SHIP"], True, False),
        site=_site(values["SITE"]),
        user=_imported("USER", values["USER"]),
        impersonator=_imported("IMPERSONATOR", values["IMPERSONATOR"]),
        user_from_parent_site=_imported_or_none("USER_FROM_PARENT_SITE", values["USER_FROM_PARENT_SITE"]),
        api_key=_imported_or_none("API_KEY", values["API_KEY"]),
        api_key_metas=tuple(interfaces.meta_name(name) for name in _headers(values["API_KEY_HEADERS"])),
        trusts=_trust(values["TRUSTED_PROXIES"]),
        request_id_header=header,
        request_id_meta=interfaces.meta_name(header),
        ignored_paths=frozenset(ignored),
        ignored_prefixes=tuple(path.rstrip("/") + "/" for path in ignored),
        interface=_interface(values["INTERFACES"]),
        redactor=_redactor(values["REDACT"], values["NOT_SECRET"]),
        refuses_unrecorded=_one_of("ON_SPOOL_FAILURE", values["ON_SPOOL_FAILURE"], "serve", "refuse") == "refuse",
    )


def _wrong(key: str, value: object, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"GATEBOOK[{key!r}] is {value!r}, expected {expected}.")


def _one_of(key: str, value: Any, *allowed: Any) -> Any:
    if value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool):
        raise _wrong(key, value, " or ".join(map(repr, allowed)))
    return value


def _limit(key: str, value: Any) -> int:
    if not isinstance(value, int) or value is True or value < 2**20:
        raise _wrong(key, value, "a whole number of bytes, 1048576 or more")
    return value


def _directory(value: Any) -> Path:
    expected = "the absolute path of a directory"
    if not isinstance(value, str | Path) or not str(value):
        raise _wrong("SPOOL", value, expected)
    path = Path(value)
    if not path.is_absolute() or (path.exists() and not path.is_dir()):
        raise _wrong("SPOOL", value, expected)
    return path


def _book(url: Any, key: Any) -> Book | None:
    if url is None and key is None:
        return None
    if url is None or key is None:
        missing, given = ("BOOK_URL", "BOOK_KEY") if url is None else ("BOOK_KEY", "BOOK_URL")
        raise ImproperlyConfigured(f"GATEBOOK[{missing!r}] is missing, expected because {given} is given.")
    if not isinstance(key, str) or not (key.isascii() and key.isalnum()):  # not shown: it may be one all the same
        raise ImproperlyConfigured("GATEBOOK['BOOK_KEY'] is no key of a Gatebook, expected letters and digits only.")
    if not isinstance(url, str) or not _is_address_of_a_book(url):
        shown = Redactor().path(url) if isinstance(url, str) else url
        expected = "https://host[:port][/path]; http:// only for a private address or a host's name without a dot"
        raise _wrong("BOOK_URL", shown, expected)
    return Book(url.rstrip("/"), key)


def _is_address_of_a_book(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = "@" not in url and not parts.query and not parts.fragment and url.isascii() and url.isprintable()
    if not plain or not host or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_near(host))


def _is_near(host: str) -> bool:
    """Whether what is sent to the host does not cross the open network: it may go without TLS."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host


def _imported(key: str, value: Any) -> Callable[..., Any]:
    if not isinstance(value, str) or "." not in value:
        raise _wrong(key, value, "a dotted path")
    try:
        found = import_string(value)
    except ImportError as error:
        raise _wrong(key, value, f"a dotted path that can be imported ({error})") from error
    if not callable(found):
        raise _wrong(key, value, "the dotted path of a callable")
    return found  # type: ignore[no-any-return]


def _imported_or_none(key: str, value: Any) -> Callable[..., Any] | None:
    return None if value is None else _imported(key, value)


def _site(value: Any) -> Callable[[HttpRequest], str | None]:
    if value is None or (isinstance(value, str) and _SLUG.fullmatch(value)):
        return lambda request: value
    if isinstance(value, str) and "." in value:
        return _imported("SITE", value)
    raise _wrong("SITE", value, "a site's slug or the dotted path of a function")


def _texts(key: str, value: Any, expected: str) -> list[str]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise _wrong(key, value, expected)
    texts = list(value)
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise _wrong(key, value, expected)
    return texts


def _redactor(redact: Any, not_secret: Any) -> Redactor:
    expected = "a list of names and of patterns such as 're:ACME-[0-9]{8}'"
    texts = _texts("REDACT", redact, expected)
    ordinary = _texts("NOT_SECRET", not_secret, "a list of names")
    patterns = [_pattern(text) for text in texts if text.startswith(PATTERN_SIGN)]
    names = [text for text in texts if not text.startswith(PATTERN_SIGN)]
    for key, given in (("REDACT", names), ("NOT_SECRET", ordinary)):
        for name in given:
            if not plain(name) or name.startswith(PATTERN_SIGN):
                raise _wrong(key, name, "a name with letters or digits")
    if both := sorted(set(map(plain, names)).intersection(map(plain, ordinary))):
        raise _wrong("NOT_SECRET", not_secret, f"no name that GATEBOOK['REDACT'] hides, such as {both[0]}")
    return Redactor(names, patterns, ordinary)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text.removeprefix(PATTERN_SIGN))
    except re.error as error:
        raise _wrong("REDACT", text, f"a regular expression behind {PATTERN_SIGN} ({error})") from error
    if pattern.search("") or pattern.search(HIDDEN):
        raise _wrong("REDACT", text, f"a regular expression that finds neither an empty text nor {HIDDEN}")
    return pattern


def _paths(value: Any) -> list[str]:
    expected = "a list of paths that begin with / and are more than /"
    paths = _texts("IGNORE_PATHS", value, expected)
    if not all(path.startswith("/") and path.rstrip("/") for path in paths):
        raise _wrong("IGNORE_PATHS", value, expected)
    return paths


def _header(value: Any) -> str:
    if not isinstance(value, str) or not interfaces.HEADER.fullmatch(value):
        raise _wrong("REQUEST_ID_HEADER", value, "a header's name, such as X-Request-Id")
    return value


def _headers(value: Any) -> list[str]:
    expected = "a list of header names, such as X-API-Key"
    names = _texts("API_KEY_HEADERS", value, expected)
    if not all(map(interfaces.HEADER.fullmatch, names)):
        raise _wrong("API_KEY_HEADERS", value, expected)
    return names


def _interface(value: Any) -> Callable[[HttpRequest], str | None]:
    expected = "a list of pairs such as ('/api/', 'restapi'), or dotted paths of functions"
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise _wrong("INTERFACES", value, expected)
    rules = [_interface_rule(number, item) for number, item in enumerate(value)]
    return lambda request: interfaces.first(rules, request)


def _interface_rule(number: int, item: Any) -> interfaces.Rule:
    key = f"INTERFACES[{number}]"
    if isinstance(item, str):
        return _imported(key, item)
    if not (isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str)):
        raise _wrong(key, item, "a pair such as ('/api/', 'restapi'), or the dotted path of a function")
    text, interface = item
    if not (isinstance(interface, str) and _INTERFACE.fullmatch(interface)):
        raise _wrong(key, item, "an interface such as 'restapi': at most 64 of a-z, 0-9, _, . and -")
    try:
        return interfaces.rule(text, interface)
    except ValueError as error:
        raise _wrong(key, item, str(error)) from error


def _trust(value: Any) -> Callable[[str], bool]:
    """Make the test whether an address (normal form, "" for a unix socket) is a trusted proxy."""
    expected = f"a list of addresses, networks or {UNIX_SOCKET!r}"
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise _wrong("TRUSTED_PROXIES", value, expected)
    items = list(value)
    try:
        networks = [ipaddress.ip_network(item) for item in items if item != UNIX_SOCKET]
    except (TypeError, ValueError) as error:
        raise _wrong("TRUSTED_PROXIES", value, f"{expected} ({error})") from error
    unix_socket = UNIX_SOCKET in items
    if not items:
        return lambda address: False

    @lru_cache(maxsize=4096)
    def trusts(address: str) -> bool:
        if not address:
            return unix_socket
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in networks)

    return trusts


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "GATEBOOK":
        conf.cache_clear()


setting_changed.connect(_forget, dispatch_uid="gatebook.conf")
