"""One API request: what stands beside it, and how it is taken along."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import MARKS, sign_in
from tests.quick_start import QuickStart

pytestmark = MARKS
FAILURES = "/acme/logs/?status=failure&last=7d&user=*&interface=restapi"


@pytest.fixture
def entry_page(page: Page) -> Page:
    """A failure somebody met, opened from the log."""
    page.goto(FAILURES)
    page.goto(page.locator("tbody tr[data-status] td[data-column=created_at] a").first.get_attribute("href"))
    return page


def test_the_json_is_copied_as_it_is_downloaded(
    entry_page: Page, complaints: list[str], demo: QuickStart, tmp_path: Path
):
    entry_page.get_by_role("button", name="Copy this JSON").click()
    expect(entry_page.locator(".copy__said", has_text="Copied")).to_be_visible()
    copied = entry_page.evaluate("navigator.clipboard.readText()")
    alone = entry_page.request.get(entry_page.url.replace("/entry?", "/entry.json?"))
    assert copied == alone.text().removesuffix("\n")
    assert json.loads(copied)["request_id"] in entry_page.url
    file = tmp_path / "copied.jsonl"
    file.write_text(copied)
    assert "1 stored in acme-labs" in demo.manage("import_logs", str(file), "--site", "acme-labs")
    assert complaints == []


def test_brackets_lead_to_the_earlier_request_and_back(entry_page: Page):
    first = entry_page.url
    earlier = entry_page.get_by_role("link", name="Earlier").get_attribute("href")
    entry_page.keyboard.press("[")
    entry_page.wait_for_url(f"**{earlier}")
    expect(entry_page.get_by_role("link", name="Later")).to_be_visible()
    entry_page.keyboard.press("]")
    entry_page.wait_for_url(first)


def test_nothing_moves_when_what_belongs_to_it_arrives(page: Page):
    held = []
    page.route("**/logs/entry/around?**", lambda route: held.append(route))
    page.goto(FAILURES)
    with page.expect_request("**/logs/entry/around?**"):
        page.locator("td[data-column=created_at] a").first.click()
    expect(page.get_by_role("link", name="The minutes around it")).to_be_visible()
    where = "[...document.querySelectorAll('.facts, .copies')].map(one => JSON.stringify(one.getBoundingClientRect()))"
    before = page.evaluate(where)
    held[0].continue_()
    expect(page.locator(".nearby__row").first).to_be_visible()
    assert page.evaluate(where) == before


def test_what_does_not_arrive_is_a_link(page: Page):
    page.route("**/logs/entry/around?**", lambda route: route.fulfill(status=500, body="out of order"))
    page.goto(FAILURES)
    with page.expect_response("**/logs/entry/around?**"):
        page.locator("td[data-column=created_at] a").first.click()
    page.unroute("**/logs/entry/around?**")
    page.get_by_role("link", name="The minutes around it").click()
    expect(page.get_by_role("heading", name=re.compile("^The ten minutes around it"))).to_be_visible()
    page.get_by_role("link", name="The API request").click()
    page.wait_for_url("**/logs/entry?**")


def test_all_of_it_is_there_without_a_script(browser: Browser, demo: QuickStart):
    context = browser.new_context(base_url=demo.address, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, demo)
    page.goto(FAILURES)
    page.locator("td[data-column=created_at] a").first.click()
    page.get_by_text("JSON, as downloaded").click()
    assert json.loads(page.locator("#json-line").inner_text())["site"] == "acme"
    page.get_by_role("link", name="The minutes around it").click()
    times = page.locator(".around__counts a").first
    count = re.match(r"[\d,]+", times.inner_text())[0]
    times.click()
    assert page.locator(".said__count").inner_text() == count
    context.close()


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_page_is_no_wider_than_its_window(entry_page: Page, width: int):
    entry_page.set_viewport_size({"width": width, "height": 800})
    expect(entry_page.locator(".nearby__row").first).to_be_visible()
    for address in (entry_page.url, entry_page.url.replace("/entry?", "/entry/around?")):
        entry_page.goto(address)
        expect(entry_page.locator(".nearby__row").first).to_be_visible()
        assert entry_page.evaluate("document.documentElement.scrollWidth") <= width
