"""Parts are started in order, kept running, and stopped in the opposite order."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from config.supervisor import Part, Supervisor


@pytest.fixture
def supervisor(tmp_path) -> Iterator[Supervisor]:
    """Make a supervisor of shell scripts."""
    made = Supervisor(tmp_path)
    yield made
    made.stop_all()


def script(name: str, text: str) -> Part:
    return Part(name, lambda log: subprocess.Popen(["sh", "-c", text], stdout=log, stderr=log, start_new_session=True))


def watch_until(supervisor: Supervisor, done) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        for part in supervisor.parts:
            supervisor._look_after(part)
        time.sleep(0.02)


def test_a_part_that_ends_starts_again(supervisor, capsys):
    part = supervisor.start(script("web", "echo started; exec sleep 60"))
    first = part.process
    first.kill()
    first.wait()
    watch_until(supervisor, lambda: part.process not in (None, first))
    assert "web was ended by SIGKILL, starts again in 1 s; see " in capsys.readouterr().out
    assert part.process.poll() is None


@pytest.mark.slow
def test_a_part_that_keeps_ending_is_started_less_and_less_often(supervisor, capsys):
    part = supervisor.start(script("web", "exit 3"))
    watch_until(supervisor, lambda: part.failures == 3)
    said = capsys.readouterr().out
    assert [f"ended with code 3, starts again in {pause} s" in said for pause in (1, 2, 4)] == [True] * 3


def test_parts_stop_in_the_opposite_order(supervisor, tmp_path):
    ended = tmp_path / "ended"
    for name in ("database", "worker", "web"):
        text = f"trap 'echo {name} >> {ended}; exit' TERM; echo ready; while :; do sleep 0.05; done"
        part = supervisor.start(script(name, text))
        supervisor.wait_for(part, lambda: "ready" in supervisor.log_of(part).read_text(), seconds=5)  # noqa: B023
    supervisor.stop_all()
    assert ended.read_text().split() == ["web", "worker", "database"]


def test_a_part_that_ends_before_it_is_ready_stops_the_start(supervisor):
    part = supervisor.start(script("web", "echo no such table; exit 1"))
    with pytest.raises(SystemExit, match=r"web ended at once. From .*/logs/web.log:\nno such table"):
        supervisor.wait_for(part, lambda: False, seconds=5)


def test_what_runs_is_noted_for_the_next_start(supervisor, tmp_path):
    parts = [supervisor.start(script(name, "exec sleep 60")) for name in ("database", "web")]
    notes = json.loads((tmp_path / "processes.json").read_text())
    assert [one["pid"] for one in notes] == [part.process.pid for part in reversed(parts)]
    assert notes[0]["signal"] == signal.SIGTERM
    supervisor.stop_all()
    assert not (tmp_path / "processes.json").exists()


def test_a_long_log_is_put_aside(supervisor, monkeypatch):
    monkeypatch.setattr("config.supervisor.LOG_BYTES", 3)
    part = script("web", "exec sleep 60")
    supervisor.log_of(part).write_text("long ago")
    supervisor.start(part)
    assert supervisor.log_of(part).read_text() == ""
    assert supervisor.log_of(part).with_suffix(".log.1").read_text() == "long ago"
