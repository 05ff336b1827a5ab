"""The transfer log of vsftpd, ProFTPD and others."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from gatebook.entry import Entry
from tests.log_files import read_bytes, read_entry, read_lines, read_reason

LINE = "Tue Mar  3 08:12:30 2026 2 192.0.2.7 1048576 /in/a.csv b _ i r bob ftp 0 * c"


def test_a_line_gives_what_it_has_and_nothing_else():
    entry = read_entry("xferlog", LINE)
    assert entry == Entry(
        created_at=datetime(2026, 3, 3, 8, 12, 30, tzinfo=UTC),
        request_id=entry.request_id,
        username="bob",
        interface="ftp",
        api_name="ftp.store",
        request_method="STOR",
        request_path="/in/a.csv",
        request_ip="192.0.2.7",
        duration_ms=2000,
        details={"bytes": "1048576"},
    )


@pytest.mark.parametrize(("direction", "method"), [("i", "STOR"), ("o", "RETR"), ("d", "DELE")])
def test_the_direction_gives_the_method(direction, method):
    assert read_entry("xferlog", LINE.replace(" i r ", f" {direction} r ")).request_method == method


def test_a_transfer_that_broke_off_is_a_failure():
    entry = read_entry("xferlog", LINE[:-1] + "i")
    assert (entry.success, entry.error_type) == (False, "incomplete")


def test_how_it_was_sent_and_by_whom_is_kept():
    entry = read_entry("xferlog", LINE.replace("b _ i r bob ftp 0 *", "a _ o a me@example.com sftp 1 bob@corp"))
    assert (entry.username, entry.interface, entry.api_name) == ("me@example.com", "sftp", "sftp.retrieve")
    assert entry.details == {"bytes": "1048576", "kind": "ascii", "access": "anonymous", "account": "bob@corp"}


@pytest.mark.parametrize(
    "path",
    ["/with a space", "/x b _ o r root ftp 0 * c", '/"quoted"', "=cmd|' /C calc'!A0", "/café", "/\x07", " /x", "/x "],
)
def test_a_name_may_hold_anything_and_forges_nothing(path):
    entry = read_entry("xferlog", LINE.replace("/in/a.csv", path))
    assert (entry.request_path, entry.username, entry.request_method) == (path, "bob", "STOR")


def test_bytes_that_are_no_utf8_are_replaced():
    assert read_entry("xferlog", LINE.encode().replace(b"/in", b"/\xa4n")).request_path == "/\ufffdn/a.csv"


def test_a_client_may_be_a_name_or_mapped():
    assert read_entry("xferlog", LINE.replace("192.0.2.7", "::ffff:192.0.2.7")).request_ip == "192.0.2.7"
    entry = read_entry("xferlog", LINE.replace("192.0.2.7", "client.example.com"))
    assert (entry.request_ip, entry.details["request_ip"]) == (None, "client.example.com")


def test_the_time_is_of_the_zone_that_was_said():
    (entry,) = read_lines("xferlog", LINE, zone=ZoneInfo("America/New_York"))
    assert entry.created_at == datetime(2026, 3, 3, 13, 12, 30, tzinfo=UTC)


def test_equal_lines_are_all_kept_and_get_the_same_ids_again():
    ids = [entry.request_id for entry in read_lines("xferlog", LINE, LINE)]
    assert len(set(ids)) == 2
    assert [entry.request_id for entry in read_lines("xferlog", LINE, LINE)] == ids


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("# a comment", "not a line of the format xferlog"),
        (LINE[:-2], "not a line of the format xferlog"),
        (LINE.replace("1048576", "many"), "not a line of the format xferlog"),
        (LINE.replace("Mar", "Mai"), "created_at: not a time there is"),
        (LINE.replace("Mar  3", "Feb 30"), "created_at: not a time there is"),
        (LINE.replace("08:12", "28:12"), "created_at: not a time there is"),
        (LINE.replace(" 2 192", " 9999999999 192"), "duration_ms: 9999999999000, expected 0 to 2147483647"),
    ],
)
def test_a_line_that_is_none_is_rejected(line, reason):
    assert read_reason("xferlog", line) == reason


def test_a_last_line_without_its_end_is_still_being_written():
    whole, last = read_bytes("xferlog", f"{LINE}\n{LINE}".encode())
    assert isinstance(whole, Entry)
    assert last.reason == "breaks off"


def test_it_is_recognised():
    assert formats.detect(f"{LINE}\n".encode()).name == "xferlog"


PIECES = [LINE, "\n", " ", "b _ i r ", "/in", "ftp 0 * c", "\x00", "é", "Tue Mar  3 08:12:30 2026"]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_whatever_is_in_a_line_it_is_an_entry_or_a_rejection(text):
    line = text.replace("\n", " ")
    assert len(read_lines("xferlog", line)) == (1 if line.encode(errors="replace").strip() else 0)


@pytest.mark.parametrize("evil", [" " * 200_000, "a " * 100_000, " b _ i r x ftp 0 *" * 10_000, "1" * 200_000])
@pytest.mark.timeout(60)
def test_hostile_lines_cost_no_time(evil):
    read_lines("xferlog", evil, LINE.replace("/in/a.csv", evil), LINE.replace("/in/a.csv b", evil), LINE + evil)
