"""The process of one contestant: `python -m benchmarks.capture.child` serves what it is asked for on standard input.

A command is a line of JSON, and so is its answer.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
from array import array
from io import BytesIO
from statistics import median, quantiles
from time import perf_counter, perf_counter_ns, process_time
from typing import Any

import django
from django.apps import apps
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command

from benchmarks.capture.contestants import CALLER, HOST, SITE

ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "203.0.113.7",
    "HTTP_HOST": HOST,
    "HTTP_ACCEPT": "application/json",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate",
    "HTTP_USER_AGENT": "Files.com SDK/1.4.1 (Python 3.12; Linux x86_64)",
    "HTTP_X_API_KEY": "9d2f3c0e5b7a4861",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


class Server:
    """The project behind Django's WSGI handler, called as a server would call it, and what that took."""

    def __init__(self) -> None:
        self.handler: Any = WSGIHandler()
        self.path = ""
        self.nanoseconds = array("Q")
        self.cpu_seconds: list[float] = []
        """Per request, a number for each turn."""
        self._served = 0
        self._cpu_began = 0.0

    def start(self) -> dict[str, object]:
        """Say that all is ready."""
        return {}

    def probe(self, path: str) -> dict[str, object]:
        """Serve one request, and from now on those of its path; say what was answered."""
        self.path = path
        response = self.handler(self._environ(), _start_response)
        body = b"".join(response)
        response.close()
        return {"status": response.status_code, "bytes": len(body), "body": hashlib.sha256(body).hexdigest()}

    def serve(self, seconds: float) -> dict[str, object]:
        """Serve one request after the other for that long."""
        gc.collect()
        self._cpu_began = process_time()
        before, until = len(self.nanoseconds), perf_counter() + seconds
        while perf_counter() < until:
            environ = self._environ()
            began = perf_counter_ns()
            response = self.handler(environ, _start_response)
            b"".join(response)
            response.close()
            self.nanoseconds.append(perf_counter_ns() - began)
            if response.status_code != 200:
                raise RuntimeError(f"{self.path} was answered with {response.status_code}")
        self._served = len(self.nanoseconds) - before
        return {"requests": self._served}

    def rest(self) -> dict[str, object]:
        """Note what the turn has cost, with what threads have done since."""
        self.cpu_seconds.append((process_time() - self._cpu_began) / self._served)
        return {}

    def forget(self) -> dict[str, object]:
        """Begin to measure: what was so far was the warm-up."""
        del self.nanoseconds[:], self.cpu_seconds[:]
        return {}

    def cost(self) -> dict[str, object]:
        """Return seconds per request."""
        return {
            "median": median(self.nanoseconds) / 1e9,
            "p99": quantiles(self.nanoseconds, n=100)[98] / 1e9,
            "cpu": median(self.cpu_seconds),
        }

    def _environ(self) -> dict[str, Any]:
        return ENVIRON | {"PATH_INFO": self.path, "wsgi.input": BytesIO()}


def _start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
    """Take what a server would send."""


def main() -> None:
    """Make the contestant's tables and obey."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a contestant prints is no answer
    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection

    call_command("migrate", verbosity=0)
    User.objects.get_or_create(username=CALLER)
    if apps.is_installed("auditlog"):
        from auditlog.models import Site

        Site.objects.get_or_create(slug=SITE, name=SITE)
    connection.close()
    server = Server()
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(server, command.pop("do"))(**command)), file=answers, flush=True)


if __name__ == "__main__":
    main()
