"""What is known about one request while it is served, and the Entry made of it at the end."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import quote

from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from gatebook import errors, identity
from gatebook.conf import conf
from gatebook.entry import FIRST_FAILURE, MAX_CODE, MAX_MILLISECONDS, Entry
from gatebook.identity import text_of_id
from gatebook.ids import new_id

logger = logging.getLogger("gatebook")

T = TypeVar("T")

CLIENT_GONE = "client-disconnected"
SIGN_IN_FAILED = "not-authenticated"

_PATH_SIGNS = "/:@&+$,-_.!~*'()"  # stand for themselves in a path: RFC 3986, as Django's escape_uri_path has them
_PLAIN_PATH = re.compile(r"[\w/:@&+$,.!~*'()-]*", re.ASCII)

_TRUSTED_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+=@~")
_TRUSTED_ID_LIMIT = 200


class Capture:
    """`request.gatebook`: what the view knows better than the middleware; None leaves it to the middleware.

    `ignore = True` keeps the request out of the book; `site` is the slug of the site it belongs to.
    """

    __slots__ = (
        "_asked_user",
        "_asked_who",
        "_began",
        "_began_at",
        "_database_failed",
        "_exception",
        "_first_id",
        "api_key_id",
        "api_key_prefix",
        "api_name",
        "created_at",
        "details",
        "duration_ms",
        "error_message",
        "error_type",
        "ignore",
        "impersonator_user_id",
        "impersonator_username",
        "interface",
        "request_id",
        "request_path",
        "site",
        "user_id",
        "user_is_from_parent_site",
        "username",
    )

    def __init__(self, request_id: str, *, ignore: bool = False) -> None:
        self.created_at = self._began_at = datetime.now(UTC)
        self._began = perf_counter()
        self._asked_user = self._asked_who = self._database_failed = False
        self._exception: BaseException | None = None
        self.request_id = self._first_id = request_id
        self.ignore = ignore
        self.site: str | None = None
        self.user_id: str | None = None
        self.username: str | None = None
        self.user_is_from_parent_site: bool | None = None
        self.impersonator_user_id: str | None = None
        self.impersonator_username: str | None = None
        self.interface: str | None = None
        self.api_key_id: str | None = None
        self.api_key_prefix: str | None = None
        self.api_name: str | None = None
        self.request_path: str | None = None
        self.error_type: str | None = None
        self.error_message: str | None = None
        self.duration_ms: int | None = None
        self.details: dict[str, str] = {}

    @classmethod
    def begin(cls, request: HttpRequest) -> Capture:
        """Start the clock for a request and give it its id, taken from a trusted proxy where it sent one."""
        settings = conf()
        given = request.META.get(settings.request_id_meta)
        if given and not (
            len(given) <= _TRUSTED_ID_LIMIT
            and _TRUSTED_ID_CHARACTERS.issuperset(given)
            and identity.peer_is_trusted(request)
        ):
            given = None
        return cls(given or new_id(), ignore=settings.ignores(request.path))

    def failed(self, exception: BaseException) -> None:
        """Note the exception that ended the request; the first one counts."""
        if self._exception is None:
            self._exception = exception

    def find_out_who(self, request: HttpRequest) -> None:
        """Ask the resolvers for what the view has not said: user, impersonator, site, API key, interface. Once.

        Raises SynchronousOnlyOperation where that needs the database and this is an event loop.
        """
        if self._asked_who:
            return
        settings = conf()
        # The user last: it is what may need the database, and the others are known then.
        if self.site is None:
            self.site = self._ask("site", settings.site, request)
        if settings.api_key and (key := self._ask("api_key", settings.api_key, request, identity.ApiKey)):
            self.api_key_id = self.api_key_id or key.id
            self.api_key_prefix = self.api_key_prefix or key.prefix
        if self.interface is None:
            self.interface = self._ask("interface", settings.interface, request)
        self.find_out_user(request)
        self._asked_who = True

    def leave_out_user(self) -> None:
        """Do without the user, where the database must not be asked and nobody will ask again."""
        self.details.setdefault("user", "not looked up: this was in an event loop")
        self._asked_user = True

    def find_out_user(self, request: HttpRequest) -> None:
        """Ask for user and impersonator, once; called early where the request is about to forget them."""
        if self._asked_user:
            return
        settings = conf()
        if isinstance(self._exception, DatabaseError) and not identity.user_is_loaded(request):
            self._database_failed = True
            self.details["user"] = "not known: the database failed"
        else:
            user = self._ask("user", settings.user, request, identity.Person)
            if user and self.username is None and self.user_id is None:
                self.user_id, self.username = user.id, user.username
                if self.user_is_from_parent_site is None and settings.user_from_parent_site is None:
                    self.user_is_from_parent_site = user.is_from_parent_site
        if not self._database_failed:  # asking it again would only make this request wait again
            if self.user_is_from_parent_site is None and settings.user_from_parent_site and self._is_somebody():
                self.user_is_from_parent_site = self._ask("from_parent", settings.user_from_parent_site, request)
            if impersonator := self._ask("impersonator", settings.impersonator, request, identity.Person):
                self.impersonator_user_id = self.impersonator_user_id or impersonator.id
                self.impersonator_username = self.impersonator_username or impersonator.username
        self._asked_user = True

    def entry(self, request: HttpRequest, response: HttpResponseBase | None) -> Entry:
        """Return the Entry. Raises SynchronousOnlyOperation like find_out_who, or what a bad annotation leads to."""
        self.find_out_who(request)
        error_type, error_message = self._error(response)
        path = raw_path(request) if self.request_path is None else str(self.request_path)
        return Entry(
            created_at=self.created_at,
            request_id=str(self.request_id),
            user_id=text_of_id(self.user_id),
            username=text_of_id(self.username),
            impersonator_user_id=text_of_id(self.impersonator_user_id),
            impersonator_username=text_of_id(self.impersonator_username),
            user_is_from_parent_site=bool(self.user_is_from_parent_site),
            interface=text_of_id(self.interface),
            api_key_id=text_of_id(self.api_key_id),
            api_key_prefix=text_of_id(self.api_key_prefix),
            api_name=text_of_id(self.api_name) or self._ask("api_name", identity.api_name, request),
            request_method=request.method,
            request_path=path,
            request_ip=identity.client_ip(request),
            request_host=header_text(request._get_raw_host()),  # type: ignore[attr-defined]
            response_code=response.status_code if response is not None else None,
            user_agent=header_text(request.META.get("HTTP_USER_AGENT", "")),
            error_type=text_of_id(error_type),
            error_message=text_of_id(error_message),
            duration_ms=self.duration_ms if type(self.duration_ms) is int else None,
            details={str(name): str(value) for name, value in self.details.items() if value is not None},
        )

    def bare_entry(self, request: HttpRequest, response: HttpResponseBase | None, reason: str) -> Entry:
        """Return an Entry of what cannot fail, for a request whose full one could not be made."""
        code = response.status_code if response is not None else None
        return Entry(
            created_at=self._began_at,
            request_id=self._first_id,
            request_method=request.method,
            request_path=quote(request.path, safe=_PATH_SIGNS, errors="replace"),
            response_code=code if isinstance(code, int) and 0 <= code <= MAX_CODE else None,
            error_type=self.error_type if isinstance(self.error_type, str) else None,
            duration_ms=round((perf_counter() - self._began) * 1000),
            details={"capture": reason},
        )

    def stop_clock(self) -> None:
        """Note the duration, unless the view has."""
        if not (type(self.duration_ms) is int and 0 <= self.duration_ms <= MAX_MILLISECONDS):
            self.duration_ms = round((perf_counter() - self._began) * 1000)

    def _is_somebody(self) -> bool:
        return self.username is not None or self.user_id is not None

    def _error(self, response: HttpResponseBase | None) -> tuple[str | None, str | None]:
        """Take the view's word first; what it leaves open says the exception, or the body of a failed answer."""
        told = errors.UNKNOWN
        has_failed = response is None or response.status_code >= FIRST_FAILURE
        if has_failed and (self.error_type is None or self.error_message is None):
            if self._exception is not None:
                told = errors.error_of_exception(self._exception)
            elif response is not None:
                told = errors.error_of_response(response)
        return self.error_type or told.type, self.error_message or told.message

    def _ask(
        self, name: str, resolver: Callable[[HttpRequest], T | None], request: HttpRequest, kind: type = object
    ) -> T | None:
        try:
            found = resolver(request)
            if found is not None and not isinstance(found, kind):
                raise TypeError(f"the resolver returned a {type(found).__name__}, expected a {kind.__name__} or None")
            return found
        except SynchronousOnlyOperation:
            raise
        except Exception as error:  # a resolver's trouble must not cost the entry
            if isinstance(error, DatabaseError):
                self._database_failed = True
            else:
                logger.exception("The %s of a request could not be found out", name, extra={"request": request})
            self.details[name] = f"not known: {type(error).__name__}"
            return None


