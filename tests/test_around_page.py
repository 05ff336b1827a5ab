"""What belongs to one API request: the minutes around it, its repeats, the last success, its pace."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.http import urlencode

from auditlog.dashboard.around import MINUS, offset_words
from auditlog.models import Site
from auditlog.search import around
from auditlog.search.snapshot import OutOfBudget
from auditlog.search.timerange import written
from auditlog.store import rollups
from auditlog.store.writer import write
from gatebook.entry import Entry
from tests.book import ago, entry, make_entry
from tests.test_facets_page import recorded  # noqa: F401  (a fixture)
from tests.test_log_page import count_at, links

PAGE = "/acme/logs/entry/around"
AS_FRAGMENT = {"HX-Request": "true", "HX-Target": "around"}
FAILED = {"response_code": 403, "error_type": "not-authorized/denied"}
AT = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


def address(made: Entry, site: str = "acme") -> str:
    return f"/{site}/logs/entry/around?{urlencode({'at': written(made.created_at), 'request': made.request_id})}"


def words(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def part(page: str, name: str) -> str:
    """The section under a heading's id."""
    found = re.search(rf'<section [^>]*aria-labelledby="around-{name}">(.*?)</section>', page, re.DOTALL)
    return found[1] if found else ""


def nearby(page: str) -> list[list[str]]:
    """The lines of the minutes around it."""
    lines = re.findall(r'<tr class="nearby__row"(.*?)</tr>', page, re.DOTALL)
    return [[words(cell).strip() for cell in re.findall(r"<td.*?</td>", line, re.DOTALL)] for line in lines]


def told(page: str) -> dict[str, str]:
    """What is said of the same failure."""
    pairs = re.findall(r"<dt[^>]*>(.*?)</dt>\s*<dd>(.*?)</dd>", part(page, "repeats"), re.DOTALL)
    return {words(name).strip(): words(value).strip() for name, value in pairs}


def differences(page: str) -> dict[str, tuple[str, str]]:
    table = re.search(r'<table class="differences">(.*?)</table>', page, re.DOTALL)
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table[1] if table else "", re.DOTALL)
    return {
        heading: tuple(words(cell).strip() for cell in re.findall(r"<td>.*?</td>", cells, re.DOTALL))
        for heading, cells in rows
    }


def at(seconds: float = 0, **fields: object) -> Entry:
    return entry(**{"created_at": AT + timedelta(seconds=seconds), **fields})


# The minutes around it


def test_the_minutes_around_it_are_those_of_the_same_user(visitor, site):
    this = at(username="bob", request_method="PUT", request_path="/this", duration_ms=12, response_code=200)
    write(
        site,
        [
            this,
            at(-2.3, username="bob", request_path="/before", response_code=500),
            at(245, username="bob", request_path="/after", response_code=201, duration_ms=1500),
            at(-301, username="bob", request_path="/too-early"),
            at(302, username="bob", request_path="/too-late"),
            at(1, username="alice", request_path="/not-his"),
        ],
    )
    page = visitor.get(address(this)).text
    assert nearby(page) == [
        ["+4 min 05 s", "201", "/after", "1,500 ms"],
        ["this one", "200", "PUT /this", "12 ms"],
        [f"{MINUS}2.3 s", "Failure 500", "/before", ""],
    ]
    assert "The ten minutes around it, of bob" in words(page)
    assert count_at(visitor, links(page, "These in the log")[0]) == 3


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (0, "+0 ms"),
        (-0.04, f"{MINUS}40 ms"),
        (0.9994, "+999 ms"),
        (0.9996, "+1.0 s"),
        (59.99, "+60.0 s"),
        (-61, f"{MINUS}1 min 01 s"),
    ],
)
def test_an_offset_is_said_as_one_says_it(offset, said):
    assert offset_words(timedelta(seconds=offset)) == said


