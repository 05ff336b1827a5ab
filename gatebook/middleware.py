"""The middleware: sits first, lets every request through and records how it ended."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.core.exceptions import SynchronousOnlyOperation
from django.core.signals import got_request_exception
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from gatebook import errors, logs, recording, spool
from gatebook.capture import CLIENT_GONE, SIGN_IN_FAILED, Capture
from gatebook.conf import conf
from gatebook.entry import Entry
from gatebook.identity import text_of_id
from gatebook.ids import new_id
from gatebook.spool import SpoolError

logger = logging.getLogger("gatebook")


class GatebookMiddleware:
    """Records every request. Put it first in MIDDLEWARE, so that it also sees what the others refuse."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        conf()  # nonsense in the settings stops the start, not the first request

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve the request and record it."""
        if self.is_async:
            return self._serve_async(request)
        capture = _begin(request)
        if refusal := _refusal(capture):
            return refusal
        before = logs.served.get()
        logs.served.set(capture)
        try:
            response: HttpResponseBase = self.get_response(request)
        except BaseException as error:
            _unanswered(capture, request, error)
            raise
        finally:
            logs.served.set(before)  # not by a token: that is bound to the context, which asgiref may change
        try:
            return _finish(capture, request, response)
        except BaseException as error:  # the process is being stopped
            _unanswered(capture, request, error)
            raise

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        capture = _begin(request)
        if refusal := _refusal(capture):
            return refusal
        before = logs.served.get()
        logs.served.set(capture)
        try:
            response: HttpResponseBase = await self.get_response(request)
        except BaseException as error:  # above all asyncio.CancelledError: the client has gone
            _unanswered(capture, request, error)
            raise
        finally:
            logs.served.set(before)
        if not response.streaming:
            capture.stop_clock()
        if not capture.ignore:
            try:
                await _find_out_who(capture, request)
            except Exception:  # the entry will say what is not known
                logger.exception("Capture failed to find out who it was")
            except BaseException as error:  # the client has gone meanwhile
                _unanswered(capture, request, error)
                raise
        return _finish(capture, request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note what a view raised; Django makes an answer of it."""
        if capture := _capture_in(request):
            capture.failed(exception)


def _begin(request: HttpRequest) -> Capture:
    try:
        capture = Capture.begin(request)
    except Exception:
        logger.exception("Capture failed to begin")
        capture = Capture(new_id())
    request.gatebook = capture  # type: ignore[attr-defined]
    return capture


async def _find_out_who(capture: Capture, request: HttpRequest) -> None:
    try:
        capture.find_out_who(request)
    except SynchronousOnlyOperation:  # the user must be looked up
        await sync_to_async(capture.find_out_who, thread_sensitive=True)(request)


def _refusal(capture: Capture) -> HttpResponse | None:
    """Answer 503 where nothing may happen unrecorded and nothing can be recorded."""
    if capture.ignore or not conf().refuses_unrecorded:
        return None
    try:
        spool.current().probe()
    except SpoolError as error:
        refusal = _refuse(error, "This request cannot be recorded and is therefore not served. Try again later.")
        refusal["Retry-After"] = "30"
        return refusal
    return None


def _refuse(reason: object, answer: str) -> HttpResponse:
    spool.current().miss(reason)
    return HttpResponse(f"{answer}\n", status=503, content_type="text/plain; charset=utf-8")


