"""Every answer is what a plain count over the rows says, whatever of it comes from roll-ups."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict

from auditlog.models import ApiRequestLog, Site
from auditlog.models.rollups import HOUR
from auditlog.search import answers, buckets, sources
from auditlog.search.answers import FACETS
from auditlog.search.question import Question
from auditlog.search.timerange import TimeRange
from auditlog.store import rollups
from auditlog.store.writer import write
from gatebook.entry import Entry
from tests.book import ago, entry, make_entry


def ask(sites: Site | Sequence[Site], query: str = "", **kwargs: Any) -> Question:
    return Question.from_query(QueryDict(query), [sites] if isinstance(sites, Site) else sites, **kwargs)


def mixed(number: int, span: timedelta, seed: int = 1) -> list[Entry]:
    """Entries of a dozen hours of the last `span`, with few values each, some missing."""
    dice = random.Random(seed)
    now = datetime.now(UTC)
    return [
        entry(
            created_at=now - span * dice.randrange(12) / 12 - timedelta(minutes=50) * dice.random(),
            interface=dice.choice(["web", "sftp", "restapi", None]),
            response_code=dice.choice([200, 200, 201, 404, 500, None]),
            request_method=dice.choice(["GET", "POST", None]),
            api_name=dice.choice(["files.list", "files.get", None]),
            error_type=dice.choice([None, None, "denied", "lost"]),
            username=dice.choice(["alice", "bob", None]),
            request_ip=dice.choice(["10.0.0.1", "2001:db8::1", None]),
            duration_ms=dice.choice([None, 0, 1, 7, 35, 900, 12_000]),
        )
        for _ in range(number)
    ]


@pytest.fixture
def book(site: Site) -> Site:
    """Three days, rolled up but for two hours."""
    write(site, mixed(400, timedelta(days=3)))
    rollups.roll_up()
    write(site, [entry(created_at=ago(hours=30), response_code=503), entry(created_at=ago(minutes=70))])
    return site


ROW_FACETS = ("user", "impersonator", "ip", "key", "host")
"""Facets that are counted from the rows."""
QUESTIONS = (
    "last=7d",
    "last=24h",
    "last=1h",
    "last=7d&status=failure",
    "last=7d&interface=sftp,web&-status=failure",
    "last=7d&-interface=sftp",
    "last=7d&code=404..500",
    "last=7d&api=files.*",
    "last=7d&method=GET",
    "last=7d&user=alice&status=failure",
    "last=7d&interface=sftp&code=404",
    "last=7d&type=d*",
    "last=7d&-type=denied",
    "last=7d&status=failure&q=list -lost",
    "last=7d&q=api:files.* api:*.list",
    "last=7d&code=99999",
)


@pytest.mark.parametrize("query", QUESTIONS)
def test_total_and_volume_count_the_rows(book, query):
    question = ask(book, query)
    rows = list(question.rows())
    assert answers.total(question).count == len(rows)
    volume = answers.volume(question)
    assert (volume.successes, volume.failures) == tuple(
        sum(row.success is success for row in rows) for success in (True, False)
    )
    for bucket in volume.buckets:
        within = [row for row in rows if bucket.time.start <= row.created_at < bucket.time.end]
        assert (bucket.count, bucket.failures) == (len(within), sum(not row.success for row in within))


@pytest.mark.parametrize("query", QUESTIONS)
def test_a_facet_counts_the_rows_that_meet_all_conditions_but_its_own(book, query):
    question = ask(book, query)
    for key, column in FACETS.items():
        counted = Counter(question.rows(without=key).values_list(column, flat=True))
        facet = answers.facet(question, key)
        assert dict(facet.values) == dict(counted), key
        assert [count for _, count in facet.values] == sorted(counted.values(), reverse=True)
        assert not facet.has_more


@pytest.mark.parametrize("query", QUESTIONS)
def test_what_is_counted_in_one_look_is_what_is_counted_apart(book, query):
    question = ask(book, query)
    groupings = {**answers.BY_KEY, "durations": answers.BY_DURATION, "errors": answers.BY_ERROR}
    of_all = {name: by for name, by in groupings.items() if answers.is_of_all(question, by)}
    for name, counts in zip(of_all, answers.counted_at_once(question, list(of_all.values())), strict=True):
        apart = answers.counted(question, of_all[name])
        if name == "errors":  # apart, it is asked where failures are looked for
            counts = Counter({error: requests for error, requests in counts.items() if error[0] is not None})
            apart = Counter({error: requests for error, requests in apart.items() if error[0] is not None})
        assert counts == apart, name


def test_a_facet_names_the_most_frequent_and_says_that_there_are_more(site):
    write(site, [entry(api_name=f"name-{number}") for number in range(answers.FACET_SIZE)])
    write(site, [entry(api_name="frequent"), entry(api_name="frequent")])
    facet = answers.facet(ask(site), "api")
    assert facet.values[0] == ("frequent", 2)
    assert len(facet.values) == answers.FACET_SIZE
    assert facet.has_more


@pytest.mark.parametrize("query", QUESTIONS)
def test_percentiles_are_within_five_percent(book, query):
    question = ask(book, query)
    exact = sorted(ms for ms in question.rows().values_list("duration_ms", flat=True) if ms is not None)
    told = answers.percentiles(question)
    if not exact:
        assert told is None
        return
    assert told.requests == len(exact)
    for share, value in ((0.5, told.p50), (0.95, told.p95), (0.99, told.p99)):
        rank = -(-len(exact) * round(share * 100) // 100)
        assert abs(value - exact[rank - 1]) <= 0.05 * exact[rank - 1]


def test_the_slowest_requests_come_longest_first(book):
    question = ask(book, "last=7d")
    slow = answers.slowest(question, 5)
    exact = sorted((row.duration_ms for row in question.rows() if row.duration_ms is not None), reverse=True)
    assert [row.duration_ms for row in slow] == exact[:5]


def test_top_errors_are_counted_by_api_name_and_interface(book):
    question = ask(book, "last=7d")
    counted = Counter(
        (row.error_type, row.api_name, row.interface) for row in question.rows() if row.error_type is not None
    )
    told = answers.top_errors(question, 100)
    assert {(one.error_type, one.api_name, one.interface): one.requests for one in told} == counted


def test_an_error_that_was_not_there_in_the_period_before_is_new(site):
    make_entry(site, created_at=ago(hours=30), error_type="old", api_name="files.get", response_code=500)
    for error_type, api_name in (("old", "files.get"), ("old", "files.list"), ("fresh", "files.get")):
        make_entry(site, error_type=error_type, api_name=api_name, response_code=500)
    told = {(one.error_type, one.api_name): one.is_new for one in answers.top_errors(ask(site, "last=24h"))}
    assert told == {("old", "files.get"): False, ("old", "files.list"): True, ("fresh", "files.get"): True}


def test_nobody_can_tell_what_is_new_where_the_period_before_is_not_kept(site):
    make_entry(site, error_type="old", response_code=500)
    assert [one.is_new for one in answers.top_errors(ask(site, "last=180d"))] == [None]


def test_sites_with_different_retentions_are_counted_each_in_its_own_time(site, child):
    for one in (site, child):
        write(one, mixed(100, timedelta(days=20)))
    rollups.roll_up()
    child.retention_days = 5
    child.save()
    question = ask([site, child], "last=30d")
    assert answers.total(question).count == answers.volume(question).total.count == question.rows().count()
    assert 100 < question.rows().count() < 150
    assert sum(count for _, count in answers.facet(question, "interface").values) == question.rows().count()


def test_no_site_is_counted_for_another(site, other_site):
    write(other_site, mixed(50, timedelta(hours=5)))
    rollups.roll_up()
    assert answers.total(ask(site)).count == 0
    assert answers.facet(ask(site), "interface").values == ()


def test_many_scattered_marked_hours_are_answered_with_few_ranges(site):
    write(site, mixed(300, timedelta(days=12)))
    rollups.roll_up()
    write(site, [entry(created_at=ago(hours=4 * number + 2)) for number in range(60)])
    question = ask(site, "last=30d")
    assert answers.total(question).count == 360
    assert len(sources._touched(question)[HOUR]) == sources.MOST_RANGES


def test_the_rows_are_not_read_where_the_roll_ups_are_true(site, django_assert_num_queries):
    write(site, mixed(300, timedelta(days=12)))
    rollups.roll_up()
    yesterday = ago(days=1).replace(minute=0, second=0, microsecond=0)
    question = ask(site, f"from={(yesterday - timedelta(days=5)).isoformat()[:-6]}Z&to={yesterday.isoformat()[:-6]}Z")
    assert not any(source.rows.model is ApiRequestLog for source in sources.sources(question))
    ApiRequestLog.objects.all().delete()
    assert answers.total(question).count > 0


@pytest.mark.parametrize(
    ("span", "step"),
    [
        ({"minutes": 15}, {"seconds": 15}),
        ({"hours": 1}, {"minutes": 1}),
        ({"hours": 24}, {"minutes": 30}),
        ({"days": 7}, {"hours": 3}),
        ({"days": 30}, {"hours": 12}),
        ({"days": 180}, {"days": 3}),
        ({"days": 3650}, {"days": 90}),
        ({"microseconds": 5}, {"milliseconds": 1}),
    ],
)
def test_any_range_is_cut_into_about_sixty_buckets(span, step):
    end = datetime(2026, 11, 24, 14, 37, 12, 345678, tzinfo=UTC)
    parts = buckets.cut(TimeRange(end - timedelta(**span), end))
    assert parts.step == timedelta(**step)
    assert len(parts.ranges) <= buckets.MOST_BUCKETS
    assert parts.ranges[0].start == end - timedelta(**span)
    assert parts.ranges[-1].end == end
    assert all(before.end == after.start for before, after in zip(parts.ranges, parts.ranges[1:], strict=False))


def test_buckets_of_days_begin_at_the_readers_midnight_also_across_daylight_saving():
    zone = ZoneInfo("Europe/Berlin")
    time = TimeRange(datetime(2026, 9, 20, 12, tzinfo=UTC), datetime(2026, 11, 15, 12, tzinfo=UTC))
    parts = buckets.cut(time, zone)
    assert {moment.astimezone(zone).hour for moment in parts.boundaries} == {0}
    assert {moment.hour for moment in parts.boundaries} == {22, 23}


def test_a_zone_of_half_hours_gets_the_days_of_utc():
    time = TimeRange(datetime(2026, 9, 20, 12, tzinfo=UTC), datetime(2026, 11, 15, 12, tzinfo=UTC))
    assert {moment.hour for moment in buckets.cut(time, ZoneInfo("Asia/Kolkata")).boundaries} == {0}


def test_facets_from_rows_are_those_that_no_roll_up_holds():
    held = {column for model in rollups.TABLES for column in model.columns()} | sources.IN_EVERY_ROLL_UP
    assert {key for key, column in FACETS.items() if column not in held} == set(ROW_FACETS)
