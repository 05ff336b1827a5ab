"""The questions that people come with, answered by clicks, by typing and by keyboard; all ways agree."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import MARKS
from tests.browser.test_log_page import PAST, ROWS

pytestmark = MARKS
MOMENTS = "all => all.map(one => one.dateTime)"


def count(page: Page) -> int:
    return int(page.locator(".said__count").inner_text().replace(",", ""))


def number(value: Locator) -> int:
    return int(value.locator(".facet__count").inner_text().replace(",", ""))


def counts_of(page: Page, heading: str) -> Locator:
    return page.get_by_role("region", name=heading, exact=True).locator(".facet__value")


def moments(page: Page) -> list[str]:
    return page.locator("td[data-column=created_at] time").evaluate_all(MOMENTS)


def entries(page: Page) -> list[dict]:
    """Fetch what the page is about as JSON lines."""
    address = page.get_by_role("link", name="Export").get_attribute("href").replace("/logs/export", "/logs.jsonl")
    return [json.loads(line) for line in page.request.get(address).text().splitlines()]


def searched(page: Page, text: str, chips: int) -> None:
    """Type a search into the box, and wait for its page and its counts."""
    page.fill("#id_q", text)
    page.press("#id_q", "Enter")
    arrived(page, chips)


def arrived(page: Page, chips: int) -> None:
    """Wait for the page with that many conditions, its time among them, and for its counts."""
    expect(page.locator(".chip__text")).to_have_count(chips)
    expect(page.locator(".facets:not([aria-busy]) > .facet").first).to_be_visible()


def test_who_acted_as_bob_and_on_what(page: Page):
    page.goto("/acme/overview/?last=7d")
    session = page.locator("#overview_more tr").filter(has_text=re.compile(r"alice\s+as\s+bob"))
    counted = session.get_by_role("link").inner_text()
    session.get_by_role("link").click()
    expect(page.locator(".said__count")).to_have_text(counted)
    page.goto("/acme/logs/?last=7d")
    searched(page, "user:bob is:impersonated", 3)
    actors = counts_of(page, "Impersonator User")
    assert sum(number(actor) for actor in actors.all()) == count(page)
    alice = actors.filter(has_text="alice")
    counted = number(alice)
    alice.click()
    page.wait_for_url("**impersonator=alice**")
    expect(page.locator(".said__count")).to_have_text(str(counted))
    assert set(page.locator("td[data-column=username]").all_inner_texts()) == {"bob\nby alice"}
    assert all(page.locator("td[data-column=request_path]").all_inner_texts())


def test_which_key_causes_the_401s_since_when_and_from_where(page: Page):
    page.goto("/acme/logs/?last=7d")
    searched(page, "code:401 key:*", 3)
    refused = Counter(entry["api_key_id"] for entry in entries(page))
    key = counts_of(page, "API Key").first
    worst, times = refused.most_common(1)[0]
    expect(key).to_contain_text(worst)
    assert number(key) == times
    key.click()
    page.wait_for_url(f"**key={worst}**")
    arrived(page, 3)
    assert count(page) == times
    ours = [entry for entry in entries(page) if entry["api_key_id"] == worst]
    addresses = Counter(entry["request_ip"] for entry in ours)
    shown = counts_of(page, "Request IP")
    assert {value.locator(".facet__text").inner_text(): number(value) for value in shown.all()} == addresses
    page.locator("thead").get_by_role("link", name=re.compile("^Date")).click()
    page.wait_for_url("**sort=created_at**")
    since = min(entry["created_at"] for entry in ours)
    expect(page.locator(f"{ROWS} time").first).to_have_attribute("datetime", since.replace("+00:00", "Z"))


def test_clicks_alone_reach_the_rows_of_the_words_and_history_keeps_them(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    searched(page, "status:failure interface:sftp", 3)
    words = moments(page)
    page.goto(f"/acme/logs/?{PAST}")
    arrived(page, 1)
    counts_of(page, "Status").filter(has_text="Failure").click()
    arrived(page, 2)
    failures = moments(page)
    counts_of(page, "Interface").filter(has_text="SFTP").click()
    arrived(page, 3)
    assert moments(page) == words != failures
    page.reload()
    assert moments(page) == words
    page.go_back()
    expect(page.locator(".chip__text")).to_have_count(2)
    assert moments(page) == failures
    page.go_forward()
    expect(page.locator(".chip__text")).to_have_count(3)
    assert moments(page) == words


def test_the_sentence_the_pages_and_the_file_have_the_same_rows(page: Page):
    page.goto(f"/acme/logs/?status=failure&interface=sftp,as2,robot&{PAST}")
    counted = count(page)
    page.get_by_role("link", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with open(download.value.path(), newline="") as file:
        dates = [row["Date"] for row in csv.DictReader(file)]
    page.go_back()
    seen = moments(page)
    while page.locator("a[rel=next]").count():
        page.goto("/acme/logs/" + page.locator("a[rel=next]").get_attribute("href"))
        seen += moments(page)
    assert len(seen) == counted > 50
    assert seen == dates


def test_search_table_panel_and_export_without_a_mouse(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    page.keyboard.press("/")
    page.keyboard.type("status:failure interface:sftp")
    page.keyboard.press("Enter")
    page.wait_for_url("**status=failure**")
    expect(page.locator(".chip__text")).to_have_count(3)

    def walk_to(key: str, there: str) -> None:
        for _ in range(120):
            page.keyboard.press(key)
            if page.evaluate(f"document.activeElement.matches('{there}')"):
                return
        raise AssertionError(f"{there} is not reached by {key}")

    page.keyboard.press("/")
    walk_to("Tab", "td")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#panel[data-entry]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#panel[data-entry]")).to_have_count(0)
    walk_to("Shift+Tab", 'a[href*="/export?"]')
    page.keyboard.press("Enter")
    page.wait_for_url("**/export?**")
    walk_to("Tab", "main button[type=submit]")
    with page.expect_download():
        page.keyboard.press("Enter")
