"""How the page's queries are answered: by which index, and from how many partitions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from auditlog.models import ApiRequestLog, Site
from auditlog.models.rollups import HOUR
from auditlog.search import answers, around, entries, overview, pages
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot
from auditlog.store import closing, partitions, rollups
from tests.book import ago
from tests.test_answers import ROW_FACETS

DAYS = 12
ROWS_A_DAY = 6_000

# One entry in ten of `big` fails; user, address and key are one of a thousand; `as2` is rare.
ROWS = f"""
INSERT INTO {partitions.TABLE} (created_at, site_id, request_id, username, user_id, request_ip, api_key_id,
    api_key_prefix, interface, response_code, error_type, error_message, impersonator_username, duration_ms,
    request_path, user_agent, api_name, user_is_from_parent_site)
SELECT day + i * interval '1 second', CASE WHEN i %% 50 = 0 THEN %(small)s ELSE %(big)s END, 'r' || day::date || i,
    'user-' || i * 7919 %% 1000, (i * 7919 %% 1000)::text, '10.0.0.0'::inet + i * 7907 %% 1000,
    'key-' || i * 7901 %% 1000, 'k' || i * 7901 %% 1000,
    CASE WHEN i %% 2000 = 1 THEN 'as2' ELSE 'web' END, CASE WHEN i %% 10 = 1 THEN 500 ELSE 200 END,
    CASE WHEN i %% 10 = 1 THEN 'type-' || i %% 100 END, CASE WHEN i %% 10 = 1 THEN 'message ' || md5(i::text) END,
    CASE WHEN i %% 1000 = 3 THEN 'admin' END, i * 7883 %% 100000, '/path/' || i, repeat('agent ', 10),
    'files.get', false
FROM generate_series(1, {ROWS_A_DAY}) i, CAST(%(day)s AS timestamptz) day
"""


@pytest.fixture(scope="module")
def book(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    """Twelve days, all rolled up and all but today closed."""
    with django_db_blocker.unblock():
        big = Site.objects.create(slug="big", name="Big")
        small = Site.objects.create(slug="small", name="Small")
        days = sorted({ago(days=days).date() for days in range(DAYS)})
        partitions.ensure_days(days)
        with connection.cursor() as cursor:
            for day in days:
                partition = partitions.partition_of(day)
                cursor.execute(ROWS, {"big": big.pk, "small": small.pk, "day": partition.start})
                rollups.mark(cursor, [partition.start, partition.start + HOUR])
                cursor.execute(f"ANALYZE {partition.name}")
            cursor.execute(f"ANALYZE {partitions.TABLE}")
        rollups.roll_up()
        closing.close_days(datetime.now(UTC) + closing.GRACE)
        yield big
        with connection.cursor() as cursor:
            for partition in partitions.attached():
                cursor.execute(f"DROP TABLE {partition.name}")
            cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in rollups.TABLES)}")
        Site.objects.filter(pk__in=[big.pk, small.pk]).delete()


@dataclass
class Plan:
    """What the queries of one act do, all together."""

    indexes: set[str] = field(default_factory=set)
    """Indexes by the questions they serve; of an index that every day has, its columns."""
    days: int = 0
    """Partitions that a single query touches, at most."""
    queries: int = 0
    scanned: set[str] = field(default_factory=set)
    """Partitions of closed days that are read from end to end."""


def plan_of(act: Callable[[], object]) -> Plan:
    """Explain every query about the log that `act` makes."""
    with one_snapshot(), CaptureQueriesContext(connection) as seen:
        act()
    plan = Plan()
    for query in seen.captured_queries:
        if f'FROM "{partitions.TABLE}"' in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql'].replace('%', '%%')}", ())
                found = cursor.fetchone()[0]
            nodes = list(walk((json.loads(found) if isinstance(found, str) else found)[0]["Plan"]))
            plan.queries += 1
            plan.days = max(plan.days, len({node["Relation Name"] for node in nodes if "Relation Name" in node}))
            plan.indexes |= {served(node["Index Name"]) for node in nodes if "Index Name" in node}
            today = partitions.partition_of(ago(minutes=0).date()).name
            plan.scanned |= {
                node["Relation Name"]
                for node in nodes
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] != today
            }
    return plan


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's node and all below it."""
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)


