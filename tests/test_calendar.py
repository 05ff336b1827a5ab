"""The reader's calendar: what today, a week and a month are, in days and in moments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from auditlog.dashboard.calendar import Dates, calendar
from auditlog.dashboard.reader import zone_named
from tests.test_log_page import sentence


def on(day: str, monkeypatch) -> dict[str, Dates]:
    """What has a name on a day."""
    monkeypatch.setattr(timezone, "localdate", lambda: date.fromisoformat(day))
    return {dates.name: dates for dates in calendar()}


@pytest.mark.parametrize(
    ("day", "named"),
    [
        (
            "2026-11-28",  # a Saturday
            [
                "today, 28 Nov",
                "yesterday, 27 Nov",
                "this week, 23 Nov to 29 Nov",
                "last week, 16 Nov to 22 Nov",
                "this month, November",
                "last month, October",
            ],
        ),
        (
            "2026-03-02",  # a Monday
            [
                "today, 2 Mar",
                "yesterday, 1 Mar",
                "this week, 2 Mar to 8 Mar",
                "last week, 23 Feb to 1 Mar",
                "this month, March",
                "last month, February",
            ],
        ),
        (
            "2027-01-01",
            [
                "today, 1 Jan",
                "yesterday, 31 Dec 2026",
                "this week, 28 Dec 2026 to 3 Jan 2027",
                "last week, 21 Dec 2026 to 27 Dec 2026",
                "this month, January",
                "last month, December 2026",
            ],
        ),
    ],
)
def test_each_is_said_in_words(day, named, monkeypatch):
    assert [dates.words for dates in on(day, monkeypatch).values()] == named


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [("2028-03-31", "2028-02-01", "2028-02-29"), ("2026-12-31", "2026-11-01", "2026-11-30")],
)
def test_last_month_ends_where_this_one_begins(day, first, last, monkeypatch):
    named = on(day, monkeypatch)
    assert [str(each) for each in (named["last month"].first, named["last month"].last)] == [first, last]
    assert named["last month"].time.end == named["this month"].time.start


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("Europe/Berlin", "2026-10-26", "2026-10-18T22:00", 7 * 24 + 1),
        ("Europe/Berlin", "2026-03-30", "2026-03-22T23:00", 7 * 24 - 1),
        ("Africa/Cairo", "2026-04-28", "2026-04-19T22:00", 7 * 24 - 1),  # one of its days begins at one
        ("UTC", "2026-10-26", "2026-10-19T00:00", 7 * 24),
    ],
)
def test_a_week_in_which_the_clocks_change_has_all_its_hours(zone, day, start, hours, monkeypatch):
    with timezone.override(zone_named(zone)):
        time = on(day, monkeypatch)["last week"].time
    assert time.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert time.end - time.start == timedelta(hours=hours)


def test_a_day_that_begins_at_one_is_said_by_its_name(signed_in, staff, monkeypatch):
    local = timezone.localdate
    monkeypatch.setattr(timezone, "localdate", lambda moment=None: local(moment) if moment else date(2026, 4, 25))
    visitor = signed_in(staff)
    visitor.cookies["gatebook_zone"] = "Africa/Cairo"
    page = visitor.get("/acme/logs/?from=2026-04-24&to=2026-04-24", follow=True).text
    assert "yesterday, 24 Apr" in sentence(page)
    assert 'aria-current="true">Yesterday<' in page
