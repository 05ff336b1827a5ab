"""The overview of a site: every number leads to exactly its requests; what it says of silence and of nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditlog.dashboard.overview import change_words
from auditlog.models import Site
from auditlog.search import overview
from auditlog.search.snapshot import OutOfBudget
from auditlog.store import rollups
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry
from tests.test_answers import mixed
from tests.test_every_page import HOSTILE
from tests.test_facets_page import make_namesakes, recorded, shown  # noqa: F401  (a fixture)
from tests.test_log_page import count_at, links, sentence

PAGE = "/acme/overview/"
MORE = "/acme/overview/more"
AS_FRAGMENT = {"HX-Request": "true", "HX-Target": "overview_more"}


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


@pytest.fixture
def book(site: Site) -> Site:
    """Three days with everything the page speaks of, rolled up but for what came last."""
    write(site, mixed(300, timedelta(days=3)))
    rollups.roll_up()
    for name, by, days in (("bob", "alice", 1), ("bob", "alice", 2), ("carol", "alice", 1), (None, "dave", 0)):
        make_entry(site, username=name, impersonator_username=by, created_at=ago(days=days, minutes=5))
    write(site, [entry(user_id="42", api_key_prefix="ab12"), entry(api_name="a,b*", api_key_id="7", duration_ms=99)])
    return site


def numbers(page: str) -> list[tuple[str, int]]:
    """The addresses of the log that a page's numbers lead to, each with its number."""
    found = []
    for href, label in re.findall(r'<a [^>]*href="(/[\w-]+/logs/\?[^"]*)"[^>]*>(.*?)</a>', page, re.DOTALL):
        text = shown(label if "facet__count" not in label else re.search(r'facet__count">([^<]*)', label)[1])
        if re.fullmatch(r"[\d,]+", text):
            found.append((unescape(href), int(text.replace(",", ""))))
    return found


def figures(page: str) -> dict[str, str]:
    return {
        shown(name): shown(rest)
        for name, rest in re.findall(r'<dt class="figure__name">(.*?)</dt>(.*?)</div>', page, re.DOTALL)
    }


def part(page: str, heading: str) -> str:
    """What a part of the page says, in words."""
    sections = re.findall(r'<section class="part".*?</section>', page, re.DOTALL)
    return next(shown(re.sub("<span", " <span", section)) for section in sections if heading in section)


@pytest.mark.parametrize("query", ["", "?last=7d", "?last=1h"])
def test_every_number_leads_to_exactly_its_requests(visitor, book, query):
    followed = 0
    for address in (PAGE, MORE):
        for href, number in numbers(visitor.get(f"{address}{query}").text):
            assert count_at(visitor, href) == number, href
            followed += 1
    assert followed > (15 if "1h" in query else 30)


def test_the_numbers_hold_once_the_page_itself_is_in_the_book(visitor, site, own_entries):
    make_entry(site)
    found = numbers(visitor.get(f"{PAGE}?last=15m").text)
    assert found
    assert write(site, own_entries()).stored == 1
    assert [count_at(visitor, href) for href, _ in found] == [number for _, number in found]


def test_numbers_of_those_whose_name_is_anothers_id_lead_to_exactly_their_requests(visitor, site):
    make_namesakes(site)
    found = numbers(visitor.get(MORE).text)
    assert len(found) > 12
    assert [count_at(visitor, href) for href, _ in found] == [number for _, number in found]


def test_every_bar_leads_to_exactly_its_requests(visitor, book):
    page = visitor.get(f"{PAGE}?last=7d").text
    bars = re.findall(r'<li><a href="([^"]*)">[^<]*</a><span>([\d,]+) requests?</span>', page)
    busy = [(unescape(href), int(count)) for href, count in bars if count != "0"]
    assert len(busy) > 5
    assert all(count_at(visitor, href) == count for href, count in busy)


