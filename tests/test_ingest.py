"""The ingest door: what is sent with a key is in the book, once, or comes back with a reason."""

from __future__ import annotations

import gzip
import json
import re
import socket
import subprocess
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import body, http
from auditlog.models import ApiKey, ApiRequestLog, DroppedLines, QuarantinedLine, Scope, Site, quarantine
from gatebook.entry import FIELDS, Entry, encode_json
from gatebook.ids import new_id
from gatebook.spool import current as current_spool
from gatebook.spool import decode_line
from tests.book import ago, entry
from tests.quick_start import soon
from tests.servers import bare_environment, require

DOOR = "/api/rest/v1/api_request_logs"
NDJSON = "application/x-ndjson"


@pytest.fixture
def secret(site: Site) -> str:
    """A key of Acme that may ingest."""
    return ApiKey.objects.issue(site, "web shop", [Scope.INGEST])[1]


@pytest.fixture
def send(secret: str) -> Callable[..., Any]:
    """Send a body with that key."""
    client = Client(raise_request_exception=False)

    def send(data: bytes, content_type: str = NDJSON, **headers: str) -> Any:
        headers.setdefault("X-FilesAPI-Key", secret)
        return client.generic("POST", DOOR, data, content_type, headers=headers, CONTENT_TYPE=content_type)

    return send


@pytest.fixture
def recorded(settings: Any, tmp_path: Path) -> Iterator[Callable[[], list[Any]]]:
    """What Gatebook has recorded of itself."""
    settings.GATEBOOK = {**settings.GATEBOOK, "SPOOL": tmp_path / "spool", "SHIP": False}
    yield lambda: [
        decode_line(line)
        for path in sorted((tmp_path / "spool").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
        if line
    ]
    current_spool().close()


def lines(*entries: Entry | dict[str, Any] | bytes) -> bytes:
    return b"\n".join(each if isinstance(each, bytes) else encode_json(each) for each in entries)


def stored() -> dict[str, str]:
    """The site of each Request-ID in the book."""
    slugs = dict(Site.objects.values_list("pk", "slug"))
    return {row.request_id: slugs[row.site_id] for row in ApiRequestLog.objects.all()}


def minimal(request_id: str, **fields: Any) -> dict[str, Any]:
    return {"created_at": ago(minutes=5).isoformat(), "request_id": request_id, **fields}


# --- What is taken ------------------------------------------------------------------------------


def test_lines_are_in_the_book_when_the_answer_comes(send):
    full = entry(request_id="a", username="bob", request_path="/x", response_code=403, details={"trace": "4b"})
    answer = send(lines(full, entry(request_id="b")))
    assert answer.status_code == 200
    assert answer.json() == {"accepted": 2, "duplicates": 0, "rejected": []}
    row = ApiRequestLog.objects.get(request_id="a")
    assert (row.created_at, row.username, row.response_code, row.details) == (
        full.created_at,
        "bob",
        403,
        {"trace": "4b"},
    )


def test_an_array_is_as_good_as_lines(send):
    sent = [minimal("a"), minimal("b", username="\u00fcber"), minimal("c", success=True)]
    for data in (json.dumps(sent), f"\ufeff \n{json.dumps(sent, indent=2, ensure_ascii=False)} \n"):
        answer = send(data.encode(), "application/json; charset=UTF-8")
        assert answer.json()["rejected"] == []
    assert answer.json()["duplicates"] == 3
    assert send(b" [ ] ", "application/json").json() == {"accepted": 0, "duplicates": 0, "rejected": []}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (b"[" + b"[]," * 400_000 + b"[]]", "longer than 1,048,576 bytes"),
        (b'{"created_at": }', "not JSON"),
        (b"9" * 5_000, "not JSON"),
    ],
    ids=["huge", "broken", "long number"],
)
def test_a_bad_element_never_sinks_the_good_ones(send, odd, reason):
    good = json.dumps(minimal("a")).encode()
    answer = send(b"[" + odd + b"," + good + b"]", "application/json").json()
    assert (answer["accepted"], [each["index"] for each in answer["rejected"]]) == (1, [0])
    assert reason in answer["rejected"][0]["error"]


