"""What went wrong, as exceptions and the bodies of failed answers say it."""

from __future__ import annotations

import gzip
import json

import pytest
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.gzip import GZipMiddleware
from django.template.response import SimpleTemplateResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from gatebook.errors import BODY_LIMIT_BYTES, Error, error_of_exception, error_of_response


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {
                "type": "https://example.com/out-of-credit",
                "title": "No credit.",
                "detail": "Balance 30.",
                "status": 403,
            },
            Error("https://example.com/out-of-credit", "Balance 30."),
        ),
        ({"type": "about:blank", "title": "Not Found", "status": 404}, Error("Not Found", None)),
        (
            {
                "error": "Invalid username or password",
                "http-code": 401,
                "type": "not-authenticated/invalid-username-or-password",
            },
            Error("not-authenticated/invalid-username-or-password", "Invalid username or password"),
        ),
        ({"detail": "Not found."}, Error(None, "Not found.")),
        ({"detail": "Token is invalid", "code": "token_not_valid"}, Error("token_not_valid", "Token is invalid")),
        ({"email": ["Enter a valid address."], "age": ["Too old."]}, Error(None, "email: Enter a valid address.")),
        ({"owner": {"name": ["Required."]}}, Error(None, "owner.name: Required.")),
        (
            {"detail": [{"type": "missing", "loc": ["query", "q"], "msg": "Field required"}]},
            Error("missing", "query.q: Field required"),
        ),
        ({"error": "invalid_grant", "error_description": "Expired."}, Error("invalid_grant", "Expired.")),
        ({"error": {"type": "card_error", "message": "Declined."}}, Error("card_error", "Declined.")),
        ({"errors": [{"code": "E1", "detail": "Broken."}]}, Error("E1", "Broken.")),
        ({"message": "Bad credentials"}, Error(None, "Bad credentials")),
        ("gone", Error(None, "gone")),
        # RFC 9457 with the member `errors` of its own example
        (
            {
                "type": "https://example.net/validation-error",
                "title": "Your request is not valid.",
                "errors": [{"detail": "must be a positive integer", "pointer": "#/age"}],
            },
            Error("https://example.net/validation-error", "#/age: must be a positive integer"),
        ),
        # drf-standardized-errors
        (
            {"type": "validation_error", "errors": [{"code": "required", "detail": "Required.", "attr": "name"}]},
            Error("validation_error", "name: Required."),
        ),
        # JSON:API
        (
            {
                "errors": [
                    {"status": "400", "title": "Invalid", "detail": "Is past.", "source": {"pointer": "/data/due"}}
                ]
            },
            Error("Invalid", "/data/due: Is past."),
        ),
        # Google, whose code repeats the status; GraphQL; AWS; Laravel; Spring
        ({"error": {"code": 400, "message": "Not this way."}}, Error(None, "Not this way.")),
        (
            {"errors": [{"message": "Sign in.", "extensions": {"code": "UNAUTHENTICATED"}}]},
            Error("UNAUTHENTICATED", "Sign in."),
        ),
        ({"__type": "Throttling", "message": "Slow down."}, Error("Throttling", "Slow down.")),
        ({"message": "Invalid.", "errors": {"email": ["Taken."]}}, Error(None, "Invalid.")),
        ({"status": 400, "error": "Bad Request", "path": "/x"}, Error(None, "Bad Request")),
        ({"error": "not_found", "message": "No such file."}, Error("not_found", "No such file.")),
        # validation: of the whole, of a field that is called like a member of ours, of the second of many
        ({"non_field_errors": ["Must make a unique set."]}, Error(None, "Must make a unique set.")),
        ({"type": ["This field is required."]}, Error(None, "type: This field is required.")),
        ({"items": [{}, {"price": ["Too low."]}]}, Error(None, "items.1.price: Too low.")),
        ([{}, {}, {"price": ["Too low."]}], Error(None, "2.price: Too low.")),
        (
            {"email": [{"message": "Enter a valid address.", "code": "invalid"}]},
            Error("invalid", "email: Enter a valid address."),
        ),
        ({"errors": ["Broken.", "Twice."]}, Error(None, "Broken.")),
        ({"error": True, "detail": None}, Error(None, None)),
        ({}, Error(None, None)),
        ([], Error(None, None)),
        (17, Error(None, None)),
        (None, Error(None, None)),
    ],
)
def test_a_failed_answer_tells_its_error(body, error):
    response = JsonResponse(body, safe=False, status=400)
    assert error_of_response(response) == error


