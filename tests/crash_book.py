"""A Gatebook to be crashed: a durable PostgreSQL, web servers in front of it, clients that remember each answer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError

import psutil
import psycopg

from config.postgres import Cluster, database_url
from tests.quick_start import soon
from tests.servers import bare_environment, free_port

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


class Book:
    """PostgreSQL, and programs run beside it."""

    def __init__(self, var: Path) -> None:
        self.var = var
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

    def kill_database(self) -> None:
        """Kill every process of PostgreSQL, whatever it is at."""
        server = psutil.Process(self.database.pid)
        for process in [server, *server.children()]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.database.wait(10)

    def connect(self) -> psycopg.Connection:
        """Return a connection of our own, each statement by itself."""
        return psycopg.connect(self.environment["DATABASE_URL"], autocommit=True)

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a management command and return what it says."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment | environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def sign_in(self) -> str:
        """Make a superuser and return the key of their session."""
        return self.manage("shell", "-v0", "-c", SIGN_IN).strip()

    def recorded(self) -> Counter[str]:
        """Return how often each Request-ID is in the book."""
        with self.connect() as connection:
            return Counter(row[0] for row in connection.execute("SELECT request_id FROM gatebook_apirequestlog"))

    def close(self) -> None:
        """Stop PostgreSQL and remove everything."""
        self.stop_database()
        self.cluster.stop_leftovers()
        self.log.close()
        shutil.rmtree(self.var, ignore_errors=True)


class Answer(NamedTuple):
    """What a client got, all of it."""

    code: int
    request_id: str | None
    path: str
    body: bytes
    process: str | None


class WebServer:
    """A web server in front of a book, with a spool and a log of its own below `var`."""

    def __init__(self, book: Book, var: Path, *command: str, **environment: str) -> None:
        self.book = book
        self.spool = var / "spool"
        self.log = var / "web.log"
        self.port = free_port()
        self.command = [part.format(port=self.port) for part in command]
        self.environment = book.environment | {"GATEBOOK_VAR": str(var)} | environment
        var.mkdir(exist_ok=True)

    def start(self, *, launcher: Sequence[str] = ()) -> None:
        """Start it in a process group of its own, by way of `launcher`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*launcher, sys.executable, "-m", *self.command],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait for the first answer."""
        soon(lambda: self.ask("/healthz") or self._has_ended(), seconds=60)

    def kill(self) -> None:
        """Kill all its processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def open(self, path: str, session: str = "") -> HTTPResponse:
        """Ask for `path` and return the answer as soon as it begins, whatever its code."""
        headers = {"Cookie": f"sessionid={session}"} if session else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            return urllib.request.urlopen(request, timeout=60)
        except HTTPError as error:
            return error

    def ask(self, path: str, session: str = "") -> Answer | None:
        """Return the answer, or None where there was none or not all of it."""
        try:
            with self.open(path, session) as answer:
                body = answer.read()
        except (OSError, HTTPException):
            return None
        length = answer.headers["Content-Length"]
        is_whole = len(body) == int(length) if length else answer.headers["Transfer-Encoding"] == "chunked"
        headers = answer.headers
        return Answer(answer.status, headers["X-Request-Id"], path, body, headers["X-Process"]) if is_whole else None

    def _has_ended(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return False


class Clients:
    """Ask for pages, several at a time, until told to stop; keep what was answered."""

    def __init__(self, server: WebServer, *paths: str, session: str = "") -> None:
        self.answers: list[Answer] = []
        self._server = server
        self._session = session
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(path,)) for path in paths]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Answer]:
        """Return all answers."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        return self.answers

    def _run(self, path: str) -> None:
        while not self._stopping.is_set():
            if answer := self._server.ask(path, self._session):
                self.answers.append(answer)
            time.sleep(0.005)
