"""OpenSSH's SFTP server in syslog."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from auditlog.intake.formats import openssh
from auditlog.intake.formats.shape import Rejected
from gatebook.entry import Entry
from tests.log_files import read_bytes, read_entry, read_lines, read_reason

AT = "2026-03-03T08:12:30.250000+00:00 files"
MOMENT = datetime(2026, 3, 3, 8, 12, 30, 250000, tzinfo=UTC)


def said(text: str, pid: int = 7, program: str = "internal-sftp") -> str:
    return f"{AT} {program}[{pid}]: {text}"


OPENED = said("session opened for local user bob from [192.0.2.7]")
CLOSED = said("session closed for local user bob from [192.0.2.7]").replace("08:12", "08:14")
VERSION = said("received client version 3")
OPEN = said('open "/in/a.csv" flags WRITE,CREATE,TRUNCATE mode 0644')
CLOSE = said('close "/in/a.csv" bytes read 0 written 1048576')
DENIED = said("sent status Permission denied")


def entries(*lines: str) -> list[Entry]:
    items = read_lines("openssh", *lines)
    assert all(isinstance(item, Entry) for item in items), items
    return items


def test_a_session_is_a_sign_in_its_operations_and_its_end():
    login, opened, closed, logout = entries(OPENED, OPEN, CLOSE, CLOSED)
    assert opened == Entry(
        created_at=MOMENT,
        request_id=opened.request_id,
        username="bob",
        interface="sftp",
        api_name="sftp.open",
        request_method="OPEN",
        request_path="/in/a.csv",
        request_ip="192.0.2.7",
        request_host="files",
        details={"pid": "7", "flags": "WRITE,CREATE,TRUNCATE"},
    )
    assert (login.api_name, login.request_method, login.username) == ("sftp.login", "AUTH", "bob")
    assert closed.details == {"pid": "7", "bytes_read": "0", "bytes_written": "1048576"}
    assert (logout.api_name, logout.duration_ms, logout.username) == ("sftp.logout", 120_000, "bob")


def test_operations_belong_to_the_session_of_their_process():
    other = said("session opened for local user eve from [2001:db8::9]", pid=8)
    found = entries(OPENED, other, said('remove name "/a"', pid=8), said('remove name "/b"'))
    assert {entry.request_path: entry.username for entry in found[2:]} == {"/a": "eve", "/b": "bob"}


def test_a_process_id_that_comes_again_is_another_session():
    again = OPENED.replace("bob", "eve")
    assert [entry.username for entry in entries(OPENED, CLOSED, said('rmdir name "/a"'), again, OPEN)] == [
        "bob", "bob", None, "eve", "eve",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "method", "path", "details"),
    [
        ('opendir "/in"', "OPENDIR", "/in", {}),
        ('closedir "/in"', "CLOSEDIR", "/in", {}),
        ('remove name "/a b"', "REMOVE", "/a b", {}),
        ('mkdir name "/d" mode 0777', "MKDIR", "/d", {"mode": "777"}),
        ('rmdir name "/d"', "RMDIR", "/d", {}),
        ('rename old "/a" new "/b"', "RENAME", "/a", {"target_path": "/b"}),
        ('posix-rename old "/a" new "/b"', "RENAME", "/a", {"target_path": "/b"}),
        ('symlink old "/a" new "/b"', "SYMLINK", "/a", {"target_path": "/b"}),
        ('lstat name "/a"', "LSTAT", "/a", {}),
        ('realpath "."', "REALPATH", ".", {}),
        ('set "/a" mode 0600', "SETSTAT", "/a", {"mode": "600"}),
        ('set "/a" size 12', "SETSTAT", "/a", {"attribute": "size 12"}),
        ('set "/a" modtime 20260303-08:12:30', "SETSTAT", "/a", {"attribute": "modtime 20260303-08:12:30"}),
        ('set "/a" owner 0 group 7', "SETSTAT", "/a", {"attribute": "owner 0 group 7"}),
        ('open "" flags READ mode 0666', "OPEN", None, {"flags": "READ"}),
    ],
)
def test_every_operation_is_read(text, method, path, details):
    entry = read_entry("openssh", said(text))
    assert (entry.request_method, entry.request_path) == (method, path)
    assert entry.details == {"pid": "7", **details}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ('a" flags READ mode 0', 'a" flags READ mode 0'),
        (r"caf\303\251 \\ \n\t", "café \\ \n\t"),
        ('"quoted"', '"quoted"'),
        ("=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
        (r"\377", "\ufffd"),
    ],
)
def test_a_hostile_name_stays_a_name(name, path):
    entry = read_entry("openssh", said(f'open "{name}" flags WRITE mode 0644'))
    assert (entry.request_path, entry.details["flags"]) == (path, "WRITE")


def test_a_name_cannot_forge_bytes():
    entry = read_entry("openssh", said('close "/x" bytes read 0 written 9" bytes read 5 written 6'))
    assert (entry.request_path, entry.details["bytes_written"]) == ('/x" bytes read 0 written 9', "6")


def test_a_file_whose_connection_broke_is_a_failure():
    entry = read_entry("openssh", said('forced close "/a" bytes read 0 written 5'))
    assert (entry.success, entry.error_type, entry.details["bytes_written"]) == (False, "connection-closed", "5")


def test_at_verbose_a_failure_belongs_to_the_operation_before_it():
    _, opened, stat, closing = entries(OPENED, VERSION, OPEN, DENIED, said('stat name "/b"'), DENIED, CLOSED)
    for entry in (opened, stat):
        assert (entry.success, entry.error_type, entry.error_message) == (
            False, "permission-denied", "Permission denied",
        )  # fmt: skip
    assert closing.success


def test_an_operation_that_only_verbose_logs_tells_the_level():
    stat, removal = entries(said('stat name "/b"'), said('remove name "/c"'), DENIED)
    assert (stat.success, removal.success) == (True, False)


def test_at_info_a_failure_may_be_of_what_was_not_logged_and_stands_alone():
    _, opened, failure = entries(OPENED, OPEN, said("sent status No such file"))
    assert (opened.success, failure.success) == (True, False)
    assert (failure.error_message, failure.username, failure.request_path) == ("No such file", "bob", None)


def test_statuses_of_processes_at_once_are_not_mixed_up():
    lines = [
        VERSION,
        said("received client version 3", pid=8),
        said('remove name "/a"'),
        said('remove name "/b"', pid=8),
    ]
    removed_b, removed_a = entries(*lines, said("sent status No such file", pid=8), said("sent status Success"))
    assert (removed_b.request_path, removed_b.success) == ("/b", False)
    assert (removed_a.request_path, removed_a.success) == ("/a", True)


@pytest.mark.parametrize("program", ["internal-sftp", "sftp-server", "sshd", "sshd-session"])
def test_each_program_that_speaks_for_the_server_is_read(program):
    suffix = " [postauth]" if program.startswith("sshd") else ""
    assert read_entry("openssh", said('opendir "/"', program=program) + suffix).request_path == "/"


@pytest.mark.parametrize(
    ("written", "zone", "expected"),
    [
        (datetime(2026, 3, 4, tzinfo=UTC), "UTC", datetime(2026, 3, 3, 8, 12, 30, tzinfo=UTC)),
        (datetime(2026, 3, 3, tzinfo=UTC), "UTC", datetime(2026, 3, 3, 8, 12, 30, tzinfo=UTC)),
        (datetime(2026, 2, 1, tzinfo=UTC), "UTC", datetime(2025, 3, 3, 8, 12, 30, tzinfo=UTC)),
        (datetime(2026, 3, 4, tzinfo=UTC), "America/New_York", datetime(2026, 3, 3, 13, 12, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_year_is_the_last_one_before_the_file_was_written(written, zone, expected):
    line = 'Mar  3 08:12:30 files internal-sftp[7]: opendir "/"'
    assert read_entry("openssh", line, written=written, zone=ZoneInfo(zone)).created_at == expected


@pytest.mark.parametrize("time", ["2026-03-03T08:12:30.250000+0000", "2026-03-03T09:12:30.25+01:00"])
def test_a_time_of_the_journal_or_of_rsyslog_names_its_zone(time):
    assert read_entry("openssh", f'{time} files internal-sftp[7]: opendir "/"').created_at == MOMENT


def test_a_leap_day_is_of_a_leap_year():
    line = 'Feb 29 08:12:30 files internal-sftp[7]: opendir "/"'
    assert read_entry("openssh", line).created_at == datetime(2024, 2, 29, 8, 12, 30, tzinfo=UTC)


def test_equal_lines_are_all_kept_and_get_the_same_ids_again():
    lines = [OPENED, OPEN, CLOSE, OPEN, CLOSE]
    ids = [entry.request_id for entry in entries(*lines)]
    assert len(set(ids)) == 5
    assert [entry.request_id for entry in entries(*lines)] == ids


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{AT} cron[9]: (root) CMD (true)", "not a line of OpenSSH's SFTP server"),
        (said("Accepted publickey for bob from 192.0.2.7 port 40000 ssh2", program="sshd"), "not an operation of SFTP"),
        (said('open "/in/a'), "not an operation of SFTP"),
        (said('opendir "/"').replace("2026-03-03", "2026-02-30"), "created_at: not a time there is"),
        ('Xyz  3 08:12:30 files internal-sftp[7]: opendir "/"', "created_at: not a time there is"),
        ('Mar 33 08:12:30 files internal-sftp[7]: opendir "/"', "created_at: not a time there is"),
    ],
)
def test_a_line_that_is_none_is_rejected(line, reason):
    assert read_reason("openssh", line) == reason


def test_a_last_line_without_its_end_is_still_being_written():
    done, rejected = read_bytes("openssh", f"{OPEN}\n{CLOSE[:-4]}".encode())[::-1]
    assert isinstance(done, Entry)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "breaks off"


def test_sessions_that_never_end_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(openssh._Lines, "SESSIONS", 3)
    opened = [said("session opened for local user bob from [192.0.2.7]", pid=pid) for pid in range(9)]
    found = entries(*opened, *[said('opendir "/"', pid=pid) for pid in range(8, -1, -1)])
    assert [entry.username for entry in found if entry.request_path] == ["bob"] * 3 + [None] * 6


def test_it_is_recognised_among_other_lines():
    other = [f"{AT} cron[9]: (root) CMD (true)", said("Accepted password for bob", program="sshd")] * 20
    assert formats.detect("\n".join([*other, OPEN]).encode()).name == "openssh"
    assert formats.detect("\n".join(other).encode()) is None


PIECES = [OPENED, OPEN, CLOSE, DENIED, VERSION, "\n", '"', "\\", "\\377", " new ", said("rename old"), "\x00", "é"]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_read_without_a_crash(text):
    read_bytes("openssh", text.encode(errors="replace"))


@given(st.lists(st.sampled_from([OPENED, VERSION, OPEN, CLOSE, CLOSED, said('stat name "/"')])))
def test_no_operation_is_lost(lines):
    assert len(entries(*lines)) == len([line for line in lines if line != VERSION])


@pytest.mark.parametrize(
    "evil", ['"' * 200_000, "\\" * 200_000, '" new "' * 30_000, '" flags A' * 30_000, "a " * 100_000]
)
@pytest.mark.timeout(60)
def test_hostile_lines_cost_no_time(evil):
    read_lines("openssh", evil, said(evil), said(f'open "{evil}'), said(f'rename old "{evil}" new "{evil}"'))
