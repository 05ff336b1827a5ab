"""Which sites a log page is about: what each scope shows, that everything follows it, and that no role sees more."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from auditlog import access
from auditlog.models import Membership, Role, Site
from auditlog.store import rollups
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry
from tests.test_facets_page import counts, facets
from tests.test_log_page import count_at, links, rows

SCOPES = ["", "site", "children", "parent"]


@pytest.fixture
def labs(site: Site) -> Site:
    """A second child site of Acme."""
    return Site.objects.create(slug="acme-labs", name="Acme Labs", parent=site, retention_days=7)


@pytest.fixture
def book(site: Site, child: Site, labs: Site, other_site: Site) -> None:
    """One request in each site, one of a parent site's user in each child site, and one elsewhere."""
    for number, each in enumerate((site, child, labs, other_site)):
        make_entry(each, request_path=f"/of/{each.slug}", response_code=200, duration_ms=number)
    for each in (child, labs):
        make_entry(each, request_path=f"/parent/{each.slug}", response_code=500, user_is_from_parent_site=True)


@pytest.fixture
def visitor(signed_in, administrator: User, book: None) -> Client:
    return signed_in(administrator)


def paths(page: str) -> set[str]:
    return set(re.findall(r"/(?:of|parent)/[a-z-]+", page))


SHOWN = {
    "": {"/of/acme"},
    "site": {"/of/acme"},
    "children": {"/of/acme", "/of/acme-eu", "/of/acme-labs", "/parent/acme-eu", "/parent/acme-labs"},
    "parent": {"/parent/acme-eu", "/parent/acme-labs"},
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("is_counted", [True, False], ids=["rolled up", "from rows"])
def test_page_chart_counts_and_downloads_show_the_same_sites(visitor, scope, is_counted):
    if is_counted:
        rollups.roll_up()
    expected = SHOWN[scope]
    query = f"scope={scope}&last=7d"
    page = visitor.get(f"/acme/logs/?{query}", follow=True).text
    assert paths("".join(rows(page))) == expected
    assert count_at(visitor, f"?scope={scope or 'site'}&last=7d") == len(expected)
    bars = re.findall(r"<span>([\d,]+) requests?</span>", page)
    assert sum(map(int, bars)) == len(expected)
    status = counts(visitor.get(f"/acme/logs/facets?{query}", follow=True).text, "Status")
    assert sum(status.values()) == len(expected)
    assert paths(downloaded(visitor, "csv", query)) == paths(downloaded(visitor, "jsonl", query)) == expected


def downloaded(visitor: Client, kind: str, query: str) -> str:
    return visitor.get(f"/acme/logs.{kind}?{query}", follow=True).getvalue().decode()


def test_several_sites_are_told_apart(visitor, child):
    page = visitor.get("/acme/logs/?scope=children").text
    headings = re.findall(r'<th[^>]*data-column="(\w+)"', page)
    assert headings[:2] == ["created_at", "site_id"]
    (row,) = (row for row in rows(page) if "/of/acme-eu" in row)
    assert "Acme Europe" in row
    assert 'href="/acme-eu/logs/entry?' in row
    assert 'data-column="site_id"' not in visitor.get("/acme/logs/").text
    slowest = facets(visitor.get("/acme/logs/facets?scope=children").text)["The slowest"]
    assert slowest["/of/acme-labs"][0].startswith("/acme-labs/logs/entry?")


def test_downloads_of_several_sites_name_the_site_first(visitor):
    (heading, *lines) = csv.reader(io.StringIO(downloaded(visitor, "csv", "scope=children&columns=request_path")))
    assert heading == ["Site", "Path"]
    assert ["acme-labs", "/of/acme-labs"] in lines
    objects = [json.loads(line) for line in downloaded(visitor, "jsonl", "scope=parent").splitlines()]
    assert {each["site"]: each["request_path"] for each in objects} == {
        "acme-eu": "/parent/acme-eu",
        "acme-labs": "/parent/acme-labs",
    }
    named = visitor.get("/acme/logs.csv?scope=parent", follow=True)["Content-Disposition"]
    assert "acme-parent-api-logs-" in named
    assert downloaded(visitor, "csv", "columns=request_path").splitlines() == ["Path", "/of/acme"]


@pytest.mark.parametrize("is_counted", [True, False], ids=["rolled up", "from rows"])
def test_each_site_is_counted_and_leads_to_its_requests(visitor, site, is_counted):
    if is_counted:
        rollups.roll_up()
    page = visitor.get("/acme/logs/facets?scope=children&last=7d").text
    assert counts(page, "Site") == {"Acme": 1, "Acme Europe": 2, "Acme Labs": 2}
    for address, count in facets(page)["Site"].values():
        assert count_at(visitor, address) == count
    assert "Site" not in facets(visitor.get("/acme/logs/facets?last=7d").text)
    chosen = visitor.get("/acme/logs/facets?scope=children&last=7d&site=acme-eu").text
    assert counts(chosen, "Site") == {"Acme": 1, "Acme Europe": 2, "Acme Labs": 2}
    assert count_at(visitor, facets(chosen)["Site"]["Acme Europe"][0]) == 5


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("site=acme-eu", 2),
        ("site=acme-*", 4),
        ("-site=acme,acme-eu", 2),
        ("site=acme,acme-labs", 3),
        ("q=site:acme*+site:*labs", 2),
        ("site=no", 0),
    ],
)
def test_the_key_site_narrows_to_some(visitor, asked, count):
    assert count_at(visitor, f"/acme/logs/?scope=children&{asked}&last=24h") == count