def _finish(capture: Capture, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Record an answer, or arrange that it is recorded when its stream ends."""
    try:
        with contextlib.suppress(ValueError):  # an id that a view has made up and no header can hold
            response.headers[conf().request_id_header] = str(capture.request_id)
        if capture.ignore:
            return response
        if isinstance(response, StreamingHttpResponse):
            # All of it now, for a stream may end where the database cannot be asked.
            is_recorded = recording.begin(_entry(capture, request, response), _slug(capture))
            if is_recorded or not conf().refuses_unrecorded:
                _Stream(capture, request, response)
        else:
            is_recorded = _record(capture, request, response)
    except Exception as error:
        logger.exception("Capture failed")
        spool.current().miss(error)
        is_recorded = False
    if not is_recorded and conf().refuses_unrecorded:
        response.close()
        return _refuse(
            "the answer is withheld", "This request was carried out but could not be recorded; do not repeat it."
        )
    return response


def _unanswered(capture: Capture, request: HttpRequest, error: BaseException) -> None:
    """Record a request that ends without an answer: the client has gone, or the process is being stopped."""
    if capture.ignore:
        return
    if capture.error_type is None:
        if isinstance(error, Exception | KeyboardInterrupt | SystemExit):
            capture.error_type, capture.error_message = errors.error_of_exception(error)
        else:
            capture.error_type, capture.error_message = CLIENT_GONE, "the client left before the answer"
    _record(capture, request, None)


def _record(capture: Capture, request: HttpRequest, response: HttpResponseBase | None) -> bool:
    """Record the request. Whatever fails in capture ends here: the request does not notice it."""
    try:
        capture.stop_clock()
        return recording.record(_entry(capture, request, response), _slug(capture))
    except Exception as error:
        logger.exception("Capture failed")
        spool.current().miss(error)
        return False


def _entry(capture: Capture, request: HttpRequest, response: HttpResponseBase | None) -> Entry:
    """Return the entry, in full or what cannot fail of it."""
    try:
        try:
            return capture.entry(request, response)
        except SynchronousOnlyOperation:  # in an event loop, where nobody can wait for the database any more
            capture.leave_out_user()
            return capture.entry(request, response)
    except Exception as error:
        logger.exception("An entry could not be made in full")
        return capture.bare_entry(request, response, f"{type(error).__name__}: {error}")


class _Stream:
    """Records a streaming answer when it ends: sent whole, broken off by an error, or by the client.

    Should the process end first, what was noted when it began is shipped.
    """

    def __init__(self, capture: Capture, request: HttpRequest, response: StreamingHttpResponse) -> None:
        self.capture = capture
        self.request = request
        self.response = response
        self.key = capture.request_id, capture.created_at  # the beginning was noted so, and the client has seen it
        self.is_recorded = False
        self.is_whole = request.method == "HEAD"
        if isinstance(response, FileResponse) and response.file_to_stream and "wsgi.file_wrapper" in request.META:
            self.is_whole = True  # the server sends the file itself; wrapping it would take that away
        elif response.is_async:
            response.streaming_content = self._watch_async(response.streaming_content)  # type: ignore[arg-type]
        else:
            response.streaming_content = self._watch(response.streaming_content)  # type: ignore[arg-type]
        response._resource_closers.append(self._closed)  # type: ignore[attr-defined]

    def _watch(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from parts
        except Exception as error:
            self._failed(error)
            raise
        self.is_whole = True
        self._closed()

    async def _watch_async(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for part in parts:
                yield part
        except Exception as error:
            self._failed(error)
            raise
        self.is_whole = True
        self._closed()

    def _failed(self, error: Exception) -> None:
        self.capture.error_type, self.capture.error_message = errors.error_of_exception(error)
        self.is_whole = True
        self._closed()

    def _closed(self) -> None:
        if self.is_recorded:
            return
        self.is_recorded = True
        if not self.is_whole and self.capture.error_type is None:
            self.capture.error_type = CLIENT_GONE
            self.capture.error_message = "the client left before the end of the answer"
        self.capture.request_id, self.capture.created_at = self.key
        _record(self.capture, self.request, self.response)


def _slug(capture: Capture) -> str | None:
    return text_of_id(capture.site)


def _capture_in(request: object) -> Capture | None:
    capture = getattr(request, "gatebook", None)
    return capture if isinstance(capture, Capture) else None


def _note_exception(request: HttpRequest | None = None, **kwargs: object) -> None:
    if (capture := _capture_in(request)) and (error := sys.exc_info()[1]):
        capture.failed(error)


def _note_failed_sign_in(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: object) -> None:
    if (capture := _capture_in(request)) and isinstance(capture.details, dict):
        capture.details.setdefault("attempted_username", credentials.get("username") or credentials.get("email") or "")
        capture.error_type = capture.error_type or SIGN_IN_FAILED


def _note_sign_out(request: HttpRequest | None = None, **kwargs: object) -> None:
    """Who signs out is nobody any more when the request ends; find out now who it is."""
    if (capture := _capture_in(request)) and request is not None:
        try:
            capture.find_out_user(request)
        except Exception:  # above all SynchronousOnlyOperation; nobody's sign-out fails for it
            logger.exception("Who signs out could not be found out")


got_request_exception.connect(_note_exception, dispatch_uid="gatebook.middleware")
user_login_failed.connect(_note_failed_sign_in, dispatch_uid="gatebook.middleware")
user_logged_out.connect(_note_sign_out, dispatch_uid="gatebook.middleware")
