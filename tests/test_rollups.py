"""Roll-ups behind the writer: whatever happens in whatever order, an answer is a plain count over the rows."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.http import QueryDict
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from auditlog.models import Site, TouchedDay, TouchedHour
from auditlog.models.rollups import DAY, ByInterface
from auditlog.search import answers, sources
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot
from auditlog.store import closing, partitions, retention, rollups
from auditlog.store.alone import alone
from auditlog.store.writer import write
from gatebook.entry import Entry
from tests.book import ago, entry, in_another_connection, make_entry
from tests.test_answers import ROW_FACETS

NOW = datetime.now(UTC)
COLUMNS = ("site_id", "interface", "response_code", "request_method", "api_name", "error_type")


def expected(question: Question) -> dict[str, Counter[object]]:
    """A plain count over the rows, for each column that a roll-up holds."""
    rows = list(question.rows())
    return {name: Counter(getattr(row, name) for row in rows) for name in (*COLUMNS, "success")}


def told(question: Question) -> dict[str, Counter[object]]:
    """The same from the answers, each of which has to come to the same total."""
    facets = {answers.FACETS[key]: answers.facet(question, key) for key in answers.FACETS if key not in ROW_FACETS}
    counts = {column: Counter(dict(facet.values)) for column, facet in facets.items()}
    total, volume = answers.total(question), answers.volume(question)
    assert total == volume.total
    assert {total.count} == {count.total() for count in counts.values()}
    return counts


def check(sites: list[Site], query: str = "last=7d") -> None:
    """Compare every answer with the rows, in one snapshot."""
    with one_snapshot():
        question = Question.from_query(QueryDict(query), sites)
        assert told(question) == expected(question)


entries = st.builds(
    lambda minutes, **fields: entry(created_at=NOW - timedelta(minutes=minutes), **fields),
    st.integers(1, 60 * 24 * 3),
    request_id=st.sampled_from([f"r{number}" for number in range(12)]),
    interface=st.sampled_from(["web", "sftp", None]),
    response_code=st.sampled_from([200, 404, None]),
    request_method=st.sampled_from(["GET", None]),
    api_name=st.sampled_from(["files.list", None]),
    error_type=st.sampled_from(["denied", None]),
    duration_ms=st.sampled_from([None, 0, 3, 4000]),
)


class Interleavings(RuleBasedStateMachine):
    """Writes (late, duplicate, out of order, half done), roll-ups, closes and purges in any order."""

    sites: list[Site]

    @initialize()
    def begin(self) -> None:
        """Start with an empty book."""
        self.sent: list[Entry] = []
        with connection.cursor() as cursor:
            for partition in partitions.attached():
                cursor.execute(f"DROP TABLE {partition.name}")
            for model in (*rollups.TABLES, TouchedHour, TouchedDay):
                cursor.execute(f"TRUNCATE {model._meta.db_table}")

    @rule(number=st.integers(0, 1), batch=st.lists(entries, min_size=1, max_size=20))
    def write(self, number: int, batch: list[Entry]) -> None:
        """Store something new."""
        write(self.sites[number], batch)
        self.sent += batch

    @rule(number=st.integers(0, 1), data=st.data())
    def write_again(self, number: int, data: st.DataObject) -> None:
        """Send again what was sent, perhaps for another site."""
        if self.sent:
            write(self.sites[number], data.draw(st.lists(st.sampled_from(self.sent), max_size=10)) or self.sent)

    @rule(batch=st.lists(entries, min_size=1, max_size=5))
    def break_off_a_write(self, batch: list[Entry]) -> None:
        """Store something, and lose it before the commit."""
        with transaction.atomic():
            write(self.sites[0], batch)
            transaction.set_rollback(True)

    @rule(batch=st.lists(entries, min_size=1, max_size=5), minutes=st.integers(1, 60 * 24 * 3))
    def roll_up_beside_a_writer(self, batch: list[Entry], minutes: int) -> None:
        """The writer's rows are there and not committed while an hour, often its own, is counted."""
        own = rollups.hour_of(batch[0].created_at)
        with transaction.atomic():
            write(self.sites[0], batch)
            in_another_connection(lambda: roll_up_impatiently(own))
            in_another_connection(lambda: check(self.sites))
        self.sent += batch

    @rule()
    def roll_up(self) -> None:
        """Count every marked hour."""
        rollups.roll_up()
        assert not TouchedHour.objects.exists()

    @rule(minutes=st.integers(1, 60 * 24 * 3))
    def roll_up_one_hour(self, minutes: int) -> None:
        """Count one hour, marked or not."""
        rollups.roll_up_hour(rollups.hour_of(NOW - timedelta(minutes=minutes)))

    @rule(days=st.integers(0, 3))
    def sum_up_one_day(self, days: int) -> None:
        """Sum up one day, over or not, marked or not."""
        rollups.roll_up_day(partitions.partition_of((NOW - timedelta(days=days)).date()).start)

    @rule()
    def close(self) -> None:
        """Close the days that are over."""
        closing.close_days()

    @rule(numbers=st.sampled_from([(0,), (1,), (0, 1)]), days=st.integers(1, 2))
    def purge(self, numbers: tuple[int, ...], days: int) -> None:
        """Purge with a shorter retention, of one site or of all, which drops days; then show what is left."""
        for number in numbers:
            self.sites[number].retention_days = days
            self.sites[number].save()
        retention.purge()
        for site in self.sites:
            site.retention_days = 180
            site.save()

    @invariant()
    def every_answer_is_a_plain_count(self) -> None:
        """The promise."""
        if hasattr(self, "sent"):
            check(self.sites)


