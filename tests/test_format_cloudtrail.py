"""AWS CloudTrail."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from auditlog.intake.formats import cloudtrail
from auditlog.intake.formats.cloudtrail import read
from auditlog.intake.formats.shape import Rejected, Source
from gatebook.entry import Entry
from tests.sample_logs import sample_logs

RECORD: dict[str, Any] = {
    "eventVersion": "1.09",
    "userIdentity": {
        "type": "IAMUser",
        "principalId": "AIDAEXAMPLE",
        "arn": "arn:aws:iam::111122223333:user/bob",
        "accountId": "111122223333",
        "accessKeyId": "AKIAEXAMPLE",
        "userName": "bob",
    },
    "eventTime": "2026-07-10T11:42:18Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "awsRegion": "eu-central-1",
    "sourceIPAddress": "192.0.2.7",
    "userAgent": "aws-cli/2.15",
    "requestParameters": {"bucketName": "reports", "key": "2026/q2 {final}.pdf", "Host": "reports.s3.amazonaws.com"},
    "responseElements": None,
    "requestID": "REQ1",
    "eventID": "11111111-2222-3333-4444-555555555555",
    "eventType": "AwsApiCall",
    "recipientAccountId": "111122223333",
}
ROLE_SESSION = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:alice",
    "arn": "arn:aws:sts::111122223333:assumed-role/auditor/alice",
    "accountId": "111122223333",
    "accessKeyId": "ASIAEXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLE",
            "arn": "arn:aws:iam::111122223333:role/auditor",
            "userName": "auditor",
        }
    },
}


def read_all(data: bytes) -> list[Entry | Rejected]:
    return list(read(io.BytesIO(data), Source()))


def read_one(**fields: Any) -> Entry:
    (entry,) = read_all(json.dumps({**RECORD, **fields}).encode())
    assert isinstance(entry, Entry), entry
    return entry


def numbered(count: int) -> list[dict[str, Any]]:
    return [{**RECORD, "eventID": f"event-{number}"} for number in range(count)]


def test_a_record_gives_what_it_has_and_nothing_else():
    assert read_one() == Entry(
        created_at=datetime(2026, 7, 10, 11, 42, 18, tzinfo=UTC),
        request_id="11111111-2222-3333-4444-555555555555",
        user_id="AIDAEXAMPLE",
        username="bob",
        interface="restapi",
        api_key_id="AKIAEXAMPLE",
        api_key_prefix="AKIA",
        api_name="s3:GetObject",
        request_path="/reports/2026/q2 {final}.pdf",
        request_ip="192.0.2.7",
        request_host="reports.s3.amazonaws.com",
        user_agent="aws-cli/2.15",
        details={
            "event_type": "AwsApiCall",
            "aws_region": "eu-central-1",
            "aws_account_id": "111122223333",
            "aws_request_id": "REQ1",
        },
    )


@pytest.mark.parametrize(
    ("identity", "user_id", "username", "impersonator"),
    [
        (ROLE_SESSION, "AROAEXAMPLE", "auditor", "alice"),
        ({**ROLE_SESSION, "sessionContext": {}}, "AROAEXAMPLE", "auditor", "alice"),
        (
            {
                "type": "FederatedUser",
                "principalId": "111122223333:alice",
                "arn": "arn:aws:sts::111122223333:federated-user/alice",
                "sessionContext": {"sessionIssuer": {"principalId": "AIDAEXAMPLE", "userName": "bob"}},
            },
            "AIDAEXAMPLE",
            "bob",
            "alice",
        ),
        (
            {
                "type": "AssumedRole",
                "principalId": "AROAEXAMPLE:SLR",
                "invokedBy": "rds.amazonaws.com",
                "sessionContext": {
                    "sessionIssuer": {
                        "userName": "ForRDS",
                        "arn": "arn:aws:iam::1:role/aws-service-role/rds.amazonaws.com/ForRDS",
                    }
                },
            },
            "AROAEXAMPLE",
            "ForRDS",
            "rds.amazonaws.com",
        ),
        ({**RECORD["userIdentity"], "invokedBy": "athena.amazonaws.com"}, "AIDAEXAMPLE", "bob", "athena.amazonaws.com"),
        (
            {"type": "Root", "principalId": "111122223333", "arn": "arn:aws:iam::111122223333:root"},
            "111122223333",
            "root",
            None,
        ),
        ({"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, None, "rds.amazonaws.com", None),
        ({"accountId": "111122223333", "invokedBy": "rds.amazonaws.com"}, None, "rds.amazonaws.com", None),
        ({"type": "AWSAccount", "principalId": "AIDAOTHER"}, "AIDAOTHER", None, None),
        (None, None, None, None),
    ],
)
def test_a_session_is_someone_acting_as_the_role(identity, user_id, username, impersonator):
    entry = read_one(userIdentity=identity)
    assert (entry.user_id, entry.username, entry.impersonator_username) == (user_id, username, impersonator)


def test_a_caller_from_another_account_is_from_the_parent_site():
    assert read_one(recipientAccountId="444455556666").user_is_from_parent_site
    assert not read_one(recipientAccountId=None).user_is_from_parent_site


@pytest.mark.parametrize(
    ("fields", "interface"),
    [
        ({"eventType": "AwsConsoleSignIn"}, "web"),
        ({"sessionCredentialFromConsole": "true"}, "web"),
        ({"sessionCredentialFromConsole": True}, "web"),
        ({"sessionCredentialFromConsole": "false"}, "restapi"),
        ({"eventType": "AwsServiceEvent"}, None),
    ],
)
def test_the_interface_is_the_console_the_api_or_unknown(fields, interface):
    assert read_one(**fields).interface == interface


def test_a_source_address_that_is_a_name_goes_to_the_details():
    entry = read_one(sourceIPAddress="cloudtrail.amazonaws.com")
    assert (entry.request_ip, entry.details["request_ip"]) == (None, "cloudtrail.amazonaws.com")


def test_a_refusal_is_a_failure():
    entry = read_one(errorCode="AccessDenied", errorMessage="no\nentry")
    assert (entry.success, entry.error_type, entry.error_message) == (False, "AccessDenied", "no\nentry")
    refused = read_one(eventType="AwsConsoleSignIn", responseElements={"ConsoleLogin": "Failure"})
    assert (refused.success, refused.error_message) == (False, "ConsoleLogin: Failure")


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("chunk", [1, 7, 256 * 1024])
def test_every_packing_gives_the_same_entries(monkeypatch, indent, chunk):
    monkeypatch.setattr(cloudtrail, "_CHUNK", chunk)
    records = numbered(3)
    ids = [record["eventID"] for record in records]
    wrapped = json.dumps({"Records": records}, indent=indent)
    packings = {
        "wrapped": wrapped,
        "array": json.dumps(records, indent=indent),
        "in a row": "".join(json.dumps({"Records": [record]}, indent=indent) for record in records),
        "lines": "\r\n".join(json.dumps(record) for record in records),
        "lines of wrappers": "\n".join(json.dumps({"Records": [record]}) for record in records),
        "pretty": "\n".join(json.dumps(record, indent=2) for record in records),
        "late": json.dumps({"owner": "x", "Records": records}, indent=indent),
        "trailing": json.dumps({"Records": records, "owner": "{x"}, indent=indent),
        "marked": "\ufeff" + wrapped,
    }
    for name, text in packings.items():
        entries = [item for item in read_all(text.encode()) if isinstance(item, Entry)]
        assert [entry.request_id for entry in entries] == ids, name
        assert len(read_all(text.encode())) == 3, name


def test_a_record_that_is_none_does_not_sink_the_others():
    good, no_id, no_time, odd = numbered(4)
    del no_id["eventID"]
    no_time["eventTime"] = None
    odd["eventTime"] = "noon"
    items = read_all(json.dumps({"Records": [no_id, no_time, odd, 7, "x{", good]}).encode())
    assert [item.reason for item in items[:-1] if isinstance(item, Rejected)] == [
        "eventID: is missing",
        "created_at: eventTime is missing",
        "created_at: eventTime is not a time",
        "not a JSON object",
        "not a JSON object",
    ]
    assert [item.request_id for item in items if isinstance(item, Entry)] == ["event-0"]


def test_a_file_that_breaks_off_keeps_what_came_before():
    data = json.dumps({"Records": numbered(3)}).encode()
    *entries, last = read_all(data[:-300])
    assert [entry.request_id for entry in entries] == ["event-0", "event-1"]
    assert (last.number, last.reason) == (3, "JSON breaks off")


@pytest.mark.parametrize("torn", ['{"a": "xyz', '{"a": {"b"', "{", "garbage"])
def test_lines_go_on_after_a_torn_one(torn):
    first, second = (json.dumps(record) for record in numbered(2))
    for lines in ([torn, first, second], [first, torn, second]):
        items = read_all("\n".join(lines).encode())
        assert [item.request_id for item in items if isinstance(item, Entry)] == ["event-0", "event-1"]
        assert any(isinstance(item, Rejected) for item in items)


def test_a_record_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(cloudtrail, "RECORD_LIMIT", 1000)
    monkeypatch.setattr(cloudtrail, "_CHUNK", 100)
    assert read_all(b"[" + b'{"a":[' * 400)[0].reason == "longer than 1,000 bytes"


def test_a_text_without_an_end_between_records_is_given_up(monkeypatch):
    monkeypatch.setattr(cloudtrail, "RECORD_LIMIT", 1000)
    monkeypatch.setattr(cloudtrail, "_CHUNK", 100)
    record = json.dumps({"eventID": "e", "eventTime": RECORD["eventTime"]}).encode()
    first, *_, last = read_all(b'{"Records":[\n"' + b"a" * 3000 + b'",\n' + record + b"]}")
    assert isinstance(first, Rejected)
    assert first.reason == "longer than 1,000 bytes"
    assert isinstance(last, Entry)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("start", [b'{"Records":["', b'{"Records":[{"a":"'])
def test_a_long_text_is_not_searched_over_and_over(start):
    assert len(read_all(start + b"a" * 32 * 1024 * 1024)) < 10


@pytest.mark.parametrize("evil", [b"[", b'{"a":', b'"', b"{", b'{"\\', b"[{"])
@pytest.mark.timeout(60)
def test_hostile_files_cost_no_time(evil):
    read_all(evil * 300_000)
    read_all(b'{"Records":[' + evil * 300_000)


def test_values_of_the_wrong_type_are_no_crash():
    for value in (7, 1.5, True, [], {}, "x\x00\ud800", 10**400, [[{}]]):
        record = dict.fromkeys(RECORD, value) | {"eventID": "e", "eventTime": RECORD["eventTime"]}
        (item,) = read_all(json.dumps({"Records": [record]}).encode())
        assert isinstance(item, Entry | Rejected)


def test_it_is_recognised_by_its_content():
    for value in ({"Records": [RECORD]}, [RECORD], RECORD):
        for indent in (None, 2):
            assert formats.detect(json.dumps(value, indent=indent).encode()).name == "cloudtrail"
    assert formats.detect(b'{"kind": "Event"}') is None


PIECES = [
    json.dumps(RECORD).encode(),
    b"\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b'{"Records":[',
    b"x",
    b"\xff",
    b" ",
]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_whatever_is_in_the_file_there_is_no_crash(data):
    for item in read_all(data):
        assert isinstance(item, Entry | Rejected)


@given(st.lists(st.integers(0, 2), max_size=4), st.integers(0, 5000))
def test_a_file_cut_anywhere_keeps_its_whole_records(kinds, cut):
    data = json.dumps({"Records": numbered(len(kinds))}).encode()
    whole = [item for item in read_all(data[:cut]) if isinstance(item, Entry)]
    assert [entry.request_id for entry in whole] == [f"event-{number}" for number in range(len(whole))]
    assert len(whole) == data[:cut].count(b'"recipientAccountId": "111122223333"}')


@pytest.mark.parametrize(
    ("folder", "count"),
    [("cloudtrail_invictus/CloudTrail", 2900), ("cloudtrail_stratus/docs/detonation-logs", 310)],
)
def test_the_real_logs_are_read_whole(folder, count):
    entries: list[Entry | Rejected] = []
    for path in sorted(sample_logs(folder).iterdir()):
        with path.open("rb") as stream:
            assert formats.detect(stream.read(65536)).name == "cloudtrail"
            stream.seek(0)
            entries += read(stream, Source())
    assert len(entries) == count
    assert len({entry.request_id for entry in entries if isinstance(entry, Entry)}) == count
