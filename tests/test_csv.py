"""The CSV: the page's rows, in its order, safe to open."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from auditlog.export.csv import lines
from auditlog.models import Site
from auditlog.models.log import COLUMNS
from auditlog.search.question import Question
from auditlog.store.writer import write
from tests.book import entry, make_entry


@pytest.fixture
def visitor(signed_in, administrator: User) -> Client:
    return signed_in(administrator)


def download(visitor: Client, query: str = "") -> list[list[str]]:
    answer = visitor.get(f"/acme/logs.csv{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(b"".join(answer).decode(), newline="")))


def test_the_nineteen_headings_in_order_and_each_value_in_words(visitor, site):
    moment = datetime.now(UTC).replace(microsecond=5000) - timedelta(minutes=1)
    make_entry(
        site,
        created_at=moment,
        request_id="0b1f",
        username="bob",
        impersonator_username="alice",
        user_is_from_parent_site=True,
        interface="dav",
        api_key_id="7",
        api_key_prefix="ab12",
        api_name="files.list",
        request_method="GET",
        request_path='/a,b"c"',
        request_ip="192.0.2.7",
        request_host="acme.example.com",
        response_code=503,
        user_agent="curl/8",
        error_type="broken",
        error_message="two\nlines",
        duration_ms=1204,
    )
    headings, row = download(visitor)
    assert headings == [
        "Date", "User", "Impersonator User", "User from Parent Site?", "Interface", "API Key ID", "API Key prefix",
        "API Name", "Request Method", "Path", "Request IP", "Request-ID", "Request Host", "Response Code", "User Agent",
        "Error Type", "Error Message", "Status", "Duration",
    ]  # fmt: skip
    assert row == [
        f"{moment:%Y-%m-%dT%H:%M:%S}.005000Z", "bob", "alice", "Yes", "dav", "7", "ab12", "files.list", "GET",
        '/a,b"c"', "192.0.2.7", "0b1f", "acme.example.com", "503", "curl/8", "broken", "two\nlines", "Failure", "1204",
    ]  # fmt: skip


def test_missing_values_are_empty_cells(visitor, site):
    make_entry(site, request_id="0b1f")
    assert download(visitor)[1][1:] == ["", "", "No", *[""] * 7, "0b1f", *[""] * 5, "Success", ""]


def test_a_time_without_a_zone_is_the_readers_as_on_the_page(visitor, site):
    visitor.cookies["gatebook_zone"] = "Pacific/Kiritimati"
    answer = visitor.get("/acme/logs.csv?from=2026-11-20T14:00")
    assert answer["Location"] == "/acme/logs.csv?from=2026-11-20T00%3A00%3A00Z"


def test_a_large_file_comes_in_blocks(site):
    write(site, [entry(request_path="/" + "a" * 5000) for _ in range(100)])
    question = Question.from_query(QueryDict(""), [site])
    assert len(list(lines(question, list(COLUMNS)))) > 5


def test_the_chosen_columns_in_the_chosen_order(visitor, site):
    make_entry(site, username="bob", response_code=200)
    assert download(visitor, "?columns=response_code,username") == [["Response Code", "User"], ["200", "bob"]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_a_spreadsheet_would_run_becomes_text(visitor, site, start):
    make_entry(site, username=f"{start}cmd|' /C calc'!A0", request_path=f"{start}1")
    assert download(visitor, "?columns=username,request_path")[1] == [f"'{start}cmd|' /C calc'!A0", f"'{start}1"]


def test_a_wrong_question_is_refused_in_a_sentence(visitor):
    answer = visitor.get("/acme/logs.csv?code=4xx")
    assert answer.status_code == 400
    assert "code: 4xx is not a number or range" in answer.text


def test_a_text_is_asked_as_on_the_page(visitor, site):
    make_entry(site, request_id="found", username="Bob", response_code=500)
    make_entry(site, request_id="other", username="Bob", response_code=200)
    answer = visitor.get("/acme/logs.csv", {"q": "status:failure bob"})
    assert answer["Location"] == "/acme/logs.csv?status=failure&q=bob"
    assert [row[11] for row in download(visitor, "?status=failure&q=bob")[1:]] == ["found"]
    refused = visitor.get("/acme/logs.csv", {"q": "stauts:x"})
    assert refused.status_code == 400
    assert "q: stauts is not a search key" in refused.text


def test_the_file_is_named_for_the_site_and_the_time(visitor):
    answer = visitor.get("/acme/logs.csv?from=2026-11-20&to=2026-11-20", follow=True)
    assert answer["Content-Disposition"] == 'attachment; filename="acme-api-logs-2026-11-20.csv"'


def test_a_file_that_breaks_off_says_so_and_aborts_the_body(site: Site, monkeypatch):
    def broken(rows, options):
        yield b"half a row"
        raise ConnectionError("the server went away")

    monkeypatch.setattr("auditlog.export.rows.copy", broken)
    body = lines(Question.from_query(QueryDict(""), [site]), ["created_at"])
    assert next(body) == b"Date\n"
    assert next(body) == b"half a row"
    assert b"incomplete" in next(body)
    with pytest.raises(ConnectionError):
        next(body)
