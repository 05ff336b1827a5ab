"""Gatebook's own JSON lines."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from auditlog.intake.formats.gatebook_jsonl import FORMAT, entry_and_site
from auditlog.intake.formats.shape import LINE_LIMIT, Rejected, Source, reason_for
from gatebook.entry import FIELDS, Entry, encode_json

FULL = Entry(
    created_at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
    request_id="0b1f",
    user_id="7",
    username="bob",
    impersonator_user_id="8",
    impersonator_username="alice",
    user_is_from_parent_site=True,
    interface="web",
    api_key_id="12",
    api_key_prefix="k7Qm",
    api_name="files.list",
    request_method="GET",
    request_path="/api/files?path=%2F",
    request_ip="192.0.2.7",
    request_host="acme.example.com",
    response_code=403,
    user_agent="curl/8.5.0",
    error_type="not-authorized/read-only-session",
    error_message="This session is read-only.",
    duration_ms=12,
    details={"trace_id": "4bf9"},
)
MINIMAL = {"created_at": "2026-03-01T12:00:00Z", "request_id": "r"}


def read_all(data: bytes) -> list[Entry | Rejected]:
    return list(FORMAT.read(io.BytesIO(data), Source()))


def read_one(**fields: object) -> Entry | Rejected:
    (item,) = read_all(json.dumps({**MINIMAL, **fields}).encode())
    return item


def test_every_field_comes_back_as_it_was_written():
    exported = dict.fromkeys(FIELDS) | json.loads(encode_json(FULL)) | {"success": False, "site": "acme"}
    assert read_all(json.dumps(exported).encode()) == [FULL]


ODD = r"""
    "response_code":200.0 "response_code":-0 "response_code":"200" "response_code":true "response_code":1000
    "duration_ms":1e3 "user_is_from_parent_site":null "user_is_from_parent_site":1 "user_id":7 "extra":1
    "user_id":null,"user_id":"x" "username":7,"username":"bob" "username":"\ud800" "username":"a\u0000" "username":"ÿ"
    "details":null "details":{"a":null} "details":{"a":1,"a":"b"} "details":[] "success":true "success":false
    "success":"x" "request_id":"" "request_id":null "created_at":"2026-03-01T12:00:00" "created_at":1
    "\u0075sername":"bob" "user_agent":"" "created_at":"0001-01-01T00:00:00+05:00"
    "request_ip":"x" "error_type":"e","success":false "a":
"""


@pytest.mark.parametrize("odd", ["", *ODD.split()])
def test_a_line_that_names_a_site_is_read_like_one_that_names_none(odd):
    def outcome(*members: str) -> object:
        line = ",".join([*json.dumps(MINIMAL)[1:-1].split(", "), *filter(None, members)])
        try:
            return entry_and_site(f"{{{line}}}".encode("latin-1"))
        except (ValueError, TypeError) as error:
            return reason_for(error)

    assert outcome(odd) == outcome('"site":null', odd)


def test_a_line_with_null_for_what_it_does_not_have_is_an_entry():
    nothing = {name: None for name in FIELDS if name not in MINIMAL}
    assert read_one(**nothing) == read_one()


def test_a_time_in_another_zone_is_the_same_instant():
    assert read_one(created_at="2026-03-01T13:00:00.5+01:00").created_at == datetime(
        2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"created_at": "2026-03-01T12:00:00"}, "created_at: expected a date and time with its time zone"),
        ({"created_at": "yesterday"}, "created_at: expected a date and time in the form of RFC3339"),
        ({"created_at": None}, "created_at: expected a date and time, got null"),
        ({"request_id": ""}, "request_id: is empty, expected a text"),
        ({"response_code": "200"}, "response_code: expected a whole number or null, got a text"),
        ({"response_code": 1000}, "response_code: expected a whole number <= 999"),
        ({"duration_ms": -1}, "duration_ms: expected a whole number >= 0"),
        ({"colour": "blue"}, "Object contains unknown field `colour`"),
        ({"success": "yes"}, "success: expected true or false"),
        ({"success": False, "response_code": 200}, "success: is false, but the response code or error says otherwise"),
        ({"site": 7}, "site: expected a text"),
    ],
)
def test_a_wrong_value_is_rejected_naming_the_field(fields, reason):
    rejected = read_one(**fields)
    assert isinstance(rejected, Rejected)
    assert (rejected.number, rejected.reason) == (1, reason)


def test_bad_lines_do_not_sink_the_good_ones_and_keep_their_numbers():
    good = json.dumps(MINIMAL).encode()
    lines = [good, b"", b"{torn", b"[]", b"\xff\xfe", b'{"a":' * 5000, b"x" * (LINE_LIMIT + 1), good[:-1]]
    items = read_all(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    assert isinstance(items[0], Entry)
    assert [(item.number, item.reason) for item in items[1:]] == [
        (3, "not JSON, or broken off"),
        (4, "not a JSON object"),
        (5, "not JSON, or broken off"),
        (6, "JSON is nested too deeply"),
        (7, "longer than 1,048,576 bytes"),
        (8, "not JSON, or broken off"),
    ]
    assert all(len(item.excerpt) <= 160 for item in items[1:])


def test_odd_bytes_and_lone_surrogates_are_replaced():
    line = (
        b'{"created_at":"2026-03-01T12:00:00Z","request_id":"r","username":"b\xffb","request_path":"/\\ud800\\u0000"}'
    )
    (entry,) = read_all(line)
    assert (entry.username, entry.request_path) == ("b\ufffdb", "/\ufffd\ufffd")


def test_it_is_recognised_by_its_content():
    assert formats.detect(b"\n" + encode_json(FULL)).name == "gatebook"


@given(
    st.binary()
    | st.lists(st.sampled_from([json.dumps(MINIMAL).encode(), b"\n", b"{", b'"', b"\xff", b"\\"])).map(b"".join)
)
def test_whatever_is_in_the_file_each_line_is_an_entry_or_a_rejection(data):
    lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert len(read_all(data)) == len(lines)
