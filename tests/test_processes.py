"""Only what we started is ever stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from config.processes import end, keep_notes, note, stop_orphans
from tests.quick_start import soon


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that does nothing."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_an_orphan_is_stopped_with_its_children(tmp_path):
    script = "sleep 61 & echo $!; wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    keep_notes(tmp_path / "notes.json", [note(process.pid, signal.SIGTERM)])
    assert stop_orphans(tmp_path / "notes.json") == 1
    assert process.stdout.read() == b""  # closed by all who held it
    process.stdout.close()
    process.wait()
    assert stop_orphans(tmp_path / "notes.json") == 0


def test_children_of_a_killed_orphan_are_found(tmp_path):
    script = "sleep 61 & echo $!; wait"
    environment = {"PATH": os.environ["PATH"], "GATEBOOK_VAR": str(tmp_path)}
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, env=environment)
    child = psutil.Process(int(process.stdout.readline()))
    soon(lambda: child.name() == "sleep" and child.environ())  # while one becomes the other it has no environment
    keep_notes(tmp_path / "notes.json", [note(process.pid, signal.SIGTERM)])
    process.kill()
    process.wait()
    assert stop_orphans(tmp_path / "notes.json") == 1
    assert process.stdout.read() == b""
    process.stdout.close()


def test_a_stranger_who_was_given_the_number_is_left_alone(tmp_path, sleeper):
    kept = note(sleeper.pid, signal.SIGTERM)
    keep_notes(tmp_path / "notes.json", [{**kept, "created_at": kept["created_at"] - 60}])
    assert stop_orphans(tmp_path / "notes.json") == 0
    assert sleeper.poll() is None


@pytest.mark.parametrize("text", ["", "[{"])
def test_unreadable_notes_are_no_obstacle(tmp_path, text):
    (tmp_path / "notes.json").write_text(text)
    assert stop_orphans(tmp_path / "notes.json") == 0


def test_who_does_not_listen_is_killed():
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    process.stdout.readline()
    end(process.send_signal, process.wait, (signal.SIGTERM, 0.3))
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