def test_an_address_that_is_none_costs_nothing_but_itself(send):
    line = {"created_at": ago(minutes=1).isoformat(), "request_id": "0b1f", "request_ip": "300.1.1.1"}
    assert send(json.dumps(line).encode()).json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    stored = ApiRequestLog.objects.get(request_id="0b1f")
    assert stored.request_ip is None
    assert stored.details == {"request_ip": "300.1.1.1"}


def test_sending_again_adds_nothing(send):
    batch = lines(entry(request_id="a"), entry(request_id="b"))
    send(batch)
    answer = send(batch + b"\n" + lines(entry(request_id="c")))
    assert answer.json() == {"accepted": 1, "duplicates": 2, "rejected": []}
    assert len(stored()) == 3


@pytest.mark.parametrize("form", ["gateway-{:032x}", "key-{:032x}", "https://bob:{:08}@example.com"])
def test_requests_of_one_moment_are_all_kept_once_where_their_ids_look_secret(send, form):
    at = ago(minutes=5).isoformat()
    batch = lines(*[minimal(form.format(number), created_at=at) for number in (1, 2)])
    assert send(batch).json() == {"accepted": 2, "duplicates": 0, "rejected": []}
    assert send(batch).json() == {"accepted": 0, "duplicates": 2, "rejected": []}
    written_out = lines(*[minimal(request_id, created_at=at) for request_id in stored()])
    assert send(written_out).json() == {"accepted": 0, "duplicates": 2, "rejected": []}


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_is_unpacked_also_in_several_members(send, encoding):
    packed = gzip.compress(lines(entry(request_id="a")) + b"\n") + gzip.compress(lines(entry(request_id="b")))
    assert send(packed, **{"Content-Encoding": encoding}).json()["accepted"] == 2


def test_a_bearer_is_as_good_as_the_header_of_files_com(send, secret, client):
    answer = client.post(DOOR, lines(entry()), content_type=NDJSON, headers={"Authorization": f"bearer {secret}"})
    assert answer.json()["accepted"] == 1


def test_secrets_are_hidden_before_anything_is_stored(send):
    send(lines(entry(request_path="/reset?token=hunter2", error_message="password=hunter2")))
    row = ApiRequestLog.objects.get()
    assert (row.request_path, row.error_message) == ("/reset?token=[redacted]", "password=[redacted]")


def test_a_line_may_name_the_keys_site_or_one_of_its_child_sites(send, child, other_site):
    answer = send(
        lines(
            minimal("none"),
            minimal("own", site="acme"),
            minimal("empty", site=""),
            minimal("child", site="acme-eu"),
            minimal("stranger", site="globex"),
            minimal("nowhere", site="nowhere"),
        )
    )
    assert stored() == {"none": "acme", "own": "acme", "empty": "acme", "child": "acme-eu"}
    assert answer.json()["accepted"] == 4
    assert answer.json()["rejected"] == [
        {
            "index": index,
            "field": "site",
            "error": f"'{slug}' is neither the site of this API key nor a child site of it",
        }
        for index, slug in ((4, "globex"), (5, "nowhere"))
    ]


def test_a_key_of_a_child_site_does_not_reach_the_parent(client, child):
    secret = ApiKey.objects.issue(child, "branch", [Scope.INGEST])[1]
    data = lines(minimal("up", site="acme"), minimal("own"))
    answer = client.post(DOOR, data, content_type=NDJSON, headers={"X-FilesAPI-Key": secret})
    assert stored() == {"own": "acme-eu"}
    assert [each["field"] for each in answer.json()["rejected"]] == ["site"]


