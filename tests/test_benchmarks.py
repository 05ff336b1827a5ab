"""The benchmark's own reckoning: turns, medians, verdicts, the table, and the month it draws."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from auditlog.models import ApiKey, ApiRequestLog, Scope, Site
from benchmarks import data, measurements, rows_capture, served, timing
from benchmarks.bench import Bench, Disagreement, Measurement, each, run
from benchmarks.capture.contestants import CONTESTANTS, NULL
from benchmarks.data import DAYS, SITES, Plan
from benchmarks.report import Reach, Row, bytes_text, table, time_text
from gatebook.entry import Entry, encode_json

NOW = datetime(2026, 11, 24, 14, 40, 30, tzinfo=UTC)


class AnyBook:
    """Stands for a book that need not be opened."""

    def opened(self) -> Any:
        """Return a context that does nothing."""
        return pytest.MonkeyPatch.context()


@pytest.fixture
def bench() -> Bench:
    return Bench(generator=None, book=AnyBook(), tenth=None, peers=[])


def test_contestants_take_turns_and_nobody_always_comes_second():
    calls: list[str] = []
    timing.alternate({"a": lambda _: calls.append("a"), "b": lambda _: calls.append("b")}, repeats=3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"


def test_each_turn_is_told_its_number():
    turns: list[int] = []
    timing.alternate({"a": turns.append}, repeats=3)
    assert turns == [0, 0, 1, 2]


def test_the_median_counts_and_one_slow_moment_does_not(monkeypatch):
    moments = iter([0, 1, 10, 11, 20, 99, 100, 101, 200, 201])
    monkeypatch.setattr(timing, "perf_counter", lambda: next(moments))
    assert timing.alternate({"a": lambda _: None}, repeats=5) == {"a": 1}


@pytest.mark.parametrize(
    ("reach", "ratio", "met"),
    [
        (Reach(50), 50.0, True),
        (Reach(50), 49.9, False),
        (Reach(1.3, is_most=True), 1.3, True),
        (Reach(1.3, is_most=True), 1.31, False),
        (None, 7.0, None),
    ],
)
def test_a_ratio_is_met_or_not_or_only_reported(reach, ratio, met):
    assert Row("x", "1 s", "2 s", ratio, reach).met is met


def test_the_table_has_a_line_for_each_row_and_aligned_columns():
    lines = table([Row("chart", "2 ms", "rows: 1 s", 500.0, Reach(50)), Row("page", "31 ms")]).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["chart", "2 ms", "rows: 1 s", "500", "≥ 50", "yes"]
    assert lines[3].rstrip("| ").endswith("report")


def test_a_measurement_that_breaks_off_is_a_row_that_says_why_and_keeps_the_earlier_ones(bench):
    def measure(_: Bench) -> Iterator[Row]:
        yield Row("first", "1 s")
        raise LookupError("no such\nindex")

    first, broken = run(Measurement("pages", measure), bench)
    assert first.what == "first"
    assert broken.cells() == ("pages", "not measured", "LookupError: no such index", "", "", "NO")
    assert broken.as_json()["met"] is False


def test_a_subject_that_breaks_off_leaves_the_others_standing():
    def fails() -> list[Row]:
        raise ValueError("away")

    rows = list(each([("a", fails), ("b", lambda: [Row("b", "1 s")])]))
    assert [(row.what, row.met) for row in rows] == [("a", False), ("b", None)]


def test_only_what_is_named_runs_and_an_unknown_name_is_refused():
    assert [one.name for one in measurements.chosen(["csv", "pages"])] == ["pages", "csv"]
    assert len(measurements.chosen([])) == len(measurements.MEASUREMENTS)
    with pytest.raises(ValueError, match="names chart, expected some of answers, capture, csv"):
        measurements.chosen(["chart"])


def test_a_plan_is_whole_days_up_to_now_and_its_rows_add_up():
    plan = Plan(1_000_003, NOW)
    days = plan.days()
    assert [day.day for day in days] == [NOW.date() - timedelta(days=29 - number) for number in range(DAYS)]
    assert sum(day.rows for day in days) == plan.rows
    assert all(day.first == sum(one.rows for one in days[:number]) for number, day in enumerate(days))
    assert max(day.rows for day in days[:-1]) - min(day.rows for day in days[:-1]) <= 1
    assert 0 < days[-1].rows < days[0].rows
    assert plan.hours()[0] == plan.start
    assert plan.hours()[-1] == NOW.replace(minute=0, second=0)


def test_weights_are_shares_of_everything():
    for weights in (SITES, data.INTERFACES, data.SUCCESSES, data.MISTAKES):
        assert sum(weights.values()) == pytest.approx(1)
    assert set(data.ERROR_TYPES) == set(data.MISTAKES)


@pytest.mark.slow
def test_a_drawn_day_is_in_order_within_its_day_and_the_same_each_time():
    pytest.importorskip("duckdb", reason="duckdb draws the rows; try: pip install -r requirements/bench.txt")
    today = Plan(60_000, NOW).days()[-1]
    rows = list(data.Generator().rows(today))
    assert rows == list(data.Generator().rows(today))
    keys = [(row["created_at"], row["site_id"], row["request_id"]) for row in rows]
    assert keys == sorted(keys)
    assert len({key[2] for key in keys}) == len(rows) == today.rows
    assert keys[0][0].date() == NOW.date()
    assert keys[-1][0] < NOW.replace(tzinfo=None)
    assert 0.04 < sum(row["error_type"] is not None for row in rows) / len(rows) < 0.08
    assert 0.75 < sum(row["site_id"] == 1 for row in rows) / len(rows) < 0.85


@pytest.fixture
def recorders(transactional_db: None) -> Iterator[None]:
    """The database that contestants of `capture` record into."""
    with rows_capture.database():
        yield


needs_peers = pytest.mark.skipif(
    any(find_spec(package) is None for package in ("rest_framework", "drf_api_logger", "easyaudit", "request")),
    reason="the recording peers are not installed; try: pip install -r requirements/bench.txt",
)


@pytest.mark.slow
@needs_peers
@pytest.mark.usefixtures("recorders")
def test_every_contestant_serves_the_same_and_has_recorded_it():
    scenario = rows_capture.SCENARIOS[0]
    rows = rows_capture.scenario_rows(scenario, turns=1, turn_seconds=0.05)
    assert all(row.what.startswith(f"capture, {scenario.name}: ") for row in rows)
    assert [row.reach is not None for row in rows] == [True, True, False, False]
    assert all(name in row.compared for row in rows[1:] for name in CONTESTANTS if name not in ("bare", "Gatebook"))


@pytest.mark.slow
@needs_peers
@pytest.mark.usefixtures("recorders")
def test_a_contestant_that_records_too_little_is_not_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(rows_capture, "LONGEST_WAIT_SECONDS", 0.1)
    sloth = replace(NULL, recorded="SELECT 0")
    with (
        rows_capture.Server(sloth, rows_capture.SCENARIOS[0], str(tmp_path)) as server,
        pytest.raises(Disagreement, match="null middleware has recorded 0 of 1 requests"),
    ):
        server.probe()


@pytest.fixture
def served_door(transactional_db: None, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """The port of a web server on the tests' own database."""
    name = connection.settings_dict["NAME"]
    monkeypatch.setenv("DATABASE_URL", f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}")
    with served.web_server(tmp_path / "web.log") as port:
        yield port


