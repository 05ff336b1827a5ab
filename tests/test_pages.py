"""Keyset pages: older and newer meet every row once, in every order, also while rows arrive."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict

from auditlog.models import Site
from auditlog.models.log import COLUMNS
from auditlog.search import pages
from auditlog.search.cursor import Cursor
from auditlog.search.errors import QuestionError
from auditlog.search.question import Question
from auditlog.store.writer import write
from tests.book import ago, entry

SIZE = 7


@pytest.fixture
def sites(site: Site, child: Site) -> list[Site]:
    """Two sites that share instants and Request-IDs, and many values that are equal or missing."""
    dice = random.Random(7)
    instants = [ago(minutes=10) - timedelta(seconds=second) for second in range(6)]
    for one in (site, child):
        write(
            one,
            [
                entry(
                    created_at=dice.choice(instants),
                    request_id=f"r{number}",
                    response_code=dice.choice([200, 404, None]),
                    duration_ms=dice.choice([1, 2, 300, None]),
                    username=dice.choice(["alice", "Bob", "ünal", None]),
                    request_ip=dice.choice(["10.0.0.1", "9.0.0.1", "2001:db8::1", None]),
                    error_message=dice.choice(["no", None]),
                    user_is_from_parent_site=dice.random() < 0.5,
                )
                for number in range(40)
            ],
        )
    return [site, child]


def ask(sites: list[Site], sort: str, **cursor: Cursor | None) -> Question:
    query = QueryDict(mutable=True)
    query["sort"] = sort
    for key, value in cursor.items():
        query[key] = str(value)
    return Question.from_query(query, sites)


@pytest.mark.parametrize("sort", [sign + column for column in COLUMNS for sign in ("", "-")])
def test_walking_older_and_back_meets_every_row_once(sites, sort):
    page = pages.fetch(ask(sites, sort), SIZE)
    assert page.newer is None
    walked = [page.rows]
    while page.older:
        page = pages.fetch(ask(sites, sort, after=page.older), SIZE)
        walked.append(page.rows)
    everything = [row.pk for rows in walked for row in rows]
    assert everything == [row.pk for rows in pages.in_turn(ask(sites, sort)) for row in rows]
    assert len(set(everything)) == 80
    back = [page.rows]
    while page.newer:
        page = pages.fetch(ask(sites, sort, before=page.newer), SIZE)
        back.append(page.rows)
    assert [row.pk for rows in reversed(back) for row in rows] == everything


def test_long_texts_sort_by_their_beginning_and_keep_cursors_short(site):
    write(site, [entry(request_path="/" + "x" * 5000 + str(number % 3)) for number in range(20)])
    page = pages.fetch(ask([site], "request_path"), SIZE)
    seen = [row.request_id for row in page.rows]
    while page.older:
        assert len(str(page.older)) < 1000
        page = pages.fetch(ask([site], "request_path", after=page.older), SIZE)
        seen += [row.request_id for row in page.rows]
    assert len(seen) == len(set(seen)) == 20


def test_missing_values_come_last_either_way(sites):
    for sort in ("duration_ms", "-duration_ms"):
        values = [row.duration_ms for rows in pages.in_turn(ask(sites, sort)) for row in rows]
        present = [value for value in values if value is not None]
        assert values == sorted(present, reverse=sort.startswith("-")) + [None] * (len(values) - len(present))


def test_rows_that_arrive_meanwhile_are_neither_skipped_nor_repeated(site):
    write(site, [entry(created_at=ago(minutes=20, seconds=number), request_id=f"a{number:02}") for number in range(20)])
    page = pages.fetch(ask([site], "-created_at"), SIZE)
    seen = [row.request_id for row in page.rows]
    while page.older:
        write(site, [entry(created_at=ago(minutes=1))])
        page = pages.fetch(ask([site], "-created_at", after=page.older), SIZE)
        seen += [row.request_id for row in page.rows]
    assert seen == [f"a{number:02}" for number in range(20)]


def test_a_walk_stays_in_the_range_in_which_it_began(sites):
    first = ask(sites, "-created_at")
    page = pages.fetch(first, SIZE)
    assert ask(sites, "-created_at", after=page.older).time == first.time


def test_other_headings_sort_up_to_a_limit_and_say_so_beyond(sites, monkeypatch):
    monkeypatch.setattr("auditlog.search.pages.SORT_LIMIT", 79)
    refused = pages.fetch(ask(sites, "username"), SIZE)
    assert refused.sort_refused
    assert [row.pk for row in refused.rows] == [row.pk for row in pages.fetch(ask(sites, ""), SIZE).rows]
    assert not pages.fetch(ask(sites, "-duration_ms"), SIZE).sort_refused


def test_a_cursor_of_another_order_is_refused(sites):
    cursor = pages.fetch(ask(sites, "-created_at"), SIZE).older
    with pytest.raises(QuestionError, match="belongs to the order -created_at"):
        ask(sites, "username", after=cursor)


@pytest.mark.parametrize(
    "forged",
    [
        Cursor("response_code", "x", ago(days=0), 1, "r", ago(days=0)),
        Cursor("response_code", 10**30, ago(days=0), 1, "r", ago(days=0)),
        Cursor("request_ip", "no address", ago(days=0), 1, "r", ago(days=0)),
        Cursor("username", "a\x00b", ago(days=0), 1, "r", ago(days=0)),
        Cursor("username", "a", ago(days=0), 10**12, "r", ago(days=0)),
        Cursor("username", "a", ago(days=0), 1, "r\x00", ago(days=0)),
        Cursor("created_at", True, ago(days=0), 1, "r", ago(days=0)),
        Cursor("success", "x", ago(days=0), 1, "r", ago(days=0)),
        Cursor("request_ip", " 1.2.3.4 ", ago(days=0), 1, "r", ago(days=0)),
        Cursor("-created_at", None, ago(days=0), 1, "r", datetime(1, 1, 1, tzinfo=UTC)),
        Cursor("-created_at", None, datetime(9999, 12, 31, tzinfo=UTC), 1, "r", ago(days=0)),
    ],
)
def test_a_forged_cursor_is_refused(sites, forged):
    with pytest.raises(QuestionError, match="is not a place in an answer"):
        ask(sites, forged.sort, after=forged)
