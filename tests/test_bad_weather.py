"""What is answered is in the book, whatever dies meanwhile: the real server, killed for real."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.quick_start import QuickStart, Visitor, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def count(visitor: Visitor, user: str) -> int:
    """Return how many requests for the log page of such a user are in the book of `main`."""
    file, _ = visitor.get(f"/main/logs.csv?columns=request_id&path=/main/logs/?user={user}")
    ids = [line.split(",")[0] for line in file.splitlines()[1:]]
    assert len(ids) == len(set(ids))
    return len(ids)


def processes(quick_start: QuickStart, word: str) -> list[psutil.Process]:
    """Return the running processes with `word` in their command line, parents first."""
    found = [one for one in quick_start.processes() if any(word in part for part in one.cmdline())]
    return sorted(found, key=lambda one: one.create_time())


def test_each_own_click_appears_as_a_row_within_seconds(quick_start):
    quick_start.start_and_wait()
    visitor = Visitor(quick_start)
    visitor.get("/main/logs/?user=a-click-of-mine")
    page = soon(lambda: "a-click-of-mine" in (page := visitor.get("/main/logs/?path=*click*")[0]) and page, seconds=5)
    assert "administrator" in page
    assert visitor.get("/main/logs/?path=*/accounts/sign-in/&method=POST")[0].count('data-status="success"') == 1


def test_a_killed_web_server_loses_nothing_that_it_answered(quick_start):
    quick_start.start_and_wait()
    visitor = Visitor(quick_start)
    for number in range(30):
        visitor.get(f"/main/logs/?user=before-{number}")
    for process in processes(quick_start, "granian"):
        process.kill()
    soon(lambda: visitor.get("/healthz"))
    quick_start.manage("ship")
    assert soon(lambda: count(visitor, "before-*") == 30)


def test_a_database_stopped_for_ten_seconds_costs_nobody_an_error(quick_start):
    quick_start.start_and_wait()
    visitor = Visitor(quick_start)
    supervisor = quick_start.started[-1].pid
    postmaster = processes(quick_start, "postgres")[0]
    os.kill(supervisor, signal.SIGSTOP)  # or it would start the database again at once
    try:
        postmaster.send_signal(signal.SIGINT)
        psutil.wait_procs([postmaster], 10)
        with ThreadPoolExecutor(8) as readers:
            asked = [readers.submit(visitor.get, f"/main/logs/?user=meanwhile-{number}") for number in range(8)]
            time.sleep(10)
            assert not [one for one in asked if one.done()]
            os.kill(supervisor, signal.SIGCONT)
            for one in asked:
                assert "API Logs" in one.result()[0]
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert soon(lambda: count(visitor, "meanwhile-*") == 8)


def test_without_its_database_it_says_so_and_is_not_ready(quick_start):
    quick_start.start_and_wait()
    visitor = Visitor(quick_start)
    os.kill(quick_start.started[-1].pid, signal.SIGSTOP)
    try:
        postmaster = processes(quick_start, "postgres")[0]
        postmaster.kill()
        with pytest.raises(OSError, match="503"):
            visitor.get("/readyz")
        with pytest.raises(OSError, match="503"):
            visitor.get("/main/logs/?user=in-vain")
        assert visitor.get("/healthz")[0] == "ok"
    finally:
        os.kill(quick_start.started[-1].pid, signal.SIGCONT)
    assert soon(lambda: count(visitor, "in-vain") == 1)
