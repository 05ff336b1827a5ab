"""The page before a download, and what the book keeps of one: its question, its rows and the SHA-256 of its bytes."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import os
import re
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from auditlog.export.name import file_name
from auditlog.models import Preference, Site
from auditlog.models.log import COLUMNS
from auditlog.search import terms
from auditlog.search.question import Question
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry
from tests.test_every_page import HOSTILE

PAGE = "/acme/logs/export"


@pytest.fixture
def visitor(signed_in, administrator: User) -> Client:
    return signed_in(administrator)


@pytest.fixture
def hundred(site: Site) -> None:
    write(
        site,
        [entry(request_id=f"r{n}", created_at=ago(minutes=n), response_code=[200, 500][n % 2]) for n in range(100)],
    )


def forms(page: str) -> dict[str, list[tuple[str, str]]]:
    """The forms of the page: the address of each, and what it sends as it stands."""
    found = {}
    for action, inside in re.findall(
        r'<form class="export__format" method="get" action="([^"]+)">(.*?)</form>', page, re.S
    ):
        inputs = re.findall(r'<input type="(\w+)" name="([^"]+)" value="([^"]*)" ?(checked)?', inside)
        found[action] = [
            (name, html.unescape(value)) for kind, name, value, checked in inputs if kind == "hidden" or checked
        ]
    return found


def sent(visitor: Client, address: str, fields) -> bytes:
    answer = visitor.get(f"{address}?{urlencode(fields)}")
    assert answer.status_code == 200, answer.text
    return b"".join(answer)


def test_the_log_leads_to_the_export_of_what_it_shows(visitor, hundred, site):
    page = visitor.get("/acme/logs/?status=failure&columns=request_id,response_code").text
    link = html.unescape(re.search(rf'href="({PAGE}\?[^"]+)"', page)[1])
    make_entry(site, request_id="later", response_code=500, created_at=ago(minutes=0))
    page = visitor.get(link).text
    assert "<h1>Export 50 API requests</h1>" in page
    assert "<bdi>status:failure</bdi></code> from " in page
    files = {action: sent(visitor, action, fields) for action, fields in forms(page).items()}
    expected = [f"r{n}" for n in range(1, 100, 2)]
    assert list(csv.reader(io.StringIO(files["/acme/logs.csv"].decode()))) == [
        ["Request-ID", "Response Code"],
        *([name, "500"] for name in expected),
    ]
    assert [json.loads(line)["request_id"] for line in files["/acme/logs.jsonl"].splitlines()] == expected


def test_a_csv_has_the_readers_columns_or_all(visitor, administrator, site):
    make_entry(site)
    Preference.objects.create(user=administrator, columns=["username", "request_path"])
    page = visitor.get(PAGE).text
    assert "the 2 shown" in page
    assert "User, Path" in page
    assert re.findall(r'name="columns" value="([^"]+)"', page) == ["username,request_path", ",".join(COLUMNS)]


def test_the_size_of_a_small_file_is_exact(visitor, site):
    make_entry(site, request_id="0b1f")
    page = visitor.get(f"{PAGE}?columns=request_id").text
    assert "Export 1 API request<" in page
    (size, *_) = re.findall(r'<span class="export__size">(\d+)\xa0bytes<', page)
    assert int(size) == len(b"Request-ID\n0b1f\n")


def test_the_size_of_a_large_file_is_estimated_by_some_of_its_rows(visitor, site, monkeypatch):
    write(site, [entry(request_path=f"/{n:0500}") for n in range(300)])
    page = visitor.get(f"{PAGE}?columns=request_path").text
    size = float(re.search(r'export__size">about ([\d.]+)\xa0KB', page)[1])
    real = len(b"".join(visitor.get("/acme/logs.csv?columns=request_path"))) / 1024
    assert size == pytest.approx(real, rel=0.05)


def test_a_count_that_is_not_known_is_said_to_be_more(visitor, hundred, monkeypatch):
    monkeypatch.setattr("auditlog.dashboard.export.COUNT_BUDGET_MS", 0)
    page = visitor.get(PAGE).text
    assert "<h1>Export API requests</h1>" in page
    assert "They could not be counted in time; the file holds them all." in page
    assert "Download CSV" in page


def test_a_size_that_cannot_be_estimated_in_time_is_left_out(visitor, hundred, monkeypatch):
    monkeypatch.setattr("auditlog.export.rows.SAMPLE_BUDGET_MS", 0)
    page = visitor.get(PAGE).text
    assert "Export 100 API requests" in page
    assert "export__size" not in page


def test_nothing_to_export_is_said(visitor, site):
    page = visitor.get(f"{PAGE}?user=nobody").text
    assert "Export 0 API requests" in page
    assert "Nothing matches" in page


def test_an_order_that_the_file_will_not_have_is_said(visitor, hundred, monkeypatch):
    assert "newest first" not in visitor.get(f"{PAGE}?sort=username").text
    monkeypatch.setattr("auditlog.search.pages.SORT_LIMIT", 10)
    assert "Too many match to sort them by this heading" in visitor.get(f"{PAGE}?sort=username").text


def test_a_wrong_question_is_refused_with_its_key(visitor):
    answer = visitor.get(f"{PAGE}?code=4xx")
    assert answer.status_code == 400
    assert "4xx is not a number or range" in answer.text


def test_administrators_of_the_parent_export_a_child_site_and_its_staff_does_not(
    visitor, signed_in, child, child_staff
):
    assert "acme-eu-api-logs-" in visitor.get("/acme-eu/logs/export").text
    assert signed_in(child_staff).get("/acme-eu/logs/export").status_code == 403
    assert signed_in(child_staff).get("/acme-eu/logs.csv").status_code == 403
    assert signed_in(child_staff).get("/acme/logs/export").status_code == 404


def test_an_export_of_several_sites_names_them_on_its_page_and_in_the_book(visitor, site, child, own_entries):
    make_entry(site)
    make_entry(child)
    page = visitor.get(f"{PAGE}?scope=children&columns=request_path").text
    assert "Export 2 API requests" in page
    assert "of Acme, Acme Europe" in page
    (size, *_) = re.findall(r'<span class="export__size">(\d+)\xa0bytes<', page)
    file = sent(visitor, "/acme/logs.csv", forms(page)["/acme/logs.csv"])
    assert len(file) == int(size) == len(b"Site,Path\nacme,\nacme-eu,\n")
    assert (own_entries()[-1].details["rows"], own_entries()[-1].details["sites"]) == ("2", "acme, acme-eu")


def test_dates_are_written_as_the_clocks_of_the_reader_show(visitor, site):
    for minute in (30, 90):  # the hour from 2 to 3 in Berlin is there twice
        make_entry(site, created_at=datetime(2026, 10, 25, minute // 60, minute % 60, tzinfo=UTC))
    visitor.cookies["gatebook_zone"] = "Europe/Berlin"
    query = "?from=2026-10-25T00:00Z&to=2026-10-26T00:00Z"
    page = visitor.get(PAGE + query).text
    assert 'name="zone" value="Europe/Berlin"' in page
    file = b"".join(visitor.get(f"/acme/logs.csv{query}&columns=created_at,username&zone=Europe/Berlin")).decode()
    assert file.splitlines() == [
        "Date (Europe/Berlin),User",
        "2026-10-25T02:30:00.000000+01:00,",
        "2026-10-25T02:30:00.000000+02:00,",
    ]
    assert b"2026-10-25T01:30:00.000000Z" in b"".join(visitor.get(f"/acme/logs.csv{query}"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("logs.csv?zone=Europe/Nowhere", "zone: Europe/Nowhere is not a time zone"),
        ("logs.csv?zone=../../etc/passwd", "zone: ../../etc/passwd is not a time zone"),
        ("logs.csv?zone=UTC&zone=Europe/Berlin", "zone: is given more than once."),
        ("logs.csv?compress=zip", "compress: zip is not known, expected gzip."),
        ("logs.jsonl?zone=Europe/Berlin", "zone: is not a search key"),
        ("logs/?zone=Europe/Berlin", "is not a search key"),
    ],
)
def test_how_a_file_is_written_is_never_guessed(visitor, address, said):
    answer = visitor.get(f"/acme/{address}")
    assert answer.status_code == 400
    assert said in answer.text


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_a_compressed_file_holds_the_same(visitor, hundred, extension):
    answer = visitor.get(f"/acme/logs.{extension}?last=7d&compress=gzip")
    assert answer["Content-Type"] == "application/gzip"
    assert answer["Content-Disposition"].endswith(f'.{extension}.gz"')
    assert "Content-Encoding" not in answer
    assert gzip.decompress(b"".join(answer)) == b"".join(visitor.get(f"/acme/logs.{extension}?last=7d"))


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
@pytest.mark.parametrize("how", [{}, {"compress": "gzip"}])
def test_the_book_holds_the_question_the_rows_and_the_hash_of_the_file(visitor, hundred, own_entries, extension, how):
    file = sent(visitor, f"/acme/logs.{extension}", {"status": "failure", "-user": "bob", "last": "7d", **how})
    made = own_entries()[-1]
    assert made.api_name == f"logs_{extension}"
    assert (made.username, made.response_code, made.error_type) == ("alice", 200, None)
    assert made.details["rows"] == "50"
    assert made.details["bytes"] == str(len(file))
    assert made.details["sha256"] == sha256(file).hexdigest()
    assert re.fullmatch(r"status:failure -user:bob from:\S+Z to:\S+Z", made.details["question"])


def test_a_large_file_is_counted_over_all_its_blocks(visitor, site, own_entries):
    write(site, [entry(request_path="/" + "a\n" * 2500) for _ in range(100)])
    file = sent(visitor, "/acme/logs.csv", {"last": "24h"})
    assert (own_entries()[-1].details["rows"], own_entries()[-1].details["bytes"]) == ("100", str(len(file)))


@pytest.mark.parametrize("how", ["", "&compress=gzip"])
def test_a_download_that_the_reader_left_is_in_the_book_as_cut_off(visitor, site, own_entries, how):
    write(site, [entry(request_path="/" + os.urandom(2500).hex()) for _ in range(100)])
    answer = visitor.get(f"/acme/logs.csv?last=24h{how}")
    stream = iter(answer)
    for _ in range(3):
        next(stream)
    answer.close()
    made = own_entries()[-1]
    assert made.error_type == "client-disconnected"
    assert re.fullmatch(r"at least [1-9]\d, then it was cut off", made.details["rows"])
    assert "sha256" not in made.details


def test_a_download_that_broke_off_is_in_the_book_without_a_hash(visitor, hundred, own_entries, monkeypatch):
    def broken(*_):
        yield b"half a row"
        raise ConnectionError("the server went away")

    monkeypatch.setattr("auditlog.export.rows.copy", broken)
    with pytest.raises(ConnectionError):
        b"".join(visitor.get("/acme/logs.csv"))
    made = own_entries()[-1]
    assert made.details["rows"] == "at least 0, then it was cut off"
    assert "sha256" not in made.details


def named(site: Site, **query: str) -> str:
    return file_name(site, Question.from_query(QueryDict(urlencode(query)), [site]), "csv")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"status": "failure", "interface": "sftp"}, "acme-api-logs-failure-sftp-2026-11-01-to-2026-11-24.csv"),
        ({"-user": "svc-*", "code": "400..499"}, "acme-api-logs-not-svc-400-499-2026-11-01-to-2026-11-24.csv"),
        ({"key": "*"}, "acme-api-logs-key-2026-11-01-to-2026-11-24.csv"),
        ({"q": 'report "Straße nach Köln"'}, "acme-api-logs-report-strasse-nach-koln-2026-11-01-to-2026-11-24.csv"),
        ({"user": "\u202e\u0000"}, "acme-api-logs-user-2026-11-01-to-2026-11-24.csv"),
        ({"path": "../../etc/passwd"}, "acme-api-logs-etc-passwd-2026-11-01-to-2026-11-24.csv"),
    ],
)
def test_a_file_is_named_for_what_was_asked(site, query, name):
    assert named(site, **query, **{"from": "2026-11-01", "to": "2026-11-24"}) == name


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2026-11-24", "2026-11-24", "2026-11-24"),
        ("2026-11-24T14:00Z", "2026-11-24T15:30Z", "2026-11-24T1400Z-to-2026-11-24T1530Z"),
        ("2026-11-23T14:00Z", "2026-11-24T15:30Z", "2026-11-23-to-2026-11-24"),
    ],
)
def test_a_file_is_named_for_its_days(site, first, last, days):
    assert named(site, **{"from": first, "to": last}) == f"acme-api-logs-{days}.csv"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_question_makes_a_harmless_name_and_page(visitor, site, text):
    query = urlencode({"user": terms.exactly(text.encode(errors="replace").decode()[:500]), "last": "24h"})
    page = visitor.get(f"{PAGE}?{query}")
    assert page.status_code == 200
    shown = re.sub(r' value="[^"]*"', "", page.text)
    for raw in ("<script>alert", '" onmouseover', "\u202e", "\x00", "14{"):
        assert raw not in shown
    answer = visitor.get(f"/acme/logs.csv?{query}")
    assert re.fullmatch(
        r'attachment; filename="acme-api-logs-[a-z0-9-]+-to-[\dTZ-]+\.csv"', answer["Content-Disposition"]
    )
    assert len(answer["Content-Disposition"]) < 150
    b"".join(answer)


def test_the_page_asks_the_database_a_fixed_number_of_times(visitor, hundred, django_assert_max_num_queries):
    visitor.get(PAGE)
    with django_assert_max_num_queries(38):
        visitor.get(PAGE)
