"""What went wrong with a request: told by the exception that ended it, or by the JSON body of a failed answer."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from gatebook.entry import text_of

BODY_LIMIT_BYTES = 65_536
"""A larger error body is not read: it is no error document."""

# So far a document is searched: whatever an answer holds, it costs no more time than this.
_DEEPEST = 6
_MOST_VALUES = 1_000

_GZIP = 31  # zlib's window bits for a gzip header
_WORD = re.compile(r"[\w.:/-]+")
_FIELDS = ("attr", "field", "param", "pointer", "parameter")
_NO_FIELDS = ("non_field_errors", "__all__")  # Django's names for what is wrong with the whole


class Error(NamedTuple):
    """What went wrong, as far as it is known."""

    type: str | None
    message: str | None


UNKNOWN = Error(None, None)


def error_of_exception(exception: BaseException) -> Error:
    """Return an exception's class and message."""
    try:
        message = str(exception)
    except Exception:  # noqa: BLE001  a class of the host's that cannot say what it is
        message = ""
    return Error(type(exception).__name__, message or None)


def error_of_response(response: HttpResponseBase) -> Error:
    """Return what a failed answer says of itself, where its body is JSON of a known shape. Streams are not read."""
    if response.streaming or not isinstance(response, HttpResponse) or not getattr(response, "is_rendered", True):
        return UNKNOWN
    data = getattr(response, "data", None)  # Django REST framework: a body in HTML or JSON has no error codes
    if not isinstance(data, dict | list | str):
        if "json" not in response.get("Content-Type", ""):
            return UNKNOWN
        data = _decoded(response)
    return error_of_body(data, response.status_code)


def error_of_body(data: object, status: int | None = None) -> Error:
    """Return the error in decoded JSON: RFC 9457, Files.com, Django REST framework, OAuth, JSON:API and their like.

    A code that only repeats the status of the answer is no error type.
    """
    return _error(data, status, 0)


def _decoded(response: HttpResponse) -> object:
    content = response.content
    try:
        if response.get("Content-Encoding") == "gzip":  # GZipMiddleware has been at work before ours
            content = zlib.decompressobj(_GZIP).decompress(content, BODY_LIMIT_BYTES + 1)
        return msgspec.json.decode(text_of(content)) if len(content) <= BODY_LIMIT_BYTES else None
    except (zlib.error, msgspec.DecodeError, RecursionError):
        return None


def _error(data: object, status: int | None, depth: int) -> Error:
    if isinstance(data, str):
        return Error(_code(data), str(data) or None)
    first = data[0] if isinstance(data, list) and data else data
    if isinstance(first, dict) and (error := _document(first, status, depth)) != UNKNOWN:
        return error
    return next(filter(None, islice(_complaints(data, "", depth), _MOST_VALUES)), UNKNOWN)


def _document(data: dict[Any, Any], status: int | None, depth: int) -> Error:
    """Return the error of an object; what it leaves open the errors inside of it say."""
    kind, message = _own(data, status)
    inner = UNKNOWN
    if (kind is None or message is None) and depth < _DEEPEST:
        for name in ("error", "errors", "detail"):
            value = data.get(name)
            if isinstance(value, dict | list) and (inner := _error(value, status, depth + 1)) != UNKNOWN:
                break
    title = _text(data, "title")
    kind = kind or inner.type
    if message is None:
        message = inner.message or _text(data, "error") or title
    elif kind is None and _WORD.fullmatch(word := _text(data, "error") or ""):
        kind = word  # OAuth, and whoever has a word for programs beside a sentence for people
    kind = kind or title
    return Error(kind, message if message != kind else None)


def _own(data: dict[Any, Any], status: int | None) -> Error:
    """Return what an object says in so many words."""
    message = _text(data, "detail", "message", "msg", "error_description")
    if message and (field := _field(data)):
        message = f"{field}: {message}"
    for kind in (
        _text(data, "type"),
        _text(data, "code"),
        _text(data, "__type"),
        _text(data.get("extensions"), "code"),
    ):
        if kind and kind != "about:blank" and kind != str(status):
            return Error(kind, message)
    return Error(_code(data.get("detail")), message)


def _field(data: dict[Any, Any]) -> str | None:
    """Return the field that an object complains of: pydantic's `loc`, JSON:API's `source`, and what others call it."""
    if isinstance(loc := data.get("loc"), list | tuple):
        return ".".join(str(part) for part in loc[:_DEEPEST])
    return _text(data, *_FIELDS) or _text(data.get("source"), *_FIELDS)


def _complaints(value: object, path: str, depth: int) -> Iterator[Error | None]:
    """Yield the errors of validation, {"items": [{}, {"email": ["Enter a valid address."]}]}; None for each step."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield None
            yield from _complaints(inner, path if name in _NO_FIELDS else _joined(path, name), depth + 1)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield None
            error = Error(_code(inner), str(inner)) if isinstance(inner, str) else UNKNOWN
            if isinstance(inner, dict):
                error = _own(inner, None)
            if error.message:
                yield Error(error.type, f"{path}: {error.message}" if path else error.message)
            yield from _complaints(inner, _joined(path, number), depth + 1)


def _joined(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _text(data: object, *names: str) -> str | None:
    """Return the first of these members that is a text or a number."""
    if isinstance(data, dict):
        for name in names:
            value = data.get(name)
            if value is not None and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
    return None


def _code(text: object) -> str | None:
    """Return the code of a Django REST framework ErrorDetail, which is a text with a `code`."""
    code = getattr(text, "code", None)
    return code if isinstance(code, str) else None
