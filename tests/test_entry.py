"""The entry: whatever comes in, what comes out can be stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.entry import DETAILS_LIMIT, TEXT_LIMITS, Entry, decode_entry, encode_json, entry_from

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def entry(**fields: object) -> Entry:
    return Entry(**{"created_at": NOON, "request_id": "r1", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TEXT_LIMITS.keys() - {"request_id", "request_ip"})
def test_a_long_text_is_cut_and_the_cut_is_noted(name):
    limit = TEXT_LIMITS[name]
    long = entry(**{name: "x" * (limit + 1)})
    assert getattr(long, name) == "x" * limit
    assert long.details["cut"] == f"{name} of {limit + 1} characters"


@pytest.mark.parametrize("name", TEXT_LIMITS.keys() - {"request_id", "request_ip"})
def test_a_text_of_just_the_limit_stays_whole(name):
    text = "x" * TEXT_LIMITS[name]
    assert getattr(entry(**{name: text}), name) == text
    assert entry(**{name: text}).details == {}


def test_several_cuts_are_all_noted():
    both = entry(username="u" * 201, api_name="n" * 300)
    assert "username of 201 characters" in both.details["cut"]
    assert "api_name of 300 characters" in both.details["cut"]


@pytest.mark.parametrize("name", TEXT_LIMITS.keys() - {"request_ip"})
def test_nul_and_surrogates_are_replaced_in_every_text(name):
    assert getattr(entry(**{name: "a\x00b\ud800c"}), name) == "a\ufffdb\ufffdc"


def test_nul_and_surrogates_are_replaced_in_details():
    assert entry(details={"k\x00": "v\udfff"}).details == {"k\ufffd": "v\ufffd"}


def test_other_control_and_direction_characters_stay_as_they_are():
    assert entry(username="\u202eevil\t\x1b").username == "\u202eevil\t\x1b"


def test_distinct_long_request_ids_stay_distinct_within_the_limit():
    first, second = entry(request_id="a" * 500 + "1").request_id, entry(request_id="a" * 500 + "2").request_id
    assert first != second
    assert len(first) == len(second) == 200
    assert first.startswith("a" * 160)


def test_the_same_long_request_id_is_shortened_the_same_way():
    assert entry(request_id="a" * 500).request_id == entry(request_id="a" * 500).request_id


def test_a_shortened_request_id_is_not_shortened_again():
    once = entry(request_id="a" * 500).request_id
    assert entry(request_id=once).request_id == once


def test_an_empty_request_id_is_refused():
    with pytest.raises(ValueError, match="request_id"):
        entry(request_id="")


def test_an_empty_text_is_none():
    assert entry(username="", request_path="").username is None


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match=r"created_at.*time zone"):
        entry(created_at=datetime(2026, 5, 4, 12, 0))  # noqa: DTZ001
    with pytest.raises(msgspec.ValidationError, match="created_at"):
        decode_entry(b'{"created_at":"2026-05-04T12:00:00","request_id":"r"}')


def test_a_time_of_another_zone_becomes_utc():
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert entry(created_at=there).created_at == NOON
    assert entry(created_at=there).created_at.tzinfo is UTC


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_that_leaves_the_calendar_is_refused(moment):
    with pytest.raises(msgspec.ValidationError, match="created_at"):
        entry_from({"created_at": moment, "request_id": "r"})


def test_an_address_is_stored_in_its_normal_form():
    assert entry(request_ip="[::ffff:192.0.2.1]:443").request_ip == "192.0.2.1"


def test_what_is_no_address_moves_to_the_details():
    named = entry(request_ip="cloudtrail.amazonaws.com")
    assert named.request_ip is None
    assert named.details == {"request_ip": "cloudtrail.amazonaws.com"}


def test_the_senders_details_are_limited_in_number_and_length():
    many = entry(details={f"k{number}": "v" * 5000 for number in range(100)})
    assert len(many.details) <= DETAILS_LIMIT
    assert max(map(len, many.details.values())) == 1000


def test_details_that_find_no_room_are_noted():
    many = entry(details={f"k{number}": "v" for number in range(30)})
    assert many.details == {**{f"k{number}": "v" for number in range(19)}, "cut": "details of 30 entries"}
    alike = entry(details={"x" * 64 + "a": "1", "x" * 64 + "b": "2"})
    assert alike.details["cut"] == "details of 2 entries"
    assert len(alike.details) == 2


def test_details_of_just_the_limit_stay_and_empty_ones_are_not_missed():
    just = {f"k{number}": "v" for number in range(DETAILS_LIMIT)}
    assert entry(details=just).details == just
    assert entry(details={"a": "", "b": "c"}).details == {"b": "c"}


def test_our_own_notes_find_room_among_many_details():
    told = entry(details={f"k{number}": "v" for number in range(20)}, username="u" * 300, request_ip="proxy")
    assert len(told.details) == DETAILS_LIMIT
    assert told.details["request_ip"] == "proxy"
    assert told.details["cut"] == "details of 20 entries, username of 300 characters"


def test_our_own_notes_stand_beside_the_senders():
    told = entry(details={"cut": "mine", "request_ip": "theirs"}, username="u" * 300, request_ip="proxy")
    assert told.details == {"cut": "username of 300 characters, mine", "request_ip": "proxy"}
    assert entry(details={"cut": "mine"}).details == {"cut": "mine"}
    long = entry(details={"cut": "m" * 1000}, username="u" * 300)
    assert long.details["cut"].startswith("username of 300 characters, mmm")


@pytest.mark.parametrize(
    ("fields", "success"),
    [
        ({"response_code": 399}, True),
        ({"response_code": 400}, False),
        ({"response_code": 200, "error_type": "odd"}, True),
        ({}, True),
        ({"error_type": "denied"}, False),
        ({"error_message": "denied"}, False),
    ],
)
def test_status_follows_the_code_and_without_one_the_error(fields, success):
    assert entry(**fields).success is success


@pytest.mark.parametrize(
    "bad", [{"response_code": -1}, {"response_code": "200"}, {"duration_ms": -5}, {"username": 7}, {"colour": "red"}]
)
def test_a_wrong_value_is_refused_naming_the_field(bad):
    with pytest.raises(msgspec.ValidationError, match=next(iter(bad))):
        entry_from({"created_at": NOON, "request_id": "r", **bad})


texts = st.one_of(st.none(), st.text(max_size=300), st.text(st.characters(categories=["Cs", "Cc"]), max_size=20))
entries = st.builds(
    Entry,
    created_at=st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    request_id=st.text(min_size=1, max_size=400),
    response_code=st.one_of(st.none(), st.integers(0, 999)),
    duration_ms=st.one_of(st.none(), st.integers(0, 2**31 - 1)),
    user_is_from_parent_site=st.booleans(),
    details=st.dictionaries(st.text(max_size=80) | st.just("cut"), st.text(max_size=1200), max_size=25),
    **{name: texts for name in TEXT_LIMITS if name != "request_id"},
)


@given(entries)
def test_every_entry_survives_the_way_through_json(made):
    assert decode_entry(encode_json(made)) == made


@given(entries)
def test_every_entry_fits_the_store(made):
    for name, limit in TEXT_LIMITS.items():
        text = getattr(made, name)
        assert text is None or (0 < len(text) <= limit and "\x00" not in text and text.encode())


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("created_at", "2026-11-24", TypeError),
        ("duration_ms", 1.5, TypeError),
        ("duration_ms", True, TypeError),
        ("duration_ms", -1, ValueError),
        ("duration_ms", 2**31, ValueError),
        ("response_code", "200", TypeError),
        ("response_code", 5000, ValueError),
        ("user_is_from_parent_site", 1, TypeError),
        ("user_is_from_parent_site", None, TypeError),
    ],
)
def test_a_wrong_number_or_truth_value_is_named(name, value, error):
    with pytest.raises(error, match=f"{name}: {value!r}, expected"):
        entry(**{name: value})


def test_a_status_of_the_standard_library_is_a_code():
    assert entry(response_code=HTTPStatus.NOT_FOUND, duration_ms=0).response_code == 404
