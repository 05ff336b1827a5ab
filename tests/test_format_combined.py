"""Apache's and nginx's access log."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog.intake import formats
from auditlog.intake.formats.combined import FORMAT
from auditlog.intake.formats.lines import LineIdentity
from auditlog.intake.formats.shape import Rejected, Source
from gatebook.entry import Entry
from tests.sample_logs import sample_logs

LINE = '192.0.2.7 - bob [17/May/2026:10:05:03 +0000] "GET /a?b=1 HTTP/1.1" 200 512 "https://example.com/" "curl/8.5.0"'


def read_all(*lines: str | bytes) -> list[Entry | Rejected]:
    data = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines)
    return list(FORMAT.read(io.BytesIO(data), Source()))


def read_one(line: str | bytes) -> Entry:
    (entry,) = read_all(line)
    assert isinstance(entry, Entry), entry
    return entry


def with_request(request: str) -> str:
    return LINE.replace("GET /a?b=1 HTTP/1.1", request)


def test_a_combined_line_gives_what_it_has_and_nothing_else():
    entry = read_one(LINE)
    assert entry == Entry(
        created_at=datetime(2026, 5, 17, 10, 5, 3, tzinfo=UTC),
        request_id=entry.request_id,
        username="bob",
        request_method="GET",
        request_path="/a?b=1",
        request_ip="192.0.2.7",
        response_code=200,
        user_agent="curl/8.5.0",
        details={"bytes": "512", "referrer": "https://example.com/"},
    )


def test_a_common_line_has_no_user_agent():
    entry = read_one('192.0.2.7 - - [17/May/2026:10:05:03 +0000] "GET / HTTP/1.0" 304 -\n')
    assert (entry.username, entry.user_agent, entry.response_code, entry.details) == (None, None, 304, {})


@pytest.mark.parametrize(
    ("client", "host", "address", "user"),
    [
        ("192.0.2.7 - -", None, "192.0.2.7", None),
        ('192.0.2.7 - ""', None, "192.0.2.7", None),
        ("192.0.2.7 ident Bob Smith", None, "192.0.2.7", "Bob Smith"),
        ("2001:db8::1 - bob", None, "2001:db8::1", "bob"),
        ("acme.example.com:443 192.0.2.7 - bob", "acme.example.com:443", "192.0.2.7", "bob"),
        ("acme.example.com 2001:db8::1 - -", "acme.example.com", "2001:db8::1", None),
        ("- - -", None, None, None),
    ],
)
def test_who_asked_stands_before_the_time(client, host, address, user):
    entry = read_one(LINE.replace("192.0.2.7 - bob", client))
    assert (entry.request_host, entry.request_ip, entry.username) == (host, address, user)


def test_a_client_that_is_a_name_goes_to_the_details():
    entry = read_one(LINE.replace("192.0.2.7", "client.example.com"))
    assert (entry.request_ip, entry.details["request_ip"]) == (None, "client.example.com")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("17/May/2026:10:05:03 +0330", datetime(2026, 5, 17, 6, 35, 3, tzinfo=UTC)),
        ("17/May/2026:10:05:03 -0700", datetime(2026, 5, 17, 17, 5, 3, tzinfo=UTC)),
        ("01/Jan/2026:00:30:00 +1100", datetime(2025, 12, 31, 13, 30, 0, tzinfo=UTC)),
        ("17/May/2026:10:05:03.25 +0000", datetime(2026, 5, 17, 10, 5, 3, 250000, tzinfo=UTC)),
    ],
)
def test_a_time_of_any_zone_is_stored_in_utc(time, expected):
    assert read_one(LINE.replace("17/May/2026:10:05:03 +0000", time)).created_at == expected


@pytest.mark.parametrize(
    ("request_line", "method", "path"),
    [
        ("PROPFIND /dav/ HTTP/1.1", "PROPFIND", "/dav/"),
        ("fox /x HTTP/1.1", "fox", "/x"),
        ("CONNECT example.com:443 HTTP/1.1", "CONNECT", "example.com:443"),
        ("PRI * HTTP/2.0", "PRI", "*"),
        ("GET /old", "GET", "/old"),
        ("GET /with a space HTTP/1.1", "GET", "/with a space"),
        (r"GET /say\"hi\" HTTP/1.1", "GET", '/say"hi"'),
        (r"GET /caf\xc3\xa9\\ HTTP/1.1", "GET", "/café\\"),
        ("-", None, None),
        ("", None, None),
    ],
)
def test_the_request_line_gives_method_and_path(request_line, method, path):
    entry = read_one(with_request(request_line))
    assert (entry.request_method, entry.request_path) == (method, path)
    assert "request_line" not in entry.details


@pytest.mark.parametrize("garbage", [r"\x16\x03\x01\x01 \x02", "batman", "HELP", r"lv|'|'|\x00 \"x\""])
def test_a_request_line_that_is_none_is_kept_as_it_was_logged(garbage):
    entry = read_one(with_request(garbage))
    assert (entry.request_method, entry.request_path) == (None, None)
    assert entry.details["request_line"] == garbage


def test_escaped_quotes_in_referrer_and_user_agent_do_not_end_them():
    entry = read_one(LINE.replace("curl/8.5.0", r"a \"b\" c").replace("https://example.com/", r"\"\""))
    assert (entry.user_agent, entry.details["referrer"]) == ('a "b" c', '""')


def test_a_line_that_breaks_off_keeps_what_it_has_unless_it_is_still_being_written():
    in_agent, in_referrer, whole, unfinished = read_all(LINE[:-4], LINE[:-20], LINE, LINE[:-4])
    assert (in_agent.user_agent, in_agent.response_code) == ("curl/8.", 200)
    assert (in_referrer.user_agent, in_referrer.details["referrer"]) == (None, "https://exampl")
    assert whole.user_agent == "curl/8.5.0"
    assert unfinished.reason == "breaks off"


def test_a_code_that_is_missing_is_no_code():
    codes = [read_one(LINE.replace(" 200 ", f" {code} ")).response_code for code in ("-", "000", "499")]
    assert codes == [None, None, 499]


def test_bytes_that_are_no_utf8_are_replaced():
    assert read_one(LINE.encode().replace(b"/a?", b"/\xa4\xa4?")).request_path == "/\ufffd\ufffd?b=1"


def test_equal_lines_are_all_kept_and_get_the_same_ids_again():
    lines = [LINE, LINE.replace("bob", "eve"), LINE, LINE + "\r"]
    ids = [entry.request_id for entry in read_all(*lines)]
    assert len(set(ids)) == 4
    assert [entry.request_id for entry in read_all(*lines)] == ids


def test_equal_lines_are_counted_beyond_what_is_remembered_at_once(monkeypatch):
    monkeypatch.setattr(LineIdentity, "REMEMBERED", 10)
    identity = LineIdentity()
    ids = [identity.of(str(number // 2).encode()) for number in range(100)] + [identity.of(b"45")]
    assert len(set(ids)) == 101


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("# a comment", "not a line of an access log"),
        (LINE[:60], "not a line of an access log"),
        (LINE[:-4], "breaks off"),
        (LINE.replace("May", "Mai"), "created_at: not a time there is"),
        (LINE.replace("17/May", "31/Feb"), "created_at: not a time there is"),
        (LINE.replace("+0000", "+9900"), "created_at: not a time there is"),
        (
            LINE.replace("2026", "0001").replace("17/May", "01/Jan").replace("10:05", "00:05").replace("+0", "+1"),
            "created_at: ",
        ),
    ],
)
def test_a_line_that_is_none_is_rejected(line, reason):
    (rejected,) = read_all(line)
    assert isinstance(rejected, Rejected)
    assert rejected.reason.startswith(reason)


@pytest.mark.parametrize("end", [" 51", " 512", " 512 ", ' "https://example.com/"', ' "https://example.com/" '])
@pytest.mark.parametrize("before", [[], [LINE], [LINE + " 0.003"]])
def test_a_last_line_without_its_end_that_stops_short_is_rejected(before, end):
    last = read_all(*before, LINE[: LINE.index(end) + len(end)])[-1]
    assert isinstance(last, Rejected)
    assert last.reason == "breaks off"


def test_a_last_line_without_its_end_is_kept_where_it_ends_like_the_one_before():
    common = LINE[: LINE.index(' "https')]
    assert [type(item) for item in read_all(LINE, LINE)] == [Entry, Entry]
    assert [type(item) for item in read_all(common, common)] == [Entry, Rejected]
    assert [type(item) for item in read_all(common, common, "")] == [Entry, Entry]
    assert [type(item) for item in read_all(LINE + " 0.003", LINE)] == [Entry, Rejected]
    assert [type(item) for item in read_all(LINE + " 0.003", LINE + " 0.00")] == [Entry, Rejected]


def test_it_is_recognised_behind_lines_of_another_kind():
    assert formats.detect(f"[Thu Oct 13 2022] [error] x\n{LINE}\n".encode()).name == "combined"
    assert formats.detect(b"hello\nworld\n") is None


PIECES = [
    "192.0.2.7",
    " ",
    "-",
    "[17/May/2026:10:05:03 +0000]",
    '"',
    "\\",
    "GET / HTTP/1.1",
    "200",
    "\x00",
    "é",
    "[",
    LINE,
]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_whatever_is_in_a_line_it_is_an_entry_or_a_rejection(text):
    line = text.replace("\n", " ")
    assert len(read_all(line)) == (1 if line.encode(errors="replace").strip() else 0)


@given(st.binary())
def test_any_bytes_are_read_without_a_crash(data):
    list(FORMAT.read(io.BytesIO(data), Source()))


@pytest.mark.parametrize("evil", ['"' * 200_000, "\\" * 200_000, "a " * 100_000, "[" * 200_000, '"\\' * 100_000])
@pytest.mark.timeout(60)
def test_hostile_lines_cost_no_time(evil):
    assert read_all(evil, with_request("GET /" + evil), LINE[:50] + evil)


def test_the_real_apache_log_keeps_its_repeated_lines():
    with sample_logs("apache_combined_elastic", "apache_logs").open("rb") as stream:
        entries = list(FORMAT.read(stream, Source()))
    assert len(entries) == 10_000
    assert all(isinstance(entry, Entry) for entry in entries)
    assert len({entry.request_id for entry in entries}) == 10_000
    repeats = Counter(entry.request_id.split("-")[1] for entry in entries)
    assert sum(count - 1 for count in repeats.values()) == 19


@pytest.mark.parametrize(("name", "count"), [("apache2-malformed.log", 11), ("nginx-http-malformed.log", 12)])
def test_real_malformed_requests_are_entries(name, count):
    with sample_logs("proxies_crowdsec", name).open("rb") as stream:
        assert [type(item) for item in FORMAT.read(stream, Source())] == [Entry] * count
