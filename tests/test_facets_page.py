"""Counts by value: what a reader sees beside the log, or on the page of its own, and where each value leads."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditlog.models import Site
from auditlog.search import answers
from auditlog.search.snapshot import OutOfBudget
from auditlog.store import rollups
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry
from tests.test_answers import ROW_FACETS, mixed
from tests.test_log_page import count_at, links

PAGE = "/acme/logs/facets"
AS_FRAGMENT = {"HX-Request": "true", "HX-Target": "facets"}


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


@pytest.fixture
def recorded(monkeypatch) -> list[str]:
    """The paths that were recorded."""
    paths: list[str] = []
    monkeypatch.setattr("gatebook.recording.record", lambda entry, site: paths.append(entry.request_path) or True)
    return paths


def shown(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", "", text)).split())


VALUE = re.compile(
    r'class="facet__value[^"]*" href="([^"]*)"([^>]*)>.*?facet__text">(.*?)</span>\s*'
    r'(?:<span class="visually-hidden">[^<]*</span>\s*)?<span class="facet__count">([\d,]+)',
    re.DOTALL,
)


def facets(page: str, state: str = "") -> dict[str, dict[str, tuple[str, int]]]:
    """Heading → value → the address it leads to and its count; with `state`, only those in it."""
    return {
        heading: {
            shown(value): (unescape(href), int(count.replace(",", "")))
            for href, attributes, value, count in VALUE.findall(section)
            if state in attributes
        }
        for heading, section in re.findall(
            r'<section class="facet" aria-label="(.*?)">(.*?)</section>', page, re.DOTALL
        )
    }


def ways_out(page: str, heading: str) -> dict[str, str]:
    """What each control under a heading says → the address that leaves the value out."""
    facet = re.search(rf'aria-label="{heading}">(.*?)</section>', page, re.DOTALL)[1]
    found = re.findall(r'<a class="facet__out" href="([^"]*)" title="(.*?)">', facet)
    return {unescape(title): unescape(href) for href, title in found}


def counts(page: str, heading: str) -> dict[str, int]:
    return {value: count for value, (_, count) in facets(page)[heading].items()}


def test_values_are_counted_under_their_headings_and_by_their_labels(visitor, site):
    write(
        site, [entry(interface=name, response_code=code) for name, code in (("dav", 200), ("dav", 500), ("web", 200))]
    )
    page = visitor.get(PAGE).text
    assert counts(page, "Interface") == {"WebDAV": 2, "Web": 1}
    assert counts(page, "Status") == {"Success": 2, "Failure": 1}
    assert counts(page, "Response Code") == {"200": 2, "500": 1}
    assert "API Key" not in facets(page)


@pytest.mark.parametrize("query", ["last=7d", "last=7d&interface=sftp&-user=bob", "last=7d&user=alice&-code=404"])
def test_every_value_leads_to_exactly_its_requests_and_those_of_the_chosen_ones(visitor, site, query):
    write(site, mixed(300, timedelta(days=3)))
    write(site, [entry(user_id="42", api_key_prefix="ab12"), entry(request_host="a,b*.example", api_key_id="7")])
    rollups.roll_up()
    page = visitor.get(f"{PAGE}?{query}").text
    chosen, left_out = facets(page, "aria-current"), facets(page, "data-left-out")
    followed = 0
    for heading, values in facets(page).items():
        if heading == "The slowest":
            continue
        beside = sum(count for _, count in chosen[heading].values())
        for value, (address, count) in values.items():
            if value not in chosen[heading] and value not in left_out[heading]:
                assert count_at(visitor, address) == count + (value != "none" and beside), (value, address)
                followed += 1
    assert followed > 20


def test_a_value_that_is_chosen_is_marked_and_its_link_drops_it(visitor, site):
    write(site, [entry(interface=name) for name in ("sftp", "sftp", "ftp", "web")])
    page = visitor.get(f"{PAGE}?interface=SFTP,ftp").text
    chosen = {
        shown(text) for text in re.findall(r'<a [^>]*aria-current[^>]*>.*?facet__text">(.*?)</span>', page, re.DOTALL)
    }
    assert chosen == {"SFTP", "FTP"}
    address, count = facets(page)["Interface"]["FTP"]
    assert (count, count_at(visitor, address)) == (1, 2)
    assert "interface=SFTP&" in address
    address, _ = facets(visitor.get(f"{PAGE}?{address.partition('?')[2]}").text)["Interface"]["SFTP"]
    assert count_at(visitor, address) == 4


def test_what_has_no_value_is_none_and_can_be_chosen_and_dropped(visitor, site):
    write(
        site,
        [entry(request_ip=address, response_code=code) for address, code in ((None, None), (None, 200), ("::1", 200))],
    )
    page = visitor.get(PAGE).text
    for heading, count in (("Request IP", 2), ("Response Code", 1)):
        address, told = facets(page)[heading]["none"]
        assert told == count_at(visitor, address) == count
        chosen = visitor.get(f"{PAGE}?{address.partition('?')[2]}").text
        assert count_at(visitor, facets(chosen)[heading]["none"][0]) == 3


def test_another_value_is_chosen_beside_the_chosen_ones(visitor, site):
    write(site, [entry(interface=name) for name in ("sftp", "sftp", "ftp", "web", "dav")])
    page = visitor.get(f"{PAGE}?interface=SFTP,ftp").text
    address, count = facets(page)["Interface"]["Web"]
    assert "interface=SFTP,ftp,Web&" in address
    assert count_at(visitor, address) == 3 + count


@pytest.mark.parametrize(
    ("query", "heading", "value"),
    [
        ("user=svc-*", "User", "svc-a"),
        ("user=svc-*", "User", "alice"),
        ("-user=svc-*", "User", "svc-a"),
        ("q=user:svc-*+user:*-a", "User", "alice"),
        ("code=400..499", "Response Code", "200"),
        ("ip=10.0.0.0/8", "Request IP", "192.0.2.1"),
    ],
)
def test_a_value_makes_patterns_of_its_key_give_way(visitor, site, query, heading, value):
    for name, code, address in (("svc-a", 404, "10.0.0.1"), ("svc-b", 200, None), ("alice", 200, "192.0.2.1")):
        write(site, [entry(username=name, response_code=code, request_ip=address)])
    make_entry(site, response_code=403)
    address, count = facets(visitor.get(f"{PAGE}?{query}").text)[heading][value]
    assert count_at(visitor, address) == count


@pytest.mark.parametrize("query", ["last=7d", "last=7d&method=GET&-user=bob", "last=7d&user=alice,bob"])
def test_leaving_a_value_out_leaves_out_exactly_its_requests(visitor, site, query):
    write(site, mixed(200, timedelta(days=3)))
    page = visitor.get(f"{PAGE}?{query}").text
    total = count_at(visitor, f"?{query}")
    names = {"Interface": "SFTP", "User": "alice", "Response Code": "404", "Request IP": "none"}
    followed = 0
    for heading, name in names.items():
        if count := counts(page, heading).get(name):
            assert count_at(visitor, ways_out(page, heading)[f"Leave out {name}"]) == total - count
            followed += 1
    assert followed > 2


def test_what_is_left_out_is_struck_through_with_its_count_and_can_be_taken_back(visitor, site):
    write(site, [entry(interface=name) for name in ("sftp", "sftp", "web", "ftp")])
    page = visitor.get(f"{PAGE}?-interface=sftp,ftp").text
    assert page.count("(left out)") == page.count("data-left-out") == 2
    assert "Leave out SFTP" not in ways_out(page, "Interface")
    address, count = facets(page)["Interface"]["SFTP"]
    assert count == 2
    assert "-interface=ftp" in address
    assert count_at(visitor, address) == 3
    back = visitor.get(f"{PAGE}?{address.partition('?')[2]}").text
    assert "Leave out SFTP" in ways_out(back, "Interface")


def test_leaving_out_what_has_no_value_asks_for_any_and_back(visitor, site):
    write(site, [entry(username="alice"), entry(), entry()])
    page = visitor.get(PAGE).text
    address = ways_out(page, "User")["Leave out none"]
    assert count_at(visitor, address) == 1
    left = visitor.get(f"{PAGE}?{address.partition('?')[2]}").text
    assert counts(left, "User") == {"alice": 1, "none": 2}
    assert count_at(visitor, facets(left)["User"]["none"][0]) == 3


def test_a_key_that_the_text_repeats_is_left_out_of_its_own_facet_alone(visitor, site):
    write(site, [entry(username=name, api_name=f"files.{name}") for name in ("svc-a", "svc-b", "alice")])
    page = visitor.get(f"{PAGE}?q=user:svc-*+user:*-a").text
    assert counts(page, "User") == {"svc-a": 1, "svc-b": 1, "alice": 1}
    assert counts(page, "API Name") == {"files.svc-a": 1}


def test_impersonators_are_counted_by_name_or_id(visitor, site):
    write(site, [entry(impersonator_username="h.weber"), entry(impersonator_user_id="42"), entry()])
    page = visitor.get(PAGE).text
    assert counts(page, "Impersonator User") == {"h.weber": 1, "42": 1, "none": 1}
    assert "Impersonator User" not in facets(visitor.get(f"{PAGE}?interface=dav").text)


@pytest.mark.parametrize(
    ("shown_page", "time"),
    [
        ("http://testserver/acme/logs/?user=bob&last=7d", "last=7d"),
        ("http://testserver/acme/logs/", ""),
        ("http://testserver/acme/logs/?from=2026-11-01T00:00:00Z", "to="),
        ("http://testserver/acme/logs/?last=<script>", "to="),
        ("http://testserver/acme/logs/?request=x", "to="),
    ],
)
def test_beside_the_log_its_own_time_goes_on(visitor, site, shown_page, time):
    make_entry(site, interface="dav")
    from_to = f"from={ago(hours=1):%Y-%m-%dT%H:%M:%SZ}&to={ago():%Y-%m-%dT%H:%M:%SZ}"
    headers = {**AS_FRAGMENT, "HX-Current-URL": shown_page}
    page = visitor.get(f"{PAGE}?{from_to}", headers=headers).text
    address, _ = facets(page)["Interface"]["WebDAV"]
    assert time in address
    assert ("from=" in address) == (time == "to=")


def test_a_user_without_a_name_counts_by_id(visitor, site):
    write(site, [entry(user_id="42"), entry(user_id="7", username="alice"), entry()])
    assert counts(visitor.get(PAGE).text, "User") == {"42": 1, "alice": 1, "none": 1}


def make_namesakes(site: Site) -> None:
    """Users and keys whose name is the id, or the prefix, of another one's, and some that begin as no name does."""
    for name, user_id in (("7", "1"), ("7", "1"), ("bob", "7"), (None, "7"), ("=7", None), ("carol", "=7"), ("x", "x")):
        make_entry(site, username=name, user_id=user_id, impersonator_username=name, impersonator_user_id=user_id)
        make_entry(site, api_key_id=name, api_key_prefix=user_id)


