"""Gatebook's web server as README.md has it for production, and clients that send to it all at once."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.bench import Disagreement
from config.processes import end, kill_group
from config.quickstart import HOST, WEB_THREADS, answers, program
from gatebook.http_sink import DOOR

WORKERS = 2
LONGEST_START_SECONDS = 120


@contextmanager
def web_server(log: Path) -> Iterator[int]:
    """Serve the database of DATABASE_URL over HTTP; the port."""
    with socket.socket() as attempt:
        attempt.bind((HOST, 0))
        port = attempt.getsockname()[1]
    address = ("--host", HOST, "--port", str(port))
    threads = ("--interface", "wsgi", "--workers", str(WORKERS), "--blocking-threads", str(WEB_THREADS))
    with log.open("wb") as written:
        process = program("granian", *address, *threads, "config.wsgi:application")(written)
    try:
        deadline = time.monotonic() + LONGEST_START_SECONDS
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Disagreement(f"the web server does not answer: {log.read_text()[-200:]}")
            time.sleep(0.1)
        yield port
    finally:
        end(process.send_signal, process.wait, (signal.SIGTERM, 15))
        kill_group(process.pid)


def send_at_once(port: int, headers: Mapping[str, str], bodies: Sequence[Sequence[bytes]], entries: int) -> None:
    """Let one sender for each sequence of bodies, of `entries` each, send them over a connection that it keeps.

    Raises Disagreement where the door does not accept all of them.
    """

    def send(own: Sequence[bytes]) -> None:
        with closing(HTTPConnection(HOST, port, timeout=60)) as connection:
            for body in own:
                connection.request("POST", DOOR, body, dict(headers))
                answer = connection.getresponse().read()
                if json.loads(answer).get("accepted") != entries:
                    raise Disagreement(f"the door answered {answer[:200]!r}")

    with ThreadPoolExecutor(len(bodies)) as senders:
        list(senders.map(send, bodies))
