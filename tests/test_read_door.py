"""The read door: the log in Files.com's wire format, whatever a client writes into the address."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlog.api import door, record, turns
from auditlog.api.asked import DEFAULT_PER_PAGE
from auditlog.dashboard import failures
from auditlog.models import ApiKey, ApiRequestLog, Scope, Site
from auditlog.refusals import Refused
from auditlog.search import pages
from auditlog.search.snapshot import OutOfBudget
from auditlog.store.writer import write
from gatebook.ids import new_id
from gatebook.redact import Redactor
from tests.book import ago, entry, make_entry

DOOR = "/api/rest/v1/api_request_logs"

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
"""Three days ago, at midnight."""


@pytest.fixture(autouse=True)
def _rested() -> None:
    """Let no test wait for the pace of another one."""
    turns._due.clear()


@pytest.fixture
def secret(site: Site) -> str:
    """A key of Acme that may read."""
    return ApiKey.objects.issue(site, "siem", [Scope.READ])[1]


Ask = Callable[..., Any]


@pytest.fixture
def ask(secret: str) -> Ask:
    """Ask with that key; parameters as a mapping or as the text of an address."""
    client = Client(raise_request_exception=False)

    def ask(parameters: Any = "", **headers: str) -> Any:
        query = parameters if isinstance(parameters, str) else urlencode(parameters, doseq=True)
        return client.get(f"{DOOR}?{query}", headers={"X-FilesAPI-Key": secret, **headers})

    return ask


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["request_id"] for each in answer.json()]


def walked(ask: Ask, parameters: dict[str, Any], header: str = "X-Files-Cursor-Next") -> list[list[str]]:
    """The pages of an answer, to its end."""
    found, seen = [], set()
    answer = ask(parameters)
    while True:
        found.append(ids(answer))
        cursor = answer.headers.get(header)
        if cursor is None:
            return found
        assert cursor not in seen, "JavaScript's client would ask for ever"
        seen.add(cursor)
        answer = ask({**parameters, "cursor": cursor})


# --- What an entry looks like -------------------------------------------------------------------


def test_an_entry_is_the_21_fields_of_files_com(ask, site):
    make_entry(
        site,
        created_at=DAY,
        request_id="8f02",
        user_id="42",
        username="bob",
        impersonator_user_id="gatebook:7",
        user_is_from_parent_site=True,
        interface="sftp",
        api_key_id="007",
        api_key_prefix="abc",
        api_name="upload",
        request_method="PUT",
        request_path="/a?b=c",
        request_ip="2001:db8::1",
        request_host="acme.example.com",
        response_code=403,
        user_agent="curl",
        error_type="not-authorized",
        error_message="No.",
        duration_ms=12,
        details={"trace": "4b"},
    )
    answer = ask()
    at = f"{DAY:%Y-%m-%dT%H:%M:%S}.000000Z"
    assert answer.json() == [
        {
            "timestamp": at,
            "created_at": at,
            "user_id": 42,
            "username": "bob",
            "impersonator_user_id": "gatebook:7",
            "user_is_from_parent_site": True,
            "interface": "sftp",
            "api_key_id": "007",
            "api_key_prefix": "abc",
            "api_name": "upload",
            "request_method": "PUT",
            "request_path": "/a?b=c",
            "request_ip": "2001:db8::1",
            "request_id": "8f02",
            "request_host": "acme.example.com",
            "response_code": 403,
            "user_agent": "curl",
            "error_type": "not-authorized",
            "error_message": "No.",
            "success": False,
            "duration_ms": 12,
        }
    ]
    assert list(answer.json()[0]) == list(record.FIELDS)
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"


def test_what_has_no_value_is_null_and_nothing_found_is_an_empty_array(ask, site):
    assert ask().text == "[]"
    make_entry(site, request_id="12345")
    (found,) = ask().json()
    assert found["request_id"] == "12345", "the clients take a Request-ID for text"
    assert found["user_id"] is found["response_code"] is found["request_ip"] is None
    assert found["success"] is True


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        *[(text, True) for text in ("0", "7", str(2**63 - 1))],
        *[(text, False) for text in ("07", "-7", str(2**63), "9" * 200, "٣", "²", "", None)],
    ],
)
def test_an_id_is_a_number_where_it_can_be_read_back(text, is_number):
    assert record.number_or_text(text) == (int(text) if is_number else text)


@given(st.text(st.characters(codec="utf-8"), max_size=30) | st.integers().map(str))
def test_an_id_survives_the_way_through_json(text):
    assert str(json.loads(json.dumps(record.number_or_text(text)))) == text


# --- Filters ------------------------------------------------------------------------------------

ROWS = {
    "plain": {
        "user_id": "1",
        "username": "2",
        "interface": "web",
        "request_method": "GET",
        "request_ip": "10.0.0.1",
        "api_key_id": "5",
        "response_code": 200,
    },
    "other": {
        "user_id": "2",
        "username": "1",
        "interface": "sftp",
        "request_method": "POST",
        "request_ip": "10.0.0.12",
        "api_key_id": "6",
        "api_key_prefix": "5",
        "response_code": 500,
    },
    "a,b": {
        "user_id": "gatebook:3",
        "interface": "webdesktopapi",
        "request_method": "GET",
        "request_ip": "2001:db8::1",
        "response_code": 404,
    },
    "50%_*": {"interface": "dav", "error_type": "odd"},
}
AT = {name: DAY + timedelta(hours=hour, microseconds=500_000) for hour, name in enumerate(ROWS)}


@pytest.fixture
def rows(site: Site, other_site: Site) -> None:
    write(site, [entry(request_id=name, created_at=AT[name], **fields) for name, fields in ROWS.items()])
    write(other_site, [entry(request_id=f"globex {name}", **fields) for name, fields in ROWS.items()])


def iso(name: str, zone: str = "Z") -> str:
    return AT[name].replace(tzinfo=None).isoformat() + zone


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        # What is equal: of the field alone, not of its neighbour.
        ("filter[user_id]=1", "plain"),
        ("filter[user_id]=gatebook:3", "a,b"),
        ("filter[api_key_id]=5", "plain"),
        ("filter[request_ip]=10.0.0.1", "plain"),
        ("filter[request_ip]=2001:DB8:0::1", "a,b"),
        ("filter[request_method]=GET", "plain|a,b"),
        ("filter[interface]=web", "plain"),
        ("filter[interface]=WebDAV", "50%_*"),
        ("filter[request_id]=a,b", ""),
        ("filter[request_id]=50%25_*", "50%_*"),
        ("filter[request_id]=nowhere", ""),
        ("filter[request_id]=*", ""),
        ("filter[request_id]=nowhere,plain", "plain"),
        # Booleans of each client.
        *[(f"filter[success]={text}", "plain") for text in ("True", "true", "1", "TRUE")],
        *[(f"filter[success]={text}", "other|a,b|50%_*") for text in ("False", "false", "0")],
        ("filter[success]=true,false", "plain|other|a,b|50%_*"),
        # Lists of each client.
        ("filter[interface]=web&filter[interface]=sftp", "plain|other"),
        ("filter[interface]=web%2Csftp", "plain|other"),
        ("filter[interface][]=web&filter[interface][]=sftp", "plain|other"),
        ("filter[interface][0]=web&filter[interface][1]=sftp", "plain|other"),
        ("filter[user_id]=1,2", "plain|other"),
        ("filter[request_ip]=10.0.0.1, 10.0.0.12", "plain|other"),
        # Objects as JSON.
        ('filter={"interface": ["web", "sftp"], "user_id": 1}', "plain"),
        ('filter={"success": false, "interface": null}', "other|a,b|50%_*"),
        ("filter={}", "plain|other|a,b|50%_*"),
        # What begins so.
        ("filter_prefix[interface]=web", "plain|a,b"),
        ("filter_prefix[request_method]=P", "other"),
        ("filter_prefix[request_ip]=10.0.0.1", "plain|other"),
        ("filter_prefix[request_ip]=2001:db8:", "a,b"),
        ("filter_prefix[request_id]=50%25", "50%_*"),
        ("filter_prefix[request_id]=50*", ""),
        ("filter_prefix[request_id]=p,o", "plain|other"),
        # Several at once.
        ("filter[interface]=web&filter_prefix[interface]=web", "plain"),
        ("filter[success]=true&filter[user_id]=2", ""),
        ("filter[success]=false&filter_prefix[request_ip]=10.&filter[request_method]=POST", "other"),
        # Nothing, as each client writes it.
        ("filter[user_id]=&filter[success]=null&filter=null&cursor=null&per_page=undefined", "plain|other|a,b|50%_*"),
        ("page=1", "plain|other|a,b|50%_*"),
        # Our own language.
        ("q=code:>=500", "other"),
        ("q=-interface:web status:success", ""),
        ("q=user:1&filter[user_id]=2", "other"),
        ("q=user:2&filter[user_id]=2", "other"),
        ("q=user:1", "plain|other"),
        ("q=user:%3D1", "other"),
        ('q="nothing like it"', ""),
        ("q=last:1h", ""),
        ("q=last:30d", "plain|other|a,b|50%_*"),
    ],
)
def test_a_filter_finds(ask, parameters, found):
    assert set(ids(ask(parameters))) == set(filter(None, found.split("|")))


def test_too_many_parameters_are_refused_as_clients_read_it(ask):
    answer = ask("&".join(f"filter[user_id][]={number}" for number in range(1001)))
    assert answer.status_code == 400
    assert answer.json()["type"] == "bad-request/too-many-parameters"
    assert answer.json()["error"] == "There are more than 1,000 parameters; send fewer."


def test_a_request_id_is_found_as_it_was_sent_though_a_secret_in_it_is_hidden(ask, site):
    hidden = Redactor().request_id(f"key-{7:032x}")
    make_entry(site, request_id=hidden)
    for request_id in (hidden, f"key-{7:032x}"):
        assert ids(ask({"filter[request_id]": request_id})) == [hidden]


@pytest.mark.usefixtures("rows")
def test_an_id_with_a_comma_is_looked_for_with_the_search_language(ask):
    assert ids(ask({"q": 'request:"a,b"'})) == ["a,b"]


def written_times(name: str) -> dict[str, str]:
    """The second in which a row began, as programs write it."""
    at = AT[name].replace(microsecond=0)
    return {
        "RFC 3339": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "another zone": f"{at.astimezone(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00",
        "Python": f"{at:%Y-%m-%d %H:%M:%S}+00:00",
        "Python, naive": f"{at:%Y-%m-%d %H:%M:%S}",
        "a plus lost in an address": f"{at:%Y-%m-%dT%H:%M:%S} 00:00",
        "JavaScript": f"{at:%a %b %d %Y %H:%M:%S} GMT+0000 (Coordinated Universal Time)",
        "JavaScript elsewhere": f"{at + timedelta(hours=2):%a %b %d %Y %H:%M:%S} GMT+0200 (Mitteleuropäische Zeit)",
        "JavaScript toUTCString": f"{at:%a, %d %b %Y %H:%M:%S} GMT",
        "Go": f"{at:%Y-%m-%d %H:%M:%S} +0000 UTC",
        "Ruby": f"{at:%Y-%m-%d %H:%M:%S} UTC",
        "PHP": f"{at:%Y-%m-%dT%H:%M:%S}+0000",
    }


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("style", written_times("other"))
def test_a_time_is_read_as_each_client_writes_it(ask, style):
    at = written_times("other")[style]
    assert ids(ask({"filter[created_at]": at})) == ["other"], "a time without a fraction is its second"
    assert ids(ask({"filter_lt[created_at]": at})) == ["plain"]
    assert ids(ask({"filter_gt[created_at]": at})) == ["50%_*", "a,b", "other"], "for it began half a second later"


@pytest.mark.usefixtures("rows")
def test_a_time_bounds_to_the_microsecond(ask):
    at = iso("other")
    assert ids(ask({"filter_gt[created_at]": at})) == ["50%_*", "a,b"]
    assert ids(ask({"filter_gteq[created_at]": at})) == ["50%_*", "a,b", "other"]
    assert ids(ask({"filter_lt[created_at]": at})) == ["plain"]
    assert ids(ask({"filter_lteq[created_at]": at})) == ["other", "plain"]
    assert ids(ask({"filter[created_at]": at})) == ["other"]
    assert ids(ask({"filter[created_at]": iso("other", "+00:01")})) == []
    between = {"filter_gt[created_at]": iso("plain"), "filter_lt[created_at]": iso("a,b"), "q": "last:7d"}
    assert ids(ask(between)) == ["other"]
    assert ids(ask({"filter_gt[created_at]": at, "filter_lt[created_at]": at})) == []
    assert ids(ask({"filter[start_date]": at, "filter[end_date]": iso("a,b")})) == ["a,b", "other"]


@pytest.mark.usefixtures("rows")
def test_a_date_is_the_whole_of_its_day(ask):
    day, before = f"{DAY:%Y-%m-%d}", f"{DAY - timedelta(days=1):%Y-%m-%d}"
    everything = ["50%_*", "a,b", "other", "plain"]
    for name, of_the_day, of_the_day_before in (
        ("filter", everything, []),
        ("filter_gt", [], everything),
        ("filter_gteq", everything, everything),
        ("filter_lt", [], []),
        ("filter_lteq", everything, []),
    ):
        assert ids(ask({f"{name}[created_at]": day})) == of_the_day
        assert ids(ask({f"{name}[created_at]": before})) == of_the_day_before


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
        ("0001-01-01 00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
        ("1970-01-01T00:00:00+01:00", "9998-12-31T23:59:59-01:00"),
        ("0001-01-01", "9999-12-31"),
    ],
)
def test_a_time_before_or_after_everything_is_a_time(ask, early, late):
    assert len(ids(ask({"filter_gt[created_at]": early, "filter_lt[created_at]": late}))) == len(ROWS)
    assert ids(ask({"filter_lt[created_at]": early})) == ids(ask({"filter_gt[created_at]": late})) == []
    assert ids(ask({"filter[created_at]": early})) == ids(ask({"filter[created_at]": late})) == []


def test_without_a_time_the_whole_retention_is_asked_and_no_more(ask, site):
    make_entry(site, request_id="old", created_at=ago(days=179))
    make_entry(site, request_id="new", created_at=ago(days=-0.5))
    assert ids(ask()) == ["new", "old"]
    Site.objects.update(retention_days=100)
    assert ids(ask()) == ["new"]
    assert ids(ask({"filter[created_at]": ago(days=179).isoformat()[:10]})) == []


@pytest.mark.usefixtures("rows")
def test_filters_combine_as_one_likes(ask):
    fields = {
        "api_key_id": "5",
        "interface": "web",
        "request_id": "plain",
        "request_ip": "10.0.0.1",
        "request_method": "GET",
        "success": "True",
        "user_id": "1",
        "created_at": iso("plain"),
    }
    for size in (1, 2, len(fields)):
        for names in itertools.combinations(fields, size):
            expected = ["a,b", "plain"] if names == ("request_method",) else ["plain"]
            assert ids(ask({f"filter[{name}]": fields[name] for name in names})) == expected


# --- Pages --------------------------------------------------------------------------------------


@pytest.fixture
def many(site: Site) -> list[str]:
    """250 entries of three moments, in the order of an answer."""
    moments = [DAY, DAY + timedelta(hours=30), DAY + timedelta(hours=60)]
    names = [f"{number:03}" for number in range(250)]
    made = [entry(request_id=name, created_at=moments[int(name) % 3], response_code=int(name)) for name in names]
    write(site, made)
    return [each.request_id for each in sorted(made, key=lambda each: (each.created_at, each.request_id), reverse=True)]


@pytest.mark.parametrize("per_page", [1, 7, 125, 249, 250, 251, 1000])
def test_pages_have_every_entry_once_in_order(ask, many, per_page):
    if per_page == 1:
        many = many[:30]
    chosen = {"filter[request_id]": ",".join(many)} if per_page == 1 else {}
    pages = walked(ask, {"per_page": per_page, **chosen})
    assert list(itertools.chain(*pages)) == many
    assert {len(page) for page in pages[:-1]} <= {per_page}
    assert len(pages[-1]) > 0


@pytest.mark.usefixtures("many")
def test_100_come_at_a_time_unless_said(ask):
    assert [len(page) for page in walked(ask, {})] == [100, 100, 50]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("order", ["created_at", "response_code", "duration_ms"])
@pytest.mark.parametrize("direction", ["asc", "desc", "DESC"])
def test_an_order_is_walked_whole(ask, many, order, direction):
    found = list(itertools.chain(*walked(ask, {f"sort_by[{order}]": direction, "per_page": 99})))
    assert sorted(found) == sorted(many)
    if order == "created_at":
        assert found == (many[::-1] if direction == "asc" else many)
    if order == "response_code":
        assert found == sorted(many, reverse=direction != "asc")


def test_pages_go_back_too(ask, many):
    first = ask({"per_page": 100})
    second = ask({"per_page": 100, "cursor": first["X-Files-Cursor"]})
    assert first["X-Files-Cursor"] == first["X-Files-Cursor-Next"]
    assert "X-Files-Cursor-Prev" not in first
    back = ask({"per_page": 30, "cursor": second["X-Files-Cursor-Prev"]})
    assert ids(back) == many[70:100]
    assert ids(ask({"per_page": 10, "cursor": back["X-Files-Cursor-Next"]})) == many[100:110]


@pytest.mark.usefixtures("many")
def test_the_page_that_javascript_counts_beside_the_cursor_is_not_looked_at(ask):
    cursor = ask({"per_page": 50})["X-Files-Cursor"]
    with_page, without = ask({"cursor": cursor, "page": "2"}), ask({"cursor": cursor})
    assert ids(with_page) == ids(without)


def test_what_arrives_meanwhile_disturbs_no_walk(ask, site, many):
    first = ask({"per_page": 100})
    make_entry(site, request_id="newest", created_at=ago(minutes=1))
    rest = walked(ask, {"per_page": 100, "cursor": first["X-Files-Cursor"]})
    assert list(itertools.chain(*rest)) == many[100:]


# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "kind", "sentence"),
    [
        ("per_page=0", "request-params-invalid", "per_page: 0, expected 1 to 1,000."),
        ("per_page=1001", "request-params-invalid", "per_page: 1001, expected"),
        ("per_page=-1", "request-params-invalid", "per_page: -1"),
        ("per_page=ten", "request-params-invalid", "per_page: ten"),
        ("per_page=٣", "request-params-invalid", "per_page: ٣"),
        ("per_page=1&per_page=2", "request-params-invalid", "per_page is given more than once"),
        ("page=2", "request-params-invalid", "page: pages follow each other by cursor"),
        ("status=failure", "request-params-invalid", "status is not a parameter, expected one of cursor, per_page"),
        ("filters[user_id]=1", "request-params-invalid", "filters[user_id] is not a parameter"),
        ("filter[path]=x", "invalid-filter-field", "filter does not take path, expected one of api_key_id, interface"),
        ("filter_prefix[user_id]=1", "invalid-filter-field", "filter_prefix does not take user_id"),
        ("filter_gt[user_id]=1", "invalid-filter-field", "filter_gt does not take user_id, expected one of created_at"),
        ("filter=web", "invalid-filter-param-format", "filter: web is no object, expected filter[field]=value"),
        ('filter={"user_id": {"a": 1}}', "invalid-filter-param-format", "is no object"),
        ("filter[success]=maybe", "invalid-filter-param-value", "filter[success]: maybe, expected true or false"),
        ("filter[request_ip]=here", "invalid-filter-param-value", "filter[request_ip]: here is no IP address"),
        ("filter_gt[created_at]=soon", "datetime-parse", "filter_gt[created_at]: soon is no time, expected one such"),
        ("filter_gt[created_at]=" + "(" * 30_000, "datetime-parse", "(… is no time"),
        (
            "filter[user_id]=" + ",".join(map(str, range(101))),
            "invalid-filter-param-value",
            "has 101 values, expected 100",
        ),
        ("filter_gt[created_at]=2026-02-30", "datetime-parse", "2026-02-30 is no time"),
        ("filter_gt[created_at]=1 Jan 2026 99999999999:00:00 GMT", "datetime-parse", "GMT is no time"),
        ("filter[created_at]=1 Jan 2026 00:00:00 %2B99999999999999999999", "datetime-parse", "9 is no time"),
        ("filter[end_date]=99999999999 Jan 2026 00:00:00 GMT", "datetime-parse", "GMT is no time"),
        ("filter[created_at]=2026-01-01&filter[created_at]=2026-01-02", "invalid-filter-param-value", "more than once"),
        ("sort_by[user_id]=asc", "invalid-sort-field", "sort_by does not take user_id, expected one of created_at"),
        ("sort_by[created_at]=up", "invalid-sort-field", "sort_by[created_at]: up, expected asc or desc"),
        ("sort_by[created_at]=asc&sort_by[duration_ms]=asc", "multiple-sort-params-not-allowed", "one field"),
        ("sort_by=created_at", "invalid-filter-param-format", "sort_by: created_at is no object"),
        ("cursor=next", "invalid-cursor", "cursor: next is no place in this answer"),
        ("cursor=next:AAAA", "invalid-cursor", "cursor: next:AAAA is no place"),
        ("cursor=c2:next:AAAA", "invalid-cursor", "is no place"),
        ("q=code:abc", "invalid-filter-param-value", "q: code: abc is not a number or range"),
        ("q=colour:red", "invalid-filter-param-value", "colour is not a search key"),
        ("q=a&q=b", "invalid-filter-param-value", "is given more than once"),
        ('q="', "invalid-filter-param-value", "never closed"),
        ("with_children=maybe", "invalid-filter-param-value", "with_children: maybe, expected true or false"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_value_and_what_was_expected(ask, parameters, kind, sentence):
    answer = ask(parameters)
    body = answer.json()
    assert (answer.status_code, body["http-code"], body["type"]) == (422, 422, f"bad-request/{kind}")
    assert sentence in body["error"]
    assert answer["X-Files-Error-Class"] == body["type"]
    assert set(body) == {"error", "http-code", "instance", "title", "type"}


@pytest.mark.usefixtures("many")
def test_a_cursor_of_another_order_is_refused(ask):
    cursor = ask({"per_page": 5})["X-Files-Cursor"]
    answer = ask({"cursor": cursor, "sort_by[response_code]": "asc"})
    assert (answer.status_code, answer.json()["type"]) == (422, "bad-request/invalid-cursor")


@pytest.mark.parametrize(
    ("scopes", "status", "kind"),
    [(["ingest"], 403, "not-authorized/read-permission-required"), (["ingest", "read"], 200, None)],
)
def test_reading_needs_the_scope_read(ask, site, scopes, status, kind):
    secret = ApiKey.objects.issue(site, "n", scopes)[1]
    answer = ask(**{"X-FilesAPI-Key": secret})
    assert answer.status_code == status
    if kind:
        assert answer.json()["type"] == kind
    assert ask(**{"X-FilesAPI-Key": "", "Authorization": f"Bearer {secret}"}).status_code == status


@pytest.mark.parametrize(
    ("key", "kind"),
    [("", "authentication-required"), ("0" * 40, "invalid-credentials"), ("\x00", "invalid-credentials")],
)
def test_without_a_good_key_nothing_is_told(ask, key, kind):
    answer = ask("filter[nonsense]=1", **{"X-FilesAPI-Key": key})
    assert (answer.status_code, answer.json()["type"]) == (401, f"not-authenticated/{kind}")


def test_a_workspace_is_refused_for_there_are_none(ask):
    assert ask(**{"X-Files-Workspace-Id": "0"}).status_code == 200
    answer = ask(**{"X-Files-Workspace-Id": "7"})
    assert answer.json()["type"] == "bad-request/invalid-workspace-id-header"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_refused_in_kind(client, db, method):
    answer = client.generic(method, DOOR)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, POST")
    assert answer.json()["type"] == "bad-request/method-not-allowed"


def test_what_is_not_there_is_said_in_kind(client, db):
    answer = client.get("/api/rest/v1/users")
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


@pytest.mark.parametrize("path", [f"/{DOOR}", f"{DOOR}.json"])
def test_the_address_is_known_as_clients_write_it(client, secret, own_entries, path):
    answer = client.get(DOOR, PATH_INFO=path, headers={"X-FilesAPI-Key": secret})
    assert (answer.status_code, answer.json()) == (200, [])
    (own,) = own_entries()
    assert own.interface == "restapi"


def test_a_question_and_a_refusal_are_in_the_book(ask, own_entries, secret):
    key = ApiKey.objects.get()
    answers = [ask("filter[success]=True"), ask("per_page=0")]
    good, bad = own_entries()
    for own, answer in zip((good, bad), answers, strict=True):
        assert own.request_id == answer["X-Request-Id"]
        assert own.api_name == "list_entries"
        assert (own.api_key_id, own.api_key_prefix) == (f"gatebook:{key.pk}", secret[:8])
        assert own.interface == "restapi"
    assert (good.response_code, good.error_type) == (200, None)
    assert (bad.response_code, bad.error_type) == (422, "bad-request/request-params-invalid")
    assert bad.error_message == answers[1].json()["error"]
    assert answers[1].json()["instance"] == bad.request_id


def test_what_takes_too_long_is_refused_with_a_way_out(ask, site, monkeypatch):
    make_entry(site)
    monkeypatch.setattr(door, "BUDGET_MS", 0)
    answer = ask()
    assert (answer.status_code, answer.json()["type"]) == (422, "processing-failure/exceeded-runtime-limit")
    assert "narrow the time" in answer.json()["error"]


def test_where_the_budget_ends_the_next_cursor_goes_on(ask, site, monkeypatch):
    for days in (1, 20, 40):
        make_entry(site, request_id=f"{days} days", created_at=ago(days=days))
    first, calls = pages._first, itertools.count(1)

    def slow(*arguments: Any, **named: Any) -> Any:
        if next(calls) in (2, 4):  # the second slice of the first request and of the next
            raise OutOfBudget
        return first(*arguments, **named)

    monkeypatch.setattr(pages, "_first", slow)
    found = walked(ask, {})
    assert list(itertools.chain(*found)) == ["1 days", "20 days", "40 days"]
    assert len(found) == 3


def test_a_broken_connection_is_tried_again_and_leaves_no_trace(ask, site, own_entries, monkeypatch):
    make_entry(site, request_id="found")
    fetch, broken = pages.fetch, [OperationalError("the connection is lost")]

    def once_broken(*arguments: Any) -> pages.Page:
        if broken:
            raise broken.pop()
        return fetch(*arguments)

    monkeypatch.setattr(door.pages, "fetch", once_broken)
    monkeypatch.setattr(failures.connection, "close", lambda: None)  # it holds this test's entries
    assert ids(ask()) == ["found"]
    (own,) = own_entries()
    assert (own.response_code, own.error_type) == (200, None)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [(OperationalError, 503, "service-unavailable"), (RuntimeError, 500, "internal-server-error")],
)
def test_what_fails_here_is_said_in_kind(ask, own_entries, monkeypatch, error, status, kind):
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(door.pages, "fetch", fail)
    monkeypatch.setattr(failures.connection, "close", lambda: None)
    answer = ask()
    assert (answer.status_code, answer.json()["type"], answer["X-Files-Error-Class"]) == (status, kind, kind)
    assert answer.json()["instance"] == answer["X-Request-Id"] == own_entries()[0].request_id
    assert ("Retry-After" in answer) == (status == 503)


def test_a_head_is_a_page_without_its_body(client, secret, site):
    write(site, [entry(), entry()])
    answer = client.head(f"{DOOR}?per_page=1", headers={"X-FilesAPI-Key": secret})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["X-Files-Cursor-Next"]


# --- How often ----------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the wall clock says, and the seconds that were slept."""
    now = [1000.0]
    monkeypatch.setattr(turns.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_who_asks_one_after_the_other_is_slowed_down_and_never_refused(ask, clock, monkeypatch):
    monkeypatch.setattr(turns, "AT_FIRST", 5)
    for _ in range(25):
        assert ask("per_page=1").status_code == 200
    assert clock[0] == pytest.approx(1000 + 20 / turns.A_SECOND)


def test_who_asks_faster_than_that_is_told_when_to_come_back(secret, clock, monkeypatch):
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: None)  # others ask meanwhile
    key = ApiKey.objects.get()

    def ask_on() -> None:
        for _ in range(1000):
            with turns.turn(key):
                pass

    with pytest.raises(Refused) as refused:
        ask_on()
    assert (refused.value.status, refused.value.error_type) == (429, "rate-limited/too-many-requests")
    clock[0] += int(refused.value.headers["Retry-After"])
    with turns.turn(key):
        pass