def test_the_key_site_shows_no_site_beyond_the_scope(visitor):
    assert count_at(visitor, "?site=globex") == count_at(visitor, "?scope=children&site=globex") == 0


def test_the_scopes_are_offered_and_keep_the_question(visitor):
    page = visitor.get("/acme/logs/?status=failure&columns=request_path&site=acme").text
    (address,) = links(page, "With its 2 child sites")
    assert "status=failure" in address
    assert "columns=request_path" in address
    assert "site=acme" not in address
    there = visitor.get(f"/acme/logs/{address}").text
    assert re.findall(r'<a [^>]*title="Show [^>]*aria-current="true">(.*?)</a>', there) == ["With its 2 child sites"]
    assert re.search(r"Sites shown: </span><span[^>]*>With its 2 child sites</span></summary>", there)
    assert '<input type="hidden" name="scope" value="children">' in there  # of the form and of the search box
    assert there.count('name="scope" value="children"') >= 2
    (parent,) = links(there, "Its users in child sites")
    assert count_at(visitor, parent) == 2
    (back,) = re.findall(r'<a [^>]*href="([^"]*)"[^>]*>Acme alone<', there)
    assert "scope" not in back


@pytest.mark.parametrize("address", ["/acme/logs/", "/acme/logs/facets", "/acme/logs.csv", "/acme/logs.jsonl"])
def test_a_scope_that_is_none_is_refused_with_those_there_are(visitor, address):
    answer = visitor.get(f"{address}?scope=all")
    assert answer.status_code == 400
    assert "all is not a scope, expected one of site, children, parent." in answer.text
    assert visitor.get(f"{address}?scope=site&scope=children").status_code == 400


@pytest.mark.parametrize("scope", ["children", "parent"])
def test_who_sees_no_child_site_cannot_tell_whether_there_is_one(signed_in, site, staff, scope):
    visitor = signed_in(staff)
    without = visitor.get(f"/acme/logs/?scope={scope}")
    child = Site.objects.create(slug="acme-eu", name="Acme Europe", parent=site)
    make_entry(child, request_path="/of/acme-eu")
    answer = visitor.get(f"/acme/logs/?scope={scope}")
    assert answer.status_code == without.status_code == 400
    assert re.sub(r'value="\w{64}"', "", answer.text) == re.sub(r'value="\w{64}"', "", without.text)
    assert "Sites shown" not in visitor.get("/acme/logs/").text


def test_a_child_site_has_nothing_to_choose(visitor):
    assert "Sites shown" not in visitor.get("/acme-eu/logs/").text
    assert visitor.get("/acme-eu/logs/?scope=children").status_code == 400


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("role_on_labs", [None, *Role])
@pytest.mark.parametrize("role_on_acme", [None, *Role])
def test_no_scope_shows_a_site_without_a_role(signed_in, stranger, site, labs, book, scope, role_on_acme, role_on_labs):
    for each, role in ((site, role_on_acme), (labs, role_on_labs)):
        if role:
            Membership.objects.create(site=each, user=stranger, role=role)
    visitor = signed_in(stranger)
    seen = {each.slug for each in access.sites_of(stranger)}
    for address in ("/acme/logs/", "/acme/logs/facets", "/acme/logs.csv", "/acme/logs.jsonl"):
        answer = visitor.get(f"{address}?scope={scope}&q=last:7d", follow=True)
        text = answer.getvalue().decode()
        found = {path.rpartition("/")[2] for path in paths(text)} | set(re.findall(r"/(acme[a-z-]*)/logs/entry", text))
        assert found <= seen - {"globex"}
        assert (answer.status_code == 404) == (role_on_acme is None)


def test_the_way_back_from_an_entry_leads_to_the_scope_one_came_from(visitor):
    page = visitor.get("/acme/logs/?scope=children").text
    (address,) = set(re.findall(r'href="(/acme-eu/logs/entry[^"]*)"', "".join(r for r in rows(page) if "/of/" in r)))
    came_from = "http://testserver/acme/logs/?scope=children"
    shown = visitor.get(address.replace("&amp;", "&"), headers={"referer": came_from}).text
    assert 'href="/acme/logs/?scope=children"' in shown


def test_a_short_retention_holds_in_every_scope(visitor, site, labs):
    write(site, [entry(created_at=ago(days=20))])
    write(labs, [entry(created_at=ago(days=20))])
    assert count_at(visitor, "?scope=children&last=30d") == 6
