"""What holds for every page of a site: who may come in, what a stranger learns, and how hostile text is shown."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.http import urlencode

from auditlog.models import Membership, Role, Site
from auditlog.models.log import COLUMNS
from auditlog.search.terms import exactly
from auditlog.search.timerange import written
from gatebook.entry import TEXT_LIMITS
from tests.book import ago, make_entry

SignIn = Callable[[User], Client]

PAGES = {
    "overview": "/acme/overview/",
    "who and what": "/acme/overview/more",
    "log page": "/acme/logs/",
    "chart": "/acme/logs/chart",
    "facets": "/acme/logs/facets",
    "suggestions": "/acme/logs/suggest?q=user:&at=5",
    "newer rows": "/acme/logs/newer?since=0",
    "entry page": "/acme/logs/entry?request=known",
    "export": "/acme/logs/export",
    "entry's JSON": "/acme/logs/entry.json?request=known",
    "around an entry": "/acme/logs/entry/around?request=known",
    "CSV": "/acme/logs.csv",
    "JSON lines": "/acme/logs.jsonl",
    "site": "/acme/",
    "views": "/acme/views/",
    "API keys": "/acme/settings/keys/",
    "members": "/acme/settings/members/",
    "retention": "/acme/settings/retention/?days=7",
    "quarantine": "/acme/settings/quarantine/",
    "Files.com": "/acme/settings/filescom/",
}
FOR_ADMINISTRATORS = dict.fromkeys(("export", "CSV", "JSON lines"), 403) | dict.fromkeys(
    ("API keys", "members", "retention", "quarantine", "Files.com"), 404
)
"""Pages that staff does not see → what they get instead."""

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onmouseover=alert(1) x='",
    "formula": "=cmd|' /C calc'!A0",
    "override": "abc\u202egnp.exe",
    "nul": "a\x00b",
    "line breaks": "one\r\nUser: forged",
    "template": "{{ 7|add:7 }}{{",
    "surrogate": "a\ud800b",
    "long path": "/" + "a" * 100_000,
}


@pytest.fixture(autouse=True)
def _known_entry(site: Site) -> None:
    make_entry(site, request_id="known", request_path="/known")


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_who_is_not_signed_in_is_led_to_the_sign_in(client, address):
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/sign-in/?next=")


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_a_stranger_cannot_tell_a_site_from_none(signed_in: SignIn, stranger, address):
    visitor = signed_in(stranger)
    there = visitor.get(address)
    nowhere = visitor.get(address.replace("/acme/", "/nowhere/"))
    assert there.status_code == nowhere.status_code == 404
    assert without_token(there.text).replace("acme", "nowhere") == without_token(nowhere.text)


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_a_stranger_leaves_a_trace_also_by_asking_for_a_fragment(signed_in: SignIn, stranger, own_entries, address):
    signed_in(stranger).get(address, headers={"HX-Request": "true"})
    (tried,) = own_entries()
    assert (tried.response_code, tried.error_type) == (404, "not-found/site-not-found")


def without_token(page: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)


@pytest.mark.parametrize("name", PAGES)
def test_staff_sees_all_but_downloads_and_settings(signed_in: SignIn, staff, name):
    status = signed_in(staff).get(PAGES[name], follow=True).status_code
    assert status == FOR_ADMINISTRATORS.get(name, 200)


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("who", ["administrator", "superuser"])
def test_administrators_and_superusers_see_every_page(request, signed_in: SignIn, address, who):
    answer = signed_in(request.getfixturevalue(who)).get(address, follow=True)
    assert answer.status_code == 200


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_administrators_see_child_sites_too(signed_in: SignIn, administrator, child, address):
    make_entry(child, request_id="known")
    answer = signed_in(administrator).get(address.replace("/acme/", "/acme-eu/"), follow=True)
    assert answer.status_code == 200


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_staff_sees_neither_child_nor_parent_sites(signed_in: SignIn, staff, child_staff, child, address):
    assert signed_in(staff).get(address.replace("/acme/", "/acme-eu/")).status_code == 404
    assert signed_in(child_staff).get(address).status_code == 404


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_who_lost_the_role_lost_the_site(signed_in: SignIn, administrator, address):
    visitor = signed_in(administrator)
    Membership.objects.all().delete()
    assert visitor.get(address).status_code == 404


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_only_reading_methods_are_answered(signed_in: SignIn, administrator, address):
    assert signed_in(administrator).post(address).status_code == 405


@pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)
def test_no_cache_on_the_way_keeps_what_one_reader_sees(signed_in: SignIn, administrator, address):
    answer = signed_in(administrator).get(address, follow=True)
    assert answer["Cache-Control"] in ("private", "no-store")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown_as_text(signed_in: SignIn, administrator, site, text):
    texts = dict.fromkeys(name for name in TEXT_LIMITS if name not in ("request_ip", "request_id"))
    made = make_entry(site, **dict.fromkeys(texts, text), request_id=f"id{text}", details={text: text})
    make_entry(site, api_name=text, request_path=f"{text}?", created_at=ago(days=1))  # the last success before it
    visitor = signed_in(administrator)
    entry_query = urlencode({"at": written(made.created_at), "request": made.request_id})
    for address in (
        f"/acme/logs/?columns={','.join(COLUMNS)}",
        "/acme/logs/?columns=created_at,request_path,username",
        "/acme/logs/facets",
        "/acme/logs/newer?since=0",
        f"/acme/logs/facets?{urlencode({'user': exactly(made.username or ''), '-api': '*'})}",
        f"/acme/logs/entry?{entry_query}",
        f"/acme/logs/?{urlencode({'entry': f'acme,{written(made.created_at)},{made.request_id}'})}",
        f"/acme/logs/entry/around?{entry_query}",
    ):
        page = visitor.get(address)
        assert page.status_code == 200
        text_shown = re.sub(r' (data-(copy|value|entry)|value)="[^"]*"', "", page.text)  # taken as it is, never shown
        for raw in ("<script>alert", '" onmouseover', "\u202e", "\x00", "\ud800", "14{"):
            assert raw not in text_shown


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("key", ["q", "user", "code", "status", "last", "from", "sort", "-path", "{}"])
def test_a_hostile_search_is_shown_as_text(signed_in: SignIn, administrator, key, text):
    text = text.encode(errors="replace")
    query = urlencode({text if key == "{}" else key: text})
    page = signed_in(administrator).get(f"/acme/logs/?{query}", follow=True)
    assert page.status_code in (200, 400)
    text_shown = re.sub(r' value="[^"]*"', "", page.text)  # given back as it was typed
    for raw in ("<script>alert", '" onmouseover', "\u202e", "\x00", "14{"):
        assert raw not in text_shown


@pytest.mark.parametrize(
    "address", ["logs.csv?scope=", "logs.jsonl?compress=", "logs/entry.json?request=known&at=", "logs/newer?since="]
)
def test_a_refusal_in_plain_text_shows_what_was_asked_as_text(signed_in: SignIn, administrator, address):
    answer = signed_in(administrator).get(f"/acme/{address}%E2%80%AEx")
    assert answer.status_code == 400
    assert "⟨U+202E⟩x" in answer.text


def test_a_policy_forbids_every_inline_script_and_style(signed_in: SignIn, administrator):
    answer = signed_in(administrator).get(PAGES["log page"])
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert " style=" not in answer.text
    assert "<style" not in answer.text


@pytest.mark.parametrize("role", Role)
def test_a_role_is_of_one_site_alone(signed_in: SignIn, administrator, other_site, role):
    make_entry(other_site, request_id="known")
    assert signed_in(administrator).get("/globex/logs/").status_code == 404
    Membership.objects.create(site=other_site, user=administrator, role=role)
    assert signed_in(administrator).get("/globex/logs/").status_code == 200