def test_a_change_leads_to_the_requests_of_the_time_before(visitor, site):
    write(site, [entry(created_at=ago(hours=30), response_code=500) for _ in range(4)])
    write(site, [entry(response_code=500) for _ in range(3)])
    write(site, [entry(response_code=200) for _ in range(7)])
    page = visitor.get(PAGE).text
    assert figures(page)["API requests"] == "10 2.5 times as many"
    assert figures(page)["Failures"] == "3 30 % 25 % fewer"
    for words in ("2.5 times as many", "25 % fewer"):
        before = re.findall(rf'<a href="(/acme/logs/[^"]*)"[^>]*>{words}</a>', page)
        assert [count_at(visitor, unescape(href)) for href in before] == [4, 4]  # of all, and of its one interface


def test_more_failures_than_before_are_marked(visitor, site):
    make_entry(site, created_at=ago(hours=30), response_code=500)
    write(site, [entry(response_code=500), entry(response_code=500)])
    assert "data-worse" in visitor.get(PAGE).text
    make_entry(site, created_at=ago(hours=31), response_code=500)
    assert "data-worse" not in visitor.get(PAGE).text


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (5, 5, "as before"),
        (0, 0, "as before"),
        (3, 0, "none before"),
        (0, 7, "100 % fewer"),
        (10_001, 10_000, "under 0.1 % more"),
        (15, 10, "50 % more"),
        (20, 10, "2 times as many"),
        (12_345, 1, "12,345 times as many"),
    ],
)
def test_a_change_is_said_in_words(now, before, words):
    assert change_words(now, before) == words


def test_where_the_time_before_is_not_kept_nothing_is_compared(visitor, site):
    make_entry(site)
    page = visitor.get(f"{PAGE}?last=180d").text
    assert "the time before is not kept" in page
    assert "none before" not in page


def test_a_time_that_is_not_over_is_compared_with_none(visitor, site):
    make_entry(site, response_code=500)
    make_entry(site, response_code=200, created_at=ago(days=2))
    query = f"?from={ago(days=1):%Y-%m-%dT%H:%MZ}&to={ago(days=-1):%Y-%m-%dT%H:%MZ}"
    page = visitor.get(f"{PAGE}{query}", follow=True).text
    assert figures(page)["API requests"] == "1"
    assert figures(page)["Failures"] == "1 100 %"
    assert "the time before" not in page.lower()


def test_interfaces_stand_by_their_failures(visitor, site):
    write(site, [entry(interface="web", response_code=200) for _ in range(5)])
    write(site, [entry(interface="sftp", response_code=500), entry(interface="sftp", response_code=200)])
    make_entry(site, interface="ftp", created_at=ago(hours=30))
    said = part(visitor.get(PAGE).text, "Interfaces")
    assert re.search(r"SFTP 2 none before 1 50 % none before Web 5 none before 0 as before FTP 0 100 % fewer", said)


def test_new_errors_are_marked(visitor, site):
    make_entry(site, error_type="old", created_at=ago(hours=30))
    write(site, [entry(error_type="old"), entry(error_type="fresh")])
    said = part(visitor.get(PAGE).text, "Most frequent errors")
    assert "fresh 1 new" in said
    assert "old 1 new" not in said


def test_who_acted_as_whom_how_often_and_when(visitor, site):
    for minutes in (50, 20):
        make_entry(site, username="bob", impersonator_username="alice", created_at=ago(minutes=minutes))
    make_entry(site, username="bob")
    page = visitor.get(MORE).text
    assert re.search(r"alice as bob \S+ \w+, \d\d:\d\d to \S+ \w+, \d\d:\d\d 2$", part(page, "Acted as somebody else"))
    (href,) = (href for href, _ in numbers(page) if "impersonator=" in href)
    assert count_at(visitor, href) == 2


def test_slow_names_stand_before_fast_ones(visitor, site):
    write(site, [entry(api_name="fast", duration_ms=5) for _ in range(9)])
    write(site, [entry(api_name="slow", duration_ms=milliseconds) for milliseconds in (10, 10, 3000)])
    write(site, [entry(api_name="timeless")])
    said = part(visitor.get(MORE).text, "Slowest API Names")
    assert "Half within about95 % within about" in said
    assert re.search("slow 3 10 ms 3.1 s fast 9", said)
    assert "timeless" not in said


