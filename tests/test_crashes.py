"""What happens to the book when processes die: a real web server, a real PostgreSQL, really stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError, URLError

import psycopg
import pytest

from config.postgres import Cluster, database_url
from tests.quick_start import soon
from tests.servers import bare_environment, free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent


SIGN_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user = User.objects.create_superuser("administrator")
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = user.pk, user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session.save()
print(session.session_key)
"""


WRITE_AND_COUNT = """
import random, threading
from datetime import UTC, datetime, timedelta
from auditlog.models import Site
from auditlog.store import closing, rollups
from auditlog.store.writer import write
from gatebook.entry import Entry
site = Site.objects.get()
now = datetime.now(UTC)
def for_ever(act):
    while True:
        act()
def send():
    moments = [now - timedelta(minutes=random.randint(1, 3000)) for _ in range(20)]
    write(site, [Entry(created_at=moment, request_id=str(random.random()), interface="web") for moment in moments])
for act in (send, send, rollups.roll_up, closing.close_days):
    threading.Thread(target=for_ever, args=(act,)).start()
"""
COMPARE = """
from django.http import QueryDict
from auditlog.models import ApiRequestLog, Site, TouchedHour
from auditlog.search import answers
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot
from auditlog.store import closing, rollups
question = Question.from_query(QueryDict("last=7d"), [Site.objects.get()])
def counts():
    with one_snapshot():
        return question.rows().count(), answers.total(question).count, answers.volume(question).total.count
before = counts()
rollups.roll_up()
closing.close_days()
assert not TouchedHour.objects.exists()
print(*before, *counts(), len([day for day in closing.open_days() if day.end < question.now]))
"""


MANY_ROWS = """
from datetime import UTC, datetime, timedelta
from django.db import connection
from auditlog.store import partitions
today = datetime.now(UTC).date()
partitions.ensure_days([today - timedelta(days=1), today])
connection.cursor().execute(
    "INSERT INTO gatebook_apirequestlog (created_at, site_id, request_id, user_is_from_parent_site, request_path) "
    "SELECT now() - i * interval '100 milliseconds', (SELECT min(id) FROM gatebook_site), i, false, repeat('/p', 50) "
    "FROM generate_series(1, 300000) i"
)
"""


class Book:
    """A Gatebook of its own: PostgreSQL, granian, and programs run beside them."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.port = free_port()
        # Durable: a careless server forgets what it has acknowledged, and here that is the question.
        self.cluster = Cluster(var)
        self.environment = bare_environment(
            GATEBOOK_VAR=str(var),
            DATABASE_URL=database_url(var),
            SECRET_KEY="for tests " * 5,
            ALLOWED_HOSTS="127.0.0.1",
            HTTPS="False",
        )
        self.log = (var / "log").open("ab")

    def start_database(self) -> None:
        """Start PostgreSQL and wait for it."""
        self.database = self.cluster.start(self.log)
        while not self.cluster.answers():
            assert self.database.poll() is None, (self.var / "log").read_text()
            time.sleep(0.02)

    def stop_database(self) -> None:
        """Stop PostgreSQL as a crash does: at once, whoever is connected."""
        self.database.send_signal(signal.SIGQUIT)
        self.database.wait(10)

    def start_web(self) -> None:
        """Start granian and wait for its first answer."""
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        threads = ["--interface", "wsgi", "--blocking-threads", "48", "--workers-kill-timeout", "5"]
        command = [sys.executable, "-m", "granian", *address, *threads, "config.wsgi:application"]
        self.web = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        deadline = time.monotonic() + 30
        while self.ask("/healthz") is None:
            assert time.monotonic() < deadline, (self.var / "log").read_text()
            time.sleep(0.1)

    def manage(self, *arguments: str) -> str:
        """Run a management command and return what it says."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def ask(self, path: str) -> tuple[int, str | None] | None:
        """Return the answer's code and Request-ID, or None where there was no answer."""
        try:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.port}{path}", headers={"Cookie": f"sessionid={self.session}"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = answer.read()
                whole = len(body) == int(answer.headers.get("Content-Length") or -1)
                return (answer.status, answer.headers["X-Request-Id"]) if whole else None
        except HTTPError as error:
            request_id = error.headers["X-Request-Id"]
            error.close()
            return error.code, request_id
        except (URLError, OSError):
            return None

    def sign_in(self) -> None:
        """Make a superuser and ask as them from now on."""
        self.session = self.manage("shell", "-v0", "-c", SIGN_IN).strip()

    def recorded(self) -> Counter[str]:
        """Return how often each Request-ID is in the book."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            return Counter(row[0] for row in connection.execute("SELECT request_id FROM gatebook_apirequestlog"))

    def close(self) -> None:
        """Stop everything."""
        if hasattr(self, "web"):
            with suppress(ProcessLookupError):
                os.killpg(self.web.pid, signal.SIGKILL)
            self.web.wait()
        self.stop_database()
        self.cluster.stop_leftovers()
        self.log.close()

        shutil.rmtree(self.var, ignore_errors=True)


class Clients:
    """Ask for pages, several at a time, until told to stop; keep what was answered."""

    def __init__(self, book: Book, *paths: str) -> None:
        self.answers: list[tuple[int, str]] = []
        self._book = book
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(path,)) for path in paths]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[tuple[int, str]]:
        """Return codes and Request-IDs of all answers."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        return self.answers

    def _run(self, path: str) -> None:
        while not self._stopping.is_set():
            answer = self._book.ask(path)
            if answer is not None:
                self.answers.append((answer[0], str(answer[1])))


