"""Files.com's own JavaScript SDK reads a book, whatever it makes of booleans, dates, lists and nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditlog.api import turns
from auditlog.models import ApiKey, Scope, Site
from auditlog.store.writer import write
from tests.book import entry
from tests.servers import bare_environment, cannot_run, require
from tests.test_wire_python import DAY, shown

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
HERE = Path(__file__).parent / "wire_js"


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the SDK that the lock names; the directory."""
    require("node", "nodejs")
    npm = require("npm", "npm")
    directory = tmp_path_factory.mktemp("wire-js")
    for file in HERE.iterdir():
        shutil.copy(file, directory)
    # A registry that is away for a moment is asked again, for a minute and a half.
    patience = ["--fetch-retries=6", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=20000"]
    command = [npm, "ci", "--no-audit", "--no-fund", *patience]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        cannot_run(f"The JavaScript SDK cannot be installed: {done.stderr[-500:]}")
    return directory


Read = Callable[..., list[Any]]


@pytest.fixture
def read(sdk: Path, live_server: Any, site: Site) -> Read:
    """Ask questions in one go; the answers."""
    turns._due.clear()
    secret = ApiKey.objects.issue(site, "siem", [Scope.READ])[1]

    def read(*questions: dict[str, Any], slash: str = "", key: str = secret) -> list[Any]:
        environment = bare_environment(BOOK_URL=live_server.url + slash, BOOK_KEY=key, TZ="Europe/Berlin")
        command = ["node", "--no-warnings", "read.js"]
        done = subprocess.run(
            command, cwd=sdk, env=environment, input=json.dumps(questions), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "[{"]

    return read


def ids(answers: list[Any]) -> list[str]:
    return [" ".join(each["request_id"] for each in answer) for answer in answers]


def test_every_filter_finds(read, site):
    fields = {"interface": "web", "request_method": "GET", "request_ip": "10.0.0.1", "api_key_id": "5", "user_id": "1"}
    others = {"interface": "sftp", "request_method": "PUT", "request_ip": "10.0.0.2", "response_code": 403}
    first = entry(request_id="first", created_at=DAY, response_code=200, **fields)
    second = entry(request_id="second", created_at=DAY + timedelta(hours=1), **others)
    write(site, [first, second])
    at, later = first.created_at.isoformat(), second.created_at.isoformat()
    expected = [
        ({}, "second first"),
        ({"filter": {"api_key_id": 5}}, "first"),
        ({"filter": {"interface": ["web", "sftp"]}}, "second first"),
        ({"filter": {"request_id": "first"}}, "first"),
        ({"filter": {"request_ip": "10.0.0.2"}}, "second"),
        ({"filter": {"request_method": "PUT"}}, "second"),
        ({"filter": {"success": True}}, "first"),
        ({"filter": {"success": False}}, "second"),
        ({"filter": {"user_id": 1}}, "first"),
        ({"filter": {"user_id": None}, "cursor": None, "per_page": None}, "second first"),
        ({"filter": {"created_at": at}}, "first"),
        ({"filter_prefix": {"request_ip": "10.0.0."}}, "second first"),
        ({"filter_gt": {"created_at": at}}, "second"),
        ({"filter_gteq": {"created_at": at}}, "second first"),
        ({"filter_lt": {"created_at": later}}, "first"),
        ({"filter_lteq": {"created_at": later}, "filter": {"success": False}}, "second"),
        ({"sort_by": {"created_at": "asc"}, "per_page": 1}, "first second"),
        ({"q": "code:403"}, "second"),
    ]
    questions = [question for question, _ in expected]
    assert ids(read(*questions)) == [found for _, found in expected]
    assert ids(read({}, slash="/")) == ["second first"]


def test_paging_on_by_itself_meets_every_entry_once_in_order(read, site):
    moments = [DAY, DAY + timedelta(hours=10), DAY + timedelta(hours=40)]
    made = [entry(request_id=f"{number:04}", created_at=moments[number % 3]) for number in range(2_500)]
    write(site, made)
    in_order = sorted(made, key=lambda each: (each.created_at, each.request_id), reverse=True)
    whole = " ".join(each.request_id for each in in_order)
    assert ids(read({}, {"per_page": 1000}, {"per_page": 625})) == [whole] * 3


def test_refusals_are_errors_of_the_sdk(read):
    found = read({"per_page": 2000}, {"filter": {"path": "/"}}, {"cursor": "next:nonsense"}, {"q": "colour:red"})
    expected = {
        "BadRequest_RequestParamsInvalidError": "per_page: 2000, expected 1 to 1,000.",
        "BadRequest_InvalidFilterFieldError": "filter does not take path, expected one of",
        "BadRequest_InvalidCursorError": "cursor: next:nonsense is no place in this answer",
        "BadRequest_InvalidFilterParamValueError": "q: colour is not a search key.",
    }
    assert [each["error"] for each in found] == list(expected)
    for each in found:
        assert each["message"].startswith(expected[each["error"]])
    assert read({}, key="0" * 40)[0]["error"] == "NotAuthenticated_InvalidCredentialsError"


def test_the_lines_that_the_document_shows_work(sdk, live_server, site):
    write(site, [entry(request_id="bad", created_at=DAY, response_code=500, username="bob", error_message="Oh no.")])
    secret = ApiKey.objects.issue(site, "siem", [Scope.READ])[1]
    command = ["node", "--no-warnings", "-e", shown("js", live_server.url)]
    environment = bare_environment(BOOK_KEY=secret)
    said = subprocess.run(command, cwd=sdk, env=environment, check=True, capture_output=True, text=True).stdout
    assert re.search(r"^2\S+Z bob null Oh no\.$", said, re.MULTILINE)
