"""Files.com's own Python SDK reads a book: every filter, every page, and errors as its own classes."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import files_sdk
import pytest
from files_sdk import error as errors

from auditlog.api import turns
from auditlog.models import ApiKey, Scope, Site
from auditlog.store.writer import write
from tests.book import ago, entry
from tests.servers import bare_environment, require

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
DOCUMENT = Path(__file__).parent.parent / "docs" / "api.md"
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask this machine without a proxy, at no pace of another test."""
    monkeypatch.setenv("NO_PROXY", "*")
    turns._due.clear()


@pytest.fixture
def client_of(live_server: Any) -> Iterator[Callable[[str], Any]]:
    """Return the SDK's client with a key."""
    opened = []

    def client(secret: str) -> Any:
        opened.append(files_sdk.Client(api_key=secret, base_url=live_server.url, initial_network_retry_delay=0.01))
        return opened[-1]

    yield client
    for each in opened:
        each.close()


@pytest.fixture
def log(site: Site, client_of: Callable[[str], Any]) -> Any:
    """Acme's log as the SDK has it."""
    return client_of(ApiKey.objects.issue(site, "siem", [Scope.READ])[1]).api_request_log


@pytest.fixture
def rows(site: Site) -> None:
    fields = {"interface": "web", "request_method": "GET", "request_ip": "10.0.0.1", "api_key_id": "5", "user_id": "1"}
    others = {"interface": "sftp", "request_method": "PUT", "request_ip": "10.0.0.2", "response_code": 403}
    write(
        site,
        [
            entry(request_id="first", created_at=DAY, response_code=200, duration_ms=9, **fields),
            entry(request_id="second", created_at=DAY + timedelta(hours=1), user_id="x-2", duration_ms=4, **others),
        ],
    )


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, "second first"),
        ({"filter": {"api_key_id": 5}}, "first"),
        ({"filter": {"interface": "sftp"}}, "second"),
        ({"filter": {"interface": ["web", "sftp"]}}, "second first"),
        ({"filter": {"request_id": "first"}}, "first"),
        ({"filter": {"request_ip": "10.0.0.2"}}, "second"),
        ({"filter": {"request_method": "PUT"}}, "second"),
        ({"filter": {"success": True}}, "first"),
        ({"filter": {"success": False}}, "second"),
        ({"filter": {"user_id": 1}}, "first"),
        ({"filter": {"user_id": "x-2"}}, "second"),
        ({"filter": {"user_id": None}}, "second first"),
        ({"filter": {"created_at": DAY}}, "first"),
        ({"filter_prefix": {"interface": "s"}}, "second"),
        ({"filter_prefix": {"request_id": "fir"}}, "first"),
        ({"filter_prefix": {"request_ip": "10.0.0."}}, "second first"),
        ({"filter_prefix": {"request_method": "P"}}, "second"),
        ({"filter_gt": {"created_at": DAY}}, "second"),
        ({"filter_gteq": {"created_at": DAY}}, "second first"),
        ({"filter_lt": {"created_at": DAY + timedelta(hours=1)}}, "first"),
        ({"filter_lteq": {"created_at": DAY.isoformat()}}, "first"),
        ({"filter_gteq": {"created_at": DAY}, "filter_lt": {"created_at": "2100-01-01"}}, "second first"),
        (
            {"filter": {"success": False}, "filter_prefix": {"interface": "sf"}, "filter_gt": {"created_at": DAY}},
            "second",
        ),
        ({"sort_by": {"created_at": "asc"}}, "first second"),
        ({"sort_by": {"duration_ms": "desc"}}, "first second"),
        ({"q": "code:403 -user:1"}, "second"),
    ],
)
def test_a_filter_finds(log, parameters, found):
    assert [each.request_id for each in log.list(parameters)] == found.split()


@pytest.mark.usefixtures("rows")
def test_the_fields_are_those_that_the_sdk_knows(log):
    (first,) = log.list({"filter": {"request_id": "first"}})
    assert first.get_attributes() == {
        "timestamp": f"{DAY:%Y-%m-%dT%H:%M:%S}.000000Z",
        "created_at": f"{DAY:%Y-%m-%dT%H:%M:%S}.000000Z",
        "api_key_id": 5,
        "user_id": 1,
        "user_is_from_parent_site": False,
        "interface": "web",
        "request_method": "GET",
        "request_ip": "10.0.0.1",
        "request_id": "first",
        "response_code": 200,
        "success": True,
        "duration_ms": 9,
    }