def test_one_key_asks_a_few_questions_at_a_time(ask, secret):
    key = ApiKey.objects.get()
    turns._asking[key.pk] = turns.OF_A_KEY
    try:
        answer = ask()
    finally:
        del turns._asking[key.pk]
    assert (answer.status_code, answer["Retry-After"]) == (429, "1")
    assert answer.json()["type"] == "rate-limited/too-many-concurrent-requests"
    assert ask().status_code == 200
    assert not turns._asking


def test_all_keys_together_leave_connections_for_the_pages(ask, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.01)
    for _ in range(turns.AT_ONCE):
        turns._turns.acquire()
    try:
        assert ask().status_code == 429
    finally:
        for _ in range(turns.AT_ONCE):
            turns._turns.release()
    assert ask().status_code == 200


# --- Whose ---------------------------------------------------------------------------------------


@pytest.fixture
def tree(site: Site, child: Site, other_site: Site) -> dict[str, str]:
    """A reading key of each site, and an entry of each under the same Request-ID."""
    Site.objects.create(slug="acme-us", name="Acme US", parent=site)
    Site.objects.create(slug="globex-eu", name="Globex Europe", parent=other_site)
    sites = list(Site.objects.all())
    for each in sites:
        write(each, [entry(request_id="same", created_at=DAY, username=each.slug)])
    return {each.slug: ApiKey.objects.issue(each, "n", ["read"])[1] for each in sites}


