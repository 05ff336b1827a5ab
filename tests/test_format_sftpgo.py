"""SFTPGo's JSON log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from gatebook.entry import Entry
from tests.log_files import ODD_VALUES, read_bytes, read_entry, read_lines, read_reason

UPLOAD: dict[str, Any] = {
    "level": "info",
    "time": "2026-03-03T08:12:30.125",
    "sender": "Upload",
    "local_addr": "10.0.0.1:2022",
    "remote_addr": "192.0.2.7:52022",
    "elapsed_ms": 312,
    "size_bytes": 1048576,
    "username": "bob",
    "file_path": "/srv/bob/in/a.csv",
    "connection_id": "SFTP_7f_1",
    "protocol": "SFTP",
}
RENAME = {key: value for key, value in UPLOAD.items() if key not in ("elapsed_ms", "size_bytes")} | {
    "sender": "Rename",
    "target_path": "/srv/bob/done/a.csv",
    "filemode": "",
    "uid": -1,
    "gid": -1,
    "access_time": "",
    "modification_time": "",
    "size": -1,
    "elapsed": 3,
    "ssh_command": "",
}
REQUEST = {
    "level": "info",
    "time": "2026-03-03T08:12:30.125",
    "sender": "httpd",
    "local_addr": "10.0.0.1:8080",
    "remote_addr": "[2001:db8::7]:41000",
    "proto": "HTTP/1.1",
    "method": "GET",
    "user_agent": "curl/8.5.0",
    "uri": "https://sftp.example.com/api/v2/users?limit=5",
    "request_id": "d5ph2o",
    "resp_status": 403,
    "resp_size": 27,
    "elapsed_ms": 2,
}
REFUSED = {
    "level": "debug",
    "time": "2026-03-03T08:12:30.125",
    "sender": "connection_failed",
    "client_ip": "192.0.2.7",
    "username": "root",
    "login_type": "password",
    "protocol": "SSH",
    "error": "invalid credentials",
}


def read_one(fields: dict[str, Any], **more: Any) -> Entry:
    return read_entry("sftpgo", json.dumps({**fields, **more}))


def test_a_transfer_gives_what_it_has_and_nothing_else():
    entry = read_one(UPLOAD)
    assert entry == Entry(
        created_at=datetime(2026, 3, 3, 8, 12, 30, 125000, tzinfo=UTC),
        request_id=entry.request_id,
        username="bob",
        interface="sftp",
        api_name="sftp.upload",
        request_method="UPLOAD",
        request_path="/srv/bob/in/a.csv",
        request_ip="192.0.2.7",
        duration_ms=312,
        details={"bytes": "1048576", "connection_id": "SFTP_7f_1"},
    )
    assert entry.success


def test_a_transfer_that_failed_says_so():
    entry = read_one(UPLOAD, error="no space left")
    assert (entry.success, entry.error_type, entry.error_message) == (False, "failed", "no space left")


def test_a_command_keeps_where_it_led_and_leaves_out_what_does_not_apply():
    entry = read_one(RENAME)
    assert (entry.api_name, entry.request_path, entry.duration_ms) == ("sftp.rename", "/srv/bob/in/a.csv", 3)
    assert entry.details == {"target_path": "/srv/bob/done/a.csv", "connection_id": "SFTP_7f_1"}
    assert read_one(RENAME, sender="Chown", uid=0, gid=7).details.items() >= {"uid": "0", "gid": "7"}.items()


def test_an_http_request_has_the_servers_own_id():
    entry = read_one(REQUEST)
    assert (entry.request_id, entry.interface, entry.request_method) == ("d5ph2o", "restapi", "GET")
    assert (entry.request_host, entry.request_path) == ("sftp.example.com", "/api/v2/users?limit=5")
    assert (entry.request_ip, entry.response_code, entry.duration_ms) == ("2001:db8::7", 403, 2)


@pytest.mark.parametrize(
    ("uri", "interface", "host", "path"),
    [
        ("http://h/", "web", "h", "/"),
        ("http://h", "web", "h", "/"),
        ("/web/client", "web", None, "/web/client"),
        ("/api/v2/token?a=b://c", "restapi", None, "/api/v2/token?a=b://c"),
        ("", "web", None, None),
    ],
)
def test_an_http_requests_address_gives_host_path_and_interface(uri, interface, host, path):
    entry = read_one(REQUEST, uri=uri)
    assert (entry.interface, entry.request_host, entry.request_path) == (interface, host, path)


def test_a_sign_in_that_failed_is_a_failure():
    entry = read_one(REFUSED)
    assert (entry.success, entry.error_type, entry.error_message) == (False, "login-failed", "invalid credentials")
    assert (entry.username, entry.request_ip, entry.api_name) == ("root", "192.0.2.7", "sftp.login")
    assert read_one(REFUSED, error="").success is False


@pytest.mark.parametrize(
    ("protocol", "interface"),
    [("SFTP", "sftp"), ("SCP", "scp"), ("SSH", "sftp"), ("FTP", "ftp"), ("DAV", "dav"), ("HTTPShare", "web"),
     ("EventAction", "eventaction"), ("", None)],
)  # fmt: skip
def test_the_protocol_is_the_interface(protocol, interface):
    assert read_one(UPLOAD, protocol=protocol).interface == interface


def test_a_time_without_a_zone_is_of_the_zone_that_was_said():
    (entry,) = read_lines("sftpgo", json.dumps(UPLOAD), zone=ZoneInfo("Europe/Berlin"))
    assert entry.created_at == datetime(2026, 3, 3, 7, 12, 30, 125000, tzinfo=UTC)


def test_equal_lines_are_all_kept():
    ids = [entry.request_id for entry in read_lines("sftpgo", *[json.dumps(each) for each in (UPLOAD, REQUEST)] * 2)]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sender": "service", "message": "starting"}, "not a transfer, command, HTTP request or failed connection"),
        ({"sender": None}, "not a transfer, command, HTTP request or failed connection"),
        ({"time": "soon"}, "created_at: not a time there is"),
        ({"time": None}, "created_at: is missing"),
        ({"elapsed_ms": "soon"}, "duration_ms: not a duration"),
        ({"elapsed_ms": -1}, "duration_ms: -1, expected 0 to 2147483647"),
    ],
)
def test_a_line_that_is_no_request_is_rejected_with_a_reason(fields, reason):
    assert read_reason("sftpgo", json.dumps({**UPLOAD, **fields})) == reason


def test_it_is_recognised_by_what_each_line_has():
    start = {"level": "info", "time": "2026-03-03T08:12:30.125", "sender": "service", "message": "starting SFTPGo"}
    for fields in (start, UPLOAD, RENAME, REQUEST, REFUSED):
        assert formats.detect(json.dumps(fields).encode()).name == "sftpgo"


PIECES = [json.dumps(UPLOAD).encode(), b"\n", b"{", b'"', b"\xff", b"}", b"9" * 400]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_bytes_are_read_without_a_crash(data):
    read_bytes("sftpgo", data)


@given(
    st.sampled_from([UPLOAD, RENAME, REQUEST, REFUSED]),
    st.dictionaries(st.sampled_from(sorted({*UPLOAD, *RENAME, *REQUEST, *REFUSED})), ODD_VALUES),
)
def test_whatever_a_field_holds_the_line_is_an_entry_or_a_rejection(fields, odd):
    assert len(read_lines("sftpgo", json.dumps({**fields, **odd}))) == 1