def served(index: str) -> str:
    """Return an index's name without its day."""
    return re.sub(rf"^{partitions.TABLE}_\d{{8}}_|_idx\d*$", "", index)


def ask(site: Site, query: str) -> Question:
    return Question.from_query(QueryDict(query), [site])


@pytest.mark.parametrize(
    ("query", "indexes", "days"),
    [
        ("last=24h", {"pkey"}, 2),  # of a site that has nearly all rows; the next test asks for a small one
        ("last=180d", {"pkey"}, 2),
        ("last=180d&sort=created_at", {"pkey"}, DAYS),
        ("last=30d&user=user-7", {"username", "user_id"}, 9),
        ("last=30d&user=user-7,user-8", {"username", "user_id"}, 9),
        ("last=30d&ip=10.0.0.9", {"request_ip"}, 9),
        ("last=30d&ip=10.0.0.8/30", {"request_ip"}, 9),
        ("last=30d&key=key-5", {"api_key_id", "api_key_prefix"}, 9),
        ("request=r2026", {"request_id"}, DAYS),
        ("last=30d&status=failure&interface=as2", {"interface_failures"}, 9),
        ("last=30d&code=504", {"code_failures"}, 9),
        ("last=30d&error=md5thatisnot", {"error"}, 9),
        ("last=30d&impersonator=nobody", {"impersonated"}, 9),
        ("last=30d&sort=-duration_ms", {"slowest"}, DAYS),
    ],
)
def test_a_page_is_found_by_its_index(db, book, query, indexes, days):
    plan = plan_of(lambda: pages.fetch(ask(book, query)))
    assert indexes <= plan.indexes, plan
    assert plan.days <= days, plan
    assert plan.scanned == set(), plan


def test_who_and_what_is_behind_a_code_is_counted_in_one_look_at_its_rows(db, book):
    question = ask(book, f"from={ago(days=DAYS):%Y-%m-%d}&to={ago(days=1):%Y-%m-%d}&code=504")  # closed days alone
    plan = plan_of(lambda: answers.counted_at_once(question, list(answers.BY_KEY.values())[5:]))
    assert plan.indexes == {"code_failures"}
    assert plan.scanned == set()


@pytest.mark.parametrize("sort", ["-created_at", "created_at"])
def test_who_is_not_met_in_time_is_looked_up(db, book, monkeypatch, sort):
    question = ask(book, f"to={ago(days=1).date()}&user=user-7&sort={sort}")  # closed days alone
    met = [row.request_id for row in pages.fetch(question).rows]
    monkeypatch.setattr(pages, "IN_ORDER_MS", 0)
    plan = plan_of(lambda: pages.fetch(question))
    assert {"username", "user_id"} <= plan.indexes
    assert not plan.indexes & {"pkey", "site_id_created_at"}
    assert [row.request_id for row in pages.fetch(question).rows] == met


@pytest.mark.parametrize("query", ["last=180d", "last=180d&sort=created_at"])
def test_a_page_of_a_small_site_is_found_among_the_rows_of_large_ones(db, book, query):
    plan = plan_of(lambda: pages.fetch(ask(Site.objects.get(slug="small"), query)))
    assert plan.indexes == {"site_id_created_at"}


def test_a_request_id_with_a_wildcard_is_searched_for_slice_by_slice(db, book):
    assert plan_of(lambda: pages.fetch(ask(book, "request=nowhere*"))).days < DAYS


def test_a_page_far_back_begins_at_its_cursor(db, book):
    query = f"from={ago(days=9):%Y-%m-%d}&sort=created_at"
    far = pages.fetch(ask(book, query), 3000).older
    plan = plan_of(lambda: pages.fetch(ask(book, f"{query}&after={far}")))
    assert plan.indexes == {"pkey"}
    assert plan.days <= 2