def capture_of(request: HttpRequest) -> Capture:
    """Return `request.gatebook`; without the middleware (as in a unit test) one that is thrown away."""
    capture = getattr(request, "gatebook", None)
    return capture if isinstance(capture, Capture) else Capture(new_id(), ignore=True)


def raw_path(request: HttpRequest) -> str:
    """Return the path as the client sent it, as far as the server tells, with its query string."""
    path = request.path
    if not _PLAIN_PATH.fullmatch(path):
        path = _encoded_path(request)
    query = request.META.get("QUERY_STRING", "")
    if not query:
        return path
    if not query.isascii():
        query = quote(header_text(query), safe="/#%[]=:;$&()+,!?*@'~")
    return f"{path}?{query}"


def _encoded_path(request: HttpRequest) -> str:
    """Return a path that has more than plain signs, from before Django decoded it where the server kept it."""
    raw = request.META.get("RAW_URI") or request.META.get("REQUEST_URI")  # gunicorn; uWSGI and mod_wsgi
    if raw is None and isinstance(request, ASGIRequest):
        raw = (request.scope.get("raw_path") or b"").decode("latin-1")
    if raw and raw.startswith("/"):
        return quote(raw.partition("?")[0].encode("latin-1", "replace"), safe=_PATH_SIGNS + "%;=")
    return quote(request.path, safe=_PATH_SIGNS, errors="replace")


def header_text(value: Any) -> str:
    """Return a header as text: servers hand bytes over as Latin-1, most clients mean UTF-8."""
    text = str(value)
    if text.isascii():
        return text
    return text.encode("latin-1", "replace").decode("utf-8", "replace")
