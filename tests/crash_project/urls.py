"""Views that never ask the database: what fails here, capture has broken."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from pathlib import Path

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path

from auditlog.dashboard.health import healthz, readyz


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def slow(request: HttpRequest) -> HttpResponse:
    time.sleep(1.5)
    return HttpResponse("at last")


def stream(request: HttpRequest, seconds: float) -> StreamingHttpResponse:
    """Send the first part at once and the last one after `seconds`."""

    def parts() -> Iterator[bytes]:
        yield b"first\n"
        time.sleep(seconds)
        yield b"last\n"

    async def async_parts() -> AsyncIterator[bytes]:
        source = parts()
        while part := await sync_to_async(next, thread_sensitive=False)(source, None):
            yield part

    return StreamingHttpResponse(async_parts() if isinstance(request, ASGIRequest) else parts())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


def saying_which_process(view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Let the answer name the worker that gave it: each counts its own misses."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponseBase:
        response = view(request)
        response.headers["X-Process"] = str(os.getpid())
        return response

    return answer


urlpatterns = [
    path("hello/", saying_which_process(hello)),
    path("slow/", slow),
    path("stream/<int:seconds>/", stream),
    path("file/", file),
    path("healthz", saying_which_process(healthz)),
    path("readyz", saying_which_process(readyz)),
]