class Detail(str):
    """A text with a code, as Django REST framework has them."""

    code = "not_authenticated"


@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
def test_rest_framework_keeps_the_code_beside_the_text(content_type):
    response = HttpResponse("No credentials.", content_type=content_type, status=401)
    response.data = {"detail": Detail("No credentials.")}
    assert error_of_response(response) == Error("not_authenticated", "No credentials.")


def test_problem_json_counts_as_json():
    response = HttpResponse(b'{"title": "No"}', content_type="application/problem+json", status=400)
    assert error_of_response(response) == Error("No", None)


def test_a_compressed_answer_is_read():
    response = JsonResponse({"detail": "No such file.", "padding": "x" * 500}, status=404)
    packed = GZipMiddleware(lambda request: response)(RequestFactory().get("/", headers={"accept-encoding": "gzip"}))
    assert packed["Content-Encoding"] == "gzip"
    assert error_of_response(packed) == Error(None, "No such file.")


def test_what_is_not_utf_8_is_replaced():
    assert error_of_response(json_answer(b'{"detail": "caf\xe9"}')) == Error(None, "caf\ufffd")


def json_answer(content, **headers):
    return HttpResponse(content, content_type="application/json", status=400, headers=headers)


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(b"<h1>no</h1>", status=400),
        json_answer(b"{"),
        json_answer(b"\xff\xfe"),
        json_answer(b"[" * 60_000),
        json_answer(b'{"detail": "' + b"x" * 70_000 + b'"}'),
        json_answer(b'{"detail": "no"}', **{"Content-Encoding": "gzip"}),
        json_answer(gzip.compress(b"[" + b" " * 50_000_000 + b"]"), **{"Content-Encoding": "gzip"}),
        json_answer(b'{"code": ' + b"9" * 6_000 + b"}"),
        json_answer(b'{"error":' * 900 + b"1" + b"}" * 900),
        json_answer(b'{"x":[' * 900 + b'"deep"' + b"]}" * 900),
        SimpleTemplateResponse("unrendered.json", content_type="application/json", status=400),
        StreamingHttpResponse([b'{"detail": "no"}'], content_type="application/json", status=400),
    ],
)
def test_what_is_no_error_document_tells_nothing(response):
    assert error_of_response(response) == Error(None, None)


def test_a_stream_is_not_read():
    parts = iter([b'{"detail": "no"}'])
    error_of_response(StreamingHttpResponse(parts, content_type="application/json", status=400))
    assert next(parts)


@pytest.mark.timeout(60)  # a tenth of a second; what searched all of it would take minutes
@pytest.mark.parametrize(
    "content",
    [
        b'{"errors":' + b'[{"a":' * 300 + b"[]" + b"}]" * 300 + b"}",
        b"[" + b"{}," * 20_000 + b"{}]",
        b'{"detail":[' + b'["",[]],' * 7_000 + b"0]}",
        b'{"error":{"errors":[[[[' + b'{"a":[[],[]]},' * 4_000 + b"0]]]]}}",
    ],
)
def test_no_body_costs_much_time(content):
    assert len(content) <= BODY_LIMIT_BYTES
    error_of_response(json_answer(content))


def test_an_exception_that_cannot_say_what_it_is_has_its_class():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert error_of_exception(Mute()) == Error("Mute", None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "detail",
                    "error",
                    "errors",
                    "type",
                    "code",
                    "msg",
                    "loc",
                    "message",
                    "title",
                    "source",
                    "extensions",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_taken(value):
    error = error_of_response(json_answer(json.dumps(value)))
    assert all(text is None or isinstance(text, str) for text in error)
