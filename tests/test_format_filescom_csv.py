"""CSV with the 19 headings: what Files.com exports, and what the log page does."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from auditlog.export.csv import lines
from auditlog.intake import formats
from auditlog.intake.formats.filescom_csv import FORMAT
from auditlog.intake.formats.shape import Rejected, Source
from auditlog.models import ApiRequestLog
from auditlog.models.log import COLUMNS
from auditlog.search.question import Question
from auditlog.store.writer import write
from gatebook.entry import TEXT_LIMITS, Entry
from tests.book import ago, entry

ROW = {
    "Date": "2026-03-01T12:00:00.123456Z",
    "User": "bob",
    "Impersonator User": "alice",
    "User from Parent Site?": "Yes",
    "Interface": "WebDAV",
    "API Key ID": "7",
    "API Key prefix": "ab12",
    "API Name": "files.list",
    "Request Method": "GET",
    "Path": "/a,b",
    "Request IP": "192.0.2.7",
    "Request-ID": "0b1f",
    "Request Host": "acme.files.com",
    "Response Code": "503",
    "User Agent": 'a "quoted" agent',
    "Error Type": "broken",
    "Error Message": "one\ntwo\r\n\nfour",
    "Status": "Failure",
    "Duration": "1204",
}
ENTRY = Entry(
    created_at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
    username="bob",
    impersonator_username="alice",
    user_is_from_parent_site=True,
    interface="dav",
    api_key_id="7",
    api_key_prefix="ab12",
    api_name="files.list",
    request_method="GET",
    request_path="/a,b",
    request_ip="192.0.2.7",
    request_id="0b1f",
    request_host="acme.files.com",
    response_code=503,
    user_agent='a "quoted" agent',
    error_type="broken",
    error_message="one\ntwo\r\n\nfour",
    duration_ms=1204,
)


def file_of(*rows: dict[str, str], **options: Any) -> bytes:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


def read(data: bytes, **source: Any) -> list[Entry | Rejected]:
    return list(FORMAT.read(io.BytesIO(data), Source(**source)))


def reasons(data: bytes) -> list[str]:
    return [item.reason for item in read(data) if isinstance(item, Rejected)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
def test_every_column_is_read(line_end, mark):
    data = mark + file_of(ROW, lineterminator=line_end)
    assert read(data) == [ENTRY]
    assert formats.detect(data) is FORMAT


def test_the_columns_come_in_any_order_and_some_are_missing():
    assert read(file_of(dict(reversed(ROW.items())))) == [ENTRY]
    few = {name: ROW[name] for name in ("Response Code", "Date", "Request-ID")}
    assert read(file_of(few)) == [Entry(created_at=ENTRY.created_at, request_id="0b1f", response_code=503)]
    loud = {name.upper(): cell for name, cell in ROW.items()}
    assert read(file_of(loud)) == [ENTRY]


def test_a_row_without_a_request_id_is_known_by_its_text_and_place():
    few = {"Date": ROW["Date"], "User": "bob", "Path": "/a"}
    first, second, other = read(file_of(few, few, few | {"Path": "/b"}))
    assert len({first.request_id, second.request_id, other.request_id}) == 3
    assert read(file_of(few, few)) == [first, second]


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 12:00:00 UTC", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00.5+02:00", datetime(2026, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-03-01 12:00:00", datetime(2026, 3, 1, 11, tzinfo=UTC)),
    ],
)
def test_a_time_is_of_the_zone_it_names_else_of_the_one_given(cell, moment):
    (found,) = read(file_of(ROW | {"Date": cell}), zone=ZoneInfo("Europe/Berlin"))
    assert found.created_at == moment


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"Duration": "1.2s"}, {"duration_ms": 1200}),
        ({"Duration": "1,204 ms"}, {"duration_ms": 1204}),
        ({"Duration": ""}, {"duration_ms": None}),
        ({"User from Parent Site?": "no"}, {"user_is_from_parent_site": False}),
        ({"User from Parent Site?": ""}, {"user_is_from_parent_site": False}),
        ({"Interface": "anything"}, {"interface": "anything"}),
        ({"Path": "'=1+1"}, {"request_path": "=1+1"}),
        ({"Path": "'\n/x"}, {"request_path": "\n/x"}),
        ({"Path": "'quoted'"}, {"request_path": "'quoted'"}),
        ({"Status": ""}, {}),
        ({"Status": "Success"}, {"details": {"success": "true"}}),
        (
            {"Response Code": "", "Error Type": "", "Error Message": ""},
            {"response_code": None, "error_type": None, "error_message": None, "details": {"success": "false"}},
        ),
    ],
)
def test_a_cell_becomes(change, fields):
    assert read(file_of(ROW | change)) == [replace(ENTRY, **fields)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Date": "soon"}, "created_at: not a time there is"),
        ({"Date": ""}, "created_at: is missing"),
        ({"Response Code": "4xx"}, "response_code: '4xx', expected a whole number"),
        ({"Response Code": "1000"}, "response_code: 1000, expected 0 to 999"),
        ({"Duration": "long"}, "duration_ms: not a duration"),
        ({"Status": "Maybe"}, "success: 'Maybe', expected Success or Failure"),
        ({"User from Parent Site?": "perhaps"}, "user_is_from_parent_site: 'perhaps', expected Yes or No"),
    ],
)
def test_a_bad_row_is_rejected_and_costs_no_other(change, reason):
    data = file_of(ROW, ROW | change, ROW)
    assert reasons(data) == [reason]
    assert len(read(data)) == 3


def test_what_is_no_row_is_rejected():
    data = file_of({"Date": ROW["Date"], "User": "bob", "Path": "/a"})
    ending = b"\n# This file is incomplete: the database broke off. Download it again.\n"
    assert reasons(data + ending) == ["the row has 1 cells, expected 3"]
    assert reasons(data + b'2026-03-01,"bob"x,/a\r\n2026-03-01,bob,/b\r\n') == ["not CSV: ',' expected after '\"'"]
    assert reasons(data + b'2026-03-01,"bob\n') == ["not CSV: unexpected end of data"]
    assert reasons(b"") == []


@pytest.mark.parametrize(
    ("headings", "reason"),
    [
        ("Date,User,Path,Colour", "heading 'Colour' is not known, expected Date, User,"),
        ("Date,User,Path,path", "heading 'path' is there twice"),
        ("User,Path,Request-ID", "heading 'Date' is missing"),
    ],
)
def test_headings_that_are_not_known_reject_the_file(headings, reason):
    data = f"{headings}\n1,2,3,4\n".encode()
    assert formats.detect(data) is FORMAT
    (said,) = reasons(data)
    assert said.startswith(reason)


def test_other_csv_is_not_taken_for_it():
    for head in (b"Date,Amount,Payee\n1,2,3\n", b"a,b,c\n", b'"Date\n', b""):
        assert not FORMAT.recognises(head)


WHAT_FORMULAS_BEGIN_WITH = ["=", "+", "-", "@", "\t", "\r", "\n"]


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_the_csv_of_the_log_page_comes_back_as_far_as_it_goes(site, other_site, tmp_path, zone):
    texts = [
        "plain",
        "a,b",
        'a "b"',
        "two\nlines\r\n\n",
        " blank ",
        "é\u202e",
        *(f"{first}x" for first in WHAT_FORMULAS_BEGIN_WITH),
    ]
    fields = [name for name in TEXT_LIMITS if name in COLUMNS and name not in ("request_ip", "request_id")]
    rows = [
        entry(
            created_at=ago(hours=number + 1),
            request_ip="2001:db8::1",
            response_code=(200, 404, None)[number % 3],
            user_is_from_parent_site=number % 2 == 0,
            duration_ms=number,
            **dict.fromkeys(fields, text),
        )
        for number, text in enumerate(texts)
    ]
    write(site, [*rows, entry(created_at=ago(hours=1))])
    question = Question.from_query(QueryDict("last=7d"), [site])
    path = tmp_path / "log.csv"
    path.write_bytes(b"".join(lines(question, list(COLUMNS), zone)))
    call_command("import_logs", str(path), "--site", other_site.slug)
    call_command("import_logs", str(path), "--site", other_site.slug)
    held = [
        list(ApiRequestLog.objects.filter(site_id=each.pk).order_by("created_at").values(*COLUMNS, "details"))
        for each in (site, other_site)
    ]
    assert held[0] == held[1]
    assert len(held[0]) == len(texts) + 1


PIECES = [b"Date,User,Path\n", b"2026-03-01,a,/b\n", b'"', b",", b"\n", b"\r", b"\xff", b"\x00", b"'=", b"9" * 400]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_bytes_are_read_without_a_crash(data):
    FORMAT.recognises(data)
    read(data)


@given(st.dictionaries(st.sampled_from(sorted(ROW)), st.text(max_size=30)))
def test_whatever_a_cell_holds_the_row_is_an_entry_or_a_rejection(odd):
    assert len(read(file_of(ROW | odd))) == 1


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60))
def test_a_text_comes_back_unless_it_begins_with_the_apostrophe_of_a_formula(text):
    escaped = f"'{text}" if text[:1] in WHAT_FORMULAS_BEGIN_WITH and text else text
    (found,) = read(file_of(ROW | {"Error Message": escaped}))
    began_so = text[:1] == "'" and text[1:2] in WHAT_FORMULAS_BEGIN_WITH
    assert found.error_message == ((text[1:] if began_so else text) or None)
