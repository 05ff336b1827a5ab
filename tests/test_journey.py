"""Two lines in a project of their own, and its requests are in a Gatebook elsewhere: the real thing at both ends."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.book import ago
from tests.quick_start import QuickStart, Visitor, soon
from tests.servers import bare_environment, free_port

pytestmark = pytest.mark.slow
DOOR = "/api/rest/v1/api_request_logs"

SHOP = """
import os, sys
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="s" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="__main__",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}},
    INSTALLED_APPS=["gatebook", "django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    MIDDLEWARE=["gatebook.middleware.GatebookMiddleware", "django.middleware.common.CommonMiddleware"],
    GATEBOOK={
        "SPOOL": os.path.abspath("spool"),
        "BOOK_URL": os.environ["BOOK_URL"],
        "BOOK_KEY": os.environ["BOOK_KEY"],
    },
)
django.setup()
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

@api_view()
def orders(request):
    if "forbidden" in request.GET:
        raise PermissionDenied("Not your order.")
    return Response([])

urlpatterns = [path("api/orders", orders, name="orders")]

if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


class Shop:
    """A project that has nothing of Gatebook's but the package."""

    def __init__(self, directory: Path, book_url: str, book_key: str) -> None:
        self.port = free_port()
        (directory / "shop.py").write_text(SHOP)
        (directory / "gatebook").symlink_to(Path(__file__).resolve().parent.parent / "gatebook")  # and nothing else
        environment = bare_environment(BOOK_URL=book_url, BOOK_KEY=book_key, PYTHONWARNINGS="error::ResourceWarning")
        self.log = directory / "log"
        with self.log.open("wb") as log:
            command = [sys.executable, "shop.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"]
            self.process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)
        soon(lambda: self.ask("/api/orders?warm") == 200)

    def ask(self, path: str) -> int:
        """Return the answer's code."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def stop(self) -> None:
        """Stop as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)


def rows(visitor: Visitor, path: str) -> list[str]:
    """The rows of the log page's CSV whose path begins so."""
    columns = "interface,api_name,request_method,response_code,error_message"
    return visitor.get(f"/main/logs.csv?columns={columns}&path={path}*")[0].splitlines()[1:]


def test_requests_of_a_project_elsewhere_are_rows_also_those_made_while_the_book_was_away(quick_start, tmp_path):
    quick_start.start_and_wait()
    visitor = Visitor(quick_start)
    key = quick_start.manage("create_api_key", "main", "--name", "shop", "--scope", "ingest").splitlines()[-1]
    shop = Shop(tmp_path, quick_start.address, key)
    try:
        assert shop.ask("/api/orders?forbidden=1") == 403
        soon(lambda: "/api/orders?forbidden=1" in visitor.get("/main/logs/?status=failure")[0], seconds=5)
        assert rows(visitor, "/api/orders%3Fforbidden") == ["restapi,orders,GET,403,Not your order."]

        os.kill(quick_start.started[-1].pid, signal.SIGSTOP)  # or it would start the web server again at once
        try:
            for process in quick_start.running("granian"):
                process.kill()
            assert [shop.ask(f"/api/orders?away={number}") for number in range(20)] == [200] * 20
            soon(lambda: "cannot be reached" in shop.log.read_text())
        finally:
            os.kill(quick_start.started[-1].pid, signal.SIGCONT)
        soon(lambda: len(rows(visitor, "/api/orders%3Faway")) == 20)
        soon(lambda: "Entries are being shipped again" in shop.log.read_text())
        assert len(rows(visitor, "/api/orders%3Fforbidden")) == 1

        assert shop.ask("/api/orders?last=1") == 200
    finally:
        shop.stop()
    assert len(rows(visitor, "/api/orders%3Flast")) == 1
    assert key not in shop.log.read_text()
    own = visitor.get("/main/logs.csv?columns=request_path,response_code&api=ingest")[0].splitlines()[1:]
    assert own == [], "the book does not write about its own writing"