def test_a_name_that_is_the_id_of_another_leads_to_exactly_its_requests(visitor, site):
    make_namesakes(site)
    whole = count_at(visitor, "/acme/logs/")
    page = visitor.get(PAGE).text
    for heading, most in (("User", 3), ("Impersonator User", 3), ("API Key", 3)):
        found = facets(page)[heading]
        assert found["7"][1] == most
        for value, (href, count) in found.items():
            assert count_at(visitor, href) == count, value
            assert (value in ("7", "=7")) == ("%3D" in href)  # as one writes it wherever that is exact
        for title, href in ways_out(page, heading).items():
            count = found[title.removeprefix("Leave out ")][1]
            assert count_at(visitor, href) == whole - count, title


def test_a_name_asked_for_exactly_is_marked_and_dropped(visitor, site):
    make_namesakes(site)
    href, count = facets(visitor.get(PAGE).text)["User"]["7"]
    page = visitor.get(href.replace("/logs/?", "/logs/facets?")).text
    ((value, (dropped, _)),) = facets(page, "aria-current")["User"].items()
    assert value == "7"
    assert "user=" not in dropped
    also = facets(page)["User"]["bob"][0]
    assert count_at(visitor, also) == count + 1


def test_many_values_fold_and_more_are_said(visitor, site):
    write(site, [entry(username=f"user-{number}") for number in range(12)])
    page = visitor.get(PAGE).text
    assert "4 more</summary>" in page
    assert "and more" in page