@pytest.mark.slow
def test_what_several_senders_send_over_http_is_in_the_book(served_door, site):
    _, secret = ApiKey.objects.issue(site, "benchmark", [Scope.INGEST])
    headers = {"X-FilesAPI-Key": secret, "Content-Type": "application/x-ndjson"}

    def body(number: int) -> bytes:
        return encode_json(Entry(created_at=datetime.now(UTC), request_id=f"r{number}"))

    served.send_at_once(served_door, headers, [[body(1), body(2)], [body(3), body(4)]], entries=1)
    assert set(ApiRequestLog.objects.values_list("request_id", flat=True)) == {"r1", "r2", "r3", "r4"}
    twice = body(5)
    with pytest.raises(Disagreement, match=r'"accepted": 0, "duplicates": 1'):
        served.send_at_once(served_door, headers, [[twice, twice]], entries=1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00004, "40 µs"), (0.0123, "12.3 ms"), (3.456, "3.46 s"), (123.4, "123 s"), (-0.002, "-2 ms"), (-1e-7, "0 µs")],
)
def test_times_are_written_in_the_unit_that_reads_best(seconds, text):
    assert time_text(seconds) == text


def test_sizes_are_written_in_the_unit_that_reads_best():
    assert [bytes_text(size) for size in (12, 2_500, 3_400_000, 5e9)] == ["12 bytes", "2.5 kB", "3.4 MB", "5 GB"]
