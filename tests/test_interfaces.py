"""Interfaces: labels, values and the rules that tell them."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from gatebook.interfaces import LABELS, interface_of, label, rule, value_of


@pytest.mark.parametrize("value", LABELS)
def test_a_label_and_its_value_lead_to_each_other(value):
    assert value_of(label(value)) == value
    assert value_of(value) == value


@pytest.mark.parametrize(
    ("text", "value"), [("WebDAV", "dav"), ("webdav", "dav"), (" sFtP ", "sftp"), ("REST API", "restapi")]
)
def test_search_accepts_label_and_value_in_any_case(text, value):
    assert value_of(text) == value


def test_an_unknown_interface_is_kept_and_shown_as_it_is():
    assert value_of("Gopher") == "Gopher"
    assert label("gopher") == "gopher"


@pytest.mark.parametrize(
    ("path", "headers", "interface"),
    [
        ("/api/files/", {}, "restapi"),
        ("/files/", {}, "web"),
        ("/files/", {"user-agent": "rclone/v1.66"}, "sync"),
        ("/files/", {"host": "Dav.Example.com:8443"}, "dav"),
    ],
)
def test_the_first_rule_that_fits_decides(path, headers, interface):
    rules = [
        (rule("/api/"), "restapi"),
        (rule("agent:Rclone/*"), "sync"),
        (rule("host:dav.*"), "dav"),
        (rule("/"), "web"),
    ]
    assert interface_of(RequestFactory().get(path, headers=headers), rules) == interface


def test_without_a_fitting_rule_there_is_no_interface():
    assert interface_of(RequestFactory().get("/"), [(rule("/api/"), "restapi")]) is None


@pytest.mark.parametrize("text", ["", "api/", "host:", "cookie:x"])
def test_nonsense_is_no_rule(text):
    with pytest.raises(ValueError, match="no rule"):
        rule(text)
