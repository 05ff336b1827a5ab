"""The overview in a browser: the part that follows, the choices, a narrow window, and all of it without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.conftest import MARKS
from tests.quick_start import QuickStart

pytestmark = MARKS


@pytest.mark.parametrize(
    "path",
    ["/acme/overview/", "/acme/overview/?scope=children&last=30d", "/acme/overview/?user=x", "/acme/overview/more"],
)
def test_no_page_breaks_its_own_policy(page: Page, complaints: list[str], path: str):
    page.goto(path)
    page.wait_for_load_state("networkidle")
    refused = [text for text in complaints if not text.startswith("Failed to load resource: the server responded with")]
    assert refused == []


def test_the_part_from_the_rows_follows_and_moves_nothing(page: Page):
    held = []
    page.route("**/overview/more?**", lambda route: held.append(route))
    with page.expect_request("**/overview/more?**"):
        page.goto("/acme/overview/?last=7d")
    where = "[...document.querySelectorAll('#figures, #chart, .overview')].slice(0, 3)"
    places = f"{where}.map(one => JSON.stringify(one.getBoundingClientRect()))"
    before = page.evaluate(places)
    held[0].continue_()
    expect(page.get_by_role("heading", name="Slowest API Names")).to_be_visible()
    expect(page.get_by_role("heading", name="Busiest by User")).to_be_visible()
    assert page.evaluate(places) == before


def test_time_and_sites_are_chosen_by_clicks_and_numbers_lead_to_the_log(page: Page):
    page.goto("/acme/overview/")
    page.locator("#time summary").click()
    page.get_by_role("link", name="Last 30 days").click()
    page.wait_for_url("**last=30d")
    page.locator("#lens summary").click()
    page.get_by_role("link", name=re.compile(r"With its \d child sites")).click()  # other tests make some
    page.wait_for_url("**last=30d**scope=children**")
    expect(page.locator("#time summary")).to_have_text(re.compile("Last 30 days"))
    expect(page.get_by_role("region", name="Sites")).to_contain_text("Acme Europe")
    number = page.locator(".figure__number").nth(1)
    failures = number.inner_text()
    number.click()
    page.wait_for_url("**/acme/logs/?**status=failure**")
    expect(page.locator(".said__count")).to_have_text(failures)
    assert "scope=children" in page.url


def test_last_week_is_chosen_in_the_log_and_in_the_overview(page: Page):
    for path in ("/acme/logs/", "/acme/overview/"):
        page.goto(path)
        page.locator("#time summary").click()
        page.get_by_role("link", name="Last week").click()
        page.wait_for_url(f"**{path}?from=**")
        expect(page.locator("#time summary")).to_have_text(re.compile("Last week$"))
        expect(page.get_by_text(re.compile(r"last week, \d+ \w{3} to \d+ \w{3}")).first).to_be_visible()
    assert page.locator(".overview-head").bounding_box()["height"] < 60


@pytest.mark.parametrize("path", ["/acme/overview/?scope=children&last=30d", "/acme/logs/?scope=children"])
def test_a_narrow_window_shows_all_of_it(page: Page, path: str):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    head = page.locator(".overview-head")
    assert not head.count() or head.bounding_box()["height"] < 100  # the title, and below it the choices in one line


def test_it_works_without_scripts(browser: Browser, demo: QuickStart, signed_in: StorageState):
    window = browser.new_context(base_url=demo.address, storage_state=signed_in, java_script_enabled=False)
    page = window.new_page()
    page.goto("/acme/overview/?last=7d")
    page.get_by_role("link", name="Who and what was behind them").click()
    expect(page.get_by_role("heading", name="Slowest API Names")).to_be_visible()
    page.get_by_role("link", name="Overview of Acme").click()
    page.locator("#time summary").click()
    page.get_by_label("From", exact=True).fill("2026-01-01T12:00")
    page.get_by_role("button", name="Show this time").click()
    page.wait_for_url("**from=2026-01-01**")
    window.close()
