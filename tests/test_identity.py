"""Who a request came from and what went wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from gatebook import identity
from gatebook.identity import Person, client_ip


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
