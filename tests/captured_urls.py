"""Views of a project that records its requests, for tests/test_middleware.py and the programs it starts."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello", headers={"X-Process": str(os.getpid())})


def code(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(status=number)


def error(request: HttpRequest, kind: str) -> HttpResponse:
    raise {
        "value": ValueError("broken token=abc123"),
        "missing": Http404("No such file"),
        "forbidden": PermissionDenied("not yours"),
        "database": OperationalError("server closed the connection"),
    }[kind]


def problem(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"type": "bad-request/invalid-cursor", "error": "Invalid cursor"}, status=422)


def annotated(request: Any) -> HttpResponse:
    note = request.gatebook
    note.site, note.user_id, note.username, note.api_key_id = "acme", 42, "from-key", 7
    note.error_type, note.error_message = "odd", "just so"
    note.details["job"] = 17
    return HttpResponse()


def wrongly_annotated(request: Any) -> HttpResponse:
    request.gatebook.duration_ms = "soon"
    request.gatebook.details = ["no", "map"]
    request.gatebook.request_id = "a\r\nSet-Cookie: x=1"
    return HttpResponse("served")


def ignored(request: Any) -> HttpResponse:
    request.gatebook.ignore = True
    return HttpResponse()


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for number in range(10):
            yield f"{number}\n"
            if "fail" in request.GET and number == 5:
                raise ConnectionError("the source went away")

    return StreamingHttpResponse(parts())


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        for number in range(10):
            yield f"{number}\n"
            if "fail" in request.GET and number == 5:
                raise ConnectionError("the source went away")

    return StreamingHttpResponse(parts())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(b"x" * 100_000), filename="x.bin")


async def async_hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


async def async_error(request: HttpRequest) -> HttpResponse:
    raise ValueError("broken")


urlpatterns = [
    path("async-error/", async_error),
    path("hello/", hello, name="hello"),
    path("unnamed/", hello),
    path("code/<int:number>/", code),
    path("error/<str:kind>/", error, name="error"),
    path("problem/", problem),
    path("annotated/", annotated),
    path("wrongly-annotated/", wrongly_annotated),
    path("ignored/", ignored),
    path("stream/", stream),
    path("async-stream/", async_stream),
    path("file/", file),
    path("async-hello/", async_hello),
]
