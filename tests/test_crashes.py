"""What happens to the book when processes die: a real web server, a real PostgreSQL, really stopped."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash_book import ROOT, Book, Clients, WebServer
from tests.quick_start import soon

pytestmark = pytest.mark.slow

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
closing.close_days(question.now + closing.GRACE)
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


@pytest.fixture
def book() -> Iterator[Book]:
    """A Gatebook with one site."""
    book = Book(Path(tempfile.mkdtemp(prefix="gatebook-crash-", dir="/tmp")))
    try:
        book.start_database()
        book.manage("migrate", "-v0")
        book.manage("create_site", "main", "--name", "Main")
        book.manage("collectstatic", "--noinput", "-v0")
        yield book
    finally:
        book.close()


@pytest.fixture
def session(book: Book) -> str:
    """The session of a superuser."""
    return book.sign_in()


@pytest.fixture
def web(book: Book) -> Iterator[WebServer]:
    """Its web server, as production runs it."""
    threads = ["--interface", "wsgi", "--blocking-threads", "48", "--workers-kill-timeout", "5"]
    web = WebServer(book, book.var, "granian", "--port", "{port}", *threads, "config.wsgi:application")
    web.start()
    try:
        web.wait()
        yield web
    finally:
        web.kill()


def test_kill_9_of_the_web_server_loses_no_answered_request_and_doubles_none(book, web, session):
    clients = Clients(web, "/", "/main/logs/?status=failure", "/no-such-page", "/", session=session)
    soon(lambda: len(clients.answers) > 100)
    web.kill()
    answers = clients.stop()
    said = book.manage("ship")
    recorded = book.recorded()
    assert {answer.request_id for answer in answers} <= recorded.keys(), said
    assert set(recorded.values()) == {1}
    assert "0 segments of living processes wait, 0 bytes" in said


def test_a_database_stopped_for_ten_seconds_costs_no_entry_and_nobody_an_error(book, web, session):
    paths = ["/", "/main/logs/", "/accounts/sign-in/?next=/", "/no-such-page", "/favicon.svg", "/main/logs.csv"] * 3
    clients = Clients(web, *paths, session=session)
    time.sleep(2)
    book.stop_database()
    time.sleep(10)
    waited_out = len(clients.answers)
    book.start_database()
    time.sleep(4)
    answers = clients.stop()
    assert len(answers) > waited_out
    assert [answer for answer in answers if answer.code >= 500] == [], web.log.read_text()[-4_000:]
    answered = {answer.request_id for answer in answers}
    deadline = time.monotonic() + 60
    while missing := answered - book.recorded().keys():
        waiting = {path.name: path.stat().st_size for path in (book.var / "spool").iterdir()}
        assert time.monotonic() < deadline, (missing, waiting)
        time.sleep(0.2)
    assert set(book.recorded().values()) == {1}


def test_a_web_server_told_to_stop_ships_what_it_has_recorded(book, web, session):
    clients = Clients(web, "/", session=session)
    time.sleep(2)
    answered = [web.ask("/", session) for _ in range(5)]
    web.process.terminate()
    web.process.wait(20)
    answers = clients.stop() + answered
    assert {answer.request_id for answer in answers} <= book.recorded().keys()


def test_answers_are_exact_after_the_database_died_among_writers_counting_and_closing(book):
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", WRITE_AND_COUNT]
    for enough in (100, 200):
        writers = subprocess.Popen(command, cwd=ROOT, env=book.environment, stdout=book.log, stderr=book.log)
        with book.connect() as connection:
            soon(lambda: connection.execute("SELECT count(*) FROM gatebook_apirequestlog").fetchone()[0] > enough)  # noqa: B023
        time.sleep(2)
        book.stop_database()
        writers.wait(60)
        book.start_database()
        rows, *others, days_open = book.manage("shell", "-v0", "-c", COMPARE).split()
        assert int(rows) > enough
        assert set(others) == {rows}
        assert int(days_open) == 0


def test_a_download_begins_at_once_and_its_query_ends_with_its_reader(book, web, session):
    book.manage("shell", "-v0", "-c", MANY_ROWS)
    with book.connect() as connection:
        copying = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY (%' AND state <> 'idle' "
            "OR state LIKE 'idle in transaction%'"
        )
        answer = web.open("/main/logs.csv?last=24h", session)
        assert answer.read(40).startswith(b"Date,User,")
        soon(lambda: connection.execute(copying).fetchone() == (1,))  # the rest is still to come
        answer.close()
        soon(lambda: connection.execute(copying).fetchone() == (0,))
