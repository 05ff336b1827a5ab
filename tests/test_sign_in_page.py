"""Signing in and out, and what happens to who guesses."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.test_every_page import without_token

FORM = "/accounts/sign-in/"


def sign_in(client: Client, username: str, password: str, **extra: str):
    return client.post(FORM, {"username": username, "password": password}, **extra)


def test_the_front_door_leads_through_the_form_to_the_sites(client, administrator, child):
    answer = client.get("/", follow=True)
    assert answer.redirect_chain[-1][0].startswith(FORM)
    assert 'name="username"' in answer.text
    assert 'name="password"' in answer.text
    answer = client.post(f"{FORM}?next=/", {"username": "alice", "password": "alice opens the gate"}, follow=True)
    assert "/acme/logs/" in answer.text
    assert "/acme-eu/logs/" in answer.text


def test_a_wrong_password_is_a_401_that_keeps_the_name(client, administrator):
    answer = sign_in(client, "alice", "wrong")
    assert answer.status_code == 401
    assert 'value="alice"' in answer.text


def test_a_wrong_password_and_an_unknown_name_are_told_alike(client, administrator):
    wrong = sign_in(client, "alice", "x").text.replace("alice", "")
    unknown = sign_in(client, "nobody", "x").text.replace("nobody", "")
    assert without_token(wrong) == without_token(unknown)


def test_one_ipv6_client_cannot_guess_from_address_to_address(client, administrator):
    codes = [
        sign_in(client, "alice", "wrong", REMOTE_ADDR=f"2001:db8::{number}").status_code for number in range(1, 10)
    ]
    assert codes[-1] == 429


def test_the_administration_has_no_door_of_its_own(client, administrator):
    assert client.get("/admin/login/?next=/admin/")["Location"] == "/accounts/sign-in/?next=/admin/"


@pytest.fixture
def locked(client, administrator):
    for _ in range(8):
        answer = sign_in(client, "alice", "wrong")
    return answer


def test_guessing_is_stopped_in_words(client, locked):
    assert locked.status_code == 429
    assert locked["Retry-After"] == "900"
    assert "15 minutes" in locked.text
    assert sign_in(client, "alice", "alice opens the gate").status_code == 429


def test_guessing_does_not_lock_out_others(client, locked, superuser):
    assert sign_in(client, "root", "open sesame, please").status_code == 302
    elsewhere = Client()
    assert sign_in(elsewhere, "alice", "alice opens the gate", REMOTE_ADDR="192.0.2.9").status_code == 302


def test_a_forged_header_does_not_escape_the_lock(client, locked):
    assert sign_in(client, "alice", "wrong", HTTP_X_FORWARDED_FOR="192.0.2.10").status_code == 429


def test_signing_in_leads_only_within(client, administrator):
    answer = client.post(
        f"{FORM}?next=https://evil.example/", {"username": "alice", "password": "alice opens the gate"}
    )
    assert answer["Location"] == "/"


def test_signing_out_takes_a_post(signed_in, administrator):
    visitor = signed_in(administrator)
    assert visitor.get("/accounts/sign-out/").status_code == 405
    visitor.post("/accounts/sign-out/")
    assert visitor.get("/").status_code == 302