def test_a_bad_line_does_not_sink_the_good_ones(send, child):
    answer = send(
        lines(
            minimal("a"),
            b"{torn",
            b"",
            b"7",
            minimal("b", response_code="200"),
            minimal("c", success=False, response_code=200),
            minimal("d", details={"k": 1}),
            minimal("d", colour="blue"),
            minimal("e", created_at=ago(days=400).isoformat()),
            minimal("f", created_at=ago(days=-3).isoformat(), site="acme-eu"),
            b'{"a":' * 3000,
            b"x" * 1_100_000,
            minimal("z"),
        )
    )
    assert stored().keys() == {"a", "z"}
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    assert [(each["index"], each["field"]) for each in answer.json()["rejected"]] == [
        (1, None),
        (2, None),
        (3, "response_code"),
        (4, "success"),
        (5, "details"),
        (6, None),
        (7, "created_at"),
        (8, "created_at"),
        (9, None),
        (10, None),
    ]
    errors = {each["index"]: each["error"] for each in answer.json()["rejected"]}
    assert errors[1] == "not JSON, or broken off"
    assert errors[3] == "expected a whole number or null, got a text"
    assert "older than the retention of 180 days" in errors[7]


def test_a_bad_element_does_not_sink_the_good_ones(send):
    odd = (
        b'{"created_at": "%b", "request_id": "odd", "username": "b\xffb\\ud800"}' % ago(minutes=1).isoformat().encode()
    )
    data = b"[" + b",".join([lines(minimal("a")), b"7", b'"\x01"', odd, b"[[1]]", lines(minimal("b"))]) + b"]"
    answer = send(data, "application/json")
    assert stored().keys() == {"a", "odd", "b"}
    assert [each["index"] for each in answer.json()["rejected"]] == [1, 2, 4]


def test_a_reason_is_short_and_storable_whatever_the_sender_wrote(send):
    lone = b'{"created_at":"2026-01-01T00:00:00Z","request_id":"r","\\ud800":1}'
    answer = send(b'{"created_at":"2026-01-01T00:00:00Z","request_id":"r","\\u0000%b":1}\n%b' % (b"x" * 5000, lone))
    assert len(answer.json()["rejected"][0]["error"]) < 400
    assert QuarantinedLine.objects.count() == 2
    assert QuarantinedLine.objects.last().error.startswith("Object contains unknown field `\ufffdxxx")


# --- What is refused ----------------------------------------------------------------------------


def issue(site: Site, **fields: Any) -> str:
    key, secret = ApiKey.objects.issue(site, "old", ["ingest"])
    ApiKey.objects.filter(pk=key.pk).update(**fields)
    return secret


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"revoked_at": ago(seconds=1)}, 401, "has been revoked"),
        ({"expires_at": ago(seconds=1)}, 401, "expired at"),
        ({"scopes": ["read"]}, 403, "may read; this needs the scope ingest"),
    ],
)
def test_a_key_that_is_not_good_for_this_is_refused_and_the_book_says_whose(
    send, child, recorded, fields, status, sentence
):
    secret = issue(child, **fields)
    answer = send(lines(entry()), **{"X-FilesAPI-Key": secret})
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert stored() == {}
    (line,) = recorded()
    key = ApiKey.objects.get(name="old")
    assert line.site == "acme-eu"
    assert (line.entry.api_key_id, line.entry.api_key_prefix) == (f"gatebook:{key.pk}", secret[:8])
    assert (line.entry.response_code, line.entry.error_type) == (status, answer.json()["type"])
    assert sentence in line.entry.error_message
    assert answer.json()["instance"] == line.entry.request_id
    assert secret not in line.entry.error_message + answer.text


@pytest.mark.parametrize("key", ["", "0" * 40, "a\x00b", "\u00e9" * 40, "x" * 100_000])
def test_who_has_no_key_is_refused_and_recorded(send, recorded, key):
    answer = send(lines(entry()), **{"X-FilesAPI-Key": key})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["type"].startswith("not-authenticated/")
    (line,) = recorded()
    assert (line.site, line.entry.response_code) == (None, 401)


def test_what_was_taken_is_not_in_the_book_a_second_time(send, recorded):
    send(lines(entry(), b"torn"))
    assert recorded() == []


