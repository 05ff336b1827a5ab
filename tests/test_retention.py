"""What leaves the book, when, and what stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from auditlog import tasks
from auditlog.models import ApiRequestLog, Site
from auditlog.store import partitions, retention
from auditlog.store.writer import write
from tests.book import ago, entry, in_another_connection, make_entry


def paths() -> set[str]:
    return set(ApiRequestLog.objects.values_list("request_path", flat=True))


def shorten(site: Site, days: int) -> None:
    site.retention_days = days
    site.save()


def test_days_past_every_sites_retention_are_dropped_whole(site, other_site):
    make_entry(site, created_at=ago(days=20), request_path="/old")
    make_entry(site, created_at=ago(days=3), request_path="/new")
    shorten(site, 7)
    shorten(other_site, 10)
    purged = retention.purge()
    assert purged.days == [ago(days=20).date()]
    assert purged.rows == {}
    assert paths() == {"/new"}


def test_rows_of_a_site_with_a_shorter_retention_leave_from_days_that_stay(site, other_site, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 3)
    moment = ago(days=20)
    write(site, [entry(created_at=moment + timedelta(seconds=i), request_path="/short") for i in range(10)])
    make_entry(other_site, created_at=moment, request_path="/long")
    make_entry(site, created_at=ago(days=6), request_path="/kept")
    shorten(site, 7)
    purged = retention.purge()
    assert purged.days == []
    assert purged.rows == {"acme": 10}
    assert paths() == {"/long", "/kept"}


def test_a_dry_run_says_the_same_and_removes_nothing(site, other_site, capsys):
    make_entry(site, created_at=ago(days=90), request_path="/a")
    make_entry(site, created_at=ago(days=20), request_path="/b")
    shorten(site, 7)
    shorten(other_site, 30)
    call_command("purge", "--dry-run")
    said = capsys.readouterr().out
    assert "1 whole days" in said
    assert "would be dropped" in said
    assert "1 entries of acme would be deleted" in said
    assert paths() == {"/a", "/b"}
    call_command("purge")
    assert "1 whole days" in capsys.readouterr().out
    assert paths() == set()


def test_purging_twice_is_harmless(site):
    make_entry(site, created_at=ago(days=20))
    shorten(site, 7)
    tasks.purge()
    tasks.purge()
    assert ApiRequestLog.objects.count() == 0


def test_an_empty_book_has_nothing_to_purge(db):
    assert retention.purge() == retention.Purged()


def test_the_last_instant_of_the_retention_stays(site, other_site):
    now = datetime.now(UTC)
    make_entry(site, created_at=now - timedelta(days=7), request_path="/edge")
    make_entry(site, created_at=now - timedelta(days=7, microseconds=1), request_path="/past")
    shorten(site, 7)
    retention.purge(now)
    assert paths() == {"/edge"}


def test_a_day_past_the_longest_retention_leaves_whole_once_it_is_over(site):
    past = make_entry(site, created_at=ago(days=8))
    shorten(site, 7)
    day = partitions.partition_of(past.created_at.date())
    assert retention.purge(day.end + timedelta(days=7, microseconds=-1)) == retention.Purged()
    assert retention.purge(day.end + timedelta(days=7)).days == [day.day]


@pytest.mark.django_db(transaction=True)
def test_a_day_that_is_being_read_is_left_for_the_next_purge(site):
    make_entry(site, created_at=ago(days=20))
    shorten(site, 7)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {partitions.TABLE}")
        assert in_another_connection(retention.purge).busy == [ago(days=20).date()]
    assert retention.purge().days == [ago(days=20).date()]


@pytest.mark.django_db(transaction=True)
def test_a_second_purge_beside_a_running_one_does_nothing(site):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [retention._PURGE_LOCK])
        assert in_another_connection(retention.purge) is None
        cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [retention._PURGE_LOCK])
