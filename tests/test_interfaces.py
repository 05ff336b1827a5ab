"""Interfaces: labels, values and the rules that tell them."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from gatebook import conf
from gatebook.interfaces import LABELS, first, label, rule, value_of


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


def request(path="/files/", method="GET", **headers):
    return RequestFactory().generic(
        method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


RULES = [
    rule("/api/", "restapi"),
    rule("agent:Rclone/*", "sync"),
    rule("host:dav.*", "dav"),
    rule("host:2001:db8:*", "remote"),
    rule("method:PROP*", "dav"),
    rule("header:X-Client=mobile-*", "mobile"),
    rule("/", "web"),
]


@pytest.mark.parametrize(
    ("asked", "interface"),
    [
        (request("/api/files/"), "restapi"),
        (request(), "web"),
        (request(user_agent="rclone/v1.66"), "sync"),
        (request(host="Dav.Example.com:8443"), "dav"),
        (request(host="[2001:DB8::1]:8443"), "remote"),
        (request(method="PROPFIND"), "dav"),
        (request(method="POST"), "web"),
        (request(x_client="Mobile-iOS"), "mobile"),
        (request(x_client="desktop"), "web"),
        (request("/api/", "PROPFIND", user_agent="rclone/1"), "restapi"),
    ],
)
def test_the_first_rule_that_fits_decides(asked, interface):
    assert first(RULES, asked) == interface


def test_without_a_fitting_rule_there_is_no_interface():
    assert first([rule("/api/", "restapi")], request()) is None


@pytest.mark.parametrize(
    "text", ["", "api/", "host:", "cookie:x", "method:", "header:x", "header:=x", "header:a b=x", "agent"]
)
def test_nonsense_is_no_rule(text):
    with pytest.raises(ValueError, match="header:NAME=PATTERN"):
        rule(text, "web")


@pytest.mark.parametrize(
    ("asked", "interface"),
    [
        (request("/api/v1/files"), "restapi"),
        (request("/v1/files", host="api.example.com"), "restapi"),
        (request("/dav/x"), "dav"),
        (request("/x", "PROPFIND"), "dav"),
        (request("/x", "UNLOCK"), "dav"),
        (request("/scim/v2/Users"), "scim"),
        (request("/x"), "web"),
    ],
)
def test_the_rules_of_a_project_that_has_none(asked, interface):
    assert conf.read({"SPOOL": "/var/spool/gatebook"}).interface(asked) == interface


def own_rule(asked):
    """Know partners by their address."""
    return "as2" if asked.META["REMOTE_ADDR"] == "192.0.2.7" else None


def test_a_function_of_the_project_is_a_rule_among_the_others():
    rules = [("/api/", "restapi"), "tests.test_interfaces.own_rule", ("/", "web")]
    interface = conf.read({"SPOOL": "/var/spool/gatebook", "INTERFACES": rules}).interface
    partner = RequestFactory().get("/x", REMOTE_ADDR="192.0.2.7")
    assert [interface(partner), interface(request()), interface(request("/api/"))] == ["as2", "web", "restapi"]


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_fits_or_does_not(agent, host):
    asked = RequestFactory().get("/", HTTP_USER_AGENT=agent, HTTP_HOST=host)
    assert first(RULES, asked) in {"sync", "dav", "remote", "web"}