def test_a_site_that_fell_silent_says_since_when(visitor, site):
    make_entry(site, created_at=ago(days=9), request_id="the-last")
    page = visitor.get(PAGE).text
    assert "Nothing since" in shown(page)
    assert figures(page)["Last API request"].startswith("1 week ago")
    assert "request=the-last" in page
    assert "Nothing since" not in shown(visitor.get(f"{PAGE}?last=30d").text)


def test_a_silent_site_is_not_heard_of_because_somebody_looks(visitor, site):
    make_entry(site, created_at=ago(days=9))
    make_entry(site, user_id="gatebook:1", username="bob", request_path=PAGE)
    make_entry(site, created_at=ago(days=8), username=None, user_id=None)
    assert figures(visitor.get(PAGE).text)["API requests"].startswith("1 ")
    assert figures(visitor.get(PAGE).text)["Last API request"].startswith("1 week ago")


def test_a_book_of_nothing_but_its_readers_is_shown_below_how_to_begin(visitor, site):
    make_entry(site, user_id="gatebook:1", username="bob", request_path=PAGE)
    page = visitor.get(PAGE).text
    assert "Acme has no API requests in the book yet but those of its readers" in shown(page)
    assert figures(page)["API requests"].startswith("1 ")


@pytest.mark.parametrize("who", ["staff", "administrator"])
def test_an_empty_book_says_what_will_be_here_and_how_to_begin(request, signed_in, site, who):
    page = signed_in(request.getfixturevalue(who)).get(PAGE).text
    assert "Acme has no API requests in the book" in page
    assert "import_logs access.log.gz --site acme" in page
    assert ("/acme/settings/keys/" in page.partition("<main")[2]) == (who == "administrator")
    assert "chart__plot" not in page


def test_the_page_without_a_script_leads_to_the_rest(visitor, book):
    page = visitor.get(f"{PAGE}?last=7d").text
    (way,) = re.findall(r'<a href="(/acme/overview/more[^"]*)"', page)
    alone = visitor.get(unescape(way)).text
    assert "<html" in alone
    assert "Slowest API Names" in alone


def test_as_a_part_of_the_page_the_rest_is_a_fragment_and_not_in_the_book(visitor, book, recorded):  # noqa: F811
    fragment = visitor.get(MORE, headers=AS_FRAGMENT)
    assert "<html" not in fragment.text
    assert 'id="overview_more"' in fragment.text
    assert "HX-Request" in fragment["Vary"]
    assert recorded == []
    visitor.get(PAGE)
    assert recorded == [PAGE]


def test_a_part_that_runs_out_of_time_says_so_and_the_rest_stands(visitor, book, monkeypatch):
    def too_slow(*_: object) -> None:
        raise OutOfBudget

    for name in ("outcomes", "impersonations"):
        monkeypatch.setattr(overview, name, too_slow)
    page, rest = visitor.get(PAGE).text, visitor.get(MORE).text
    assert "Too much to count in time" in part(page, "Interfaces")
    assert "denied" in part(page, "Most frequent errors")
    assert "Too much to count in time" in part(rest, "Acted as somebody else")
    assert "alice" in part(rest, "Busiest by User")


@pytest.mark.parametrize("address", [PAGE, MORE])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("last=3d", "3d is not a span of time"),
        ("user=alice", "is nothing an overview asks, expected some of last, from, to, scope"),
        ("q=status:failure", "is nothing an overview asks"),
        ("scope=all", "all is not a scope"),
        ("from=tomorrow", "tomorrow is not a time"),
    ],
)
def test_what_it_cannot_be_asked_is_refused(visitor, book, address, query, said):
    answer = visitor.get(f"{address}?{query}", follow=True)
    assert answer.status_code == 400
    assert said in unescape(answer.text)
    assert links(answer.text, "Overview of the last 24 hours") == [PAGE]


