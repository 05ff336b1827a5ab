"""The log of vsftpd's own format."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from gatebook.entry import Entry
from tests.log_files import read_bytes, read_entry, read_lines, read_reason

AT = "Tue Mar  3 08:12:30 2026 [pid 7]"
UPLOAD = f'{AT} [bob] OK UPLOAD: Client "192.0.2.7", "/in/a.csv", 1048576 bytes, 512.00Kbyte/sec'


def test_a_line_gives_what_it_has_and_nothing_else():
    entry = read_entry("vsftpd", UPLOAD)
    assert entry == Entry(
        created_at=datetime(2026, 3, 3, 8, 12, 30, tzinfo=UTC),
        request_id=entry.request_id,
        username="bob",
        interface="ftp",
        api_name="ftp.store",
        request_method="STOR",
        request_path="/in/a.csv",
        request_ip="192.0.2.7",
        details={"pid": "7", "bytes": "1048576", "kbytes_per_second": "512.00"},
    )


@pytest.mark.parametrize(
    ("text", "method", "name", "user", "path", "success"),
    [
        ('CONNECT: Client "::ffff:192.0.2.7"', None, "ftp.connect", None, None, True),
        ('[bob] OK LOGIN: Client "192.0.2.7"', "PASS", "ftp.login", "bob", None, True),
        ('[bob] FAIL LOGIN: Client "192.0.2.7"', "PASS", "ftp.login", "bob", None, False),
        ('[ftp] OK LOGIN: Client "192.0.2.7", anon password "me@"', "PASS", "ftp.login", "ftp", None, True),
        ('[bob] OK DOWNLOAD: Client "192.0.2.7", "/a", 5 bytes', "RETR", "ftp.retrieve", "bob", "/a", True),
        ('[bob] FAIL DOWNLOAD: Client "192.0.2.7", "/a", 0.00Kbyte/sec', "RETR", "ftp.retrieve", "bob", "/a", False),
        ('[bob] OK DELETE: Client "192.0.2.7", "/a"', "DELE", "ftp.delete", "bob", "/a", True),
        ('[bob] OK MKDIR: Client "192.0.2.7", "/d"', "MKD", "ftp.mkdir", "bob", "/d", True),
        ('[bob] OK RMDIR: Client "192.0.2.7", "/d"', "RMD", "ftp.rmdir", "bob", "/d", True),
        ('[bob] OK RENAME: Client "192.0.2.7", "/a /b"', "RNTO", "ftp.rename", "bob", "/a /b", True),
        ('[bob] OK CHMOD: Client "192.0.2.7", "/a 600"', "SITE CHMOD", "ftp.chmod", "bob", "/a 600", True),
        ('[bob] OK LOGOUT: Client "192.0.2.7"', "QUIT", "ftp.logout", "bob", None, True),
    ],
)  # fmt: skip
def test_every_event_is_read(text, method, name, user, path, success):
    entry = read_entry("vsftpd", f"{AT} {text}")
    assert (entry.request_method, entry.api_name, entry.username, entry.request_path) == (method, name, user, path)
    assert (entry.success, entry.request_ip) == (success, "192.0.2.7")


def test_a_password_is_not_kept():
    entry = read_entry("vsftpd", f'{AT} [ftp] OK LOGIN: Client "192.0.2.7", anon password "hunter2"')
    assert "hunter2" not in str(entry)


@pytest.mark.parametrize("path", ['/a", 9 bytes', '/"quoted"', "/with, comma", "=cmd|' /C calc'!A0", "/café", "", '"'])
def test_a_name_may_hold_anything_and_forges_nothing(path):
    entry = read_entry("vsftpd", UPLOAD.replace("/in/a.csv", path))
    assert (entry.request_path, entry.details["bytes"], entry.username) == (path or None, "1048576", "bob")


def test_equal_lines_are_all_kept_and_get_the_same_ids_again():
    ids = [entry.request_id for entry in read_lines("vsftpd", UPLOAD, UPLOAD)]
    assert len(set(ids)) == 2
    assert [entry.request_id for entry in read_lines("vsftpd", UPLOAD, UPLOAD)] == ids


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("# a comment", "not a line of the format vsftpd"),
        (f'{AT} [bob] FTP command: Client "192.0.2.7", "PASS <password>"', "not a line of the format vsftpd"),
        (f'{AT} [bob] FTP response: Client "192.0.2.7", "230 Login successful."', "not a line of the format vsftpd"),
        (UPLOAD[:-8], "not a line of the format vsftpd"),
        (UPLOAD.replace("Mar  3", "Feb 30"), "created_at: not a time there is"),
    ],
)
def test_a_line_that_is_none_is_rejected(line, reason):
    assert read_reason("vsftpd", line) == reason


def test_a_last_line_without_its_end_is_still_being_written():
    whole, last = read_bytes("vsftpd", f"{UPLOAD}\n{UPLOAD}".encode())
    assert isinstance(whole, Entry)
    assert last.reason == "breaks off"


def test_it_is_recognised():
    assert formats.detect(f'{AT} CONNECT: Client "192.0.2.7"\n'.encode()).name == "vsftpd"


PIECES = [UPLOAD, AT, "\n", " ", "[bob] ", "OK UPLOAD: ", 'Client "', '", "', " bytes", "\x00", "é"]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_whatever_is_in_a_line_it_is_an_entry_or_a_rejection(text):
    line = text.replace("\n", " ")
    assert len(read_lines("vsftpd", line)) == (1 if line.encode(errors="replace").strip() else 0)


@pytest.mark.parametrize("evil", ['"' * 200_000, '", 1 bytes' * 20_000, "[" * 200_000, "] " * 100_000, "A" * 200_000])
@pytest.mark.timeout(60)
def test_hostile_lines_cost_no_time(evil):
    read_lines("vsftpd", evil, f"{AT} [{evil}", f"{AT} {evil}", UPLOAD.replace("/in/a.csv", evil), UPLOAD + evil)
