"""The host's settings: defaults, and what stops the start."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from gatebook import conf
from gatebook.http_sink import HttpSink
from gatebook.sinks import StoreSink
from tests.sinks import NoSink


def read(**given):
    return conf.read({"SPOOL": "/var/spool/gatebook", **given})


def test_the_spool_is_all_a_project_must_name():
    assert read().request_id_header == "X-Request-Id"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("SPOOL", None, "absolute path"),
        ("SPOOL", "spool", "absolute path"),
        ("SPOOL", "/etc/hostname", "directory"),
        ("SPOOL_LIMIT_BYTES", 1000, "1048576 or more"),
        ("SPOOL_LIMIT_BYTES", "4 GiB", "whole number"),
        ("SYNC_EACH_LINE", "yes", "True or False"),
        ("SINK", "nowhere.Sink", "can be imported"),
        ("SINK", 7, "dotted path"),
        ("SINK", "", "dotted path"),
        ("SHIP", "yes", "True or False"),
        ("SHIP", 1, "True or False"),
        ("SITE", "Not A Slug", "slug"),
        ("USER", "gatebook.entry.FIELDS", "callable"),
        ("API_KEY", "", "dotted path"),
        ("TRUSTED_PROXIES", "10.0.0.0/8", "list"),
        ("TRUSTED_PROXIES", ["10.0.0.0/99"], "networks"),
        ("REQUEST_ID_HEADER", "X Request", "header"),
        ("IGNORE_PATHS", "/static/", "list"),
        ("IGNORE_PATHS", ["static"], "begin with /"),
        ("IGNORE_PATHS", ["/"], "more than /"),
        ("API_KEY_HEADERS", "X-API-Key", "list"),
        ("API_KEY_HEADERS", ["X API Key"], "header"),
        ("USER_FROM_PARENT_SITE", True, "dotted path"),
        ("INTERFACES", 3, "pairs"),
        ("INTERFACES", "/api/", "pairs"),
        ("REDACT", "token", "list"),
        ("NOT_SECRET", "code", "list"),
        ("ON_SPOOL_FAILURE", "ignore", "'serve' or 'refuse'"),
    ],
)
def test_nonsense_is_refused_naming_key_value_and_what_is_expected(key, value, expected):
    with pytest.raises(ImproperlyConfigured) as refused:
        read(**{key: value})
    assert repr(key) in str(refused.value)
    assert repr(value) in str(refused.value)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (("api", "restapi"), "a path's beginning"),
        (("header:X-Client", "mobile"), "header:NAME=PATTERN"),
        (("/", ""), "an interface such as"),
        (("/", "WebDAV"), "an interface such as"),
        (("/", "web", 1), "a pair"),
        ((7, "web"), "a pair"),
        ("nowhere.interface", "can be imported"),
    ],
)
def test_a_wrong_rule_is_named_with_its_place(rule, expected):
    with pytest.raises(ImproperlyConfigured) as refused:
        read(INTERFACES=[("/api/", "restapi"), rule])
    assert "INTERFACES[1]" in str(refused.value)
    assert repr(rule) in str(refused.value)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("given", "key", "value", "expected"),
    [
        ({"REDACT": ["x", "re:ACME-["]}, "REDACT", "re:ACME-[", "regular expression"),
        ({"REDACT": ["re:[0-9]*"]}, "REDACT", "re:[0-9]*", "empty text"),
        ({"REDACT": ["re:[a-z]+"]}, "REDACT", "re:[a-z]+", "[redacted]"),
        ({"REDACT": ["--"]}, "REDACT", "--", "letters or digits"),
        ({"NOT_SECRET": ["re:x"]}, "NOT_SECRET", "re:x", "a name"),
        ({"REDACT": ["Member-No"], "NOT_SECRET": ["member_no"]}, "NOT_SECRET", ["member_no"], "memberno"),
    ],
)
def test_one_wrong_name_or_pattern_is_refused_by_its_value(given, key, value, expected):
    with pytest.raises(ImproperlyConfigured) as refused:
        read(**given)
    assert f"GATEBOOK[{key!r}] is {value!r}" in str(refused.value)
    assert expected in str(refused.value)


def test_a_project_says_what_is_secret_and_what_is_not():
    redactor = read(REDACT=["membership", "re:ACME-[0-9]{8}"], NOT_SECRET=["code"]).redactor
    path = "/a?membership=7&code=EUR&auth_code=x&note=for+ACME-12345678"
    assert redactor.path(path) == "/a?membership=[redacted]&code=EUR&auth_code=[redacted]&note=for+[redacted]"


def test_an_unknown_key_is_refused_with_those_there_are():
    with pytest.raises(ImproperlyConfigured, match=r"'SPOOLL'.*SPOOL, SPOOL_LIMIT_BYTES"):
        read(SPOOLL="/x")


def test_a_path_is_ignored_with_all_below_it_but_not_its_namesakes():
    ours = read(IGNORE_PATHS=["/healthz", "/static/"])
    assert ours.ignores("/healthz")
    assert ours.ignores("/healthz/deep")
    assert ours.ignores("/static/app.css")
    assert not ours.ignores("/healthz-of-another")
    assert not ours.ignores("/staticfiles")


KEY = "Ab3" * 13


def test_a_book_elsewhere_is_where_lines_go(settings):
    assert read().make_sink is StoreSink
    there = read(BOOK_URL="https://book.example.org/", BOOK_KEY=KEY)
    assert there.make_sink is HttpSink
    assert there.book.url == "https://book.example.org"
    assert KEY not in repr(there)
    assert read(BOOK_URL="https://book.example.org", BOOK_KEY=KEY, SINK="tests.sinks.NoSink").make_sink is NoSink


@pytest.mark.parametrize(
    "url",
    [
        "https://book.example.org:8443/behind/a/path",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://10.1.2.3",
        "http://[::1]:8000",
        "http://gatebook:8000",
    ],
)
def test_a_book_is_reached_by_tls_or_nearby(url):
    assert read(BOOK_URL=url, BOOK_KEY=KEY).book.url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        7,
        "book.example.org",
        "http://book.example.org",
        "http://8.8.8.8",
        "ftp://book.example.org",
        "https://",
        "https://book.example.org:port",
        "https://book.example.org:99999",
        "https://book.example.org?a=b",
        "https://book.example.org/#logs",
        "https://book.example.org/a b",
        "https://b\u00fccher.example.org",
        "https://[::1",
    ],
)
def test_what_is_no_address_of_a_book_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match=r"'BOOK_URL'.*expected https://host") as refused:
        read(BOOK_URL=url, BOOK_KEY=KEY)
    assert repr(url) in str(refused.value)


def test_a_password_in_the_address_is_refused_and_not_shown():
    with pytest.raises(ImproperlyConfigured, match=r"'BOOK_URL'") as refused:
        read(BOOK_URL="https://me:hunter2@book.example.org", BOOK_KEY=KEY)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("key", ["", 7, "abc-def", "abc\r\nX: y", "\u00e9" * 20, "\u0663" * 20])
def test_what_is_no_key_is_refused_and_not_shown(key):
    with pytest.raises(ImproperlyConfigured, match=r"'BOOK_KEY'.*letters and digits only") as refused:
        read(BOOK_URL="https://book.example.org", BOOK_KEY=key)
    assert not key or str(key) not in str(refused.value)


@pytest.mark.parametrize("given", [{"BOOK_URL": "https://book.example.org"}, {"BOOK_KEY": KEY}])
def test_address_and_key_come_together(given):
    missing = "BOOK_KEY" if "BOOK_URL" in given else "BOOK_URL"
    with pytest.raises(ImproperlyConfigured, match=f"'{missing}'.* is missing") as refused:
        read(**given)
    assert KEY not in str(refused.value)