def post(quick_start: QuickStart, key: str, body: object, **headers: str) -> tuple[int, dict[str, object]]:
    """Send a body over a real socket; return the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", quick_start.port, timeout=60)
    headers = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {key}", **headers}
    try:
        with suppress(BrokenPipeError):  # it does not wait for the end of what it refuses
            connection.request("POST", DOOR, body, headers)
        answer = connection.getresponse()
        return answer.status, {"retry": answer.headers["Retry-After"], **json.loads(answer.read())}
    finally:
        connection.close()


def everything(quick_start: QuickStart) -> set[str]:
    """Read the log to its end, with a doubled slash as some clients write it; the Request-IDs."""
    key = quick_start.manage("create_api_key", "main", "--name", "n", "--scope", "read").splitlines()[-1]
    connection = http.client.HTTPConnection("127.0.0.1", quick_start.port, timeout=60)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        connection.request("GET", f"/{DOOR}?per_page=1000&cursor={cursor}", headers={"X-FilesAPI-Key": key})
        answer = connection.getresponse()
        found += [each["request_id"] for each in json.loads(answer.read())]
        cursor = answer.headers["X-Files-Cursor-Next"]
    connection.close()
    assert len(found) == len(set(found))
    return set(found)


def test_the_door_as_it_is_served(quick_start):
    quick_start.start_and_wait()
    key = quick_start.manage("create_api_key", "main", "--name", "n", "--scope", "ingest").splitlines()[-1]

    def line(request_id: str) -> bytes:
        return json.dumps({"created_at": ago(minutes=1).isoformat(), "request_id": request_id}).encode() + b"\n"

    many = b"".join(line(f"many-{number}") for number in range(10_000))
    assert post(quick_start, key, many)[1]["accepted"] == 10_000
    packed = gzip.compress(line("packed"))
    assert post(quick_start, key, packed, **{"Content-Encoding": "gzip"})[1]["accepted"] == 1
    assert post(quick_start, key, iter([line("a"), line("b")]))[1]["accepted"] == 2, "in chunks, without a length"
    assert post(quick_start, "0" * 40, many)[0] == 401
    assert len(everything(quick_start)) >= 10_003
    # The answer to what is too large can be lost, for it comes before the end.
    soon(lambda: post(quick_start, key, b" " * (16 * 2**20 + 1))[0] == 413)
    soon(lambda: post(quick_start, key, iter([b" " * 2**20] * 17))[0] == 413)
    assert post(quick_start, key, many, **{"Content-Type": "text/plain"})[0] == 415

    connection = http.client.HTTPConnection("127.0.0.1", quick_start.port, timeout=10)
    connection.putrequest("POST", DOOR)
    for name, value in {"Content-Type": "application/x-ndjson", "X-FilesAPI-Key": key, "Content-Length": "500"}.items():
        connection.putheader(name, value)
    connection.endheaders(line("broken off"))
    connection.close()

    os.kill(quick_start.started[-1].pid, signal.SIGSTOP)  # or it would start the database again at once
    try:
        quick_start.running("postgres")[0].kill()
        status, answer = post(quick_start, key, line("away"))
    finally:
        os.kill(quick_start.started[-1].pid, signal.SIGCONT)
    assert (status, answer["retry"]) == (503, "2")
    assert answer["error"].startswith("The database is away; send the same again")
    soon(lambda: post(quick_start, key, line("away"))[0] == 200)

    visitor = Visitor(quick_start)

    def refused() -> list[str]:
        page = visitor.get("/main/logs.csv?columns=response_code,error_type,api_key_prefix&api=ingest")[0]
        return sorted(page.splitlines()[1:])

    shown = key[:8]
    expected = {
        "401,not-authenticated/invalid-credentials,000000",  # as capture shows a key that nobody knows
        f"400,bad-request/unreadable-body,{shown}",
        f"413,bad-request/too-large,{shown}",
        f"415,bad-request/unknown-content-type,{shown}",
    }
    soon(lambda: expected <= set(refused()))
    assert any(row.startswith("503,service-unavailable/database-away") for row in refused())
    assert "broken off" not in visitor.get("/main/logs.csv?columns=request_id&request=broken*")[0]
