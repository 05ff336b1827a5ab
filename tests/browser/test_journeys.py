"""The three journeys, as their people take them."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKS, sign_in
from tests.quick_start import QuickStart

pytestmark = MARKS
ROWS = "tbody tr[data-status]"


def total(page: Page) -> int:
    """Return the number of matches that the page names."""
    said = page.locator("#log").inner_text()
    return int(re.search(r"([\d,]+)\+? API requests?", said)[1].replace(",", ""))


def test_a_newcomer_reads_a_living_book(page: Page, demo: QuickStart):
    page.context.clear_cookies()
    sign_in(page, demo)
    expect(page.locator("a[href='/acme-eu/logs/']")).to_be_visible()
    page.locator("a[href='/acme/logs/']").click()
    expect(page.locator(ROWS)).to_have_count(50)
    assert total(page) > 500
    newest = page.locator(ROWS).first.locator("time").get_attribute("datetime")
    assert datetime.now(UTC) - datetime.fromisoformat(newest) < timedelta(minutes=30)
    page.goto("/acme/logs/?last=180d&sort=created_at")
    oldest = page.locator(ROWS).first.locator("time").get_attribute("datetime")
    assert datetime.now(UTC) - datetime.fromisoformat(oldest) > timedelta(days=170)


def test_a_newcomers_own_click_appears_as_a_row(page: Page):
    page.goto("/acme-labs/logs/?user=a-click-of-mine")
    page.goto("/acme-labs/logs/?path=*a-click-of-mine*&last=15m")
    for _ in range(20):
        if page.locator(ROWS).count():
            break
        page.wait_for_timeout(300)
        page.reload()
    expect(page.locator(ROWS).filter(has_text="administrator").first).to_be_visible()


def test_staff_answers_what_went_wrong_yesterday_on_sftp(page: Page):
    page.goto("/acme/logs/")
    page.locator("#time > summary").click()
    page.get_by_role("link", name="Yesterday").click()
    page.wait_for_url("**from=**")
    page.locator(".filters > summary").click()
    page.select_option("select[name=status]", "failure")
    page.fill("input[name=interface]", "SFTP")
    page.get_by_role("button", name="Show", exact=True).first.click()
    page.wait_for_url("**status=failure**")
    assert "from=" in page.url
    assert "Z" in page.url
    rows = page.locator(ROWS)
    assert rows.count() > 0
    assert page.locator(f"{ROWS}:not([data-status=failure])").count() == 0
    assert set(page.locator("td[data-column=interface]").all_inner_texts()) == {"SFTP"}
    rows.first.locator("td[data-column=request_path] a").click()
    expect(page.locator("#panel")).to_contain_text("through SFTP")
    page.get_by_role("link", name="Open as a page").click()
    page.wait_for_url("**/logs/entry?**")
    expect(page.locator("main")).to_contain_text("It failed")
    page.get_by_role("button", name="Copy this text").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"^Request-ID: \S+$", copied, re.MULTILINE)
    assert "Interface: SFTP" in copied
    assert f"{page.url.split('/acme/')[0]}/acme/logs/entry?at=" in copied


def test_an_administrator_imports_a_log_and_takes_the_failures_along(page: Page, demo: QuickStart, tmp_path: Path):
    moment = datetime.now(UTC) - timedelta(days=20)
    lines = [
        f"203.0.113.{number} - - [{moment + timedelta(minutes=number):%d/%b/%Y:%H:%M:%S +0000}] "
        f'"GET /page/{number} HTTP/1.1" {404 if number % 3 == 0 else 200} 512 "-" "Mozilla/5.0 (=cmd)"\n'
        for number in range(120)
    ]
    log = tmp_path / "access.log"
    log.write_text("".join(lines))
    demo.manage("create_site", "last-month", "--name", "Last month")
    said = demo.manage("import_logs", str(log), "--site", "last-month")
    assert re.search(r"120\b.*read", said)
    again = demo.manage("import_logs", str(log), "--site", "last-month")
    assert re.search(r"120\b.*already there", again)
    page.goto("/last-month/logs/?status=failure&last=30d")
    assert total(page) == 40
    page.get_by_role("link", name="Export").click()
    page.get_by_label("all 19").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with open(download.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert {row["Response Code"] for row in rows} == {"404"}
    assert {row["Status"] for row in rows} == {"Failure"}
    page.goto("/admin/gatebook/site/?q=last-month")
    page.get_by_role("link", name="Last month").click()
    page.fill("input[name=retention_days]", "7")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/last-month/logs/?last=30d&path=/page/*")
    assert page.locator(ROWS).count() == 0
    assert "120 entries of last-month" in demo.manage("purge")