@pytest.mark.parametrize("query", ["last=7d", "last=7d&status=failure", "last=7d&interface=as2", "last=7d&code=500"])
def test_total_and_chart_touch_the_edges_of_the_time_alone(db, book, query):
    question = ask(book, query)
    assert plan_of(lambda: answers.total(question)).days <= 2
    assert plan_of(lambda: answers.volume(question)).days <= (2 if "code" not in query else DAYS)


@pytest.mark.parametrize("key", [key for key in answers.FACETS if key not in ROW_FACETS])
def test_a_facet_touches_the_edges_of_the_time_alone(db, book, key):
    assert plan_of(lambda: answers.facet(ask(book, "last=7d"), key)).days <= 2


def test_percentiles_and_top_errors_touch_the_edges_of_the_time_alone(db, book):
    question = ask(book, "last=7d")
    assert plan_of(lambda: answers.percentiles(question)).days <= 2
    assert plan_of(lambda: answers.top_errors(question)).days <= 3


def test_the_slowest_requests_are_found_by_their_index(db, book):
    plan = plan_of(lambda: answers.slowest(ask(book, "last=30d")))
    assert "slowest" in plan.indexes
    assert plan.scanned == set()


def test_who_acted_as_whom_is_found_by_its_index(db, book):
    plan = plan_of(lambda: overview.impersonations(ask(book, "last=30d")))
    assert "impersonated" in plan.indexes
    assert plan.scanned == set()


@pytest.mark.parametrize("column", ["interface", "site_id"])
def test_how_requests_ended_touches_the_edges_of_the_time_alone(db, book, column):
    assert plan_of(lambda: overview.outcomes(ask(book, "last=7d"), column)).days <= 2


def test_the_last_entry_of_each_site_is_found_by_an_index(db, book):
    question = Question.from_query(QueryDict(""), list(Site.objects.all()))
    plan = plan_of(lambda: overview.last_received(question))
    assert plan.indexes <= {"pkey", "site_id_created_at"}
    assert plan.scanned == set()
    assert plan.days <= 3


def test_a_page_of_several_sites_is_found_by_its_index(db, book):
    question = Question.from_query(QueryDict("last=180d"), list(Site.objects.all()))
    assert plan_of(lambda: pages.fetch(question)).indexes <= {"pkey", "site_id_created_at"}
    assert plan_of(lambda: answers.volume(question)).days <= 2


@pytest.fixture
def failed(db: None, book: Site) -> ApiRequestLog:
    """A failure of a week ago."""
    day = f"{ago(days=7):%Y-%m-%d}"
    return pages.fetch(ask(book, f"from={day}&to={day}&status=failure")).rows[0]


def test_the_minutes_around_an_entry_are_looked_up_by_its_sender(db, book, failed):
    plan = plan_of(lambda: around.neighbours(book, failed))
    assert plan.indexes == {"username", "user_id"}
    assert plan.days <= 2


def test_the_last_success_is_searched_in_the_day_that_has_it(db, book, failed):
    plan = plan_of(lambda: around.last_success(book, failed, {}))
    assert plan.indexes & {"pkey", "site_id_created_at"}
    assert plan.days <= 2


def test_repeats_touch_the_edges_of_the_time_alone(db, book, failed):
    week = around.ask(book, around.span_around(failed, around.WEEK), around.failure(failed))
    assert plan_of(lambda: around.count(week)).days <= 2
    assert plan_of(lambda: around.seen(book, failed)).days <= 2
    assert plan_of(lambda: around.users(week)).scanned == set()


def test_an_entry_is_found_by_its_key(db, book):
    row = pages.fetch(ask(book, "last=30d")).rows[0]
    plan = plan_of(lambda: entries.find(book, row.request_id, row.created_at.isoformat()))
    assert plan.days == 1
    assert plan.indexes & {"pkey", "request_id"}