def test_a_revoked_key_is_refused_at_once(send):
    assert send(lines(entry())).status_code == 200
    ApiKey.objects.update(revoked_at=ago(seconds=0))
    assert send(lines(entry())).status_code == 401


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
def test_an_unknown_content_type_is_refused_with_those_there_are(send, kind):
    answer = send(lines(entry()), kind)
    assert answer.status_code == 415
    assert "expected application/x-ndjson or application/json" in answer.json()["error"]


def test_an_unknown_encoding_is_refused_with_the_one_there_is(send):
    answer = send(b"", **{"Content-Encoding": "br"})
    assert (answer.status_code, answer["Accept-Encoding"]) == (415, "gzip")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"7", b"[", b"[{}", b"[{},]", b"[{} {}]", b"[{}]]", b"\xff", b"[" * 5000, b"[" + b'{"a":' * 5000],
)
def test_what_is_no_array_is_refused_as_a_whole(send, data):
    answer = send(data, "application/json")
    assert answer.status_code == 400
    assert "no JSON array of entries" in answer.json()["error"]


@pytest.mark.parametrize(
    ("packed", "sentence"),
    [
        (b"not gzip", "the body is not"),
        (b"", "breaks off"),
        (gzip.compress(b"x" * 1000)[:-9], "breaks off"),
        (gzip.compress(b"") + b"\0\0", "the body is not"),
        (gzip.compress(b"") * 101, "more than 100 members"),
        (zlib.compress(b"{}"), "the body is not"),
    ],
    ids=["no gzip", "nothing", "cut off", "more behind", "many members", "zlib"],
)
def test_broken_gzip_is_refused(send, packed, sentence):
    answer = send(packed, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_what_is_too_large_is_refused_as_sent_and_unpacked(send):
    assert send(b"x" * (body.LIMIT_BYTES + 1)).status_code == 413
    bomb = gzip.compress(b" " * (20 * body.LIMIT_BYTES))
    assert len(bomb) < body.LIMIT_BYTES
    tracemalloc.start()
    answer = send(bomb, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert tracemalloc.get_traced_memory()[1] < 4 * body.LIMIT_BYTES
    tracemalloc.stop()
    assert "The unpacked body has more than 16,777,216 bytes" in answer.json()["error"]
    exactly = gzip.compress(b" " * body.LIMIT_BYTES)
    assert send(exactly, **{"Content-Encoding": "gzip"}).status_code == 200


@pytest.mark.parametrize("kind", [NDJSON, "application/json"])
def test_more_than_10000_entries_are_refused_as_a_whole(send, kind):
    many = [encode_json(each) for each in [minimal(str(number)) for number in range(10_001)]]
    data = b"\n".join(many) if kind == NDJSON else b"[" + b",".join(many) + b"]"
    answer = send(data, kind)
    assert answer.status_code == 413
    assert "More than 10,000 entries" in answer.json()["error"]
    assert stored() == {}


@pytest.mark.django_db(transaction=True)
def test_a_slow_sender_keeps_no_connection_to_the_database(live_server, secret, site):
    address = urlsplit(live_server.url)
    with socket.create_connection((address.hostname, address.port)) as slow:
        head = f"POST {DOOR} HTTP/1.1\r\nHost: localhost\r\nX-FilesAPI-Key: {secret}\r\nContent-Type: {NDJSON}\r\n"
        slow.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        soon(lambda: ApiKey.objects.get().last_used_at)
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

        def connections() -> int:
            with connection.cursor() as cursor:
                cursor.execute(others)
                return int(cursor.fetchone()[0])

        soon(lambda: connections() == 0)
        slow.sendall(lines(minimal("slow")).ljust(1000))
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")


def test_too_many_at_a_time_are_told_to_come_back(send, monkeypatch):
    monkeypatch.setattr(http, "TURN_SECONDS", 0.01)
    for _ in range(http.AT_ONCE):
        http._turns.acquire()
    try:
        answer = send(lines(entry()))
    finally:
        for _ in range(http.AT_ONCE):
            http._turns.release()
    assert (answer.status_code, answer["Retry-After"]) == (429, "1")
    assert send(lines(entry())).status_code == 200


def test_the_last_use_is_kept_to_the_minute(send):
    send(lines(entry()))
    first = ApiKey.objects.get().last_used_at
    assert ago(minutes=1) < first
    send(lines(entry()))
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=ago(minutes=2))
    send(lines(entry()))
    assert ApiKey.objects.get().last_used_at > first


@pytest.mark.parametrize("door", [DOOR, "/v1/traces"])
@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
def test_a_key_that_ends_while_a_slow_sender_sends_is_refused(secret, monkeypatch, door, change):
    receive = body.receive

    def slowly(request: Any) -> bytes:
        time.sleep(0.02)
        ApiKey.objects.update(**{change: ago(seconds=1)})
        return receive(request)

    monkeypatch.setattr(http.body, "receive", slowly)
    monkeypatch.setattr(http, "SLOW_SECONDS", 0.01)
    batch = lines(minimal("late"))
    answer = Client().generic(
        "POST",
        door,
        batch,
        "application/json" if door != DOOR else NDJSON,
        headers={"X-FilesAPI-Key": secret},
    )
    assert answer.status_code == 401
    assert stored() == {}


def test_a_rejected_line_is_kept_without_its_secrets(send, child):
    send(
        lines(
            b'{"request_path":"\\/a?code=hunter2\\u0026x=1","password": "hunter3", torn',
            minimal("old", created_at=ago(days=400).isoformat(), site="acme-eu", request_path="/b?sig=hunter4"),
        )
    )
    torn, old = QuarantinedLine.objects.order_by("pk")
    assert (torn.site.slug, torn.field, torn.error) == ("acme", None, "not JSON, or broken off")
    assert '"/a?code=[redacted]&x=1"' in torn.line
    assert (old.site.slug, old.field) == ("acme-eu", "created_at")
    assert torn.api_key.name == "web shop"
    assert "hunter" not in torn.line + old.line


def test_beyond_the_room_in_quarantine_rejected_lines_are_counted(send, monkeypatch):
    monkeypatch.setattr(quarantine, "KEPT_LINES", 5)
    for number in range(3):
        assert len(send(lines(*[b"torn %d" % number] * 4)).json()["rejected"]) == 4
    assert QuarantinedLine.objects.count() == 5
    assert DroppedLines.objects.get().lines == 7


@pytest.mark.django_db(transaction=True)
def test_the_line_that_the_document_shows_works(live_server, site):
    require("curl", "curl")
    secret = ApiKey.objects.issue(site, "web shop", [Scope.INGEST])[1]
    document = (Path(__file__).parent.parent / "docs" / "ingest.md").read_text()
    shown, answer = re.search(r"```sh\n(curl .*?)```\s*```json\n(.*?)\n```", document, re.DOTALL).groups()
    command = shown.replace("https://book.example.org", live_server.url)
    environment = bare_environment(BOOK_KEY=secret)
    said = subprocess.run(["sh", "-c", command], env=environment, check=True, capture_output=True, text=True)
    assert said.stdout == answer
    assert stored() == {"first": "acme"}


# --- Whatever is sent ---------------------------------------------------------------------------


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


HOSTILE = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b'"',
        b"null",
        b"{}",
        b"\xff",
        b"\x00",
        b"\\",
        b'{"created_at":',
        b'{"request_id":"\\ud800"}',
        b'{"a":' * 2000,
        b"[" * 2000,
        b"9" * 5000,
        b'"' + b"x" * 20_000,
        b'{"created_at":"0001-01-01T00:00:00+23:59","request_id":"r"}',
        b'{"created_at":"9999-12-31T23:59:59-23:59","request_id":"r"}',
        b'{"created_at":1e400,"request_id":"r"}',
        b'{"\\u0000":"\\u0000"}',
        b'{"site":"\\u0000"}',
    ]
)
FIELD = st.sampled_from([*FIELDS, "site", "success", "colour"])
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUE = SIMPLE | st.lists(st.text()) | st.dictionaries(st.text(), SIMPLE)
ODD_ENTRY = st.dictionaries(FIELD, VALUE).map(lambda fields: json.dumps({**minimal("odd"), **fields}).encode())
LINE = st.binary() | HOSTILE | st.lists(HOSTILE, max_size=3).map(b"".join) | ODD_ENTRY
LINE = LINE.map(lambda line: line.replace(b"\n", b" "))


