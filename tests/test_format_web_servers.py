"""The JSON access logs of nginx, Caddy, Traefik and Envoy."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from auditlog.intake.formats.shape import Rejected
from gatebook.entry import Entry
from tests.log_files import ODD_VALUES, read_bytes, read_entry, read_lines, read_reason
from tests.sample_logs import sample_logs

MOMENT = datetime(2026, 3, 3, 8, 12, 30, 250000, tzinfo=UTC)
NGINX: dict[str, Any] = {
    "msec": "1772525550.250",
    "request_id": "7f3a",
    "remote_addr": "192.0.2.7",
    "remote_user": "bob",
    "request": "GET /a?b=1 HTTP/1.1",
    "status": "404",
    "body_bytes_sent": "153",
    "request_time": "0.012",
    "http_referer": "https://example.com/",
    "http_user_agent": "curl/8.5.0",
    "host": "acme.example.com",
    "http_x_forwarded_for": "-",
}
CADDY: dict[str, Any] = {
    "level": "info",
    "ts": 1772525550.25,
    "logger": "http.log.access",
    "msg": "handled request",
    "request": {
        "remote_ip": "10.0.0.1",
        "remote_port": "4711",
        "client_ip": "192.0.2.7",
        "proto": "HTTP/2.0",
        "method": "GET",
        "host": "acme.example.com",
        "uri": "/a?b=1",
        "headers": {
            "User-Agent": ["curl/8.5.0"],
            "Referer": ["https://example.com/"],
            "X-Forwarded-For": ["198.51.100.9"],
        },
    },
    "bytes_read": 0,
    "user_id": "bob",
    "duration": 0.0123456,
    "size": 153,
    "status": 404,
}
TRAEFIK: dict[str, Any] = {
    "ClientAddr": "192.0.2.7:4711",
    "ClientHost": "192.0.2.7",
    "ClientUsername": "bob",
    "DownstreamContentSize": 153,
    "DownstreamStatus": 404,
    "Duration": 12345678,
    "OriginStatus": 404,
    "RequestAddr": "acme.example.com",
    "RequestHost": "acme.example.com",
    "RequestMethod": "GET",
    "RequestPath": "/a?b=1",
    "RouterName": "web@docker",
    "StartUTC": "2026-03-03T08:12:30.250000192Z",
    "entryPointName": "https",
    "request_User-Agent": "curl/8.5.0",
    "request_Referer": "https://example.com/",
    "time": "2026-03-03T08:12:30Z",
}
ENVOY: dict[str, Any] = {
    ":authority": "acme.example.com",
    "bytes_received": 0,
    "bytes_sent": 153,
    "downstream_remote_address": "192.0.2.7:4711",
    "duration": 12,
    "method": "GET",
    "response_code": 404,
    "response_code_details": "via_upstream",
    "response_flags": "-",
    "start_time": "2026-03-03T08:12:30.250Z",
    "upstream_cluster": None,
    "upstream_transport_failure_reason": None,
    "user-agent": "curl/8.5.0",
    "x-envoy-origin-path": "/a?b=1",
    "x-forwarded-for": "192.0.2.7",
    "x-request-id": "7f3a",
}
ISTIO: dict[str, Any] = {
    "authority": "acme.example.com",
    "downstream_remote_address": "192.0.2.7:4711",
    "duration": 12,
    "method": "GET",
    "path": "/a?b=1",
    "request_id": "7f3a",
    "response_code": 404,
    "start_time": "2026-03-03T08:12:30.250Z",
    "user_agent": "curl/8.5.0",
}
LINES = {"nginx": NGINX, "caddy": CADDY, "traefik": TRAEFIK, "envoy": ENVOY}


def read_one(name: str, **fields: Any) -> Entry:
    return read_entry(name, json.dumps({**LINES[name], **fields}))


@pytest.mark.parametrize("name", LINES)
def test_every_server_gives_the_same_entry_of_the_same_request(name):
    entry = read_one(name)
    assert entry == Entry(
        created_at=MOMENT,
        request_id=entry.request_id,
        username=None if name == "envoy" else "bob",
        request_method="GET",
        request_path="/a?b=1",
        request_ip="192.0.2.7",
        request_host="acme.example.com",
        response_code=404,
        user_agent="curl/8.5.0",
        duration_ms=12,
        details=entry.details,
    )
    assert entry.details["bytes"] == "153"
    assert name == "envoy" or entry.details["referrer"] == "https://example.com/"


def test_istios_names_are_envoys_too():
    entry = read_entry("envoy", json.dumps(ISTIO))
    assert (entry.request_path, entry.request_host, entry.request_id) == ("/a?b=1", "acme.example.com", "7f3a")
    assert entry.user_agent == "curl/8.5.0"


@pytest.mark.parametrize("name", ["nginx", "envoy"])
def test_the_servers_own_id_is_the_request_id_and_its_repeats_are_all_kept(name):
    lines = [json.dumps({**LINES[name], "duration": number}) for number in range(3)]
    assert [entry.request_id for entry in read_lines(name, *lines)] == ["7f3a", "7f3a-2", "7f3a-3"]
    later = {"start_time": "2026-03-03T08:12:31Z", "msec": "1772525551"}
    ids = [entry.request_id for entry in read_lines(name, lines[0], json.dumps({**LINES[name], **later}))]
    assert ids == ["7f3a", "7f3a"]


@pytest.mark.parametrize("name", ["caddy", "traefik"])
def test_equal_lines_are_all_kept_and_get_the_same_ids_again(name):
    lines = [json.dumps(LINES[name])] * 3
    ids = [entry.request_id for entry in read_lines(name, *lines)]
    assert len(set(ids)) == 3
    assert [entry.request_id for entry in read_lines(name, *lines)] == ids


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ({"msec": 1772525550.25}, MOMENT),
        ({"msec": ..., "time_iso8601": "2026-03-03T09:12:30+01:00"}, MOMENT.replace(microsecond=0)),
        ({"msec": ..., "time_local": "03/Mar/2026:09:12:30 +0100"}, MOMENT.replace(microsecond=0)),
        ({"msec": ..., "@timestamp": "2026-03-03T08:12:30.250"}, MOMENT.replace(hour=7)),
        ({"msec": ..., "time": 1772525550250}, MOMENT),
        ({"msec": ..., "time": 1772525550250000}, MOMENT),
    ],
)
def test_nginx_may_write_the_time_in_many_ways(time, expected):
    fields = {key: value for key, value in {**NGINX, **time}.items() if value is not ...}
    (entry,) = read_lines("nginx", json.dumps(fields), zone=ZoneInfo("Europe/Berlin"))
    assert entry.created_at == expected


def test_nginx_may_write_method_path_and_query_apart():
    fields = {key: value for key, value in NGINX.items() if key != "request"}
    entry = read_entry("nginx", json.dumps({**fields, "request_method": "PUT", "uri": "/x", "args": "y=1"}))
    assert (entry.request_method, entry.request_path) == ("PUT", "/x?y=1")
    entry = read_entry("nginx", json.dumps({**fields, "request_method": "PUT", "request_uri": "/x?y=1", "args": "y=1"}))
    assert entry.request_path == "/x?y=1"


def test_the_configuration_in_the_documentation_has_every_column():
    document = (Path(__file__).parent.parent / "docs" / "import.md").read_text()
    (log_format,) = re.findall(r"^log_format gatebook escape=json (.*?);$", document, re.MULTILINE | re.DOTALL)
    written = "".join(re.findall(r"'(.*)'", log_format))
    line = re.sub(r"\$(\w+)", lambda variable: NGINX[variable[1]], written)
    assert read_entry("nginx", line) == read_one("nginx")


def test_a_request_line_that_is_none_is_kept():
    entry = read_one("nginx", request="\x16\x03\x01")
    assert (entry.request_method, entry.request_path) == (None, None)
    assert entry.details["request_line"] == "\x16\x03\x01"


def test_nginx_without_json_escapes_is_read():
    r"""Nginx writes `\x22` for a quote where the configuration forgets `escape=json`."""
    line = json.dumps(NGINX).replace("curl/8.5.0", r"a \x22b\x22 \x5C caf\xC3\xA9 \xFF\x0A")
    assert read_entry("nginx", line).user_agent == 'a "b" \\ café \ufffd\n'


def test_a_code_of_nought_is_no_code_and_may_be_a_text():
    assert read_one("caddy", status=0).response_code is None
    assert read_one("traefik", DownstreamStatus="200").response_code == 200


def test_the_address_is_what_the_server_takes_for_the_clients():
    entry = read_one("caddy")
    assert (entry.request_ip, entry.details["forwarded_for"]) == ("192.0.2.7", "198.51.100.9")
    assert read_one("traefik", ClientHost="198.51.100.9,10.0.0.5").request_ip == "192.0.2.7"
    assert read_one("envoy", downstream_remote_address="[2001:db8::7]:4711").request_ip == "2001:db8::7"
    entry = read_one("nginx", remote_addr="unix:")
    assert (entry.request_ip, entry.details["request_ip"]) == (None, "unix:")
    old = {"request": {"remote_addr": "192.0.2.9:4711", "method": "GET", "uri": "/", "host": "h", "headers": {}}}
    assert read_one("caddy", **old).request_ip == "192.0.2.9"


@pytest.mark.parametrize(("duration", "milliseconds"), [(2, 2000), ("0.08s", 80), ("1m2.5s", 62_500), ("12µs", 0)])
def test_a_duration_may_name_its_unit(duration, milliseconds):
    assert read_one("caddy", duration=duration).duration_ms == milliseconds


def test_a_broken_upstream_is_told_in_the_message():
    entry = read_one("envoy", response_code=503, upstream_transport_failure_reason="TLS error", response_flags="UF")
    assert (entry.error_message, entry.details["flags"]) == ("TLS error", "UF")


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("caddy", {"request": None}, "not a line of an access log"),
        ("caddy", {"ts": "noon"}, "created_at: not a time there is"),
        ("caddy", {"ts": 1e300}, "created_at: not a time there is"),
        ("caddy", {"duration": "long"}, "duration_ms: not a duration"),
        ("caddy", {"duration": 1e308}, "duration_ms: not a duration"),
        ("caddy", {"duration": int("9" * 400)}, "duration_ms: not a duration"),
        ("nginx", {"status": "OK"}, "response_code: not a number"),
        ("nginx", {"status": 1000}, "response_code: 1000, expected 0 to 999"),
        ("traefik", {"Duration": -5_000_000}, "duration_ms: -5, expected 0 to 2147483647"),
        ("envoy", {"start_time": "-"}, "created_at: is missing"),
    ],
)
def test_a_line_that_makes_no_sense_is_rejected_with_a_reason(name, fields, reason):
    assert read_reason(name, json.dumps({**LINES[name], **fields})) == reason


@pytest.mark.parametrize("name", LINES)
def test_each_is_recognised_also_in_a_containers_log_behind_other_lines(name):
    line = json.dumps(LINES[name])
    for before in ("", "DEBUG: starting\n", '{"level":"info","msg":"started"}\n'):
        assert formats.detect(f"{before}{line}\n".encode()).name == name
    assert formats.detect(f"2026-03-03T09:12:30.25+01:00 stdout F {line}\n".encode()).name == name


@pytest.mark.parametrize("name", LINES)
@given(odd=st.data())
def test_whatever_a_field_holds_the_line_is_an_entry_or_a_rejection(name, odd):
    fields = odd.draw(st.dictionaries(st.sampled_from(sorted(LINES[name])), ODD_VALUES))
    assert len(read_lines(name, json.dumps({**LINES[name], **fields}))) == 1


PIECES = [*(json.dumps(line).encode() for line in LINES.values()), b"\n", b"{", b"\\x22", b"\\x", b"\xff", b'"']


@pytest.mark.parametrize("name", LINES)
@given(data=st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_bytes_are_read_without_a_crash(name, data):
    read_bytes(name, data)


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("evil", ["\\x22" * 100_000, "{" * 200_000, "1s" * 100_000, "9" * 200_000])
@pytest.mark.timeout(60)
def test_hostile_lines_cost_no_time(name, evil):
    texts = {key: evil for key, value in LINES[name].items() if isinstance(value, str)}
    read_lines(name, evil, '{"status":' + evil, json.dumps(texts), json.dumps({**LINES[name], "duration": evil}))


@pytest.mark.parametrize(
    ("file", "name", "entries", "others"),
    [
        ("caddy-logs.log", "caddy", 10, 1),
        ("caddy-basic-auth-bf.log", "caddy", 6, 0),
        ("traefik_json.log", "traefik", 6, 1),
        ("traefik_base-http-scenario.log", "traefik", 80, 0),
        ("envoy-logs.log", "envoy", 6, 4),
        ("envoy-http-crawl-non_statics.log", "envoy", 41, 0),
    ],
)
def test_real_logs_are_recognised_and_read(file, name, entries, others):
    data = sample_logs("proxies_crowdsec", file).read_bytes()
    assert formats.detect(data[: 64 * 1024]).name == name
    items = read_bytes(name, data)
    rejected = [item.reason for item in items if isinstance(item, Rejected)]
    assert (len(items) - len(rejected), len(rejected)) == (entries, others), rejected