@pytest.fixture
def many(site: Site) -> list[str]:
    """2,500 entries that began at three moments, in the order of an answer."""
    moments = [DAY, DAY + timedelta(hours=10), DAY + timedelta(hours=40)]
    made = [entry(request_id=f"{number:04}", created_at=moments[number % 3]) for number in range(2_500)]
    write(site, made)
    return [each.request_id for each in sorted(made, key=lambda each: (each.created_at, each.request_id), reverse=True)]


@pytest.mark.parametrize("parameters", [{}, {"per_page": 1000}, {"per_page": 833}, {"per_page": 2500 // 4}])
def test_paging_on_by_itself_meets_every_entry_once_in_order(log, site, many, parameters):
    found = log.list(parameters).auto_paging_iter()
    begun = [each.request_id for each in itertools.islice(found, 500)]
    write(site, [entry(request_id=f"new {number}", created_at=ago(minutes=1)) for number in range(10)])
    assert begun + [each.request_id for each in found] == many


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("parameters", "kind", "sentence"),
    [
        ({"per_page": 0}, errors.RequestParamsInvalidError, "per_page: 0, expected 1 to 1,000."),
        ({"filter": {"path": "/"}}, errors.InvalidFilterFieldError, "filter does not take path"),
        ({"filter": {"success": "no"}}, errors.InvalidFilterParamValueError, "filter[success]: no"),
        ({"filter_gt": {"created_at": "soon"}}, errors.DatetimeParseError, "soon is no time"),
        ({"cursor": "next:nonsense"}, errors.InvalidCursorError, "cursor: next:nonsense"),
        ({"sort_by": {"user_id": "asc"}}, errors.InvalidSortFieldError, "sort_by does not take user_id"),
        ({"q": "colour:red"}, errors.InvalidFilterParamValueError, "colour is not a search key"),
    ],
)
def test_what_cannot_be_asked_is_an_error_of_the_sdk(log, parameters, kind, sentence):
    with pytest.raises(kind, match=re.escape(sentence)) as raised:
        log.list(parameters)
    assert isinstance(raised.value, errors.BadRequestError)
    assert raised.value.http_status == 422


def test_a_key_that_is_not_good_is_an_error_of_the_sdk(client_of, site):
    with pytest.raises(errors.NotAuthenticatedError):
        client_of("0" * 40).api_request_log.list()
    key, secret = ApiKey.objects.issue(site, "n", [Scope.INGEST])
    with pytest.raises(errors.NotAuthorizedError, match="this needs the scope read"):
        client_of(secret).api_request_log.list()
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=ago(seconds=1))
    with pytest.raises(errors.NotAuthenticatedError, match="has been revoked"):
        client_of(secret).api_request_log.list()
    with pytest.raises(errors.NotFoundError):
        client_of(secret).user.list()


def test_asking_too_often_is_an_error_of_the_sdk(log, monkeypatch):
    monkeypatch.setattr(turns, "OF_A_KEY", 0)
    with pytest.raises(errors.RateLimitedError):
        log.list()


def test_a_key_of_the_parent_reads_the_child_sites(log, site, child):
    write(child, [entry(request_id="of the child")])
    assert len(log.list()) == 0
    assert [each.request_id for each in log.list({"with_children": True})] == ["of the child"]


# --- The lines that the document shows ----------------------------------------------------------


def shown(language: str, address: str) -> str:
    (code,) = [
        code
        for code in re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        if "book.example.org" in code
    ]
    return code.replace("https://book.example.org", address)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(("language", "interpreter"), [("sh", ["sh", "-c"]), ("python", [sys.executable, "-c"])])
def test_the_lines_that_the_document_shows_work(live_server, site, language, interpreter):
    require("curl", "curl")
    secret = ApiKey.objects.issue(site, "siem", [Scope.READ])[1]
    environment = bare_environment(BOOK_KEY=secret, NO_PROXY="*")
    command = [*interpreter, shown(language, live_server.url)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert f"{DAY + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}.000000Z" in said
    assert f"{DAY:%Y-%m-%dT%H:%M:%S}" not in said, "only failures were asked for"
