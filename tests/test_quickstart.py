"""The quick start, each time the real thing, as `make demo` and `make run` start it."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from config.quickstart import hold

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent


def test_one_command_leads_to_the_sign_in_page_and_stops_without_a_trace(quick_start):
    said = quick_start.start_and_wait()
    assert f"http://127.0.0.1:{quick_start.port}/" in said
    password = re.search(r"as administrator with the password (\S+)", said)[1]
    assert (quick_start.var / "administrator_password").read_text() == password
    assert 'name="password"' in quick_start.page("/")
    quick_start.signal(signal.SIGTERM)
    assert quick_start.processes() == []


def test_being_told_twice_to_stop_does_not_break_off_the_stopping(quick_start):
    quick_start.start_and_wait()
    quick_start.started[-1].send_signal(signal.SIGTERM)
    assert quick_start.signal(signal.SIGTERM) == 0
    assert quick_start.processes() == []
    assert (quick_start.var / "logs" / "postgres.log").read_text().endswith("database system is shut down\n")


def test_a_second_start_says_that_it_is_already_running(quick_start):
    with hold(quick_start.var):
        said, _ = quick_start.start().communicate(timeout=30)
    assert said == f"Gatebook cannot start: it is already running (pid {os.getpid()}) in {quick_start.var}.\n"
    assert quick_start.started[-1].returncode == 1


def test_after_a_killed_supervisor_the_next_start_finds_its_data(quick_start):
    first = quick_start.start_and_wait()
    quick_start.signal(signal.SIGKILL)
    orphans = quick_start.processes()
    assert orphans
    second = quick_start.start_and_wait()
    assert "an earlier start had left behind" in second
    assert not [one for one in orphans if one.is_running()]
    assert re.findall("password .*", first) == re.findall("password .*", second)
    assert 'name="password"' in quick_start.page("/")
    quick_start.signal(signal.SIGINT)
    assert quick_start.processes() == []


def test_killed_parts_come_back(quick_start):
    quick_start.start_and_wait()
    killed = psutil.Process(quick_start.started[-1].pid).children()
    assert len(killed) == 3
    for process in killed:
        process.kill()
    deadline = time.monotonic() + 60
    while True:
        try:
            assert '"ready": true' in quick_start.page("/readyz")
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    quick_start.signal(signal.SIGTERM)
    assert quick_start.processes() == []


def test_a_taken_port_is_named(quick_start):
    with socket.create_server(("127.0.0.1", quick_start.port)):
        said, _ = quick_start.start().communicate(timeout=30)
    assert said == (
        f"Gatebook cannot start: port {quick_start.port} is taken by another program; set PORT to another one.\n"
    )
