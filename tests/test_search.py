"""Each search key finds what it says, alone, negated and together; every answer agrees."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from auditlog.models import Site
from auditlog.models.log import OWN_ACCOUNT
from auditlog.search import answers, pages
from auditlog.search.errors import QuestionError
from auditlog.search.question import Question
from auditlog.search.terms import exactly
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry

ENTRIES: dict[str, dict[str, Any]] = {
    "plain": {"response_code": 200, "username": "alice", "user_id": "1", "interface": "web", "duration_ms": 5},
    "failed": {
        "response_code": 403,
        "username": "svc-billing",
        "user_id": "2",
        "interface": "sftp",
        "error_type": "not-authorized/permission-denied",
        "error_message": "Permission DENIED for this path",
        "duration_ms": 2001,
    },
    "impersonated": {
        "username": "bob",
        "impersonator_username": "alice",
        "impersonator_user_id": "1",
        "interface": "web",
        "response_code": 204,
        "request_method": "PATCH",
    },
    "parent": {"username": "Alice", "user_is_from_parent_site": True, "interface": "dav", "response_code": 500},
    "key": {
        "api_key_id": "77",
        "api_key_prefix": "ab12",
        "api_name": "files.list",
        "request_path": "/api/v1/files/a_b%20c",
        "interface": "restapi",
        "response_code": 200,
        "request_host": "eu.example.com",
        "user_agent": "curl/8.0",
        "request_ip": "10.1.2.3",
    },
    "bare": {"request_ip": "2001:db8::7", "interface": "ftp"},
}


@pytest.fixture
def book(site: Site) -> Site:
    write(site, [entry(request_id=name, **fields) for name, fields in ENTRIES.items()])
    return site


def ask(site: Site, query: str, **kwargs: Any) -> Question:
    return Question.from_query(QueryDict(query), [site], **kwargs)


def found(question: Question) -> set[str]:
    return {row.request_id for row in question.rows()}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "plain failed impersonated parent key bare"),
        ("user=alice", "plain"),
        ("user=1", "plain"),
        ("user=alice,bob", "plain impersonated"),
        ("user=alice&user=bob", "plain impersonated"),
        ("user=svc-*", "failed"),
        ("user=*l*", "plain failed parent"),
        ("-user=alice", "failed impersonated parent key bare"),
        ("-user=svc-*,bob", "plain parent key bare"),
        ("user=%3D1", ""),
        ("user=%3Dalice,%3Dbob", "plain impersonated"),
        ("user=%3Dsvc-*", "failed"),
        ("-user=%3Dalice", "failed impersonated parent key bare"),
        ("-user=%3D1", "plain failed impersonated parent key bare"),
        ("impersonator=%3D1", ""),
        ("key=%3Dab12", ""),
        ("key=%3D77", "key"),
        ("q=user:%3Dalice", "plain"),
        ("user=\\%3Dalice", ""),
        ("impersonator=alice", "impersonated"),
        ("impersonator=1", "impersonated"),
        ("is=impersonated", "impersonated"),
        ("is=parent", "parent"),
        ("is=parent,impersonated", "parent impersonated"),
        ("-is=impersonated", "plain failed parent key bare"),
        ("interface=dav", "parent"),
        ("interface=WebDAV", "parent"),
        ("status=Failure", "failed parent"),
        ('code="200"', "plain key"),
        ("interface=sftp,ftp", "failed bare"),
        ("interface=*ftp", "failed bare"),
        ("key=77", "key"),
        ("key=ab1*", "key"),
        ("api=files.*", "key"),
        ("method=PATCH", "impersonated"),
        ("path=/api/v1/files/*", "key"),
        ("path=/api/v1/files/a_b%2520c", "key"),
        ("path=/api/v1/files/aXb*", ""),
        ("ip=10.0.0.0/8", "key"),
        ("ip=2001:db8::/32", "bare"),
        ("ip=10.1.2.3,2001:db8::7", "key bare"),
        ("-ip=10.0.0.0/8", "plain failed impersonated parent bare"),
        ("request=plain", "plain"),
        ("host=*.example.com", "key"),
        ("code=403", "failed"),
        ("code=400..499,500", "failed parent"),
        ("code=>=400", "failed parent"),
        ("-code=200", "failed impersonated parent bare"),
        ("code=<=99999", "plain failed impersonated parent key"),
        ("code=403..99999", "failed parent"),
        ("-code=<=99999", "bare"),
        ("code=>99999", ""),
        ("duration=<9999999999", "plain failed"),
        ("-duration=..9999999999", "impersonated parent key bare"),
        ("duration=..2147483647", "plain failed"),
        ("agent=curl*", "key"),
        ("type=not-authorized/permission-denied", "failed"),
        ("type=not-authorized/*", "failed"),
        ("type=permission-denied", ""),
        ("-type=not-authorized/*", "plain impersonated parent key bare"),
        ("error=permission", "failed"),
        ("error=permission denied", "failed"),
        ("status=failure", "failed parent"),
        ("status=success", "plain impersonated key bare"),
        ("-status=success", "failed parent"),
        ("duration=>2000", "failed"),
        ("duration=..2000", "plain"),
        ("-duration=>2000", "plain impersonated parent key bare"),
        ("status=failure&interface=sftp", "failed"),
        ("user=Alice&status=success", ""),
    ],
)
def test_a_key_finds_what_it_says(book, query, names):
    question = ask(book, query)
    assert found(question) == set(names.split())
    assert answers.total(question).count == len(names.split())
    assert {row.request_id for row in pages.fetch(question).rows} == set(names.split())


def test_what_was_done_in_gatebook_itself_can_be_left_out(site):
    write(site, [entry(request_id="own", user_id=f"{OWN_ACCOUNT}7", username="alice"), entry(request_id="theirs")])
    assert found(ask(site, "q=-user:gatebook:*")) == {"theirs"}


PATHS = {
    "encoded": "/Shared/price%20list%207516.xlsx",
    "plain": "/Finance/price list 7516.xlsx",
    "accents": "/Legal/r%C3%A9sum%C3%A9-1304.pdf",
    "lower": "/legal/r%c3%a9sum%c3%a9.pdf",
    "capital": "/Berichte/%C3%9Cbersicht.pdf",
    "likeness": "/Shared/price%2010list",
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"price list"', "encoded plain"),
        ('"Price List 7516"', "encoded plain"),
        ('"price l*.xlsx"', "encoded plain"),
        ("price%20list", "encoded"),
        ("résumé", "accents lower"),
        ("RÉSUMÉ", "accents lower"),
        ("übersicht", "capital"),
        ('-"price list"', "accents lower capital likeness"),
        ('path:"*/price list*"', "encoded plain"),
        ('path:"/Shared/price list 7516.xlsx"', "encoded"),
        ('path:"/Finance/price list 7516.xlsx",*résumé*', "plain accents"),
        ("path:/Berichte/*übersicht*", ""),
        ('-path:"* list*"', "accents lower capital likeness"),
        (r"path:\**", ""),
    ],
)
def test_a_path_is_found_by_its_name_as_people_write_it(site, text, names):
    write(site, [entry(request_id=name, request_path=path) for name, path in PATHS.items()])
    query = QueryDict(mutable=True)
    query["q"] = text
    question = ask(site, query.urlencode())
    assert found(question) == set(names.split())
    assert answers.total(question).count == len(names.split())


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ("q=report", 1),
        ("q=-50%25_*x", 1),
        ("path=/api/*/a%2520b", 1),
        ("-path=/a?b=[c],/d", 2),
        ("q=price+list", 2),
        ('q="price list"', 2),
        ("q=é", 3),
        ("path=/a b/é*", 2),
        ("-path=/a b", 2),
    ],
)
def test_a_path_is_compared_with_a_second_spelling_only_where_there_is_one(site, query, times):
    asked = str(ask(site, query).rows().query)
    assert len(re.findall(r'request_path"? (?:LIKE|ILIKE|=)', asked)) == times


@pytest.mark.parametrize(
    ("query", "key", "sentence"),
    [
        ("bogus=1", "bogus", "is not a search key, expected one of user"),
        ("code=4xx", "code", "4xx is not a number or range"),
        ("ip=10.0.0.300", "ip", "10.0.0.300 is not an IP address or network"),
        ("status=broken", "status", "broken is not known, expected success or failure"),
        ("-is=lost", "-is", "lost is not known, expected impersonated or parent"),
        ("last=1y", "last", "1y is not a span of time"),
        ("from=soon", "from", "soon is not a time"),
        ("sort=colour", "sort", "colour is not a column"),
        ("after=rubbish", "after", "is not a place in an answer"),
        ("before=AAAA", "before", "is not a place in an answer"),
        ('user="a', "user", "never closed"),
        ("user=,", "user", "names no value"),
        ("last=1h&last=24h", "last", "more than once"),
    ],
)
def test_a_bad_value_names_its_key_and_what_is_allowed(site, query, key, sentence):
    with pytest.raises(QuestionError) as caught:
        ask(site, query)
    assert sentence in caught.value.errors[key]


def test_every_key_at_fault_is_named_at_once(site):
    with pytest.raises(QuestionError) as caught:
        ask(site, "code=x&ip=y&last=z&bogus=1")
    assert set(caught.value.errors) == {"code", "ip", "last", "bogus"}


@pytest.mark.parametrize("value", ["a\x00b", "'; DROP TABLE x", "%", "ü", "\u202e", "a" * 5000])
def test_hostile_values_are_only_values(book, value):
    query = QueryDict(mutable=True)
    for key in ("user", "path", "error", "agent", "request"):
        query[key] = value
    assert found(Question.from_query(query, [book])) == set()


def test_a_question_sees_its_own_sites_alone(book, other_site):
    make_entry(other_site, request_id="theirs")
    assert "theirs" not in found(ask(book, ""))
    assert found(ask(other_site, "")) == {"theirs"}


def test_what_is_past_the_retention_is_out_of_sight_before_any_purge(site):
    make_entry(site, created_at=ago(days=20), request_id="old")
    make_entry(site, created_at=ago(days=2), request_id="new")
    site.retention_days = 7
    site.save()
    assert found(ask(site, "last=180d")) == {"new"}
    assert found(ask(site, "request=old")) == set()


def test_each_of_several_sites_keeps_its_own_retention(site, child):
    for one in (site, child):
        make_entry(one, created_at=ago(days=20), request_id=f"old-{one.slug}")
        make_entry(one, created_at=ago(days=2), request_id=f"new-{one.slug}")
    child.retention_days = 7
    child.save()
    question = Question.from_query(QueryDict("last=180d"), [site, child])
    assert found(question) == {"old-acme", "new-acme", "new-acme-eu"}


def test_a_request_id_alone_is_found_however_old(site):
    make_entry(site, created_at=ago(days=120), request_id="0b1f")
    assert found(ask(site, "request=0b1f")) == {"0b1f"}
    assert found(ask(site, "request=0b1f&last=24h")) == set()


def test_counting_stops_at_its_limit(site, monkeypatch):
    monkeypatch.setattr(answers, "COUNT_LIMIT", 5)
    write(site, [entry(username="alice") for _ in range(5)])
    assert str(answers.total(ask(site, "user=alice"))) == "5"
    make_entry(site, username="alice")
    assert str(answers.total(ask(site, "user=alice"))) == "5+"
    assert str(answers.total(ask(site, ""))) == "6", "a roll-up knows"


@given(st.dictionaries(st.sampled_from(["user", "-path", "error"]), st.text(min_size=1), max_size=3))
def test_a_link_carries_the_whole_question(site, texts):
    query = QueryDict(mutable=True)
    query["last"] = "24h"
    for key, value in texts.items():
        query[key] = exactly(value.encode("utf-8", "ignore").decode().replace("\x00", "") or "x")
    try:
        question = Question.from_query(query, [site])
    except QuestionError:  # blanks alone name no value
        return
    assert QueryDict(question.query()) == query


def test_a_resolved_link_asks_the_same_again(book):
    question = ask(book, "last=24h&status=failure")
    make_entry(book, request_id="later", response_code=500, created_at=ago(minutes=0))
    again = ask(book, question.query(resolved=True))
    assert again.time == question.time
    assert found(again) == {"failed", "parent"}
