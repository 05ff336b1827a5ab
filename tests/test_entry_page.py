"""The page of one API request."""

from __future__ import annotations

import json
import re
from html import unescape
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils.http import urlencode

from auditlog.dashboard.text import middle, visible
from auditlog.search.timerange import written
from auditlog.store.writer import write
from gatebook.conf import conf
from gatebook.entry import TEXT_LIMITS
from gatebook.redact import Redactor
from tests.book import ago, entry, make_entry
from tests.test_every_page import HOSTILE
from tests.test_log_page import count_at, links


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def support_text(page: str) -> str:
    return unescape(re.search(r"<(textarea|pre)[^>]*>(.*?)</\1>", page, re.DOTALL)[2]).strip()


def test_every_field_stands_under_its_heading(visitor, site):
    fields = {
        "user_id": "17", "username": "bob", "impersonator_user_id": "3", "impersonator_username": "alice",
        "api_key_id": "8", "api_key_prefix": "ab12", "api_name": "files.upload", "request_method": "PUT",
        "request_path": "/files/x", "request_ip": "192.0.2.7", "request_host": "acme.example.com",
        "user_agent": "WinSCP",
        "error_type": "service-unavailable", "error_message": "try later",
    }  # fmt: skip
    make_entry(
        site,
        request_id="0b1f",
        interface="dav",
        response_code=503,
        duration_ms=1204,
        details={"trace": "00ab"},
        **fields,
    )
    page = words(visitor.get("/acme/logs/entry?request=0b1f").text)
    for value in (*fields.values(), "0b1f", "WebDAV", "503", "1,204 ms", "Failure", "00ab"):
        assert value in page
    for heading in (
        "User",
        "Impersonator User",
        "API Key ID",
        "API Key prefix",
        "Path",
        "Request-ID",
        "Error Type",
        "Duration",
    ):
        assert heading in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"username": "bob", "impersonator_username": "alice"}, "bob, impersonated by alice"),
        ({"username": "bob", "user_is_from_parent_site": True}, "bob, from the parent site Acme"),
        ({"user_id": "17"}, "17"),
        ({}, "someone not signed in"),
    ],
)
def test_who_it_was_is_said_in_words(signed_in, child, child_staff, fields, sentence):
    make_entry(child, request_id="0b1f", **fields)
    assert sentence in words(signed_in(child_staff).get("/acme-eu/logs/entry?request=0b1f").text)


def test_the_time_is_local_relative_and_utc(visitor, site):
    made = make_entry(site, request_id="0b1f", created_at=ago(hours=2, minutes=1))
    visitor.cookies["gatebook_zone"] = "Asia/Kathmandu"
    page = words(visitor.get("/acme/logs/entry?request=0b1f").text)
    assert f"{made.created_at:%Y-%m-%d %H:%M:%S.%f}" in page
    assert "Asia/Kathmandu" in page
    assert "2 hours" in page.replace("\xa0", " ")


def test_the_time_and_the_id_name_one_entry(visitor, site):
    first = make_entry(site, request_id="same", created_at=ago(minutes=9), request_path="/first")
    make_entry(site, request_id="same", created_at=ago(minutes=3), request_path="/second")
    named = visitor.get(f"/acme/logs/entry?{urlencode({'at': written(first.created_at), 'request': 'same'})}").text
    assert "/first" in named
    assert "/second" not in named
    assert "/second" in visitor.get("/acme/logs/entry?request=same").text


def test_the_text_for_support_has_what_support_asks_for(visitor, site):
    make_entry(
        site,
        request_id="0b1f",
        username="bob",
        impersonator_username="alice",
        interface="sftp",
        request_path="/x",
        response_code=403,
    )
    text = support_text(visitor.get("/acme/logs/entry?request=0b1f").text)
    assert "Request-ID: 0b1f" in text
    assert "User: bob, impersonated by alice" in text
    assert "Response Code: 403" in text
    assert "Path: /x" in text
    assert re.search(r"Date: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC", text)
    assert "http://testserver/acme/logs/entry?at=" in text


