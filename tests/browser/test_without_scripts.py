"""Everything on the pages can be reached and done with JavaScript off: each control is a link or a form."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState

from tests.browser.conftest import MARKS
from tests.browser.test_log_page import PAST, ROWS
from tests.quick_start import QuickStart

pytestmark = MARKS


@pytest.fixture
def plain(browser: Browser, demo: QuickStart, signed_in: StorageState) -> Iterator[Page]:
    """Open a window without scripts."""
    window = browser.new_context(
        base_url=demo.address,
        storage_state=signed_in,
        java_script_enabled=False,
        viewport={"width": 1440, "height": 900},
    )
    page = window.new_page()
    page.set_default_timeout(15_000)
    yield page
    window.close()


def count(page: Page) -> int:
    return int(page.locator(".said__count").inner_text().replace(",", ""))


def test_a_whole_inquiry_without_a_script(plain: Page):
    plain.goto("/")
    plain.locator("a[href='/acme/logs/']").click()

    # Time, search, chips, order, pages.
    plain.locator("#time summary").click()
    plain.get_by_role("link", name="Last 7 days").click()
    plain.fill("#id_q", "status:failure interface:sftp")
    plain.get_by_role("button", name="Search", exact=True).click()
    assert "last=7d" in plain.url
    failures = count(plain)
    plain.get_by_role("link", name="Drop Interface SFTP").click()
    assert count(plain) > failures
    plain.locator("thead").get_by_role("link", name="Duration").click()
    assert "sort=-duration_ms" in plain.url
    plain.locator("a[rel=next]").click()
    plain.locator("a[rel=prev]").click()

    # Columns, a value of the counts, a view.
    plain.get_by_text("Columns", exact=True).click()
    plain.get_by_role("checkbox", name="User Agent").check()
    plain.get_by_role("button", name="Show", exact=True).last.click()
    assert plain.locator("thead th[data-column=user_agent]").is_visible()
    plain.get_by_role("link", name="Counts by value").click()
    value = plain.get_by_role("region", name="Interface").locator(".facet__value").first
    counted = value.locator(".facet__count").inner_text()
    value.click()
    assert plain.locator(".said__count").inner_text() == counted
    plain.locator("#views > summary").click()
    plain.fill("#view-name", "Without a script")
    plain.locator("#views").get_by_role("button", name="Save").click()
    assert "view=" in plain.url

    # An entry beside the table, as a page, and the minutes around it.
    log = plain.url
    plain.locator(f"{ROWS} td[data-column=request_path] a").first.click()
    plain.locator("#panel").get_by_role("link", name="Open as a page").click()
    plain.get_by_role("link", name="The minutes around it").click()
    assert plain.locator(".nearby__row").count() > 0

    # The file, the overview, and the view put away again.
    plain.goto(log)
    plain.get_by_role("link", name="Export").click()
    with plain.expect_download() as download:
        plain.get_by_role("button", name="Download CSV").click()
    with open(download.value.path(), newline="") as file:
        assert len(list(csv.reader(file))) - 1 == int(counted.replace(",", ""))
    plain.get_by_role("link", name="Overview", exact=True).click()
    plain.get_by_role("link", name="Who and what was behind them").click()
    plain.goto("/acme/views/")
    plain.get_by_role("row", name=re.compile("Without a script")).get_by_role("link", name="Delete").click()
    plain.get_by_role("button", name=re.compile("Delete")).click()
    assert plain.get_by_role("row", name=re.compile("Without a script")).count() == 0


def test_what_is_no_use_without_a_script_is_not_offered(plain: Page):
    """Every button that is seen sends a form."""
    for address in (f"/acme/logs/?{PAST}", "/acme/overview/", "/acme/views/", "/acme/settings/keys/"):
        plain.goto(address)
        for button in plain.get_by_role("button").all():
            inside = button.evaluate("one => one.matches('summary') || Boolean(one.form) && one.type === 'submit'")
            assert inside, button.inner_text()