def test_the_fragment_is_the_page_without_its_frame(visitor, site):
    make_entry(site, interface="dav")
    page = visitor.get(PAGE)
    fragment = visitor.get(PAGE, headers=AS_FRAGMENT)
    assert "<html" in page.text
    assert fragment.text.strip().startswith('<aside class="facets" id="facets"')
    assert counts(fragment.text, "Interface") == counts(page.text, "Interface")
    assert "HX-Request" in fragment["Vary"]
    assert "HX-Request" in page["Vary"]


def test_the_log_page_fetches_the_fragment_and_links_to_the_page(visitor, site):
    write(site, [entry(), entry(username="bob")])
    log = visitor.get("/acme/logs/?user=bob&last=7d&sort=duration_ms").text
    way = links(log, "Counts by value")[0]
    assert f'hx-get="{way.replace("&", "&amp;")}"' in log
    make_entry(site, username="bob", created_at=ago(minutes=-1))  # after the page was asked for
    page = visitor.get(way).text
    assert counts(page, "User") == {"bob": 1, "none": 1}
    assert "User" in page
    assert count_at(visitor, links(page, "API Logs of Acme")[0]) == 1


def test_a_fragment_of_a_page_is_not_in_the_book_and_a_page_is(visitor, site, recorded):
    visitor.get("/acme/logs/")
    visitor.get(PAGE, headers=AS_FRAGMENT)
    assert recorded == ["/acme/logs/"]
    visitor.get(PAGE)
    visitor.get(PAGE, headers={**AS_FRAGMENT, "HX-Boosted": "true"})
    assert recorded[1:] == [PAGE, PAGE]


