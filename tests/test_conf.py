"""The host's settings: defaults, and what stops the start."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from gatebook import conf


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
        ("INTERFACES", [("api", "restapi")], "no rule"),
        ("INTERFACES", [("/", "")], "pairs"),
        ("INTERFACES", [("/", "WebDAV")], "pairs"),
        ("INTERFACES", 3, "pairs"),
        ("REDACT", "token", "list"),
        ("ON_SPOOL_FAILURE", "ignore", "'serve' or 'refuse'"),
    ],
)
def test_nonsense_is_refused_naming_key_value_and_what_is_expected(key, value, expected):
    with pytest.raises(ImproperlyConfigured) as refused:
        read(**{key: value})
    assert repr(key) in str(refused.value)
    assert repr(value) in str(refused.value)
    assert expected in str(refused.value)


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
