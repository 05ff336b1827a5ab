"""A view is saved, shared and opened by a colleague; what is seen is exported, and the book can tell the file again."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from playwright.sync_api import Browser, Page, expect

from auditlog.search import timerange
from tests.browser.conftest import MARKS
from tests.quick_start import QuickStart

pytestmark = MARKS
ROWS = "tbody tr[data-status]"

COLLEAGUE = """
from django.contrib.auth import get_user_model
from auditlog.models import Membership, Site
user = get_user_model().objects.create_user("colleague", password="colleague opens the gate")
Membership.objects.create(user=user, site=Site.objects.get(slug="acme"), role="staff")
"""


@pytest.fixture
def colleague(browser: Browser, demo: QuickStart) -> Page:
    """The page of a member of Acme's staff, in New York."""
    demo.manage("shell", "-c", COLLEAGUE)
    context = browser.new_context(base_url=demo.address, timezone_id="America/New_York")
    page = context.new_page()
    page.goto("/")
    page.fill("input[name=username]", "colleague")
    page.fill("input[name=password]", "colleague opens the gate")
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/")
    yield page
    context.close()


def test_a_view_is_saved_shared_and_opened_as_a_colleague(page: Page, colleague: Page, complaints: list[str]):
    page.goto("/acme/logs/?status=failure&interface=sftp&last=7d&columns=created_at,username,error_type")
    page.locator("#views > summary").click()
    page.fill("#view-name", "SFTP <b>failures</b>")
    page.get_by_label("everyone on Acme").check()
    page.locator("#views").get_by_role("button", name="Save").click()
    page.wait_for_url("**view=**")
    page.wait_for_load_state("networkidle")  # the counts by value: to leave before is an error on the console
    expect(page.locator("#views > summary")).to_contain_text("SFTP <b>failures</b>")
    page.get_by_role("link", name="Drop Interface SFTP").click()
    expect(page.locator("#views > summary")).to_contain_text("changed")
    page.wait_for_load_state("networkidle")
    page.locator("#views > summary").click()
    page.get_by_role("button", name="Save the changes for everyone").click()
    expect(page.locator("#views > summary")).not_to_contain_text("changed")
    page.wait_for_load_state("networkidle")
    page.locator("#id_q").fill("status:failure user:*")
    page.locator("#id_q").press("Enter")
    expect(page.locator("#views > summary")).to_contain_text("changed")

    colleague.goto("/acme/logs/")
    colleague.locator("#views > summary").click()
    expect(colleague.get_by_role("button", name="Save the changes")).to_have_count(0)
    colleague.get_by_role("link", name="SFTP <b>failures</b>").click()
    colleague.wait_for_url("**view=**")
    assert "status=failure" in colleague.url
    assert "last=7d" in colleague.url
    assert colleague.locator(f"{ROWS}:not([data-status=failure])").count() == 0
    assert colleague.locator(f"{ROWS} >> nth=0 >> td").count() == 3
    colleague.goto("/acme/views/")
    colleague.select_option("#opens-for-me", label="SFTP <b>failures</b>")
    colleague.get_by_role("button", name="Choose").click()
    colleague.get_by_role("link", name="API Logs", exact=True).first.click()
    colleague.wait_for_url("**/logs/?status=failure**")
    colleague.get_by_role("link", name=re.compile("Drop Status")).click()
    expect(colleague.locator("#conditions .chip")).to_have_count(1)  # the time
    assert complaints == []


def test_what_is_seen_is_exported_and_the_book_can_tell_the_file(page: Page, complaints: list[str]):
    page.goto("/acme/logs/?status=failure&last=7d&columns=created_at,response_code,request_id")
    seen = page.locator(f"{ROWS} time").first.get_attribute("datetime")
    counted = int(re.search(r"([\d,]+) API requests", page.locator("#log").inner_text())[1].replace(",", ""))
    page.get_by_role("link", name="Export").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Export {counted:,} API requests")
    page.get_by_label(re.compile("as the clocks show in Europe/Berlin")).check()
    asked = timerange.written(datetime.now(UTC))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert re.fullmatch(r"acme-api-logs-failure-[\d-]+-to-[\d-]+\.csv", download.value.suggested_filename)
    with open(download.value.path(), "rb") as file:
        digest = sha256(file.read()).hexdigest()
    with open(download.value.path(), newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Date (Europe/Berlin)", "Response Code", "Request-ID"]
    assert len(rows) - 1 == counted
    assert rows[1][0][14:26] == seen[14:26]
    for _ in range(30):
        page.goto(f"/acme/logs/?api=logs_csv&from={asked}&user=administrator")
        if page.locator(ROWS).count():
            break
        page.wait_for_timeout(300)
    page.locator(f"{ROWS} td a").first.click()
    page.wait_for_url("**/logs/entry?**")
    details = page.locator(".facts", has_text="Details").inner_text()
    assert digest in details
    assert re.search(rf"rows\s+{counted}\b", details)
    assert re.search(r"question\s+status:failure from:", details)
    assert complaints == []