def test_a_fragment_that_is_refused_is_in_the_book(signed_in, stranger, visitor, site, recorded):
    signed_in(stranger).get(PAGE, headers=AS_FRAGMENT)
    visitor.get(f"{PAGE}?code=4xx", headers=AS_FRAGMENT)
    Client().get(PAGE, headers=AS_FRAGMENT)
    assert recorded == [PAGE, f"{PAGE}?code=4xx", PAGE]


@pytest.mark.parametrize(
    ("query", "words"), [("bogus=1", "is not a search key"), ("code=4xx", "4xx is not a number or range")]
)
def test_a_bad_question_is_refused_with_the_log_pages_sentences(visitor, query, words):
    answer = visitor.get(f"{PAGE}?{query}")
    assert answer.status_code == 400
    assert words in answer.text


def test_a_part_that_takes_too_long_says_so_and_the_others_stand(visitor, site, monkeypatch):
    make_entry(site, interface="dav", username="alice", duration_ms=5)
    counted = answers.counted

    def only_roll_ups(question, by):
        if by.without in ROW_FACETS:
            raise OutOfBudget
        return counted(question, by)

    monkeypatch.setattr("auditlog.search.answers.counted", only_roll_ups)
    page = visitor.get(PAGE).text
    assert counts(page, "Interface") == {"WebDAV": 1}
    assert counts(page, "User") == {}
    assert page.count("Too much to count in time: narrow it.") == len(ROW_FACETS)
    assert "5 ms" in page


def test_where_the_rows_are_too_many_what_roll_ups_know_stands(visitor, site, monkeypatch):
    make_entry(site, interface="dav", username="alice", response_code=404)

    def too_long(question, groupings):
        raise OutOfBudget

    monkeypatch.setattr("auditlog.search.answers.counted_at_once", too_long)
    page = visitor.get(f"{PAGE}?status=failure").text
    assert counts(page, "Interface") == {"WebDAV": 1}
    assert counts(page, "User") == {}
    assert page.count("Too much to count in time: narrow it.") == len(ROW_FACETS)


