"""An API request beside the table: what a reader sees for an address with `entry`."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client

from auditlog.models import Site
from auditlog.search.timerange import written
from auditlog.store.writer import write
from gatebook.entry import Entry
from tests.book import ago, entry, make_entry


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


def panel(page: str) -> str:
    return re.search(r'<aside class="panel" id="panel".*?</aside>', page, re.DOTALL)[0]


def words(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def way(page: str, sign: str) -> str:
    """The address of the panel's link with this attribute."""
    link = re.search(rf"<a [^>]*{sign}[^>]*>", panel(page))[0]
    return unescape(re.search(r'href="([^"]*)"', link)[1])


def beside(site: Site, made: Entry, **query: str) -> str:
    name = f"{site.slug},{written(made.created_at)},{made.request_id}"
    return f"/{site.slug}/logs/?{urlencode({**query, 'entry': name})}"


def test_the_table_leads_to_the_entry_beside_it_and_says_which_is_open(visitor, site):
    write(
        site, [entry(request_path=f"/request-number-{number}", created_at=ago(minutes=number)) for number in range(3)]
    )
    page = visitor.get("/acme/logs/?user=&status=success&last=7d", follow=True).text
    assert " hidden>" in panel(page)
    second = unescape(re.findall(r'<a href="([^"]*)" data-beside', page)[1])
    assert second.startswith("?status=success&last=7d&entry=acme,")
    page = visitor.get(f"/acme/logs/{second}").text
    assert "/request-number-1" in words(panel(page))
    assert len(re.findall(r"<tr[^>]*data-status", page)) == 3
    assert "/request-number-1" in re.search(r"<tr [^>]*aria-current.*?</tr>", page)[0]
    assert len(re.findall("<tr [^>]*aria-current", page)) == 1
    assert way(page, "data-close") == "?status=success&last=7d"


def test_previous_and_next_walk_the_page(visitor, site):
    write(
        site, [entry(request_path=f"/request-number-{number}", created_at=ago(minutes=number)) for number in range(3)]
    )
    page = visitor.get("/acme/logs/").text
    page = visitor.get("/acme/logs/" + unescape(re.findall(r'<a href="([^"]*)" data-beside', page)[0])).text
    seen = []
    while True:
        seen.append(re.search(r"/request-number-\d", panel(page))[0])
        if 'rel="next"' not in panel(page):
            break
        page = visitor.get("/acme/logs/" + way(page, 'rel="next"')).text
    assert seen == ["/request-number-0", "/request-number-1", "/request-number-2"]
    assert "/request-number-1" in panel(visitor.get("/acme/logs/" + way(page, 'rel="prev"')).text)


def test_a_page_with_a_panel_stays_on_its_place_in_the_answer(visitor, site):
    write(
        site,
        [entry(request_path=f"/request-number-{number:03}", created_at=ago(minutes=number)) for number in range(120)],
    )
    older = unescape(re.search(r'<a [^>]*id="older" href="([^"]*)"', visitor.get("/acme/logs/").text)[1])
    page = visitor.get(f"/acme/logs/{older}").text
    with_panel = visitor.get("/acme/logs/" + unescape(re.findall(r'<a href="([^"]*)" data-beside', page)[7])).text
    assert "/request-number-057" in panel(with_panel)
    rows = r"/request-number-\d{3}(?=\")"
    assert re.findall(rows, with_panel.partition("<aside")[0]) == re.findall(rows, page.partition("<aside")[0])
    assert visitor.get(f"/acme/logs/{way(with_panel, 'data-close')}").text.count("<tr") == page.count("<tr")


def test_the_panel_alone_is_a_fragment_that_the_book_calls_an_opened_entry(visitor, site, own_entries):
    made = make_entry(site, request_path="/known")
    answer = visitor.get(beside(site, made), headers={"HX-Request": "true", "HX-Target": "panel"})
    assert answer.text.startswith('<aside class="panel" id="panel"')
    assert "/known" in answer.text
    assert "HX-Target" in answer["Vary"]
    whole = visitor.get(beside(site, made))
    assert "HX-Target" in whole["Vary"]
    assert [one.api_name for one in own_entries()] == ["entry", "logs"]