@given(before=st.lists(LINE, max_size=4), after=st.lists(LINE, max_size=4))
def test_whatever_is_between_them_good_lines_are_stored(send, before, after):
    ids = [new_id(), new_id(), new_id()]
    good = [lines(minimal(each)) for each in ids]
    answer = send(b"\n".join([good[0], *before, good[1], *after, good[2]]))
    assert answer.status_code == 200
    report = answer.json()
    sent = 3 + sum(bool(line.strip()) for line in before + after)
    assert report["accepted"] + report["duplicates"] + len(report["rejected"]) == sent
    assert set(ids) <= stored().keys()


@given(odd=st.lists(ODD_ENTRY | HOSTILE.filter(_is_json), max_size=4))
def test_whatever_else_is_in_the_array_good_elements_are_stored(send, odd):
    ids = [new_id(), new_id()]
    data = b"[" + b" ,\n".join([lines(minimal(ids[0])), *odd, lines(minimal(ids[1]))]) + b"]"
    answer = send(data, "application/json")
    assert answer.status_code == 200
    assert answer.json()["accepted"] + answer.json()["duplicates"] + len(answer.json()["rejected"]) == 2 + len(odd)
    assert set(ids) <= stored().keys()


@pytest.mark.slow
@given(
    data=st.binary() | st.lists(LINE).map(b"\n".join) | st.lists(LINE).map(b"\n".join).map(gzip.compress),
    kind=st.sampled_from([NDJSON, "application/json", "text/plain", "application/json; charset=\xff", ";;"]),
    encoding=st.sampled_from(["", "gzip", "br", "gzip, gzip"]),
    cut=st.integers(0, 30),
)
def test_whatever_is_sent_is_answered_in_kind(send, data, kind, encoding, cut):
    answer = send(data[: len(data) - cut], kind, **{"Content-Encoding": encoding})
    assert answer.status_code in (200, 400, 413, 415)
    assert ("error" in answer.json()) == (answer.status_code != 200)