def test_of_many_the_nearest_are_listed_and_the_others_a_link_away(visitor, site):
    write(site, [at(number, username="bob", request_path=f"/{number}") for number in range(-30, 31)])
    this = at(0.5, username="bob", request_path="/this")
    write(site, [this])
    page = visitor.get(address(this)).text
    listed = [line[2] for line in nearby(page)]
    assert listed == [*(f"/{number}" for number in range(10, 0, -1)), "/this", *(f"/{-n}" for n in range(9))]
    assert count_at(visitor, links(page, "All of these ten minutes")[0]) == 62


def test_where_one_side_has_few_the_other_fills_the_list(visitor, site):
    this = at(username="bob", request_path="/this")
    write(site, [this, *(at(-number, username="bob") for number in range(1, 40))])
    lines = nearby(visitor.get(address(this)).text)
    assert len(lines) == around.NEIGHBOURS
    assert lines[0][2] == "/this"


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"username": "bob", "request_ip": "192.0.2.7"}, "of bob"),
        ({"user_id": "17"}, "of 17"),
        ({"api_key_id": "8", "api_key_prefix": "ab12", "request_ip": "192.0.2.7"}, "with the API key ab12"),
        ({"request_ip": "2001:db8::7"}, "from 2001:db8::7"),
        ({}, "of everyone"),
    ],
)
def test_where_nobody_was_signed_in_it_is_the_key_or_the_address(visitor, site, of, said):
    this = at(**of, request_path="/this")
    others = {"username": "eve", "request_ip": "192.0.2.99", "api_key_id": "99"}
    write(site, [this, at(1, **of, request_path="/his"), at(2, **others, request_path="/theirs")])
    page = visitor.get(address(this)).text
    assert f"The ten minutes around it, {said} " in words(page)
    assert [line[2] for line in nearby(page)] == [*(["/theirs"] if not of else []), "/his", "/this"]


def test_midnight_does_not_part_them(visitor, site):
    midnight = AT.replace(hour=0)
    this = entry(created_at=midnight, username="bob", request_path="/this")
    write(site, [this, entry(created_at=midnight - timedelta(seconds=1), username="bob", request_path="/yesterday")])
    assert [line[2] for line in nearby(visitor.get(address(this)).text)] == ["/this", "/yesterday"]


def test_the_earlier_and_the_later_request_are_a_step_away(visitor, site):
    this = at(username="bob", request_path="/this")
    far = [at(-86400 * 8, username="bob"), at(86400 * 2, username="bob", request_path="/even-later")]
    write(site, [this, at(86400, username="bob", request_path="/later"), at(9, request_path="/not-his"), *far])
    page = visitor.get(address(this)).text
    later = visitor.get(links(page, "Later")[0].replace("/entry?", "/entry/around?")).text
    assert nearby(later)[0][2] == "/later"
    assert links(page, "Earlier") == []
    assert links(later, "Earlier")[0] == address(this).replace("/around", "")


def test_steps_neither_skip_nor_repeat_what_began_at_the_same_moment(visitor, site):
    alike = [at(username="bob", request_path=f"/{number}", request_id=f"r{number}") for number in range(3)]
    write(site, alike)
    page = visitor.get(address(alike[0])).text
    assert links(page, "Later")[0] == address(alike[1]).replace("/around", "")
    assert links(visitor.get(address(alike[1])).text, "Later")[0] == address(alike[2]).replace("/around", "")


# The same failure


def test_a_failure_is_counted_and_each_number_leads_to_its_rows(visitor, site):
    this = at(api_name="files.get", interface="dav", username="bob", **FAILED)
    alike = {"api_name": "files.get", "interface": "dav", **FAILED}
    write(
        site,
        [
            this,
            *(at(3600 * hours, username="alice", **alike) for hours in (-11, 11, 13, 60)),
            at(-3600 * 24 * 20, **alike),
            at(1, **{**alike, "interface": "sftp"}),
            at(1, **{**alike, "api_name": "files.put"}),
            at(1, **{**alike, "error_type": "not-authorized/other"}),
            at(1, **{**alike, "response_code": 200}),
        ],
    )
    for _ in ("from rows", "from roll-ups"):
        page = visitor.get(address(this)).text
        assert told(page) | {"First seen": "", "Last seen": ""} == {
            "24 hours around it": "3 times",
            "7 days around it": "5 times",
            "In these 7 days": "2 users",
            "First seen": "",
            "Last seen": "",
        }
        for count in ("3 times", "5 times"):
            assert count_at(visitor, links(page, count)[0]) == int(count[0])
        assert f"{AT - timedelta(days=20):%-d %b %Y, 12:00}" in told(page)["First seen"]
        assert f"{AT + timedelta(hours=60):%-d %b %Y, %H:%M}" in told(page)["Last seen"]
        rollups.roll_up()


