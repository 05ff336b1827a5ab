"""The JSON lines: the page's rows, every field, and the same entries again after an import."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import QueryDict
from django.test import Client

from auditlog.export.jsonl import lines
from auditlog.models import Site
from auditlog.search.question import Question
from auditlog.store.writer import write
from gatebook.conf import conf
from gatebook.entry import FIELDS, TEXT_LIMITS
from tests.book import ago, entry, make_entry
from tests.test_every_page import HOSTILE


@pytest.fixture
def visitor(signed_in, administrator: User) -> Client:
    return signed_in(administrator)


def download(visitor: Client, query: str = "", site: str = "acme") -> bytes:
    answer = visitor.get(f"/{site}/logs.jsonl{query}")
    assert answer.status_code == 200, answer.text
    return b"".join(answer)


def objects(file: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.split(b"\n")[:-1]]


def full(**fields: object) -> dict[str, object]:
    """A value for every field."""
    values = {
        "created_at": datetime.now(UTC).replace(microsecond=5000) - timedelta(minutes=1),
        "request_id": "0b1f",
        "user_id": "7",
        "username": "bob",
        "impersonator_user_id": "8",
        "impersonator_username": "alice",
        "user_is_from_parent_site": True,
        "interface": "dav",
        "api_key_id": "9",
        "api_key_prefix": "ab12",
        "api_name": "files.list",
        "request_method": "GET",
        "request_path": '/a,b"c"\\d',
        "request_ip": "2001:db8::7",
        "request_host": "acme.example.com",
        "response_code": 503,
        "user_agent": "curl/8",
        "error_type": "broken",
        "error_message": "two\nlines\ttab",
        "duration_ms": 1204,
        "details": {"trace_id": "4bf9", "bytes": "12"},
    }
    assert set(values) == set(FIELDS)
    return {**values, **fields}


def test_every_field_is_there_with_its_value(visitor, site):
    values = full()
    make_entry(site, **values)
    (made,) = objects(download(visitor))
    assert datetime.fromisoformat(made.pop("created_at")) == values.pop("created_at")
    assert made == {**values, "site": "acme", "success": False}


def test_what_has_no_value_is_left_out(visitor, site):
    make_entry(site, request_id="0b1f")
    (made,) = objects(download(visitor))
    assert set(made) == {"created_at", "request_id", "user_is_from_parent_site", "site", "success"}


def test_an_import_makes_the_same_entries_in_another_site(visitor, site, child, tmp_path: Path):
    write(site, [entry(**full(request_id=f"r{n}", created_at=ago(minutes=n))) for n in range(50)])
    for number, text in enumerate(HOSTILE.values()):
        texts = {name: text for name in TEXT_LIMITS if name != "request_id"}
        hostile = entry(**texts, details={f"a{text}": text}, request_id=f"{number}{text}", duration_ms=number)
        write(site, [conf().redactor.entry(hostile)])  # as everything in the book has been
    exported = download(visitor)
    path = tmp_path / "export.jsonl"
    path.write_bytes(exported)
    output = StringIO()
    call_command("import_logs", str(path), "--site=acme-eu", stdout=output)
    assert f"= {50 + len(HOSTILE)} stored in acme-eu + 0 already there + 0 rejected" in output.getvalue()
    assert download(visitor, site="acme-eu") == exported.replace(b'"site":"acme"', b'"site":"acme-eu"')


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_within_its_line_and_its_field(visitor, site, text):
    made = make_entry(site, username=text, request_path=text, details={text: text}, error_message="\x01\x02\x7f\\.")
    file = download(visitor)
    assert file.count(b"\n") == 1
    (read,) = objects(file)
    assert (read["username"], read["request_path"]) == (made.username, made.request_path)
    assert (read["details"], read["error_message"]) == (made.details, "\x01\x02\x7f\\.")


def test_the_columns_of_the_page_do_not_narrow_the_file(visitor, site):
    make_entry(site, **full())
    assert download(visitor, "?columns=username") == download(visitor)
    assert visitor.get("/acme/logs.jsonl?columns=colour").status_code == 400


def test_the_file_is_named_for_the_site_and_the_time(visitor):
    answer = visitor.get("/acme/logs.jsonl?from=2026-11-20&to=2026-11-20", follow=True)
    name = "acme-api-logs-2026-11-20.jsonl"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Content-Type"] == "application/x-ndjson; charset=utf-8"


def test_a_wrong_question_is_refused_in_a_sentence(visitor):
    answer = visitor.get("/acme/logs.jsonl?code=4xx")
    assert (answer.status_code, "code: 4xx is not a number or range" in answer.text) == (400, True)


def test_a_large_file_comes_in_blocks(site):
    write(site, [entry(request_path="/" + "a" * 5000) for _ in range(100)])
    assert len(list(lines(Question.from_query(QueryDict(""), [site])))) > 5


def test_a_file_that_breaks_off_is_refused_by_an_import(site: Site, monkeypatch, tmp_path: Path):
    def broken(rows, options):
        yield b'{"created_at": "2026'
        raise ConnectionError("the server went away")

    monkeypatch.setattr("auditlog.export.rows.copy", broken)
    body = lines(Question.from_query(QueryDict(""), [site]))
    path = tmp_path / "export.jsonl"
    path.write_bytes(next(body) + next(body))
    with pytest.raises(ConnectionError):
        next(body)
    output = StringIO()
    call_command("import_logs", str(path), "--site=acme", "--format=gatebook", stdout=output)
    assert "= 0 stored in acme + 0 already there + 2 rejected" in output.getvalue()
    assert "This file is incomplete" in output.getvalue()
