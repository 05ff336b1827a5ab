"""Closing days: what it adds, that it can be interrupted, and that a closed day still takes entries."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from auditlog.models import ApiRequestLog
from auditlog.search.snapshot import one_snapshot
from auditlog.store import closing, partitions, retention
from auditlog.store.writer import write
from tests.book import ago, entry, in_another_connection, make_entry

pytestmark = pytest.mark.django_db(transaction=True)


def indexes_of(day: date) -> dict[str, bool]:
    """The look-up indexes of a day, each with whether it is valid."""
    name = partitions.partition_of(day).name
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = to_regclass(%s)", [name]
        )
        return {
            index.removeprefix(f"{name}_"): valid
            for index, valid in cursor.fetchall()
            if index.removeprefix(f"{name}_") in closing.LOOK_UPS
        }


def test_a_day_that_is_over_gets_its_look_ups_and_today_does_not(site):
    make_entry(site, created_at=ago(days=3))
    make_entry(site)
    assert closing.close_days() == [ago(days=3).date()]
    assert indexes_of(ago(days=3).date()) == dict.fromkeys(closing.LOOK_UPS, True)
    assert indexes_of(datetime.now(UTC).date()) == {}
    assert ago(days=3).date() not in {day.day for day in closing.open_days()}


def test_closing_again_does_nothing(site):
    make_entry(site, created_at=ago(days=3))
    closing.close_days()
    assert closing.close_days() == []


def test_a_day_is_not_closed_before_its_spools_are_shipped(site):
    make_entry(site, created_at=ago(days=3))
    midnight = partitions.partition_of(ago(days=3).date()).end
    assert closing.close_days(midnight + closing.GRACE - timedelta(seconds=1)) == []
    assert closing.close_days(midnight + closing.GRACE) == [ago(days=3).date()]


def test_a_closed_day_still_takes_late_entries(site):
    moment = ago(days=3)
    make_entry(site, created_at=moment, username="early")
    closing.close_days()
    make_entry(site, created_at=moment, username="late")
    assert set(ApiRequestLog.objects.values_list("username", flat=True)) == {"early", "late"}


def test_a_month_has_its_look_ups_while_it_runs_and_is_closed_when_it_is_over(site, settings):
    settings.PARTITIONS = "month"
    make_entry(site, username="early")
    today = datetime.now(UTC).date()
    month = partitions.partition_of(today)
    assert closing.close_days() == []
    assert indexes_of(today) == dict.fromkeys(closing.LOOK_UPS, True)
    make_entry(site, username="late")
    assert set(ApiRequestLog.objects.values_list("username", flat=True)) == {"early", "late"}
    assert month in closing.open_days()
    assert closing.close_days(month.end + closing.GRACE) == [month.day]
    assert month not in closing.open_days()


def test_an_interrupted_close_is_found_and_finished(site, monkeypatch):
    day = ago(days=3).date()
    write(site, [entry(created_at=ago(days=3), username=f"user-{number}") for number in range(50)])
    definitions = dict(closing.LOOK_UPS)
    broken = dict(list(definitions.items())[:2]) | {"api_key_id": "((1 / (site_id - site_id)))"}
    monkeypatch.setattr(closing, "LOOK_UPS", broken)
    with pytest.raises(Exception, match="division by zero"):
        closing.close_days()
    monkeypatch.setattr(closing, "LOOK_UPS", definitions)
    assert indexes_of(day) == {"user_id": True, "username": True, "api_key_id": False}
    assert closing.close_days() == [day]
    assert indexes_of(day) == dict.fromkeys(definitions, True)


def test_an_index_that_comes_with_an_upgrade_reaches_the_old_days(site, monkeypatch):
    make_entry(site, created_at=ago(days=3))
    closing.close_days()
    monkeypatch.setattr(closing, "_NOTE", "closed: and one more")
    assert closing.close_days() == [ago(days=3).date()]


def test_a_day_held_by_a_long_reader_is_left_for_the_next_run(site, monkeypatch):
    make_entry(site, created_at=ago(days=3))
    monkeypatch.setattr(closing, "PATIENCE", "100ms")
    with one_snapshot():
        ApiRequestLog.objects.count()  # a snapshot that CREATE INDEX CONCURRENTLY has to wait for
        assert in_another_connection(closing.close_days) == []
    assert closing.close_days() == [ago(days=3).date()]


def test_a_second_run_beside_a_running_one_does_nothing(site):
    make_entry(site, created_at=ago(days=3))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [closing._CLOSER_LOCK])
        assert in_another_connection(closing.close_days) == []
        cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [closing._CLOSER_LOCK])


def test_a_day_that_is_purged_meanwhile_is_left_out(site, monkeypatch):
    make_entry(site, created_at=ago(days=20))
    make_entry(site, created_at=ago(days=3))
    site.retention_days = 7
    site.save()
    as_before = closing._build

    def purge_first(*arguments):
        retention.purge()
        as_before(*arguments)

    monkeypatch.setattr(closing, "_build", purge_first)
    assert closing.close_days() == [ago(days=3).date()]


def test_the_settings_of_the_connection_come_back(site):
    make_entry(site, created_at=ago(days=3))
    closing.close_days()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("30s",)


def test_the_command_says_what_it_closed(site, capsys):
    make_entry(site, created_at=ago(days=3))
    call_command("catch_up")
    said = capsys.readouterr().out
    assert "1 hours counted anew" in said
    assert "1 days closed" in said
