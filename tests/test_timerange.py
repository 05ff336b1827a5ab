"""Which time a question covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from auditlog.search import timerange
from auditlog.search.errors import QuestionError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RETENTION = timedelta(days=180)
BERLIN = ZoneInfo("Europe/Berlin")


def resolve(**params: str) -> tuple[str, str]:
    found = timerange.resolve({key.rstrip("_"): value for key, value in params.items()}, NOW, RETENTION)
    return timerange.written(found.start), timerange.written(found.end)


@pytest.mark.parametrize(
    ("params", "start", "end"),
    [
        ({}, "2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z"),
        ({"last": "15m"}, "2026-11-23T11:45:00Z", "2026-11-23T12:00:00Z"),
        ({"last": "30d"}, "2026-10-24T12:00:00Z", "2026-11-23T12:00:00Z"),
        ({"from_": "2026-11-20", "to": "2026-11-20"}, "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        ({"from_": "2026-11-20T10:00:00+02:00"}, "2026-11-20T08:00:00Z", "2026-11-23T12:00:00Z"),
        ({"to": "2026-11-20T10:00:00.5Z"}, "2026-05-27T12:00:00Z", "2026-11-20T10:00:00.500000Z"),
        ({"request": "0b1f"}, "2026-05-27T12:00:00Z", "2026-11-24T12:00:00Z"),
        ({"request": "0b1f", "last": "1h"}, "2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z"),
    ],
)
def test_the_range_a_question_covers(params, start, end):
    assert resolve(**params) == (start, end)


@pytest.mark.parametrize(
    ("params", "key", "sentence"),
    [
        ({"last": "2h"}, "last", "expected one of 15m, 1h, 24h, 7d, 30d, 180d"),
        ({"last": "1h", "from_": "2026-11-20"}, "last", "cannot be combined"),
        ({"from_": "yesterday"}, "from", "yesterday is not a time, expected"),
        ({"to": "2026-02-30"}, "to", "2026-02-30 is not a time"),
        ({"from_": "0001-01-01T00:00:00+10:00"}, "from", "is not a time"),
        ({"from_": "0001-01-01T00:00:00Z"}, "from", "is not a time"),
        ({"to": "9999-12-31"}, "to", "is not a time"),
        ({"from_": "2026-11-22", "to": "2026-11-20"}, "from", "is not before"),
    ],
)
def test_a_range_that_makes_no_sense_names_its_key(params, key, sentence):
    with pytest.raises(QuestionError) as caught:
        resolve(**params)
    assert sentence in caught.value.errors[key]


def test_a_time_without_a_zone_is_the_readers():
    times = {"from": "2026-11-20T10:00", "to": "2026-11-20T12:00:00Z"}
    assert timerange.in_utc(times, BERLIN) == {"from": "2026-11-20T09:00:00Z"}


def test_a_day_without_a_zone_is_the_readers_whole_day():
    assert timerange.in_utc({"from": "2026-07-01", "to": "2026-07-01"}, BERLIN) == {
        "from": "2026-06-30T22:00:00Z",
        "to": "2026-07-01T22:00:00Z",
    }