@given(st.data())
def test_no_key_writes_outside_its_site_and_the_child_sites_of_that(client, tree, draw):
    owner = draw.draw(st.sampled_from(sorted(tree)))
    slugs = st.none() | st.sampled_from([*tree, "", "nowhere", "ACME", "acme ", "acme\x00"]) | st.text(max_size=5)
    named = draw.draw(st.lists(slugs, min_size=1, max_size=6))
    sent = [(new_id(), slug) for slug in named]
    content = [lines({**minimal(request_id), "site": slug}) for request_id, slug in sent]
    as_array = draw.draw(st.booleans())
    data = b"[" + b",".join(content) + b"]" if as_array else b"\n".join(content)
    kind = "application/json" if as_array else NDJSON
    before = stored()
    answer = client.post(DOOR, data, content_type=kind, headers={"X-FilesAPI-Key": tree[owner][0]})
    written = {request_id: slug for request_id, slug in stored().items() if request_id not in before}
    reach = tree[owner][1]
    assert written == {request_id: slug or owner for request_id, slug in sent if (slug or owner) in reach}
    assert [each["field"] for each in answer.json()["rejected"]] == ["site"] * (len(sent) - len(written))


@pytest.fixture
def tree(site: Site, child: Site, other_site: Site) -> dict[str, tuple[str, set[str]]]:
    """A key for each site, and the sites it reaches."""
    Site.objects.create(slug="acme-us", name="Acme US", parent=site)
    Site.objects.create(slug="globex-eu", name="Globex Europe", parent=other_site)
    return {
        each.slug: (
            ApiKey.objects.issue(each, "n", ["ingest"])[1],
            {each.slug, *each.children.values_list("slug", flat=True)},
        )
        for each in Site.objects.all()
    }