def test_no_value_can_forge_a_line_of_the_text_for_support(visitor, site):
    make_entry(site, request_id="0b1f", user_agent="x\r\nUser: forged\u202e", error_message="a\nResponse Code: 200")
    text = support_text(visitor.get("/acme/logs/entry?request=0b1f").text)
    assert [line for line in text.splitlines() if line.startswith(("User: forged", "Response Code: 200"))] == []
    assert "x␍␊User: forged⟨U+202E⟩" in text


@pytest.mark.parametrize(
    "query",
    [
        "request=unknown",
        "request=0b1f&at=2026-01-01T00:00:00Z",
        "request=a%00b",
        "request=x&at=2026-01-01T00:00:00%2B23:59",
    ],
)
def test_an_unknown_entry_is_a_404_in_words(visitor, site, query):
    make_entry(site, request_id="0b1f")
    answer = visitor.get(f"/acme/logs/entry?{query}")
    assert answer.status_code == 404
    assert "no API request with this Request-ID" in words(answer.text)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "is missing, expected a Request-ID"),
        ("request=x&at=soon", "soon is not a time"),
        ("request=x&at=2026-01-01", "is not a time in UTC"),
        ("request=x&at=%E2%80%AEsoon", "⟨U+202E⟩soon is not a time"),
    ],
)
def test_a_malformed_address_is_a_400_in_words(visitor, query, sentence):
    answer = visitor.get(f"/acme/logs/entry?{query}")
    assert answer.status_code == 400
    assert sentence in words(answer.text)


def test_a_long_request_id_is_found_as_it_was_sent(visitor, site):
    make_entry(site, request_id="x" * 500, request_path="/found")
    assert "/found" in visitor.get(f"/acme/logs/entry?request={'x' * 500}").text
    assert "/found" in visitor.get(f"/acme/logs/?request={'x' * 500}").text


def test_a_request_id_is_found_as_it_was_sent_though_a_secret_in_it_is_hidden(visitor, site):
    sent = f"key-{7:032x}"
    made = make_entry(site, request_id=Redactor().request_id(sent), request_path="/found")
    for request_id in (sent, made.request_id):
        assert "/found" in visitor.get(f"/acme/logs/entry?request={request_id}").text
        assert "/found" in visitor.get(f"/acme/logs/?request={request_id}").text
    assert "/found" not in visitor.get(f"/acme/logs/?request=key-{8:032x}").text


def test_a_request_id_that_entered_when_it_was_no_secret_is_found(visitor, site):
    make_entry(site, request_id=f"key-{7:032x}", request_path="/found")
    assert "/found" in visitor.get(f"/acme/logs/?request=key-{7:032x}").text


def test_the_entry_of_another_site_is_out_of_reach(visitor, other_site):
    make_entry(other_site, request_id="theirs")
    assert visitor.get("/acme/logs/entry?request=theirs").status_code == 404


def test_an_entry_past_the_retention_is_out_of_sight(visitor, site):
    make_entry(site, request_id="old", created_at=ago(days=20))
    site.retention_days = 7
    site.save()
    assert visitor.get("/acme/logs/entry?request=old").status_code == 404


def test_the_way_back_leads_to_the_question_one_came_from(visitor, site):
    make_entry(site, request_id="0b1f")
    came_from = "http://testserver/acme/logs/?status=failure&last=7d"
    page = visitor.get("/acme/logs/entry?request=0b1f", headers={"Referer": came_from}).text
    assert 'href="/acme/logs/?status=failure&amp;last=7d"' in page
    elsewhere = visitor.get("/acme/logs/entry?request=0b1f", headers={"Referer": "https://evil.example/?x=1"}).text
    assert "x=1" not in elsewhere


def test_each_value_leads_to_the_requests_alike(visitor, site):
    make_entry(site, request_id="0b1f", username='we*ird, "name"', request_ip="192.0.2.7")
    page = visitor.get("/acme/logs/entry?request=0b1f").text
    alike = [unescape(link) for link in re.findall(r'href="([^"]*[?&]user=[^"]*)"', page)]
    assert alike
    assert "we*ird" in words(visitor.get(alike[0] if alike[0].startswith("/") else f"/acme/logs/{alike[0]}").text)
    assert re.findall(r'href="([^"]*[?&]ip=192\.0\.2\.7[^"]*)"', page)


