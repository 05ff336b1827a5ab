"""Long times in slices: together they are the time, each is a few days, and a walk that stops says where."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import OperationalError, connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from auditlog.models import ApiRequestLog
from auditlog.search import answers, pages
from auditlog.search.question import Question
from auditlog.search.slices import MOST_DAYS, slices
from auditlog.search.snapshot import OutOfBudget, budget, one_snapshot, part
from auditlog.search.timerange import TimeRange
from auditlog.store import partitions
from auditlog.store.writer import write
from tests.book import ago, entry

moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


def days_of(time: TimeRange) -> int:
    """How many partitions a range touches."""
    return (time.end - timedelta(microseconds=1)).date().toordinal() - time.start.date().toordinal() + 1


@given(st.tuples(moments, moments).map(sorted), st.booleans())
def test_slices_together_are_the_time(moments, newest_first):
    time = TimeRange(*moments)
    walked = list(slices(time, newest_first=newest_first))
    in_order = walked[::-1] if newest_first else walked
    assert [here.start for here in in_order] == ([time.start] + [here.end for here in in_order])[: len(in_order)]
    assert not in_order or in_order[-1].end == time.end
    assert all(here.start < here.end and days_of(here) <= MOST_DAYS for here in walked)


def test_the_last_24_hours_are_one_slice():
    end = datetime(2026, 11, 24, 14, 37, 12, 345678, tzinfo=UTC)
    assert len(list(slices(TimeRange(end - timedelta(hours=24), end)))) == 1
    assert len(list(slices(TimeRange(end - timedelta(days=180), end)))) == 8


def ask(site, query: str) -> Question:
    return Question.from_query(QueryDict(query), [site])


@pytest.mark.parametrize(
    "query", ["from=1970-01-01&to=9990-12-31&user=x", "to=9990-12-31&path=x", "to=9990-12-31&sort=created_at"]
)
def test_a_walk_keeps_to_the_time_in_which_there_can_be_entries(site, query):
    question = ask(site, query)
    assert len(list(slices(question.reach))) <= 9
    write(site, [entry(username="x", request_path="x", created_at=ago(days=-0.9))])
    assert len(pages.fetch(question).rows) == answers.total(question).count == answers.volume(question).total.count == 1


def test_a_page_that_is_full_looks_no_further(site):
    write(site, [entry() for _ in range(60)])
    with CaptureQueriesContext(
        connection,
    ) as seen:
        pages.fetch(ask(site, "last=180d"))
    assert len([query for query in seen.captured_queries if partitions.TABLE in query["sql"]]) == 1


class EachThirdTakesTooLong:
    """Stands for `part()`."""

    count = 0

    def __enter__(self) -> None:
        EachThirdTakesTooLong.count += 1
        if EachThirdTakesTooLong.count == 3:
            raise OutOfBudget

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("sort", ["-created_at", "created_at"])
def test_a_search_whose_time_is_up_says_how_far_it_came_and_goes_on_from_there(site, monkeypatch, sort):
    """The third slice takes too long; the walk goes on there and meets every row once, in order."""
    write(site, [entry(created_at=ago(days=days, hours=1), request_path=f"day-{days}") for days in range(40)])
    monkeypatch.setattr(pages, "part", EachThirdTakesTooLong)
    walked, cursor, stops = [], "", 0
    while cursor is not None:
        EachThirdTakesTooLong.count = 0
        page = pages.fetch(ask(site, f"last=180d&path=day-*&sort={sort}{cursor}"), 100)
        walked += [row.request_path for row in page.rows]
        stops += page.searched_to is not None
        cursor = page.older and f"&after={page.older}"
    expected = [f"day-{days}" for days in range(40)]
    assert walked == (expected if sort == "-created_at" else expected[::-1])
    assert stops > 1


def test_not_even_a_day_in_time_is_out_of_budget(site):
    write(site, [entry()])
    with pytest.raises(OutOfBudget), one_snapshot(), budget(0):
        pages.fetch(ask(site, "last=180d"))


@pytest.mark.django_db(transaction=True)
def test_a_count_over_180_days_never_holds_the_locks_of_more_than_a_slice(site):
    partitions.ensure_days(ago(days=days).date() for days in range(181))
    write(site, [entry(created_at=ago(days=days, hours=1), username="alice") for days in range(179)])
    question = ask(site, "last=180d&user=alice&-path=x")
    with one_snapshot():
        assert answers.total(question).count == 179
        assert len(pages.fetch(question).rows) == 50
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'")
            assert cursor.fetchone()[0] < 20


@pytest.mark.django_db(transaction=True)
def test_thirty_readers_over_180_days_at_once_give_their_locks_back(site):
    """Held together, they would be ten times what a lock table of the default size takes."""
    days = partitions.ensure_days(ago(days=days).date() for days in range(181))
    write(site, [entry(created_at=ago(days=days, hours=1), username="alice") for days in range(179)])
    together = threading.Barrier(30)
    counted = []

    def read() -> int:
        question = ask(site, "last=180d&user=alice")
        with one_snapshot():
            pages.fetch(question)
            total = answers.total(question).count
            together.wait(60)
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks")
                counted.append(cursor.fetchone()[0])
        connection.close()
        return total

    with ThreadPoolExecutor(30) as readers:
        assert {one.result() for one in [readers.submit(read) for _ in range(30)]} == {179}
    assert max(counted) < 64 * 100 / 2
    assert len(days) == 181


def test_the_end_of_a_part_is_not_stopped_with_it(site):
    """A rollback that is stopped takes the whole page with it; on a busy machine it can last longer than is left."""
    limits = []

    def listen(execute, sql, params, many, context):
        if sql.startswith("ROLLBACK TO"):
            limits.extend(connection.connection.execute("SHOW statement_timeout").fetchone())
        return execute(sql, params, many, context)

    with one_snapshot(), connection.execute_wrapper(listen), budget(10_000):
        ApiRequestLog.objects.exists()
    assert limits == ["0"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("gives_up", [False, True])
def test_a_server_that_goes_at_the_end_of_a_part_is_an_error_of_the_server(gives_up):
    """So the page is asked again over a new connection, as where the server goes in the midst of a part."""

    def lose() -> None:
        backend = connection.connection.info.backend_pid
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])
        if gives_up:
            raise OutOfBudget

    with pytest.raises(OperationalError), one_snapshot(), suppress(OutOfBudget), part():
        lose()
    assert not ApiRequestLog.objects.exists()


def test_a_budget_is_shared_by_the_parts_within_it(site):
    def ten_naps() -> None:
        with budget(150):
            for _ in range(10):
                with part(), connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.05)")

    with one_snapshot(), pytest.raises(OutOfBudget):
        ten_naps()


def test_what_follows_a_stopped_part_is_answered(site):
    write(site, [entry()])
    with one_snapshot():
        with pytest.raises(OutOfBudget), budget(20), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1)")
        assert answers.total(ask(site, "")).count == 1