def test_the_first_failure_ever_says_so(visitor, site):
    this = make_entry(site, username="bob", api_name="files.get", **FAILED)
    page = visitor.get(address(this)).text
    assert told(page) == {
        "24 hours around it": "1 time",
        "7 days around it": "1 time",
        "In these 7 days": "1 user",
        "First seen": "this one",
        "Last seen": "this one",
    }
    assert "None of bob. " not in words(page)
    assert "No success of anyone in the 30 days before." in words(page)


@pytest.mark.parametrize("of", [{}, {"request_path": "/a,b*", "request_method": "GET"}, {"api_name": "files.get"}])
def test_without_an_error_type_it_is_the_code_and_the_call(visitor, site, of):
    this = at(response_code=404, **of)
    write(
        site,
        [
            this,
            at(1, response_code=404, **of),
            at(2, response_code=403, **of),
            at(3, response_code=404, error_type="denied", **of),
        ],
    )
    write(site, [at(4, response_code=404, api_name="another")] if of else [])
    page = visitor.get(address(this)).text
    assert told(page)["7 days around it"] == "2 times"
    assert told(page)["In these 7 days"] == "nobody signed in"
    assert count_at(visitor, links(page, "2 times")[0]) == 2


def test_a_recent_failure_is_counted_up_to_now(visitor, site):
    this = make_entry(site, created_at=ago(minutes=1), **FAILED)
    write(site, [entry(created_at=ago(hours=23), **FAILED), entry(created_at=ago(days=6, hours=23), **FAILED)])
    page = visitor.get(address(this)).text
    assert told(page)["24 hours around it"] == "2 times"
    assert told(page)["7 days around it"] == "3 times"


# When it last worked


def test_the_last_success_of_the_user_stands_beside_the_failure(visitor, site):
    call = {"api_name": "files.get", "username": "bob"}
    this = at(**call, request_ip="192.0.2.7", request_path="/this", user_agent="curl", interface="dav", **FAILED)
    write(
        site,
        [
            this,
            at(-7200, **call, request_path="/older", response_code=200),
            at(-3600, **call, request_ip="192.0.2.8", request_path="/that", user_agent="curl", response_code=200),
            at(-60, **{**call, "username": "alice"}, request_path="/hers", response_code=200),
            at(-30, **{**call, "api_name": "files.put"}, request_path="/other-call", response_code=200),
            at(60, **call, request_path="/after", response_code=200),
        ],
    )
    for _ in ("from rows", "from roll-ups"):
        page = visitor.get(address(this)).text
        assert "The last success of bob: 1 hour before" in words(page)
        assert differences(page) == {
            "Path": ("/this", "/that"),
            "Interface": ("WebDAV", "none"),
            "Request IP": ("192.0.2.7", "192.0.2.8"),
        }
        assert "The same in both: API Name, User Agent, User, User from Parent Site." in words(page)
        assert "/that" in visitor.get(links(page, "1 hour before")[0]).text
        rollups.roll_up()


def test_where_the_user_never_had_one_it_is_anyones(visitor, site):
    this = at(api_name="files.get", username="bob", **FAILED)
    write(site, [this, at(-86400 * 4, api_name="files.get", username="alice", response_code=200)])
    page = visitor.get(address(this)).text
    assert "None of bob. The last success of anyone: 4 days before" in words(page)
    assert differences(page) == {"User": ("bob", "alice")}


