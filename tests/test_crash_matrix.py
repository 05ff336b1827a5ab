"""What was answered is in the book, whichever server gave the answer and whatever befell it (docs/reliability.md).

Each mishap happens once and to all servers at the same time: each has a port and a spool of its own and all share
one database.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash_book import ROOT, Answer, Book, Clients, WebServer
from tests.quick_start import soon
from tests.servers import cannot_run

pytestmark = [pytest.mark.slow, pytest.mark.crash, pytest.mark.timeout(240)]

GUNICORN = "gunicorn --bind 127.0.0.1:{port} --workers 2 --threads 8 --no-control-socket"
SERVERS = {
    "gunicorn": f"{GUNICORN} tests.crash_project.wsgi",
    "gunicorn --preload": f"{GUNICORN} --preload tests.crash_project.wsgi",
    "granian": "granian --interface wsgi --port {port} --workers 2 --blocking-threads 8 --workers-kill-timeout 20 "
    "tests.crash_project.wsgi:application",
    "uvicorn": "uvicorn --port {port} --workers 2 --log-level warning tests.crash_project.asgi:application",
}
WORKERS = 2
"""Of each server; each has its own segment, its own shipper and its own count of what it missed."""

LOAD = ("/hello/", "/hello/", "/stream/0/", "/file/", "/slow/")
REFUSALS = (
    b"This request cannot be recorded and is therefore not served. Try again later.\n",
    b"This request was carried out but could not be recorded; do not repeat it.\n",
)


def site_of(name: str) -> str:
    """Return the slug of a server's site."""
    return name.replace(" --", "-")


class Server(WebServer):
    """One of the servers, the load on it, and what it left."""

    def __init__(self, book: Book, var: Path, name: str, mishap: Mishap) -> None:
        self.name = name
        site = site_of(name)
        settings = {"DJANGO_SETTINGS_MODULE": "tests.crash_project.settings", "CRASH_SITE": site}
        mode = {"CRASH_ON_SPOOL_FAILURE": mishap.on_spool_failure}
        super().__init__(book, var / site, *SERVERS[name].split(), PGAPPNAME=name, **settings, **mode)
        self.spool.mkdir(mode=0o700)
        self.refuses = mishap.on_spool_failure == "refuse"
        self.is_alive = True
        """Whether it outlived the mishap."""
        self.answers: list[Answer] = []
        self.in_flight: list[Answer | None] = []
        """What became of requests in flight when the server was told to stop."""
        self.begun: list[str] = []
        """Request-IDs of streams that were cut off."""
        self.missed = 0
        """How many requests were served and, as `/readyz` says, not recorded."""
        self.afterwards: list[Answer] = []
        """What each worker answered when the mishap was over."""
        self.shipped: set[str] = set()
        """Request-IDs that the server had brought into the book itself, before `manage.py ship`."""

    def note_aftermath(self) -> None:
        """Ask a server that lives how it is."""
        self.is_alive = self.process.poll() is None
        self.answers += [answer for answer in self.in_flight if answer]
        if self.is_alive:
            self.missed = 0 if self.refuses else self.count_missed()
            self.afterwards = self.each_worker("/hello/")
            self.answers += self.afterwards

    def each_worker(self, path: str) -> list[Answer]:
        """Return one answer of each worker."""
        answers: dict[str | None, Answer] = {}

        def have_all_answered() -> bool:
            with ThreadPoolExecutor(8) as threads:
                answers.update({answer.process: answer for answer in threads.map(self.ask, [path] * 8) if answer})
            return len(answers) == WORKERS

        soon(have_all_answered)
        return list(answers.values())

    def count_missed(self) -> int:
        """Return how many requests the workers say they have not recorded."""
        pattern = rb"(\d+) requests could not be written down"
        found = [re.search(pattern, answer.body) for answer in self.each_worker("/readyz")]
        return sum(int(match[1]) for match in found if match)

    def unrecorded(self, recorded: Counter[str]) -> list[Answer]:
        """Return the answers that should be in the book and are not."""
        return [one for one in self.answers if one.request_id not in recorded and one.body not in REFUSALS]


def kill(servers: Sequence[Server]) -> None:
    """Kill all processes of the servers while a stream has begun."""
    streams = [server.open("/stream/60/") for server in servers]
    for server, stream in zip(servers, streams, strict=True):
        assert stream.readline() == b"first\n"
        server.begun.append(stream.headers["X-Request-Id"])
    for server in servers:
        server.kill()
    for stream in streams:
        stream.close()


IN_FLIGHT = {"/slow/": b"at last", "/stream/1/": b"first\nlast\n"}


