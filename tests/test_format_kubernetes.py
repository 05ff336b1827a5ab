"""Kubernetes' audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from auditlog.intake.formats.shape import LINE_LIMIT, Rejected
from gatebook.entry import Entry
from tests.log_files import ODD_VALUES, read_bytes, read_entry, read_lines, read_reason
from tests.sample_logs import sample_logs

EVENT: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "level": "Metadata",
    "auditID": "57a7-1",
    "stage": "ResponseComplete",
    "requestURI": "/api/v1/namespaces/shop/pods/web-1/exec?command=sh",
    "verb": "create",
    "user": {"username": "alice", "uid": "u-1", "groups": ["admins"]},
    "sourceIPs": ["192.0.2.7"],
    "userAgent": "kubectl/v1.33.0",
    "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-1"},
    "responseStatus": {"metadata": {}, "code": 101},
    "requestReceivedTimestamp": "2026-05-17T15:08:22.763960Z",
    "stageTimestamp": "2026-05-17T15:08:30.619910Z",
    "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
}


def line(**fields: Any) -> str:
    event = {key: value for key, value in {**EVENT, **fields}.items() if value is not ...}
    return json.dumps(event)


def read_one(**fields: Any) -> Entry:
    return read_entry("kubernetes", line(**fields))


def test_an_event_gives_what_it_has_and_nothing_else():
    assert read_one() == Entry(
        created_at=datetime(2026, 5, 17, 15, 8, 22, 763960, tzinfo=UTC),
        request_id="57a7-1",
        user_id="u-1",
        username="alice",
        interface="restapi",
        api_name="pods/exec.create",
        request_method="POST",
        request_path="/api/v1/namespaces/shop/pods/web-1/exec?command=sh",
        request_ip="192.0.2.7",
        response_code=101,
        user_agent="kubectl/v1.33.0",
        duration_ms=7855,
        details={"level": "Metadata", "namespace": "shop", "name": "web-1", "decision": "allow"},
    )


def test_the_user_is_whom_the_request_acted_as_and_the_impersonator_who_sent_it():
    entry = read_one(impersonatedUser={"username": "bob", "uid": "u-2"})
    assert (entry.username, entry.user_id) == ("bob", "u-2")
    assert (entry.impersonator_username, entry.impersonator_user_id) == ("alice", "u-1")


def test_the_key_is_the_credential_of_who_sent_it():
    user = {"username": "alice", "extra": {"authentication.kubernetes.io/credential-id": ["JTI=7f"]}}
    assert read_one(user=user, impersonatedUser={"username": "bob"}).api_key_id == "JTI=7f"


@pytest.mark.parametrize("stage", ["RequestReceived", "ResponseStarted", "Lunch", None])
def test_only_the_last_stage_of_a_request_is_an_entry(stage):
    assert read_reason("kubernetes", line(stage=stage)).startswith(f"stage: is {stage}, only ResponseComplete and")


def test_a_panic_is_a_failure():
    entry = read_one(stage="Panic", responseStatus={"code": 500, "message": "APIServer panic'd"})
    assert (entry.success, entry.error_type, entry.error_message) == (False, "Panic", "APIServer panic'd")
    assert read_one(stage="Panic", responseStatus=...).success is False


def test_a_failure_has_its_reason_and_message_and_a_success_has_none():
    status = {"status": "Failure", "reason": "Forbidden", "message": 'pods is forbidden: "bob"', "code": 403}
    entry = read_one(responseStatus=status)
    assert (entry.response_code, entry.error_type) == (403, "Forbidden")
    assert entry.error_message == 'pods is forbidden: "bob"'
    entry = read_one(responseStatus={"status": "Success", "reason": "Created", "message": "fine", "code": 201})
    assert (entry.error_type, entry.error_message) == (None, None)


@pytest.mark.parametrize(
    ("verb", "method"),
    [
        ("get", "GET"), ("list", "GET"), ("watch", "GET"), ("create", "POST"), ("update", "PUT"), ("patch", "PATCH"),
        ("delete", "DELETE"), ("deletecollection", "DELETE"), ("post", "POST"), ("head", "HEAD"), (None, None),
    ],
)  # fmt: skip
def test_the_verb_gives_the_method(verb, method):
    assert read_one(verb=verb).request_method == method


def test_what_is_no_resource_has_no_name():
    entry = read_one(objectRef=..., requestURI="/healthz", verb="get")
    assert (entry.api_name, entry.request_path) == (None, "/healthz")


def test_an_old_event_has_its_own_time_and_no_duration():
    entry = read_one(requestReceivedTimestamp=..., stageTimestamp=..., timestamp="2026-05-17T15:08:22Z")
    assert (entry.created_at, entry.duration_ms) == (datetime(2026, 5, 17, 15, 8, 22, tzinfo=UTC), None)


def test_two_addresses_are_the_clients_and_the_way():
    entry = read_one(sourceIPs=["::ffff:192.0.2.7", "10.0.0.1"])
    assert (entry.request_ip, entry.details["source_ips"]) == ("192.0.2.7", "::ffff:192.0.2.7, 10.0.0.1")
    assert read_one(sourceIPs=...).request_ip is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"auditID": ...}, "auditID: is missing"),
        ({"requestReceivedTimestamp": "yesterday"}, "created_at: not a time there is"),
        ({"requestReceivedTimestamp": ..., "stageTimestamp": ...}, "created_at: is missing"),
        ({"responseStatus": {"code": "403"}}, "response_code: '403', expected a whole number"),
        ({"responseStatus": {"code": 4030}}, "response_code: 4030, expected 0 to 999"),
    ],
)
def test_an_event_that_makes_no_sense_is_rejected_naming_the_field(fields, reason):
    assert read_reason("kubernetes", line(**fields)) == reason


def test_odd_types_are_missing_values():
    odd = dict.fromkeys(("user", "objectRef", "responseStatus", "annotations", "sourceIPs", "userAgent"), 7)
    entry = read_one(**odd, impersonatedUser=[], requestURI=None)
    assert (entry.username, entry.api_name, entry.response_code, entry.request_ip) == (None, None, None, None)


def test_a_containers_log_has_a_time_and_a_stream_before_each_line_and_cuts_long_ones():
    text = line()
    before = "2026-05-17T17:08:30.62+02:00 stdout"
    items = read_lines(
        "kubernetes",
        f"{before} F {text}",
        f"{before} P {text[:50]}",
        "2026-05-17T17:08:30.62+02:00 stderr F torn",
        f"{before} P {text[50:90]}",
        f"{before} F {text[90:]}",
    )
    assert [type(item) for item in items] == [Entry, Rejected, Entry]
    assert items[0] == items[2]


def test_a_cut_line_without_an_end_does_not_fill_the_memory():
    part = "2026-05-17T17:08:30.62+02:00 stdout P " + "x" * 500_000
    assert {item.reason for item in read_lines("kubernetes", *[part] * 5)} == {f"longer than {LINE_LIMIT:,} bytes"}


def test_it_is_recognised_also_behind_a_very_long_first_line():
    assert formats.detect(line().encode()).name == "kubernetes"
    assert formats.detect(line(requestObject="x" * 100_000).encode()[: 64 * 1024]).name == "kubernetes"
    assert formats.detect(f"2026-05-17T17:08:30.62+02:00 stdout F {line()}".encode()).name == "kubernetes"


PIECES = [line().encode(), b"\n", b"{", b'"', b"\xff", b"2026-05-17T17:08:30Z stdout P ", b"[" * 3000]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_bytes_are_read_without_a_crash(data):
    read_bytes("kubernetes", data)


@given(st.dictionaries(st.sampled_from(list(EVENT)), ODD_VALUES))
def test_whatever_a_field_holds_the_line_is_an_entry_or_a_rejection(fields):
    assert len(read_lines("kubernetes", line(**fields))) == 1


def test_the_real_log_has_an_impersonator_in_each_entry():
    entries = read_bytes("kubernetes", sample_logs("k8s_audit_json", "audit2rbac-demo.log").read_bytes())
    assert len(entries) == 37
    assert {entry.impersonator_username for entry in entries} == {"system:admin"}
    assert {entry.username for entry in entries} == {"alice", "bob", "system:serviceaccount:ns1:sa1"}