@pytest.fixture
def book() -> Iterator[Book]:
    """A running Gatebook with one site."""
    book = Book(Path(tempfile.mkdtemp(prefix="gatebook-crash-", dir="/tmp")))
    try:
        book.start_database()
        book.manage("migrate", "-v0")
        book.manage("create_site", "main", "--name", "Main")
        book.manage("collectstatic", "--noinput", "-v0")
        book.sign_in()
        book.start_web()
        yield book
    finally:
        book.close()


def test_kill_9_of_the_web_server_loses_no_answered_request_and_doubles_none(book):
    clients = Clients(book, "/", "/main/logs/?status=failure", "/no-such-page", "/")
    time.sleep(4)
    os.killpg(book.web.pid, signal.SIGKILL)
    answers = clients.stop()
    assert len(answers) > 100
    said = book.manage("ship")
    recorded = book.recorded()
    assert {request_id for _, request_id in answers} <= recorded.keys(), said
    assert set(recorded.values()) == {1}
    assert "0 segments of living processes wait, 0 bytes" in said


def test_a_database_stopped_for_ten_seconds_costs_no_entry_and_nobody_an_error(book):
    paths = ["/", "/main/logs/", "/accounts/sign-in/?next=/", "/no-such-page", "/favicon.svg", "/main/logs.csv"] * 3
    clients = Clients(book, *paths)
    time.sleep(2)
    book.stop_database()
    time.sleep(10)
    waited_out = len(clients.answers)
    book.start_database()
    time.sleep(4)
    answers = clients.stop()
    assert len(answers) > waited_out
    assert [code for code, _ in answers if code >= 500] == []
    answered = {request_id for _, request_id in answers}
    deadline = time.monotonic() + 60
    while missing := answered - book.recorded().keys():
        waiting = {path.name: path.stat().st_size for path in (book.var / "spool").iterdir()}
        assert time.monotonic() < deadline, (missing, waiting)
        time.sleep(0.2)
    assert set(book.recorded().values()) == {1}


def test_a_web_server_told_to_stop_ships_what_it_has_recorded(book):
    clients = Clients(book, "/")
    time.sleep(2)
    answered = [book.ask("/") for _ in range(5)]
    book.web.terminate()
    book.web.wait(20)
    answers = clients.stop() + answered
    assert {request_id for _, request_id in answers} <= book.recorded().keys()


def test_answers_are_exact_after_the_database_died_among_writers_counting_and_closing(book):
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", WRITE_AND_COUNT]
    for _ in range(2):
        writers = subprocess.Popen(command, cwd=ROOT, env=book.environment, stdout=book.log, stderr=book.log)
        time.sleep(3)
        book.stop_database()
        writers.wait(20)
        book.start_database()
        rows, *others, days_open = book.manage("shell", "-v0", "-c", COMPARE).split()
        assert int(rows) > 100
        assert set(others) == {rows}
        assert int(days_open) == 0


def test_a_download_begins_at_once_and_its_query_ends_with_its_reader(book):
    book.manage("shell", "-v0", "-c", MANY_ROWS)
    with psycopg.connect(book.environment["DATABASE_URL"], autocommit=True) as connection:
        copying = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY (%' AND state <> 'idle' "
            "OR state LIKE 'idle in transaction%'"
        )
        headers = {"Cookie": f"sessionid={book.session}"}
        address = urllib.request.Request(f"http://127.0.0.1:{book.port}/main/logs.csv?last=24h", headers=headers)
        answer = urllib.request.urlopen(address, timeout=10)
        assert answer.read(40).startswith(b"Date,User,")
        assert connection.execute(copying).fetchone() == (1,), "the rest is still to come"
        answer.close()
        soon(lambda: connection.execute(copying).fetchone() == (0,), seconds=5)