def terminate(servers: Sequence[Server]) -> None:
    """Tell the servers to stop while requests and a stream are in flight, and let them."""
    asked = [(server, path) for server in servers for path in IN_FLIGHT]
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = [threads.submit(server.ask, path) for server, path in asked]
        time.sleep(0.5)
        for server in servers:
            server.process.send_signal(signal.SIGTERM)
        for (server, _), answer in zip(asked, answers, strict=True):
            server.in_flight.append(answer.result())
    for server in servers:
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(20)


def stop_database(servers: Sequence[Server]) -> None:
    """Be without a database for a while."""
    book = servers[0].book
    book.stop_database()
    time.sleep(30)
    book.start_database()
    time.sleep(2)


TRIGGER = "CREATE TRIGGER pause BEFORE INSERT ON gatebook_apirequestlog FOR EACH ROW EXECUTE FUNCTION pause()"
COPYING = """
SELECT DISTINCT application_name FROM pg_stat_progress_copy JOIN pg_stat_activity USING (pid) WHERE tuples_processed > 0
"""


def pause_at_each_row(book: Book, seconds: float) -> None:
    """Make PostgreSQL slow at taking entries."""
    body = f"BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END"
    with book.connect() as connection:
        connection.execute(f"CREATE OR REPLACE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS '{body}'")


def kill_database(servers: Sequence[Server]) -> None:
    """Kill all of PostgreSQL while a COPY of each server has taken some rows and is not over."""
    book = servers[0].book
    pause_at_each_row(book, 0.02)
    with book.connect() as connection:
        soon(lambda: len(connection.execute(COPYING).fetchall()) == len(servers))
        book.kill_database()
    book.start_database()
    pause_at_each_row(book, 0)


# PostgreSQL's socket is for root and us; in a user namespace root would be neither.
SMALL_DISK = (
    "unshare",
    "-m" if os.geteuid() == 0 else "-Urm",
    "sh",
    "-c",
    'mount -t tmpfs -o size=1m gatebook "$0" && exec "$@"',
)
"""Runs a program with a disk of its own at the first argument; the disk goes with the program."""


def fill_disk(servers: Sequence[Server]) -> None:
    """Have the disk below each spool full for four seconds, also when something is shipped meanwhile."""
    fillers = [Path(f"/proc/{server.process.pid}/root{server.spool}/filler") for server in servers]
    until = time.monotonic() + 4
    while time.monotonic() < until:
        for filler in fillers:
            with suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        time.sleep(0.05)
    for filler in fillers:
        filler.unlink()
    time.sleep(2)


def remove_spool(servers: Sequence[Server]) -> None:
    """Remove each spool, again and again."""
    for _ in range(10):
        for server in servers:
            shutil.rmtree(server.spool, ignore_errors=True)
        time.sleep(0.3)


@dataclass(frozen=True)
class Mishap:
    """What happens, and to servers run in which way."""

    happen: Callable[[Sequence[Server]], None]
    on_spool_failure: str = "serve"
    launcher: tuple[str, ...] = ()


MISHAPS = {
    "kill -9": Mishap(kill),
    "SIGTERM": Mishap(terminate),
    "database stopped": Mishap(stop_database),
    "database killed during COPY": Mishap(kill_database),
    "disk full": Mishap(fill_disk, launcher=SMALL_DISK),
    "disk full, refusing": Mishap(fill_disk, launcher=SMALL_DISK, on_spool_failure="refuse"),
    "spool removed": Mishap(remove_spool),
}


MAY_MISS = ("disk full", "spool removed")
"""The second in the very moment of the removal."""


