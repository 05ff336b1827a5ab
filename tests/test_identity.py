"""Who a request came from and what went wrong."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from django.http import HttpResponse, JsonResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from gatebook import identity
from gatebook.identity import Error, Person, client_ip


@pytest.fixture
def trust(settings, tmp_path):
    """Trust these proxies."""

    def trust(*proxies):
        settings.GATEBOOK = {"SPOOL": tmp_path, "SHIP": False, "TRUSTED_PROXIES": proxies}

    return trust


def request_from(peer, forwarded=None):
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    return request


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # forged: the peer is no proxy of ours
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),  # the client's own claim before the true address
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:5123", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", None),
        ("not an address", "198.51.100.1", None),
    ],
)
def test_the_client_is_who_the_trusted_proxies_saw(trust, peer, forwarded, address):
    trust("10.0.0.0/8")
    assert client_ip(request_from(peer, forwarded)) == address


def test_without_trusted_proxies_no_header_counts(trust):
    trust()
    assert client_ip(request_from("10.0.0.1", "198.51.100.1")) == "10.0.0.1"


def test_a_proxy_on_a_unix_socket_can_be_trusted(trust):
    trust("unix")
    assert client_ip(request_from("", "198.51.100.1")) == "198.51.100.1"


@given(st.text(max_size=80), st.text(",.: 0123456789abcdef[]x", max_size=80))
def test_any_header_gives_an_address_or_none(peer, forwarded):
    address = client_ip(request_from(peer, forwarded))
    assert address is None or identity.normal_address(address) == address


def test_the_user_is_the_signed_in_one():
    account = SimpleNamespace(is_authenticated=True, pk=7, get_username=lambda: "alice")
    assert identity.user(SimpleNamespace(user=account)) == Person("7", "alice")


def test_nobody_signed_in_is_no_user():
    assert identity.user(SimpleNamespace(user=SimpleNamespace(is_authenticated=False))) is None
    assert identity.user(SimpleNamespace()) is None


@pytest.mark.django_db
def test_the_impersonator_is_the_first_of_the_chain(django_user_model):
    alice = django_user_model.objects.create(username="alice")
    bob = django_user_model.objects.create(username="bob")
    request = SimpleNamespace(session={"hijack_history": [str(alice.pk), str(bob.pk)]})
    assert identity.impersonator(request) == Person(str(alice.pk), "alice")


@pytest.mark.django_db
def test_a_deleted_impersonator_is_still_named_by_id():
    assert identity.impersonator(SimpleNamespace(session={"hijack_history": ["987654"]})) == Person("987654", None)


def test_without_hijacking_nobody_impersonates():
    assert identity.impersonator(SimpleNamespace(session={})) is None
    assert identity.impersonator(SimpleNamespace()) is None


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
        ({"owner": {"name": ["Required."]}}, Error(None, "owner: name: Required.")),
        (
            {"detail": [{"type": "missing", "loc": ["query", "q"], "msg": "Field required"}]},
            Error("missing", "query.q: Field required"),
        ),
        ({"error": "invalid_grant", "error_description": "Expired."}, Error("invalid_grant", "Expired.")),
        ({"error": {"type": "card_error", "message": "Declined."}}, Error("card_error", "Declined.")),
        ({"errors": [{"code": "E1", "detail": "Broken."}]}, Error("E1", "Broken.")),
        ({"message": "Bad credentials"}, Error(None, "Bad credentials")),
        ("gone", Error(None, "gone")),
        ({"error": True, "detail": None}, Error(None, None)),
        ({}, Error(None, None)),
        ([], Error(None, None)),
        (17, Error(None, None)),
        (None, Error(None, None)),
    ],
)
def test_a_failed_answer_tells_its_error(body, error):
    response = JsonResponse(body, safe=False, status=400)
    assert identity.error_of_response(response) == error


def test_rest_framework_keeps_the_code_beside_the_text():
    class Detail(str):
        code = "not_authenticated"

    response = JsonResponse({"detail": "No credentials."}, status=401)
    response.data = {"detail": Detail("No credentials.")}
    assert identity.error_of_response(response) == Error("not_authenticated", "No credentials.")


def test_problem_json_counts_as_json():
    response = HttpResponse(b'{"title": "No"}', content_type="application/problem+json", status=400)
    assert identity.error_of_response(response) == Error("No", None)


@pytest.mark.parametrize(
    "content", [b"<h1>no</h1>", b"{", b"\xff\xfe", b"[" * 60_000, b'{"detail": "' + b"x" * 70_000 + b'"}']
)
def test_what_is_no_error_document_tells_nothing(content):
    response = HttpResponse(content, content_type="application/json", status=400)
    assert identity.error_of_response(response) == Error(None, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["detail", "error", "errors", "type", "code", "msg", "loc", "message", "title", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_taken(value):
    error = identity.error_of_body(json.loads(json.dumps(value)))
    assert all(text is None or isinstance(text, str) for text in error)
