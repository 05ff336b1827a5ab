"""Suggestions in the search box: what is offered at the caret, and what accepting it asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from auditlog.search import answers
from auditlog.search.caret import place_at
from auditlog.search.keys import KEYS
from auditlog.search.language import TIME_KEYS, as_word, parse
from auditlog.search.snapshot import OutOfBudget
from auditlog.search.terms import exactly, split, text
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry
from tests.test_facets_page import make_namesakes
from tests.test_log_page import count_at, rows


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


def offered(visitor: Client, typed: str, **query: str) -> dict[str, str]:
    """What is suggested where `|` stands in the text → its note."""
    return {option["shown"]: option["note"] for option in answer(visitor, typed, **query)["options"]}


def answer(visitor: Client, typed: str, **query: str) -> dict[str, Any]:
    at = typed.index("|")
    found = visitor.get("/acme/logs/suggest", {"q": typed[:at] + typed[at + 1 :], "at": at, **query})
    assert found.status_code == 200, found.text
    return found.json()


def accepted(visitor: Client, typed: str, shown: str, **query: str) -> str:
    """The text after accepting a suggestion."""
    before, found = typed.replace("|", ""), answer(visitor, typed, **query)
    (chosen,) = (option["text"] for option in found["options"] if option["shown"] == shown)
    return before[: found["start"]] + chosen + before[found["end"] :]


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("us|", ["user:", "impersonator:", "agent:"]),
        ("-sta|", ["status:"]),
        ("report fail|", ["status:failure", "status:"]),
        ("err|", ["error:", "type:"]),
        ("Inter|", ["interface:"]),
        ("zzz|", []),
    ],
)
def test_keys_are_suggested_as_one_types(visitor, typed, keys):
    assert list(offered(visitor, typed)) == keys


def test_a_bare_word_offers_the_users_and_interfaces_it_begins(visitor, site):
    for name in ("nordwind-logistics", "nordwind-logistics", "Nora, the second", "bob"):
        make_entry(site, username=name)
    assert offered(visitor, "nor|") == {"user:nordwind-logistics": "2", 'user:"Nora, the second"': "1"}
    assert list(offered(visitor, "status:success sft|")) == ["interface:", "interface:SFTP"]
    assert "user:nordwind-logistics" not in offered(visitor, "no|")
    assert accepted(visitor, "-nora|", 'user:"Nora, the second"') == '-user:"Nora, the second"'


def test_an_empty_place_offers_every_key_with_what_it_means(visitor):
    found = offered(visitor, "user:a |")
    assert found["type:"] == "Error Type · not-found/*"
    assert found["last:"] == "15m, 1h, 24h, 7d, 30d, 180d"
    assert len(found) == len(KEYS) + len(TIME_KEYS)


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("user:|", {"alice": "3", "bob": "2", "alfred": "1"}),
        ("user:al|", {"alice": "3", "alfred": "1"}),
        ("user:AL|", {"alice": "3", "alfred": "1"}),
        ("-user:l|", {"alice": "3", "alfred": "1"}),
        ("user:alice,|", {"bob": "2", "alfred": "1"}),
        ("user:|,alice", {"bob": "2", "alfred": "1"}),
        ('user:"al|', {"alice": "3", "alfred": "1"}),
        ("status:failure user:|", {"bob": "2"}),
        ("user:| status:failure", {"bob": "2"}),
        ("-user:bob status:|", {"failure": "", "success": "4"}),
        ("-user:bob user:b|", {"bob": "2"}),
        ("interface:web|", {"WebDAV": "6"}),
        ("code:4|", {"400..499": "client errors", "404": "2"}),
        ("last:7|", {"7d": "last 7 days"}),
        ("is:|", {"impersonated": "acted as someone else", "parent": "came from the parent site"}),
        ("path:|", {}),
        ("nonsense:|", {}),
        ("code:4xx user:|", {}),
    ],
)
def test_values_are_suggested_with_how_often_they_occur(visitor, site, typed, values):
    for name, number, code in (("alice", 3, 200), ("bob", 2, 404), ("alfred", 1, 200)):
        write(site, [entry(username=name, response_code=code, interface="dav") for _ in range(number)])
    make_entry(site, username="older", created_at=ago(days=3))
    assert offered(visitor, typed) == values


def test_values_are_those_of_the_questions_time(visitor, site):
    make_entry(site, username="older", created_at=ago(days=3))
    assert offered(visitor, "user:|") == {}
    assert offered(visitor, "user:|", last="7d") == {"older": "1"}
    assert offered(visitor, "last:7d user:|") == {"older": "1"}


@pytest.mark.parametrize(
    ("typed", "shown", "whole"),
    [
        ("sta|", "status:", "status:"),
        ("-sta|tus:failure x", "status:", "-status:failure x"),
        ("code:500 user:bo| -ip:*", "bob", "code:500 user:bob -ip:*"),
        ("user:b|ert,carol", "bob", "user:bob,carol"),
        ("-user:carol,|", "bob", "-user:carol,bob"),
        ("user:|", "Smith, John", 'user:"Smith, John"'),
        ('user:"Sm|', "Smith, John", 'user:"Smith, John"'),
        ('user:"Sm|ith"', "Smith, John", 'user:"Smith, John"'),
        ('user:"b| status:failure', "bob", "user:bob status:failure"),
        ("user:|", "a*b", "user:a\\*b"),
    ],
)
def test_accepting_replaces_what_was_being_typed(visitor, site, typed, shown, whole):
    for name in ("bob", "Smith, John", "a*b"):
        make_entry(site, username=name, response_code=500)
    assert accepted(visitor, typed, shown) == whole


HOSTILE = ['"', "a,b", " lead", "x:y", "*", "\\", 'a\\"b*', "-x", "<script>alert(1)</script>", "a\u202eb", "🦊 den\\"]


@pytest.mark.parametrize("name", HOSTILE)
def test_accepting_a_hostile_value_asks_exactly_for_it(visitor, site, name):
    make_entry(site, username=name)
    make_entry(site, username=f"{name}x")
    found = visitor.get("/acme/logs/suggest", {"q": "-user:", "at": "6"}).json()["options"]
    assert len(found) == 2
    for option in found:
        assert "\u202e" not in option["shown"]
        page = visitor.get("/acme/logs/", {"q": f"user:{option['text']} status:success,failure"}, follow=True).text
        assert len(rows(page)) == 1


def test_a_name_that_is_the_id_of_another_is_offered_with_its_own_number(visitor, site):
    make_namesakes(site)
    assert offered(visitor, "user:|")["7"] == "3"
    text = accepted(visitor, "user:|", "7")
    assert text == accepted(visitor, "user:=|", "7") == "user:=7"
    assert "7" not in offered(visitor, "user:=7,|")
    assert count_at(visitor, f"/acme/logs/?{urlencode({'user': text.removeprefix('user:')})}") == 3


def test_a_value_that_no_line_can_hold_is_not_offered(visitor, site):
    make_entry(site, username="one\ntwo")
    assert offered(visitor, "user:|") == {}


@given(st.text(min_size=1, max_size=20), st.text(max_size=10), st.text(max_size=10))
def test_any_value_is_read_back_from_its_place(value, before, after):
    (term,) = parse(f"user:{as_word(exactly(value))}").terms
    assert [text(part).value for part in split(term.value)] == [value]


@given(st.text('ab:",\\- ', max_size=10), st.text('ab:",\\- ', max_size=10))
def test_the_place_is_around_the_caret_and_all_else_stays(before, after):
    place = place_at(before + after, len(before))
    assert 0 <= place.start <= len(before) <= place.end <= len(before + after)
    assert set(place.rest) <= set(before + after + " ")


def test_what_takes_too_long_is_taken_from_the_last_hour_without_numbers(visitor, site, monkeypatch):
    make_entry(site, username="bob")
    as_before, tried = answers.facet, []

    def slow_at_first(*arguments, **named):
        tried.append(arguments[0].time)
        if len(tried) == 1:
            raise OutOfBudget
        return as_before(*arguments, **named)

    monkeypatch.setattr("auditlog.search.answers.facet", slow_at_first)
    assert offered(visitor, "request:* user:|") == {"bob": ""}
    assert tried[1].end - tried[1].start == timedelta(hours=1)


@pytest.mark.parametrize("at", ["", "x", "-1", "²", "9" * 400])
def test_a_place_that_is_none_is_refused(visitor, at):
    refused = visitor.get("/acme/logs/suggest", {"q": "user:", "at": at})
    assert refused.status_code == 400
    assert "expected a number" in refused.json()["errors"]["at"]


def test_a_place_beyond_the_text_is_its_end(visitor):
    assert visitor.get("/acme/logs/suggest", {"q": "statu", "at": "900"}).json()["options"][0]["text"] == "status:"


def test_suggestions_are_not_in_the_book(visitor, own_entries):
    offered(visitor, "user:|")
    assert own_entries() == []