def test_a_key_of_the_parent_reads_the_child_sites_where_it_asks_for_them(ask, tree):
    assert [each["username"] for each in ask().json()] == ["acme"]
    found = ask("with_children=True").json()
    assert [(each["site"], each["username"]) for each in found] == [
        (slug, slug) for slug in ("acme-us", "acme-eu", "acme")
    ]
    assert "site" not in ask("with_children=false").json()[0]


def test_a_key_of_a_child_site_cannot_ask_for_child_sites(ask, tree):
    answer = ask("with_children=true", **{"X-FilesAPI-Key": tree["acme-eu"]})
    assert (answer.status_code, answer.json()["type"]) == (403, "not-authorized/insufficient-permission-for-params")


NAMES = st.sampled_from(
    [
        *("q", "cursor", "per_page", "page", "filter", "filter[user_id]", "filter[request_id]", "filter[interface]"),
        *("filter_prefix[request_id]", "filter_gteq[created_at]", "sort_by[created_at]", "sort_by[response_code]"),
        *("filter[success]", "filter[request_ip]", "filter[site_id]", "filter[site]", "site_id", "site", "scope"),
    ]
)
TEXTS = st.sampled_from(
    [
        *(
            "same",
            "s",
            "acme",
            "globex",
            "user:globex*",
            "site:globex",
            "site:*",
            "-user:acme",
            "-site:acme",
            "children",
        ),
        *("user:a,globex", "1970-01-01", "desc", "asc", "true", "*", "10.0.0.0/8", "last:30d", "1000", '"', "')--"),
        '{"request_id":"same"}',
    ]
) | st.text(max_size=8)
SCOPES = st.sampled_from([["read"], ["ingest"], ["ingest", "read"]])
SLUGS = ("acme", "acme-eu", "acme-us", "globex", "globex-eu")


