"""Addresses as logs write them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook import addresses
from gatebook.addresses import normal_address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("075.050.255.067", "75.50.255.67"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:443", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unknown", None),
        ("cloudtrail.amazonaws.com", None),
        ("256.1.1.1", None),
        ("1.2.3", None),
        ("10.0.0.0/8", None),
        ("192.0.2.1, 10.0.0.1", None),
    ],
)
def test_normal_address(written, address):
    assert normal_address(written) == address


@given(st.ip_addresses())
def test_an_address_in_normal_form_stays_as_it_is(address):
    once = normal_address(str(address))
    assert once is not None
    assert normal_address(once) == once


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text):
    address = normal_address(text)
    assert address is None or ipaddress.ip_address(address)


def test_a_long_text_is_no_address_and_not_cached():
    before = addresses._normal_address.cache_info().currsize
    assert normal_address("1" * 10_000) is None
    assert addresses._normal_address.cache_info().currsize == before