def test_what_leaves_a_condition_out_is_asked_last(visitor, site, monkeypatch):
    make_entry(site, username="alice", request_ip="192.0.2.1")
    counted = answers.counted

    def slow_users(question, by):
        if by is answers.BY_KEY["user"]:
            connection.cursor().execute("SELECT pg_sleep(60)")
        return counted(question, by)

    monkeypatch.setattr("auditlog.search.answers.counted", slow_users)
    monkeypatch.setattr("auditlog.dashboard.facets.BUDGET_MS", 2_000)
    page = visitor.get(f"{PAGE}?user=alice").text
    assert counts(page, "Request IP") == {"192.0.2.1": 1}
    assert page.count("Too much to count in time: narrow it.") == 1


def test_all_parts_share_one_budget_that_the_server_keeps(visitor, site, monkeypatch):
    monkeypatch.setattr("auditlog.dashboard.facets.BUDGET_MS", 5)
    write(site, [entry(request_path="/" + "a" * 4000, created_at=ago(seconds=number)) for number in range(2000)])
    page = visitor.get(f"{PAGE}?path=*" + "*a" * 20 + "*b")
    assert page.status_code == 200
    assert page.text.count("in time: narrow it.") == 14


def test_durations_errors_and_the_slowest_are_told(visitor, site):
    write(site, [entry(duration_ms=ms, request_path=f"/{ms}ms") for ms in (10, 10, 10, 4_000)])
    write(
        site, [entry(response_code=500, error_type="broken", api_name="files.get", interface="dav") for _ in range(3)]
    )
    make_entry(site, response_code=500, error_type="broken", created_at=ago(hours=30))
    page = visitor.get(PAGE).text
    text = shown(page.replace("<", " <"))
    assert re.search(r"Half within about (9|10) ms 95 % within about (3\.[89]|4(\.[012])?) s", text)
    address, count = facets(page)["Errors by API Name"]["broken"]
    assert "new files.get · WebDAV" in text
    assert count_at(visitor, address) == count == 3
    slowest = re.findall(r'href="([^"]*/entry\?[^"]*)"', page)
    assert len(slowest) == 4
    assert "/4000ms" in visitor.get(unescape(slowest[0])).text


def test_an_error_leads_to_its_requests_under_the_same_text(visitor, site):
    for message in ("disk full", "disk full", "timed out"):
        make_entry(site, response_code=500, error_type="broken", error_message=message)
    address, count = facets(visitor.get(f"{PAGE}?q=disk").text)["Errors by API Name"]["broken"]
    assert count_at(visitor, address) == count == 2


def test_what_was_there_before_or_cannot_be_told_is_not_new(visitor, site):
    for created_at in (ago(hours=1), ago(hours=30)):
        make_entry(site, response_code=500, error_type="broken", created_at=created_at)
    assert ">new<" not in visitor.get(PAGE).text
    assert ">new<" not in visitor.get(f"{PAGE}?last=180d").text


def test_nothing_to_count_is_a_calm_page(visitor, site):
    page = visitor.get(PAGE)
    assert page.status_code == 200
    assert "There is nothing to count" in page.text


@pytest.mark.parametrize("query", ["", "?last=7d&user=*"])
def test_it_asks_as_often_however_many_rows_there_are(visitor, site: Site, query):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            visitor.get(f"{PAGE}{query}")
        return len(context)

    make_entry(site, username="alice", error_type="broken", response_code=500, duration_ms=1)
    few = queries()
    write(
        site,
        [
            entry(username=f"user-{number}", error_type=f"e-{number}", response_code=500, duration_ms=1)
            for number in range(60)
        ],
    )
    assert queries() == few < 200


@pytest.mark.parametrize(
    "query", ["from=1970-01-01&to=9990-12-31", "from=2026-11-01&to=4100-01-01&user=x", "from=4000-01-01"]
)
def test_a_range_of_centuries_is_answered_like_any_other(visitor, site, query):
    make_entry(site, error_type="broken", response_code=500, username="x")
    for page in ("/acme/logs/", PAGE):
        answer = visitor.get(f"{page}?{query}", follow=True)
        assert answer.status_code == (400 if query == "from=4000-01-01" else 200)