@settings(max_examples=60)
@given(st.data())
def test_no_key_reads_or_writes_outside_its_sites_and_scopes(client, tree, draw):
    turns._due.clear()
    owner, scopes = draw.draw(st.sampled_from(SLUGS)), draw.draw(SCOPES)
    secret = ApiKey.objects.issue(Site.objects.get(slug=owner), "drawn", scopes)[1]
    family = {slug for slug in SLUGS if slug == owner or slug.startswith(f"{owner}-")}
    headers = {"X-FilesAPI-Key": secret}

    # It writes what it may, where it may.
    before = Counter(ApiRequestLog.objects.values_list("site_id", flat=True))
    named = draw.draw(st.lists(st.sampled_from([*SLUGS, None, "nowhere"]), max_size=4))
    sent = [
        {"created_at": DAY.isoformat(), "request_id": new_id(), "username": slug or owner, "site": slug}
        for slug in named
    ]
    answer = client.post(DOOR, json.dumps(sent), content_type="application/json", headers=headers)
    assert answer.status_code == (200 if "ingest" in scopes else 403)
    expected = Counter(slug or owner for slug in named if (slug or owner) in family and "ingest" in scopes)
    added = Counter(ApiRequestLog.objects.values_list("site_id", flat=True)) - before
    assert added == Counter({Site.objects.get(slug=slug).pk: number for slug, number in expected.items()})

    # It reads what it may, whatever it asks.
    children = draw.draw(st.none() | st.sampled_from(["true", "True", "false", "1", "null"]) | st.text(max_size=3))
    asked = draw.draw(st.lists(st.tuples(NAMES, TEXTS), max_size=3))
    if draw.draw(st.booleans()):  # a cursor of another site's answer
        other = client.get(f"{DOOR}?per_page=1&with_children=1", headers={"X-FilesAPI-Key": tree["globex"]})
        asked.append(("cursor", other.headers.get("X-Files-Cursor", "next:")))
    if children is not None:
        asked.append(("with_children", children))
    answer = client.get(f"{DOOR}?{urlencode(asked, errors='replace')}", headers=headers)
    assert answer.status_code in ((200, 403, 422) if "read" in scopes else (403,)), answer.text
    reach = family if children in ("true", "True", "1") else {owner}
    if answer.status_code == 200:
        assert {each["username"] for each in answer.json()} <= reach
    if answer.status_code == 200 and {name for name, _ in asked} <= {"with_children"}:
        of_reach = ApiRequestLog.objects.filter(site_id__in=Site.objects.filter(slug__in=reach))
        assert len(answer.json()) == min(of_reach.count(), DEFAULT_PER_PAGE)