def test_a_success_long_ago_counts_as_none(visitor, site):
    this = at(api_name="files.get", username="bob", **FAILED)
    write(site, [this, at(-86400 * 31, api_name="files.get", username="bob", response_code=200)])
    assert "No success of anyone in the 30 days before" in words(visitor.get(address(this)).text)


def test_what_is_past_the_retention_is_not_found(visitor, site):
    this = at(api_name="files.get", username="bob", **FAILED)
    write(
        site,
        [this, at(-86400 * 10, api_name="files.get", username="bob", response_code=200), at(-86400 * 10, **FAILED)],
    )
    site.retention_days = 7
    site.save()
    page = visitor.get(address(this)).text
    assert re.search(r"No success of anyone in the [34] days before\.", words(page))
    assert told(page)["First seen"] == "this one"


def test_without_an_api_name_the_call_is_its_method_and_path(visitor, site):
    call = {"request_method": "GET", "request_path": "/a,b"}
    this = at(**call, request_ip="192.0.2.7", response_code=500)
    write(site, [this, at(-1, **call, response_code=200), at(-1, **{**call, "request_path": "/a"}, response_code=200)])
    assert "None from 192.0.2.7. The last success of anyone: 1.0 s before" in words(visitor.get(address(this)).text)


def test_without_any_name_nothing_is_said_of_a_success(visitor, site):
    this = make_entry(site, error_message="failed")
    page = visitor.get(address(this))
    assert page.status_code == 200
    assert part(page.text, "success") == ""


# Its duration


def test_a_success_is_compared_with_those_before_it(visitor, site):
    call = {"api_name": "files.delete", "response_code": 200}
    this = at(**call, duration_ms=90)
    write(site, [this, *(at(-number, **call, duration_ms=number) for number in range(1, 101))])
    write(site, [at(1, **call, duration_ms=1), at(-1, api_name="files.get", duration_ms=1)])
    write(site, [at(-1, api_name="files.delete", duration_ms=1, response_code=500)])
    page = visitor.get(address(this)).text
    assert "longer than 89 % of the 100 successes of files.delete before it; half of them took 50 ms or less" in words(
        page
    )
    assert part(page, "repeats") == part(page, "success") == ""


@pytest.mark.parametrize(("duration_ms", "said"), [(0, "0 ms"), (5584, "5,584 ms")])
def test_a_duration_is_written_one_way_everywhere(visitor, site, duration_ms, said):
    this = make_entry(site, duration_ms=duration_ms, username="bob")
    entry_page = visitor.get(address(this).replace("/around", "")).text
    assert re.search(rf'data-column="duration_ms">\s*<bdi class="facts__text">{said}<', entry_page)
    assert nearby(visitor.get(address(this)).text)[0][3] == said
    assert re.search(rf">{said}<", visitor.get("/acme/logs/facets").text)  # among the slowest
    cell = re.search(r'<td role="cell" data-column="duration_ms".*?</td>', visitor.get("/acme/logs/").text)[0]
    assert words(cell).strip() == said


@pytest.mark.parametrize(
    ("duration_ms", "said"), [(1, "less time than 100 %"), (7, "as long as"), (8, "longer than 100 %"), (None, None)]
)
def test_a_duration_is_said_in_words(visitor, site, duration_ms, said):
    call = {"api_name": "files.delete", "response_code": 200}
    this = at(**call, duration_ms=duration_ms)
    write(site, [this, *(at(-number, **call, duration_ms=7) for number in range(1, 21))])
    page = visitor.get(address(this)).text
    assert (f"It took {said}" in words(page)) if said else (part(page, "pace") == "")


def test_too_few_durations_tell_nothing(visitor, site):
    call = {"api_name": "files.delete", "response_code": 200, "duration_ms": 7}
    this = at(**call)
    write(site, [this, *(at(-number, **call) for number in range(1, around.PACE_LEAST))])
    assert part(visitor.get(address(this)).text, "pace") == ""


# What holds for all of it