class Matrix:
    """Lets each mishap happen when a test first asks for it."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.session = book.sign_in()
        self._aftermaths: dict[str, dict[str, Server] | BaseException] = {}

    def after(self, mishap: str, server: str) -> Server:
        """Return the server as the mishap left it."""
        launcher = MISHAPS[mishap].launcher
        if launcher and subprocess.run([*launcher, "/mnt", "true"], capture_output=True).returncode:
            cannot_run("a small disk cannot be mounted here; try: as root, or where user namespaces are allowed")
        if mishap not in self._aftermaths:
            try:
                self._aftermaths[mishap] = self._aftermath(MISHAPS[mishap])
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - every test of this mishap is to tell
                self._aftermaths[mishap] = error
        aftermath = self._aftermaths[mishap]
        if isinstance(aftermath, BaseException):
            raise aftermath
        return aftermath[server]

    def _aftermath(self, mishap: Mishap) -> dict[str, Server]:
        var = Path(tempfile.mkdtemp(dir=self.book.var))
        servers = [Server(self.book, var, name, mishap) for name in SERVERS]
        try:
            for server in servers:
                server.start(launcher=(*mishap.launcher, str(server.spool)) if mishap.launcher else ())
            for server in servers:
                server.wait()
                server.each_worker("/healthz")
            clients = [(server, Clients(server, *LOAD)) for server in servers]
            clients += [(server, Clients(server, "/hello/", session=self.session)) for server in servers]
            try:
                time.sleep(2)
                mishap.happen(servers)
            finally:
                for server, load in clients:
                    server.answers += load.stop()
            for server in servers:
                server.note_aftermath()
            self._let_ship(servers)
        finally:
            for server in servers:
                server.kill()
        for server in servers:
            said = self.book.manage("ship", GATEBOOK_VAR=str(server.spool.parent))
            assert "0 segments of living processes wait, 0 bytes" in said
        return {server.name: server for server in servers}

    def _let_ship(self, servers: Sequence[Server]) -> None:
        """Wait until living servers have shipped what they have answered; a dead one has done what it could."""
        deadline = time.monotonic() + 60
        while True:
            recorded = self.book.recorded()
            for server in servers:
                server.shipped = set(recorded)
            waiting = [one for one in servers if one.is_alive and len(one.unrecorded(recorded)) > one.missed]
            if not waiting or time.monotonic() > deadline:
                return
            time.sleep(0.5)


def test_the_document_names_what_is_tried():
    text = (ROOT / "docs" / "reliability.md").read_text()
    heading, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][
        : len(MISHAPS) + 2
    ]
    assert heading == list(SERVERS)
    assert [row[0] for row in rows] == list(MISHAPS)
    assert {row[0]: {cell.split()[0] for cell in row[1:]} for row in rows} == {
        mishap: {"counted" if mishap == "disk full" else "kept"} for mishap in MISHAPS
    }


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    """Every server after every mishap, all before one book."""
    book = Book(Path(tempfile.mkdtemp(prefix="gatebook-crash-", dir="/tmp")))
    try:
        book.start_database()
        book.manage("migrate", "-v0")
        for name in SERVERS:
            book.manage("create_site", site_of(name), "--name", name)
        pause_at_each_row(book, 0)
        with book.connect() as connection:
            connection.execute(TRIGGER)
        yield Matrix(book)
    finally:
        book.close()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mishap", MISHAPS)
def test_what_was_answered_is_in_the_book_once(matrix, mishap, server):
    after = matrix.after(mishap, server)
    recorded = matrix.book.recorded()
    assert {answer.path for answer in after.answers} >= set(LOAD)
    assert after.is_alive == (mishap not in ("kill -9", "SIGTERM"))
    lost = after.unrecorded(recorded)
    assert len(lost) == after.missed, lost
    assert after.missed == 0 or mishap in MAY_MISS
    assert {request_id: count for request_id, count in recorded.items() if count > 1} == {}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mishap", MISHAPS)
def test_nobody_is_turned_away_because_of_the_book(matrix, mishap, server):
    after = matrix.after(mishap, server)
    failures = [answer for answer in after.answers if answer.code != 200]
    if mishap == "disk full, refusing":
        failures = [answer for answer in failures if answer.code != 503 or answer.body not in REFUSALS]
    assert failures == []
    assert {answer.code for answer in after.afterwards} <= {200}


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_in_flight_at_sigterm_is_answered(matrix, server):
    after = matrix.after("SIGTERM", server)
    assert [answer and answer.body for answer in after.in_flight] == list(IN_FLIGHT.values())


# uvicorn ends its workers by raising the signal anew, after which nothing runs: the next start ships what they left.
@pytest.mark.parametrize("server", [name for name in SERVERS if name != "uvicorn"])
def test_a_server_told_to_stop_ships_what_it_has_recorded(matrix, server):
    after = matrix.after("SIGTERM", server)
    assert {answer.request_id for answer in after.answers} - after.shipped == set()


@pytest.mark.parametrize("server", SERVERS)
def test_a_full_disk_is_said_aloud(matrix, server):
    after = matrix.after("disk full", server)
    assert after.missed > 0
    assert "A request was not recorded (" in after.log.read_text()


@pytest.mark.parametrize("server", SERVERS)
def test_who_must_not_act_unrecorded_is_refused_while_the_disk_is_full(matrix, server):
    after = matrix.after("disk full, refusing", server)
    assert any(answer.body in REFUSALS for answer in after.answers)


@pytest.mark.parametrize("server", SERVERS)
def test_a_stream_that_began_is_in_the_book_once_as_cut_off(matrix, server):
    after = matrix.after("kill -9", server)
    with matrix.book.connect() as connection:
        entries = connection.execute(
            "SELECT error_type IS NOT NULL FROM gatebook_apirequestlog WHERE request_id = ANY(%s)", [after.begun]
        ).fetchall()
    assert entries == [(True,)]
