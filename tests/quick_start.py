"""The quick start as the tests run it: the real thing below a temporary directory."""

from __future__ import annotations

import http.cookiejar
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.servers import bare_environment, free_port

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
            env=self.environment(),
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

    def environment(self) -> dict[str, str]:
        """Return what its programs see."""
        return bare_environment(GATEBOOK_VAR=str(self.var), PORT=str(self.port), FILESCOM_HOSTS="127.0.0.1")

    @property
    def address(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` beside it; return what it said."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def password(self) -> str:
        """Return the password of `administrator`."""
        return (self.var / "administrator_password").read_text()

    def page(self, path: str) -> str:
        """Return the page's text, past redirects."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            return response.read().decode()

    def processes(self) -> list[psutil.Process]:
        """Return the processes that work on this directory or on this port."""
        return [one for one in psutil.process_iter() if self._ours(one)]

    def running(self, word: str) -> list[psutil.Process]:
        """Return those with `word` in their command line, the oldest first."""
        found = [one for one in self.processes() if any(word in part for part in one.cmdline())]
        return sorted(found, key=lambda one: one.create_time())

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


class Visitor:
    """A browser without a screen: signed in as `administrator`, keeps its cookies, never follows a proxy."""

    def __init__(self, quick_start: QuickStart) -> None:
        self.address = quick_start.address
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
        form = self.get("/accounts/sign-in/")[0]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
        fields = {"username": "administrator", "password": quick_start.password(), "csrfmiddlewaretoken": token}
        self.get("/accounts/sign-in/", urllib.parse.urlencode(fields).encode())

    def get(self, path: str, data: bytes | None = None) -> tuple[str, HTTPMessage]:
        """Return the page and its headers; raises urllib.error.HTTPError on a 4xx or 5xx."""
        with self.opener.open(self.address + path, data, timeout=60) as answer:
            return answer.read().decode(), answer.headers


def soon(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until `condition` holds and return what it returned; an OSError counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


@contextmanager
def offered() -> Iterator[QuickStart]:
    """Offer a quick start, and clean up after it."""
    var = Path(tempfile.mkdtemp(prefix="gatebook-test-", dir="/tmp"))
    made = QuickStart(var)
    try:
        yield made
    finally:
        _clean_up(made)


def _clean_up(made: QuickStart) -> None:
    for process in made.started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        process.stdout.close()
    left = made.processes()
    for process in left:
        process.kill()
    psutil.wait_procs(left, 10)
    shutil.rmtree(made.var)


@pytest.fixture
def quick_start() -> Iterator[QuickStart]:
    """Offer an empty book."""
    with offered() as made:
        yield made
