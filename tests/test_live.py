"""What the live switch of a log page asks for: the new rows of its question, late ones too, and nothing twice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.http import urlencode

from auditlog.dashboard import live
from auditlog.models import Site
from auditlog.search.cursor import Cursor
from auditlog.search.snapshot import OutOfBudget
from auditlog.search.timerange import EPOCH
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry
from tests.test_facets_page import recorded  # noqa: F401
from tests.test_log_page import count_at, rows


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


@dataclass
class Switch:
    """The live switch of a page, which asks as its script does."""

    visitor: Client
    data: dict[str, str]

    @classmethod
    def of(cls, visitor: Client, address: str) -> Switch:
        """Open a page and find its switch."""
        page = visitor.get(address).text
        return cls(visitor, attributes(re.search(r'<div class="live" [^>]*>', page)[0]))

    def ask(self, **more: object):
        """Ask once; `more` are parameters."""
        known = "".join(name.split(".")[1] for name in self.data["rows"].split())
        query = urlencode(
            {"since": int(self.data["now"]) - 120_000_000, "known": known, "shown": self.data["shown"]} | more
        )
        return self.visitor.get(f"{self.data['newer']}&{query}")

    def brings(self, **more: object) -> list[str]:
        """The paths of the rows that are new, and from now on known."""
        answer = self.ask(**more).text
        found = rows(answer)
        names = attributes(answer)["rows"]
        assert len(names.split()) == len(found)
        self.data["rows"] += f" {names}"
        return [re.search(r"/new\w*", re.sub(r"<[^>]*>", " ", row))[0] for row in found]


def attributes(text: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'data-([\w-]+)="([^"]*)"', text.partition(">")[0])}


def test_what_arrives_is_brought_once_and_newest_first(visitor, site):
    make_entry(site, request_path="/old")
    switch = Switch.of(visitor, "/acme/logs/")
    assert switch.brings() == []
    for number in range(3):
        make_entry(site, request_path=f"/new{number}", created_at=ago(seconds=0))
    assert switch.brings() == ["/new2", "/new1", "/new0"]
    assert switch.brings() == []


def test_what_arrives_late_is_brought_too(visitor, site):
    make_entry(site, request_path="/old", created_at=ago(seconds=10))
    switch = Switch.of(visitor, "/acme/logs/")
    make_entry(site, request_path="/new_but_late", created_at=ago(seconds=90))
    assert switch.brings() == ["/new_but_late"]


def test_what_arrives_even_later_is_told_as_a_number(visitor, site):
    make_entry(site)
    switch = Switch.of(visitor, "/acme/logs/")
    write(site, [entry(created_at=ago(hours=hours)) for hours in (1, 2, 30)])
    assert switch.brings() == []
    answer = attributes(switch.ask(counted=f"{switch.data['start']},{switch.data['now']}").text)
    assert int(answer["total"]) - int(switch.data["total"]) == 2
    assert "total" not in attributes(switch.ask().text)


def test_a_number_that_time_alone_changes_is_not_told(visitor, site):
    make_entry(site)
    switch = Switch.of(visitor, "/acme/logs/?last=180d")
    assert "total" not in attributes(switch.ask(counted=f"{switch.data['start']},{switch.data['now']}").text)


@pytest.mark.parametrize(
    ("query", "brought"),
    [
        ("status=failure", ["/new_failed"]),
        ("-user=alice", ["/new_failed"]),
        ("q=user:a*+user:*e", ["/new"]),
        ("path=/new*&last=15m", ["/new", "/new_failed"]),
        ("from=2026-11-01T00:00:00Z&interface=sftp", ["/new"]),
        ("request=one", ["/new"]),
    ],
)
def test_the_questions_conditions_hold(visitor, site, query, brought):
    switch = Switch.of(visitor, f"/acme/logs/?{query}")
    make_entry(site, request_path="/new_failed", response_code=500, created_at=ago(seconds=1))
    make_entry(site, request_path="/new", request_id="one", username="alice", interface="sftp", created_at=ago())
    assert switch.brings() == brought


def test_other_sites_stay_apart(visitor, site, other_site: Site):
    switch = Switch.of(visitor, "/acme/logs/")
    make_entry(other_site, request_path="/new", created_at=ago())
    assert switch.brings() == []


def test_the_rows_have_the_columns_of_the_page(visitor, site):
    switch = Switch.of(visitor, "/acme/logs/?columns=request_path,request_host")
    make_entry(site, request_path="/new", request_host="files.example.com", created_at=ago())
    (row,) = rows(switch.ask().text)
    assert "files.example.com" in row
    assert row.count("<td") == 2


def test_more_than_a_page_is_said_and_not_brought(visitor, site):
    switch = Switch.of(visitor, "/acme/logs/")
    write(site, [entry(created_at=ago(), request_path="/new") for _ in range(live.MOST_NEW)])
    assert len(switch.brings()) == live.MOST_NEW
    write(site, [entry(created_at=ago(), request_path="/new") for _ in range(live.MOST_NEW + 1)])
    answer = switch.ask().text
    assert "data-too-much" in answer
    assert rows(answer) == []


def test_where_the_page_was_cut_the_next_one_goes_on(visitor, site):
    write(site, [entry(created_at=ago(minutes=minutes)) for minutes in range(60)])
    switch = Switch.of(visitor, "/acme/logs/?user=*&last=7d")
    assert "&to=TO" in switch.data["past"]
    switch = Switch.of(visitor, "/acme/logs/?last=7d")
    end = f"{ago(minutes=29.5):%Y-%m-%dT%H:%M:%SZ}"
    assert count_at(visitor, switch.data["past"].replace("TO", end)) == 30


@pytest.mark.parametrize("query", ["sort=created_at", "sort=-duration_ms", "to=2026-11-01T00:00:00Z"])
def test_it_is_not_offered_where_nothing_can_arrive_at_the_top(visitor, site, query):
    make_entry(site)
    assert 'id="live"' not in visitor.get(f"/acme/logs/?{query}").text


def test_it_is_not_offered_on_the_pages_that_follow(visitor, site):
    write(site, [entry() for _ in range(60)])
    older = re.search(r'id="older" href="([^"]*)"', visitor.get("/acme/logs/").text)[1]
    assert 'id="live"' not in visitor.get(f"/acme/logs/{unescape(older)}").text


def test_asking_is_not_in_the_book_but_a_refusal_is(visitor, signed_in, stranger, site, recorded):  # noqa: F811
    switch = Switch.of(visitor, "/acme/logs/")
    switch.ask()
    switch.ask(counted=f"{switch.data['start']},{switch.data['now']}")
    assert recorded == ["/acme/logs/"]
    assert signed_in(stranger).get("/acme/logs/newer?since=0").status_code == 404
    assert recorded[1:] == ["/acme/logs/newer?since=0"]


def test_who_asks_for_more_than_what_arrives_is_in_the_book(visitor, site, recorded):  # noqa: F811
    switch = Switch.of(visitor, "/acme/logs/")
    switch.ask(since=int(switch.data["now"]) - 3600 * 1_000_000)
    assert [path.partition("?")[0] for path in recorded] == ["/acme/logs/", "/acme/logs/newer"]


def test_no_cursor_keeps_who_asks_for_what_is_old_out_of_the_book(visitor, site, recorded):  # noqa: F811
    make_entry(site, request_path="/old", created_at=ago(days=100))
    cursor = Cursor("-created_at", None, ago(days=-20_000), site.pk, "x", EPOCH)
    asked = {"since": "0", "from": ago(days=101).isoformat(), "to": ago(days=99).isoformat(), "after": str(cursor)}
    assert "/old" in visitor.get("/acme/logs/newer", asked).text
    assert [path.partition("?")[0] for path in recorded] == ["/acme/logs/newer"]


def test_what_takes_too_long_is_said(visitor, site, monkeypatch):
    def too_long(*_):
        raise OutOfBudget

    switch = Switch.of(visitor, "/acme/logs/")
    monkeypatch.setattr("auditlog.search.pages.fetch", too_long)
    answer = switch.ask()
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "since=soon",
        "since=1e9",
        f"since={10**30}",
        "since=0&counted=x",
        "since=0&counted=1",
        "since=0&shown=x",
        "since=0&code=4xx",
        "since=<b>",
    ],
)
def test_what_makes_no_sense_is_refused(visitor, site, query):
    answer = visitor.get(f"/acme/logs/newer?{query}")
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("since", [-(10**15), 0, 10**17])
def test_any_moment_can_be_asked_for(visitor, site, since):
    make_entry(site)
    assert visitor.get(f"/acme/logs/newer?since={since}").status_code == 200


def test_the_rows_are_of_the_scope_of_the_page(signed_in, administrator, site, child):
    visitor = signed_in(administrator)
    alone, with_children = (Switch.of(visitor, f"/acme/logs/{scope}") for scope in ("", "?scope=children"))
    make_entry(child, request_path="/new", created_at=ago())
    assert alone.brings() == []
    assert with_children.brings() == ["/new"]
