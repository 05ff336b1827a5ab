"""The chart as a part that a log page fetches when it did not wait for it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from auditlog.search.snapshot import OutOfBudget
from auditlog.store.writer import write
from tests.book import ago, entry
from tests.test_facets_page import recorded  # noqa: F401
from tests.test_log_page import bars

AS_FRAGMENT = {"HX-Request": "true", "HX-Target": "chart"}


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


def place(page: str) -> str:
    """Where the page will fetch the chart from."""
    return unescape(re.search(r'<section class="chart[^>]* hx-get="([^"]*)"', page)[1])


def too_long(*_):
    raise OutOfBudget


def test_a_page_that_does_not_wait_fetches_the_same_bars(visitor, site, monkeypatch):
    write(site, [entry(created_at=ago(minutes=number), response_code=500) for number in range(9)])
    with monkeypatch.context() as patched:
        patched.setattr("auditlog.search.answers.volume", too_long)
        page = visitor.get("/acme/logs/?status=failure&last=1h").text
    part = visitor.get(place(page), headers=AS_FRAGMENT).text
    assert part.strip().startswith('<section class="chart" id="chart"')
    told = [int(re.search(r"(\d+) requests?,", title)[1]) for _, title in bars(part)]
    assert sum(told) == 9
    assert all("status=failure" in address for address, _ in bars(part))


def test_a_chart_that_takes_too_long_even_then_says_so_and_is_not_asked_for_again(visitor, site, monkeypatch):
    write(site, [entry()])
    monkeypatch.setattr("auditlog.search.answers.volume", too_long)
    page = visitor.get("/acme/logs/").text
    part = visitor.get(place(page), headers=AS_FRAGMENT).text
    assert "Too much to draw in time: narrow the range" in part
    assert "hx-get" not in part


def test_the_part_is_not_in_the_book_but_its_refusal_is(visitor, signed_in, stranger, site, recorded):  # noqa: F811
    visitor.get("/acme/logs/chart?last=1h", headers=AS_FRAGMENT)
    assert recorded == []
    assert visitor.get("/acme/logs/chart?code=4xx", headers=AS_FRAGMENT).status_code == 400
    assert signed_in(stranger).get("/acme/logs/chart", headers=AS_FRAGMENT).status_code == 404
    assert recorded == ["/acme/logs/chart?code=4xx", "/acme/logs/chart"]


@pytest.mark.parametrize("headers", [{}, {**AS_FRAGMENT, "HX-Boosted": "true"}])
def test_as_a_page_it_is_the_log_page(visitor, site, headers):
    answer = visitor.get("/acme/logs/chart?user=a%26b", headers=headers)
    assert (answer.status_code, answer["Location"]) == (302, "/acme/logs/?user=a%26b")
