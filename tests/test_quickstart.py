"""The quick start, each time the real thing, as `make demo` and `make run` start it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.quickstart import hold
from tests.servers import bare_environment, free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent


class QuickStart:
    """Starts Gatebook below a directory and on a port, and finds what belongs to it."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.port = free_port()
        self.started: list[subprocess.Popen[str]] = []

    def start(self, kind: str = "run") -> subprocess.Popen[str]:
        """Start it and return the supervisor's process."""
        process = subprocess.Popen(
            [sys.executable, "-m", "config.quickstart", kind],
            cwd=ROOT,
            env=bare_environment(GATEBOOK_VAR=str(self.var), PORT=str(self.port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def start_and_wait(self, kind: str = "run") -> str:
        """Return what was said until Gatebook was ready."""
        said = ""
        for line in self.start(kind).stdout:
            said += line
            if "Ctrl-C stops it" in line:
                return said
        raise AssertionError(said)

    def signal(self, number: signal.Signals) -> int:
        """Send the last start a signal; return the code it ended with."""
        self.started[-1].send_signal(number)
        return self.started[-1].wait(60)

    def page(self, path: str) -> str:
        """Return the page's text, past redirects."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            return response.read().decode()

    def processes(self) -> list[psutil.Process]:
        """Return the processes that work on this directory or on this port."""
        return [one for one in psutil.process_iter() if self._ours(one)]

    def _ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            words = process.cmdline()
            return process.cwd().startswith(str(self.var)) or str(self.port) in words or self._sees_var(process)
        except psutil.Error:
            return False

    def _sees_var(self, process: psutil.Process) -> bool:
        return process.environ().get("GATEBOOK_VAR") == str(self.var)


@pytest.fixture
def quick_start() -> Iterator[QuickStart]:
    """Offer a quick start, and clean up after it."""
    var = Path(tempfile.mkdtemp(prefix="gatebook-test-", dir="/tmp"))
    made = QuickStart(var)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        process.stdout.close()
    left = made.processes()
    for process in left:
        process.kill()
    psutil.wait_procs(left, 10)
    shutil.rmtree(var)


def test_one_command_leads_to_the_sign_in_page_and_stops_without_a_trace(quick_start):
    said = quick_start.start_and_wait("demo")
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
    killed = [one for one in quick_start.processes() if one.ppid() == quick_start.started[-1].pid]
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