def test_the_time_is_chosen_by_links_and_by_a_form(visitor, book):
    page = visitor.get(PAGE).text
    assert re.findall(r'<a class="time__choice" href="(\S+)" aria-current="true">', page) == ["?last=24h"]
    (address,) = links(page, "Last week")
    week = visitor.get(f"{PAGE}{address}", follow=True).text
    assert re.search(r"<h1>Overview <span[^>]*>last week, \d+ \w+", week)
    made = visitor.get(f"{PAGE}?from=2026-11-01T10:00&to=")
    assert made["Location"] == f"{PAGE}?from=2026-11-01T10%3A00%3A00Z"
    asked = visitor.get(made["Location"]).text
    assert 'name="from" value="2026-11-01T10:00:00"' in asked


def test_with_child_sites_each_has_its_line(signed_in, administrator, site, child, book):
    labs = Site.objects.create(slug="acme-labs", name="Acme Labs", parent=site)
    write(child, [entry(response_code=500), entry(response_code=200)])
    make_entry(labs, created_at=ago(days=9))
    visitor = signed_in(administrator)
    page = visitor.get(f"{PAGE}?scope=children&last=24h").text
    said = part(page, "Sites")
    assert re.search(r"Acme Europe last 10 minutes ago 2 none before 1 50 % none before", said)
    assert re.search(r"Acme Labs nothing since \d+ \w+, \d\d:\d\d 0 as before 0 as before", said)
    followed = [count_at(visitor, href) == number for href, number in numbers(page)]
    assert len(followed) > 15
    assert all(followed)
    assert "Sites" not in visitor.get(PAGE).text.partition('id="figures"')[2]


def test_what_parent_site_users_did_can_be_looked_over(signed_in, administrator, site, child):
    make_entry(site, user_is_from_parent_site=True)
    make_entry(child, username="alice", user_is_from_parent_site=True, interface="sftp")
    make_entry(child, username="carol")
    visitor = signed_in(administrator)
    for address in (PAGE, MORE):
        found = numbers(visitor.get(f"{address}?scope=parent&last=24h").text)
        assert [count_at(visitor, href) for href, _ in found] == [number for _, number in found]
        assert max(number for _, number in found) == 1


def test_where_parent_site_users_did_nothing_the_page_says_so(signed_in, administrator, site, child):
    make_entry(child)
    page = signed_in(administrator).get(f"{PAGE}?scope=parent").text
    assert figures(page)["API requests"] == "0 as before"
    assert figures(page)["Last API request"] == "none yet"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_are_shown_as_text_and_their_numbers_hold(visitor, site, text):
    names = ("username", "impersonator_username", "interface", "api_name", "api_key_id", "error_type")
    make_entry(site, **dict.fromkeys(names, text), duration_ms=7, response_code=500)
    for address in (PAGE, MORE):
        page = visitor.get(address).text
        for raw in ("<script>alert", '" onmouseover', "\u202e", "\x00", "\ud800", "14{"):
            assert raw not in page
        if len(text) < 1000:  # as an address, the longest is longer than proxies take
            assert [count_at(visitor, href) for href, _ in numbers(page)] == [number for _, number in numbers(page)]


@pytest.mark.parametrize("scope", ["site", "children"])
def test_the_number_of_queries_does_not_grow_with_the_book(signed_in, administrator, site, child, scope):
    visitor = signed_in(administrator)

    def asked(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert visitor.get(f"{address}?scope={scope}").status_code == 200
        return len(queries)

    make_entry(site)
    before = asked(PAGE), asked(MORE)
    write(site, mixed(200, timedelta(hours=20)))
    write(child, [entry(interface=f"i{number}", username=f"u{number}") for number in range(30)])
    assert asked(PAGE) <= before[0] + 2
    assert asked(MORE) <= before[1] + 2
    assert before[0] < 140


def test_an_address_of_a_site_leads_to_the_log(visitor, site):
    make_entry(site)
    assert "1 API request" in sentence(visitor.get("/acme/", follow=True).text)