def test_an_entry_that_is_gone_leaves_the_table_and_says_so(visitor, site):
    made = make_entry(site, request_path="/known")
    answer = visitor.get(beside(site, entry(created_at=made.created_at, request_id="gone")))
    assert answer.status_code == 200
    assert "no API request with this Request-ID" in words(panel(answer.text))
    assert "/known" in answer.text.partition("<aside")[0]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rubbish", "rubbish names no API request"),
        ("acme,soon,x", "soon is not a time"),
        ("acme,2026-11-23T14:30:00Z,", "names no API request"),
        ("globex,2026-11-23T14:30:00Z,theirs", "names no API request"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt; names no API request"),
    ],
)
def test_a_name_that_names_nothing_is_refused_in_a_sentence(visitor, site, other_site, name, sentence):
    make_entry(other_site, request_id="theirs", request_path="/theirs")
    answer = visitor.get(f"/acme/logs/?{urlencode({'entry': name})}")
    assert answer.status_code == 400
    assert sentence in answer.text
    assert "/theirs" not in answer.text


def test_an_entry_beside_the_table_reaches_no_other_address(signed_in, administrator, site):
    made = make_entry(site, response_code=500)
    page = signed_in(administrator).get(beside(site, made, last="7d")).text
    outside = page.replace(panel(page), "")
    kept = [link for link in re.findall(r'(?:href|hx-get|action)="([^"]*)"', outside) if "entry=" in link]
    rows = re.findall(r'<a href="([^"]*)" data-beside', page)
    assert kept == rows
    assert 'name="entry"' not in page
    assert any(link.startswith("/acme/logs/export?") for link in re.findall(r'href="([^"]*)"', outside))


def test_a_child_sites_entry_opens_beside_its_parents_table(signed_in, administrator, site, child):
    make_entry(child, request_path="/in-the-child")
    visitor = signed_in(administrator)
    page = visitor.get("/acme/logs/?scope=children").text
    link = unescape(re.findall(r'<a href="([^"]*)" data-beside', page)[0])
    page = visitor.get(f"/acme/logs/{link}").text
    assert "scope=children&entry=acme-eu," in link
    assert "/in-the-child" in panel(page)
    assert way(page, "data-page").startswith("/acme-eu/logs/entry?")
    assert re.search(r'<td role="cell" data-column="site_id"[^>]* data-value="acme-eu"', page)
    assert visitor.get(f"/acme/logs/{link.replace('scope=children&', '')}").status_code == 400


def test_every_value_says_what_a_search_for_it_asks(visitor, site):
    make_entry(
        site,
        username="a\r\nb",
        duration_ms=1204,
        response_code=404,
        user_is_from_parent_site=True,
        user_agent="plain",
        request_path="/" + "x" * 3000,
    )
    columns = "username,duration_ms,success,user_is_from_parent_site,user_agent,request_path,response_code"
    page = visitor.get(f"/acme/logs/?columns={columns}").text
    cells = dict(re.findall(r'<td role="cell" data-column="(\w+)"([^>]*)>', page))
    values = {name: re.search(r'data-value="([^"]*)"', attributes) for name, attributes in cells.items()}
    assert {name: found and found[1] for name, found in values.items()} == {
        "username": "a&#13;\nb",
        "duration_ms": "1204",
        "success": "failure",
        "user_is_from_parent_site": "parent",
        "user_agent": None,
        "request_path": "/" + "x" * 499,
        "response_code": None,
    }
    assert "data-begins" in cells["request_path"]
    assert re.findall(r'data-column="duration_ms" data-key="(\w+)"', page) == ["duration"]
