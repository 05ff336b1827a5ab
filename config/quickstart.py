"""`make demo` and `make run`: the whole of Gatebook in the foreground, with nothing to install but Python.

PostgreSQL, a Celery worker with its beat, the web server and, for the demo, some traffic. Ctrl-C stops them all.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from config.env import stop
from config.postgres import Cluster
from config.processes import stop_orphans
from config.supervisor import Part, Supervisor, say

HOST = "127.0.0.1"
WEB_THREADS = 48  # more than may wait for a connection, so that some can say that this process is alive
ALONE = ("--without-mingle", "--without-gossip", "--without-heartbeat")  # there are no other workers to talk to
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(kind: str) -> None:
    """Run a `demo`, or a book to `run` with, until told to stop."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings

    for number in STOPPING:
        signal.signal(number, _interrupt)
    var: Path = settings.VAR
    os.umask(0o077)  # what we write below GATEBOOK_VAR is for this account alone
    lock = hold(var)
    os.environ |= {"GATEBOOK_VAR": str(var), "PYTHONUNBUFFERED": "1"}
    supervisor = Supervisor(var)
    try:
        if orphans := stop_orphans(var / "processes.json"):
            say(f"Stopped {orphans} processes that an earlier start had left behind.")
        expect_free(settings.PORT)
        run(kind, supervisor)
    except KeyboardInterrupt:
        say("\nStopping Gatebook …")
    finally:
        began_at = time.monotonic()

        def hurry(*_: object) -> None:
            if time.monotonic() - began_at > 2:  # make, timeout and a terminal may each pass on the first request
                supervisor.kill_all()

        for number in STOPPING:
            signal.signal(number, hurry)
        supervisor.stop_all()
        lock.close()
    say("Gatebook has stopped.")


def run(kind: str, supervisor: Supervisor) -> None:
    """Start the parts, say where Gatebook is, and watch over them for ever."""
    import django
    from django.conf import settings

    from config.prepare import prepare

    if settings.QUICK_START:
        say("Starting PostgreSQL …")
        cluster = Cluster(settings.VAR)
        database = Part("postgres", cluster.start, signal.SIGINT, seconds_to_stop=30)
        supervisor.start(database)
        supervisor.wait_for(database, lambda: cluster.answers(), seconds=120)
    say("Preparing the tables" + (" and the demo's entries …" if kind == "demo" else " …"))
    django.setup()
    sign_in = prepare(kind, settings.VAR)

    say("Starting the worker and the web server …")
    supervisor.start(
        Part(
            "worker",
            program("celery", "-A", "config", "worker", "-B", "-P", "threads", "-c", "3", "-l", "INFO", *ALONE),
        )
    )
    if kind == "demo":
        supervisor.start(Part("traffic", program("manage.py", "demo_traffic")))
    address = ("--host", HOST, "--port", str(settings.PORT))
    threads = ("--interface", "wsgi", "--workers", "1", "--blocking-threads", str(WEB_THREADS))
    bounded = ("--workers-kill-timeout", "10")
    web = Part("web", program("granian", *address, *threads, *bounded, "config.wsgi:application"), seconds_to_stop=15)
    supervisor.start(web)
    supervisor.wait_for(web, lambda: answers(settings.PORT), seconds=60)
    say(f"\n  Gatebook is ready at http://{HOST}:{settings.PORT}/\n  Sign in {sign_in}\n")
    say(f"  Ctrl-C stops it. Its data and logs are in {settings.VAR}\n")
    supervisor.watch()


def hold(var: Path) -> BinaryIO:
    """Return the lock on `var`, or stop where another start holds it."""
    var.mkdir(parents=True, exist_ok=True)
    lock = (var / "quickstart.lock").open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise stop(f"it is already running (pid {lock.read().decode().strip()}) in {var}.") from None
    lock.truncate(0)
    lock.write(str(os.getpid()).encode())
    lock.flush()
    return lock


def expect_free(port: int) -> None:
    """Stop where another program listens on the port."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, port))
        except OSError as error:
            reason = "needs more rights" if isinstance(error, PermissionError) else "is taken by another program"
            raise stop(f"port {port} {reason}; set PORT to another one.") from None


def program(name: str, *arguments: str) -> Callable[[BinaryIO], subprocess.Popen[bytes]]:
    """Return what launches a script of ours, or a module, away from the terminal's Ctrl-C."""
    command = [sys.executable, *([name] if name.endswith(".py") else ["-m", name]), *arguments]
    root = Path(__file__).resolve().parent.parent

    def launch(log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    return launch


def answers(port: int) -> bool:
    """Tell whether the web server on the port answers."""
    with suppress(OSError, HTTPException), closing(HTTPConnection(HOST, port, timeout=5)) as connection:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    return False


def _interrupt(number: int, frame: FrameType | None) -> None:
    for again in STOPPING:
        signal.signal(again, signal.SIG_IGN)  # a second request must not break off the stopping
    raise KeyboardInterrupt


if __name__ == "__main__":
    if sys.argv[1:] not in (["demo"], ["run"]):
        sys.exit("usage: python -m config.quickstart demo|run")
    main(sys.argv[1])
