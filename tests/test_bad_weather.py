"""What people notice of their own requests, and of a database that is gone: the real thing, as `make run` starts it."""

from __future__ import annotations

import os
import signal

import pytest

from tests.quick_start import Visitor, soon

pytestmark = pytest.mark.slow


def test_each_own_click_is_a_row_within_seconds_also_while_the_database_is_gone(quick_start):
    quick_start.start_and_wait()
    visitor = Visitor(quick_start)

    def rows(user: str) -> list[str]:
        return visitor.get(f"/main/logs.csv?columns=username,response_code&path=/main/logs/?user={user}")[
            0
        ].splitlines()[1:]

    visitor.get("/main/logs/?user=a-click-of-mine")
    soon(lambda: rows("a-click-of-mine") == ["administrator,200"])
    sign_in = visitor.get("/main/logs/?path=/accounts/sign-in/&method=POST")[0]
    assert sign_in.count('data-status="success"') == 1

    os.kill(quick_start.started[-1].pid, signal.SIGSTOP)  # or it would start the database again at once
    try:
        quick_start.running("postgres")[0].kill()
        with pytest.raises(OSError, match="503"):
            visitor.get("/readyz")
        with pytest.raises(OSError, match="503"):
            visitor.get("/main/logs/?user=in-vain")
        assert visitor.get("/healthz")[0] == "ok"
    finally:
        os.kill(quick_start.started[-1].pid, signal.SIGCONT)
    soon(lambda: rows("in-vain") == [",503"])
