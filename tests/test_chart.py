"""The chart: a volume becomes bars that stand where and as high as they should, and labels one can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from auditlog.dashboard import chart
from auditlog.search.answers import Bucket, Volume
from auditlog.search.buckets import cut
from auditlog.search.timerange import TimeRange, written

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def volume(*counts: tuple[int, int], step: timedelta = timedelta(minutes=30)) -> Volume:
    """Buckets side by side from noon on, each with its successes and failures."""
    return Volume(
        tuple(
            Bucket(TimeRange(NOON + number * step, NOON + (number + 1) * step), *each)
            for number, each in enumerate(counts)
        )
    )


def drawn(what: Volume, zone=UTC) -> chart.Chart:
    return chart.draw(what, zone, lambda time: f"{written(time.start)}/{written(time.end)}")


def axis(length: timedelta, zone=UTC, end: datetime = NOON) -> list[str]:
    """The labels of an axis of that length."""
    parts = cut(TimeRange(end - length, end), zone)
    return [label.words for label in drawn(Volume(tuple(Bucket(time, 0, 0) for time in parts.ranges)), zone).labels]


def test_failures_stand_on_the_baseline_and_successes_on_them():
    bar, _ = drawn(volume((60, 20), (0, 0))).bars
    assert float(bar.failures.y) + float(bar.failures.height) == chart.BASELINE
    assert float(bar.successes.y) + float(bar.successes.height) == float(bar.failures.y) - chart.GAP
    assert float(bar.failures.height) == chart.PLOT_HEIGHT / 4


def test_the_tallest_bar_fills_the_plot_and_the_others_compare():
    tall, half, none = drawn(volume((200, 0), (100, 0), (0, 0))).bars
    assert float(tall.successes.height) == chart.PLOT_HEIGHT
    assert float(half.successes.height) == chart.PLOT_HEIGHT / 2
    assert none.successes is none.failures is None


@pytest.mark.parametrize("counts", [(1, 0), (0, 1), (1, 100_000), (100_000, 1), (50_000, 50_000), (1, 1)])
def test_whatever_counts_is_seen_and_nothing_leaves_the_plot(counts):
    _, bar = drawn(volume((100_000, 0), counts)).bars
    for number, part in zip(counts, (bar.successes, bar.failures), strict=True):
        assert (part is not None) == bool(number)
        if part:
            assert float(part.height) >= 1
            assert float(part.y) >= 0
            assert float(part.y) + float(part.height) <= chart.BASELINE


def test_bars_are_as_wide_as_their_time_and_side_by_side():
    parts = cut(TimeRange(NOON - timedelta(hours=23, minutes=50), NOON))
    bars = drawn(Volume(tuple(Bucket(time, 1, 0) for time in parts.ranges))).bars
    assert float(bars[0].x) == 0
    assert sum(float(bar.width) for bar in bars) == pytest.approx(100, abs=0.1)
    assert float(bars[0].width) == pytest.approx(float(bars[1].width) * 2 / 3, abs=0.01)
    for before, after in pairwise(bars):
        assert float(before.x) + float(before.width) == pytest.approx(float(after.x), abs=0.01)


def test_a_bar_says_its_time_its_requests_and_failures():
    bar, _ = drawn(volume((1_203, 1), (0, 0)), BERLIN).bars
    assert bar.said == "24 Nov 13:00 to 13:30: 1,204 requests, 1 failure"
    assert bar.query == "2026-11-24T12:00:00Z/2026-11-24T12:30:00Z"
    assert (bar.utc, bar.counts.count, bar.counts.failures) == ("24 Nov 12:00 to 12:30 UTC", 1_204, 1)


def test_who_reads_in_utc_is_not_told_it_twice():
    assert drawn(volume((1, 0), (0, 0))).bars[0].utc == ""


def hours(start: int, end: int) -> TimeRange:
    """From so many hours after noon to so many."""
    return TimeRange(NOON + timedelta(hours=start), NOON + timedelta(hours=end))


@pytest.mark.parametrize(
    ("time", "twice"),
    [
        (hours(10, 14), hours(8, 16)),
        (hours(16, 20), hours(12, 20)),  # until now
        (hours(17, 19), hours(16, 20)),
        (hours(0, 2), hours(0, 3)),  # all that is kept
        (hours(1, 19), hours(0, 20)),
        (hours(0, 20), None),
        (hours(-5, 25), None),
        (hours(-5, -1), None),
        (hours(10, 30), hours(0, 30)),
    ],
)
def test_zooming_out_doubles_the_time_around_its_middle_as_far_as_there_is_something_to_see(time, twice):
    assert chart.wider(time, hours(0, 20)) == twice


@pytest.mark.parametrize(("first", "last"), [(1970, 2026), (2020, 9990), (1970, 9990)])
def test_zooming_out_of_centuries_knows_no_overflow(first, last):
    time = TimeRange(datetime(first, 1, 1, tzinfo=UTC), datetime(last, 1, 1, tzinfo=UTC))
    more = chart.wider(time, hours(-24_000, 0))
    assert more is None or (more.start <= time.start and more.end >= time.end)


def test_the_chart_says_its_scale_and_an_empty_one_has_none():
    assert (drawn(volume((1_203, 1), (0, 0))).most, drawn(volume((0, 0))).most) == ("1,204", "")
    assert drawn(volume((1, 0), (1, 0))).step_words == "30 minutes"


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        ({"minutes": 15}, ["11:46", "11:48", "11:50", "11:52", "11:54", "11:56", "11:58"]),
        ({"hours": 1}, ["11:00", "11:10", "11:20", "11:30", "11:40", "11:50"]),
        (
            {"hours": 24},
            ["Mon 12:00", "15:00", "18:00", "21:00", "Tue 24 Nov", "03:00", "06:00", "09:00"],
        ),
        ({"days": 7}, ["18 Nov", "19 Nov", "20 Nov", "21 Nov", "22 Nov", "23 Nov", "24 Nov"]),
        ({"seconds": 2}, ["11:59:58.000", "11:59:58.500", "11:59:59.000", "11:59:59.500"]),
    ],
)
def test_labels_stand_at_round_times(span, labels):
    assert axis(timedelta(**span)) == labels


def test_labels_are_of_the_readers_clock():
    assert axis(timedelta(hours=24), ZoneInfo("Asia/Kathmandu"))[:3] == ["Mon 18:00", "21:00", "Tue 24 Nov"]


def test_a_label_near_an_end_is_kept_within_the_chart_sooner_on_a_phone():
    parts = cut(TimeRange(NOON - timedelta(hours=24), NOON))
    for label in drawn(Volume(tuple(Bucket(time, 0, 0) for time in parts.ranges))).labels:
        x = float(label.x)
        assert label.anchor == ("start" if x < 4 else "end" if x > 96 else "middle")
        assert label.narrow == ("start" if x < 9 else "end" if x > 91 else "middle")


def test_labels_bear_the_year_where_the_range_crosses_one():
    assert all(label.endswith(("2025", "2026")) for label in axis(timedelta(days=365)))


@pytest.mark.parametrize("days", [0.00000001, 0.001, 0.4, 1.2, 3, 10, 30, 100, 180, 400, 4_000, 20_000])
def test_any_range_has_a_handful_of_labels_in_order(days):
    length = timedelta(days=days) or timedelta(microseconds=1)
    parts = cut(TimeRange(NOON - length, NOON))
    labels = drawn(Volume(tuple(Bucket(time, 0, 0) for time in parts.ranges))).labels
    assert len(labels) <= chart.MOST_LABELS + 1
    places = [float(label.x) for label in labels]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)])
def test_no_label_is_lost_or_doubled_where_clocks_change(day):
    labels = axis(timedelta(hours=24), BERLIN, end=day)
    assert len(labels) == len(set(labels)) >= 7


@pytest.mark.parametrize(
    ("start", "span", "words"),
    [
        (NOON, {"minutes": 30}, "24 Nov 12:00 to 12:30"),
        (NOON, {"seconds": 90}, "24 Nov 12:00 to 12:01:30"),
        (NOON, {"milliseconds": 500}, "24 Nov 12:00:00.000 to 12:00:00.500"),
        (NOON, {"hours": 14}, "24 Nov 12:00 to 25 Nov 02:00"),
        (datetime(2026, 11, 24, tzinfo=UTC), {"days": 1}, "24 Nov"),
        (datetime(2026, 11, 24, tzinfo=UTC), {"days": 3}, "24 Nov to 26 Nov"),
    ],
)
def test_a_range_is_said_shortly(start, span, words):
    assert chart.range_words(TimeRange(start, start + timedelta(**span)), UTC) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (1_284, 37_612, "3.4 %"),
        (1, 2, "50 %"),
        (1, 5_000, "under 0.1 %"),
        (4_999, 5_000, "over 99.9 %"),
        (3, 3, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part, whole, words):
    assert chart.share_words(part, whole) == words


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ({"minutes": 30}, "30 minutes"),
        ({"hours": 1}, "an hour"),
        ({"days": 3}, "3 days"),
        ({"microseconds": 5}, "one bar"),
    ],
)
def test_a_bar_is_as_long_as_one_says_it(span, words):
    assert chart.span_words(timedelta(**span)) == words