def roll_up_impatiently(hour: datetime) -> None:
    """Try to count an hour without waiting long for its writers."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20ms'")
    rollups.roll_up_hour(hour)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_any_interleaving_leaves_every_answer_exact(site, other_site):
    Interleavings.sites = [site, other_site]
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=15,
            stateful_step_count=10,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_answers_stay_exact_under_concurrent_writers_and_counters(site, other_site):
    """Three writers (late, duplicate, out of order), two that count, one purge, one reader, all at once."""
    stop = threading.Event()
    dice = random.Random(5)
    batches = [
        [entry(created_at=NOW - timedelta(minutes=dice.randint(1, 400)), interface=dice.choice(["web", "sftp"]))
         for _ in range(dice.randint(1, 60))]
        for _ in range(60)
    ]  # fmt: skip
    other_site.retention_days = 1
    other_site.save()

    done: Counter[int] = Counter()

    def until_stopped(who: int, act: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                act()
                done[who] += 1
        finally:
            stop.set()
            connection.close()

    def send() -> None:
        batch = random.choice(batches)
        write(random.choice([site, other_site]), random.sample(batch, random.randint(1, len(batch))))

    acts = [send, send, send, rollups.roll_up, rollups.roll_up, retention.purge, lambda: check([site, other_site])]
    with ThreadPoolExecutor(len(acts)) as pool:
        running = [pool.submit(until_stopped, *each) for each in enumerate(acts)]
        while not stop.wait(4) and any(done[who] < 4 for who in range(len(acts))):
            pass
        stop.set()
        for one in running:
            one.result()
    check([site, other_site])
    rollups.roll_up()
    assert not TouchedHour.objects.exists()
    check([site, other_site])


def test_roll_ups_not_run_for_a_week_leave_answers_exact(site):
    write(site, [entry(created_at=ago(hours=hours), interface="web") for hours in range(24 * 6)])
    assert not ByInterface.objects.exists()
    check([site])
    rollups.roll_up()
    assert ByInterface.objects.filter(minutes=60).count() == 24 * 6
    check([site])


@pytest.mark.parametrize("sites_purged", [1, 2])
def test_what_was_purged_is_counted_no_more(site, other_site, sites_purged):
    """Of one site its rows are deleted, of all of them the day is dropped; a longer retention shows what is left."""
    sites = [site, other_site]
    for one in sites:
        write(one, [entry(created_at=ago(days=3, hours=hours), interface="web") for hours in range(5)])
    rollups.roll_up()
    for retention_days in (1, 180):
        for one in sites[:sites_purged]:
            one.retention_days = retention_days
            one.save()
        retention.purge()
    check(sites)
    with one_snapshot():
        assert answers.total(Question.from_query(QueryDict("last=7d"), sites)).count == 5 * (2 - sites_purged)


def test_a_day_that_is_over_is_answered_from_its_sum_and_what_came_later_from_its_hours(site):
    yesterday = partitions.partition_of(ago(days=1).date())
    write(site, [entry(created_at=hour, interface="web") for hour in yesterday.hours()])
    whole_day = f"from={yesterday.day}&to={yesterday.day}"
    rollups.roll_up()
    assert [group.requests for group in ByInterface.objects.filter(minutes=DAY.total_seconds() // 60)] == [24]
    assert [source.rows.first().minutes for source in asked(site, whole_day)] == [24 * 60]
    make_entry(site, created_at=yesterday.start)
    check([site], whole_day)
    assert rollups.roll_up_hour(yesterday.start)
    assert [source.rows.first().minutes for source in asked(site, whole_day)] == [60]
    check([site], whole_day)
    assert rollups.roll_up_day(yesterday.start)
    assert [source.rows.first().minutes for source in asked(site, whole_day)] == [24 * 60]
    check([site], whole_day)


def asked(site: Site, query: str) -> list[sources.Source]:
    """Where the total of a question is counted."""
    return sources.sources(Question.from_query(QueryDict(query), [site]))


@pytest.mark.django_db(transaction=True)
def test_a_second_run_beside_a_running_one_does_nothing(site):
    make_entry(site)
    with alone(rollups._ROLLER_LOCK):
        assert in_another_connection(rollups.roll_up) == 0
    assert rollups.roll_up() == 1


def test_a_day_is_not_summed_up_while_hours_wait_to_be_counted(site):
    yesterday = partitions.partition_of(ago(days=1).date())
    make_entry(site, created_at=yesterday.start)
    assert not rollups.roll_up_day(yesterday.start)


def test_the_running_day_is_not_summed_up(site):
    make_entry(site, created_at=ago(minutes=0))
    rollups.roll_up()
    assert not ByInterface.objects.filter(minutes=24 * 60).exists()
    assert TouchedDay.objects.exists()


def test_roll_ups_of_a_removed_site_are_forgotten(site, other_site):
    for one in (site, other_site):
        make_entry(one)
    rollups.roll_up()
    other_site.delete()
    rollups.forget_sites()
    assert set(ByInterface.objects.values_list("site_id", flat=True)) == {site.pk}


def test_an_hour_is_counted_once_however_often(site):
    make_entry(site, interface="web")
    hour = rollups.hour_of(ago(minutes=10))
    assert rollups.roll_up_hour(hour)
    assert rollups.roll_up_hour(hour)
    assert [group.requests for group in ByInterface.objects.filter(minutes=60)] == [1]


@pytest.mark.django_db(transaction=True)
def test_an_hour_that_somebody_else_is_counting_is_left_to_them(site):
    make_entry(site)
    hour = rollups.hour_of(ago(minutes=10))
    with transaction.atomic():
        assert rollups.roll_up_hour(hour)
        assert in_another_connection(lambda: rollups.roll_up_hour(hour)) is False
    assert rollups.roll_up() == 0


@pytest.mark.django_db(transaction=True)
def test_counting_waits_for_a_writer_that_has_not_committed(site):
    written = entry()
    hour = rollups.hour_of(written.created_at)
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            write(site, [written])
            make_entry(site)
            counting = elsewhere.submit(lambda: (rollups.roll_up_hour(hour), connection.close()))
            with pytest.raises(TimeoutError):
                counting.result(0.3)
        counting.result(10)
    check([site])


def test_a_book_from_before_the_roll_ups_is_counted_from_its_rows_until_they_are_made(site):
    make_entry(site, interface="web")
    TouchedHour.objects.all().delete()
    with connection.cursor() as cursor:
        for model in rollups.TABLES:
            cursor.execute(f"DROP TABLE {model._meta.db_table}")
    import_module("auditlog.migrations.0003_roll_ups").create(apps, None)
    check([site])
    assert TouchedHour.objects.filter(hour=rollups.hour_of(ago(minutes=10))).exists()
    rollups.roll_up()
    check([site])


def test_a_batch_over_many_days_takes_few_locks(site):
    partitions.ensure_days(ago(days=days).date() for days in range(150))
    with transaction.atomic(), connection.cursor() as cursor:
        rollups.mark(cursor, [rollups.hour_of(ago(hours=hours)) for hours in range(24 * 150)])
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7002")
        assert cursor.fetchone()[0] <= 256