def test_a_filter_covers_the_week_around_an_old_request(visitor, site):
    for days in (58, 60, 62, 64):
        make_entry(site, request_id=f"{days}", username="bob", created_at=ago(days=days))
    page = visitor.get("/acme/logs/entry?request=60").text
    assert count_at(visitor, links(page, "the same User")[0]) == 3


def test_the_json_is_the_line_of_a_download_and_can_be_imported_again(
    visitor, signed_in, administrator, site, child, tmp_path
):
    for number, text in enumerate(HOSTILE.values()):
        texts = {name: text for name in TEXT_LIMITS if name != "request_id"}
        hostile = entry(**texts, details={f"a{text}": text}, request_id=f"id-{number}")
        write(site, [conf().redactor.entry(hostile)])  # as everything in the book has been
    download = b"".join(signed_in(administrator).get("/acme/logs.jsonl?last=1h"))
    lines = {json.loads(line)["request_id"]: line for line in download.splitlines()}
    assert len(lines) == len(HOSTILE)
    shown = []
    for request_id, line in lines.items():
        alone = visitor.get(f"/acme/logs/entry.json?request={request_id}")
        assert alone["Content-Type"] == "application/json"
        assert alone.content == line + b"\n"
        page = visitor.get(f"/acme/logs/entry?request={request_id}").text
        shown.append(unescape(re.search(r'<pre [^>]*id="json-line"[^>]*>(.*?)</pre>', page, re.DOTALL)[1]))
        assert json.loads(shown[-1]) == json.loads(line)
        assert visible(shown[-1]) == shown[-1]
    file = tmp_path / "shown.jsonl"
    file.write_text("\n".join(shown))
    call_command("import_logs", str(file), "--site=acme-eu", stdout=StringIO())
    again = b"".join(signed_in(administrator).get("/acme-eu/logs.jsonl?last=1h"))
    assert again == download.replace(b'"site":"acme"', b'"site":"acme-eu"')


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("", 400, "request: is missing"),
        ("request=x&at=soon", 400, "at: soon is not a time"),
        ("request=unknown", 404, "no API request with this Request-ID"),
    ],
)
def test_the_json_of_no_entry_is_refused_in_words(visitor, site, query, status, sentence):
    answer = visitor.get(f"/acme/logs/entry.json?{query}")
    assert answer.status_code == status
    assert sentence in words(answer.text)


def test_the_json_is_in_the_book(visitor, site, own_entries):
    make_entry(site, request_id="0b1f")
    visitor.get("/acme/logs/entry.json?request=0b1f")
    assert [one.request_path for one in own_entries()] == ["/acme/logs/entry.json?request=0b1f"]


def test_opening_an_entry_asks_little(visitor, site, django_assert_max_num_queries):
    make_entry(site, request_id="0b1f", username="bob", response_code=500)
    with django_assert_max_num_queries(10):
        visitor.get("/acme/logs/entry?request=0b1f")


@pytest.mark.parametrize(
    ("seconds", "said"), [(20, "just now"), (50 * 60 + 5, "50 minutes ago"), (7200, "2 hours ago")]
)
def test_how_long_ago_is_said_in_words(visitor, site, seconds, said):
    make_entry(site, request_id="0b1f", created_at=ago(seconds=seconds))
    assert f", {said}" in words(visitor.get("/acme/logs/entry?request=0b1f").text).replace("\xa0", " ")


def test_what_cannot_be_seen_is_written_out():
    assert visible("a\nb\x7f\u202ec\ufeff") == "a␊b⟨U+007F⟩⟨U+202E⟩c⟨U+FEFF⟩"
    assert visible("plain ünï 漢字") == "plain ünï 漢字"


def test_a_long_text_is_cut_in_the_middle():
    assert middle("/files/a-very-long-name.pdf", 15) == "/files/…ame.pdf"
    assert middle("short", 15) == "short"