@pytest.mark.parametrize("theirs", ["other_site", "child"])
def test_nothing_of_another_site_is_counted_or_shown(request, visitor, site, theirs):
    fields = {"username": "bob", "api_name": "files.get", "request_path": "/theirs", "user_agent": "theirs"}
    this = at(username="bob", api_name="files.get", **FAILED)
    write(site, [this])
    before = visitor.get(address(this)).text
    other = request.getfixturevalue(theirs)
    write(other, [at(-1, **fields, response_code=200), at(-2, **fields, **FAILED), at(2, **fields, **FAILED)])
    for _ in ("from rows", "from roll-ups"):
        assert words(visitor.get(address(this)).text) == words(before)
        rollups.roll_up()


def test_administrators_see_it_of_a_child_site(signed_in, administrator, child):
    this = make_entry(child, username="bob", **FAILED)
    page = signed_in(administrator).get(address(this, "acme-eu")).text
    assert told(page)["7 days around it"] == "1 time"
    assert links(page, "1 time")[0].startswith("/acme-eu/logs/?")


def test_the_entry_page_fetches_the_fragment_and_links_to_the_page(visitor, site):
    this = make_entry(site, username="bob", **FAILED)
    page = visitor.get(address(this).replace("/around", "")).text
    way = links(page, "The minutes around it")[0]
    assert f'hx-get="{way.replace("&", "&amp;")}"' in page
    alone, fragment = visitor.get(way), visitor.get(way, headers=AS_FRAGMENT)
    assert "<html" in alone.text
    assert fragment.text.strip().startswith('<div class="around" id="around">')
    assert told(fragment.text) == told(alone.text)
    assert "HX-Request" in fragment["Vary"]
    assert visitor.get(links(alone.text, "The API request")[0]).status_code == 200


def test_the_fragment_is_not_in_the_book_and_the_page_is(visitor, site, recorded):  # noqa: F811
    this = address(make_entry(site))
    visitor.get(this, headers=AS_FRAGMENT)
    assert recorded == []
    visitor.get(this)
    assert recorded == [this]


@pytest.mark.parametrize(("query", "status"), [("request=unknown", 404), ("", 400), ("request=x&at=soon", 400)])
def test_an_address_of_no_entry_is_refused_in_words(visitor, site, query, status):
    assert visitor.get(f"{PAGE}?{query}").status_code == status


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("neighbours", "Too much to search in time."),
        ("count", "too much to count in time"),
        ("users", "too many to count in time"),
        ("seen", "too much to search in time"),
        ("last_success", "Too much to search in time for one of bob."),
    ],
)
def test_a_part_that_takes_too_long_says_so_and_the_others_stand(visitor, site, monkeypatch, answer, said):
    this = make_entry(site, username="bob", api_name="files.get", **FAILED)
    everything = words(visitor.get(address(this)).text)
    assert said not in everything

    def slow(*_: object) -> None:
        raise OutOfBudget

    monkeypatch.setattr(around, answer, slow)
    page = visitor.get(address(this))
    assert page.status_code == 200
    assert said in words(page.text)
    for heading in ("The same failure", "When it last worked", "The ten minutes around it"):
        assert heading in words(page.text)


def test_a_pace_that_takes_too_long_says_so(visitor, site, monkeypatch):
    monkeypatch.setattr("auditlog.dashboard.around.PART_MS", 0)
    page = visitor.get(address(make_entry(site, api_name="files.get", duration_ms=1, response_code=200))).text
    assert "Too much to compare in time." in words(page)
    assert "Too much to search in time." in words(page)


@pytest.mark.parametrize("of", [FAILED, {"response_code": 200, "duration_ms": 5}])
def test_it_asks_as_often_however_many_rows_there_are(visitor, site: Site, of):
    this = at(username="bob", api_name="files.get", **of)

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            visitor.get(address(this), headers=AS_FRAGMENT)
        return len(context)

    write(site, [this, at(-1, username="bob", api_name="files.get", response_code=200)])
    few = queries()
    write(site, [at(-number / 10, username=f"user-{number}", api_name="files.get", **of) for number in range(60)])
    assert queries() == few < 130
