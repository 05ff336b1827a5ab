"""The log page in a browser: what a script makes smoother, what works without, what an attacker's text does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import MARKS, sign_in
from tests.quick_start import QuickStart

pytestmark = MARKS
ROWS = "tbody tr[data-status]"
_now = datetime.now(UTC)
PAST = f"from={_now - timedelta(days=5):%Y-%m-%dT%H:00:00Z}&to={_now - timedelta(hours=3):%Y-%m-%dT%H:00:00Z}"
"""A time in which nothing arrives any more, for tests that compare numbers or rows of two pages."""

PAGES = [
    "/",
    "/acme/logs/",
    "/acme/logs/?status=failure&last=7d&sort=-duration_ms",
    "/acme/logs/?user=nobody-at-all",
    "/acme/logs/?code=4xx",
    "/acme/logs/?q=stauts:x",
    "/acme/logs/facets?last=7d",
    "/acme/logs/entry?request=unknown",
    "/admin/",
    "/admin/auth/user/",
    "/admin/gatebook/site/",
]


def filters(page: Page) -> Locator:
    """What opens the form."""
    return page.locator("summary", has_text=re.compile("^Filters"))


@pytest.mark.parametrize("path", PAGES)
def test_no_page_breaks_its_own_policy(page: Page, complaints: list[str], path: str):
    page.goto(path)
    refused = [text for text in complaints if not text.startswith("Failed to load resource: the server responded with")]
    assert refused == []


def test_older_newer_and_back_keep_the_address(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    first = page.locator(ROWS).first.inner_text()
    page.evaluate("window.stays = true")
    page.locator("a[rel=next]").click()
    page.wait_for_url("**after=**")
    expect(page.locator(ROWS).first).not_to_have_text(first)
    assert page.evaluate("window.stays")
    second = page.locator(ROWS).first.inner_text()
    page.reload()
    assert page.locator(ROWS).first.inner_text() == second
    page.locator("a[rel=prev]").click()
    page.wait_for_url("**before=**")
    expect(page.locator(ROWS).first).to_have_text(first, use_inner_text=True)
    page.go_back()
    page.wait_for_url("**after=**")
    expect(page.locator(ROWS).first).to_have_text(second, use_inner_text=True)


def test_a_wrong_value_is_answered_beside_its_field(page: Page):
    page.goto("/acme/logs/")
    filters(page).click()
    page.get_by_text("More filters").click()
    page.fill("input[name=code]", "4xx")
    page.get_by_role("button", name="Show", exact=True).first.click()
    expect(page.get_by_role("alert")).to_contain_text("4xx is not a number or range")
    expect(page.locator("input[name=code]")).to_have_value("4xx")
    assert page.locator(ROWS).count() == 0
    page.fill("input[name=code]", "400..499")
    page.get_by_role("button", name="Show", exact=True).first.click()
    expect(page.locator(ROWS).first).to_be_visible()


def test_what_the_box_says_and_what_the_form_says_are_one_question(page: Page):
    page.goto("/acme/logs/?last=7d")
    page.evaluate("window.stays = true")
    page.keyboard.press("/")
    expect(page.locator("#id_q")).to_be_focused()
    page.keyboard.type("status:failure -user:svc-* api")
    page.keyboard.press("Enter")
    page.wait_for_url("**status=failure**")
    assert page.evaluate("window.stays")
    assert "last=7d" in page.url
    assert "q=api" in page.url
    expect(page.locator("select[name=status]")).to_have_value("failure")
    filters(page).click()
    page.fill("input[name=interface]", "web")
    page.get_by_role("button", name="Show", exact=True).first.click()
    page.wait_for_url("**interface=web**")
    expect(page.locator("#id_q")).to_have_value(re.compile("^(?=.*status:failure)(?=.*interface:web).* api$"))
    expect(page.locator(ROWS).first).to_be_visible()
    assert page.locator(f"{ROWS}:not([data-status=failure])").count() == 0
    page.get_by_role("link", name="Drop Text api").click()
    page.wait_for_url(lambda address: "q=" not in address)


def test_a_fault_in_the_text_is_marked_and_can_be_mended(page: Page):
    page.goto("/acme/logs/")
    page.fill("#id_q", "stauts:failure <b>bold</b>")
    page.press("#id_q", "Enter")
    expect(page.get_by_role("alert").locator("mark")).to_have_text("stauts:failure")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("did you mean status?")
    assert page.locator("b").count() == 0
    page.get_by_role("alert").get_by_role("link", name="Search").click()
    expect(page.locator("#id_q")).to_be_focused()
    page.fill("#id_q", "status:failure")
    page.press("#id_q", "Enter")
    page.wait_for_url("**status=failure")
    expect(page.locator(ROWS).first).to_be_visible()


def test_the_help_shows_examples_that_one_can_try(page: Page):
    page.goto("/acme/logs/")
    page.get_by_text("Help", exact=True).click()
    page.get_by_role("link", name="status:failure interface:sftp,ftp").click()
    page.wait_for_url("**interface=sftp**")
    expect(page.locator("#id_q")).to_have_value("status:failure interface:sftp,ftp")


def test_a_shared_address_means_the_same_rows_in_another_zone(browser: Browser, page: Page, demo: QuickStart):
    page.goto("/acme/logs/")
    filters(page).click()
    page.fill("#id_from", f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}T00:00:00")
    page.get_by_role("button", name="Show", exact=True).first.click()
    page.wait_for_url("**from=**")
    page.goto(re.sub(r"$", f"&to={datetime.now(UTC) - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}", page.url))
    here = page.locator("td[data-column=created_at] time").evaluate_all("all => all.map(one => one.dateTime)")
    window = browser.new_context(base_url=demo.address, timezone_id="America/Los_Angeles")
    elsewhere = window.new_page()
    sign_in(elsewhere, demo)
    elsewhere.goto(page.url)
    there = elsewhere.locator("td[data-column=created_at] time")
    assert there.evaluate_all("all => all.map(one => one.dateTime)") == here
    assert there.first.inner_text() != page.locator("td[data-column=created_at] time").first.inner_text()
    window.close()


def test_a_path_copied_from_the_table_is_the_whole_path(page: Page):
    page.goto("/acme/logs/?path=/api/rest/v1/*&last=7d")
    cut = page.locator("td[data-column=request_path] .cut").first
    cut.evaluate("one => getSelection().selectAllChildren(one)")
    page.keyboard.press("Control+c")
    assert page.evaluate("navigator.clipboard.readText()") == cut.get_attribute("title")


def test_everything_can_be_asked_and_read_without_a_script(browser: Browser, demo: QuickStart):
    context = browser.new_context(base_url=demo.address, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, demo)
    page.goto("/acme/logs/?last=7d")
    filters(page).click()
    page.select_option("select[name=status]", "failure")
    page.select_option("select[name=last]", "")
    page.fill("#id_from", f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}T00:00:00")
    page.fill("#filters input[name=user]", "*")
    page.get_by_role("button", name="Show", exact=True).first.click()
    assert "status=failure" in page.url
    assert "path=" not in page.url
    assert page.locator(f"{ROWS}:not([data-status=failure])").count() == 0
    page.locator("a[rel=next]").click()
    assert "after=" in page.url
    page.locator(f"{ROWS} a").first.click()
    assert "/logs/entry?" in page.url
    page.goto("/acme/logs/?last=7d")
    page.fill("#id_q", "code:>=400 rest")
    page.get_by_role("button", name="Search", exact=True).click()
    assert "q=rest" in page.url
    assert "last=7d" in page.url
    assert page.locator(f"{ROWS}:not([data-status=failure])").count() == 0
    context.close()


def test_counts_arrive_beside_the_log_and_a_click_narrows_it(page: Page, complaints: list[str]):
    page.goto(f"/acme/logs/?{PAST}")
    sftp = page.locator(".facet__value").filter(has_text=re.compile("^\\s*SFTP"))
    count = sftp.locator(".facet__count").inner_text()
    page.evaluate("window.stays = true")
    sftp.click()
    page.wait_for_url("**interface=SFTP**")
    expect(page.locator(".said__count")).to_have_text(count)
    expect(page.locator(".facet__value[aria-current]")).to_contain_text("SFTP")
    assert set(page.locator("td[data-column=interface]").all_inner_texts()) == {"SFTP"}
    page.locator(".facet__value[aria-current]").click()
    page.wait_for_url(re.compile("^((?!interface=).)*$"))
    assert page.evaluate("window.stays")
    assert complaints == []


@pytest.mark.parametrize("width", [1366, 1440, 1920])
def test_nothing_moves_when_the_counts_arrive(page: Page, width: int):
    held = []
    page.set_viewport_size({"width": width, "height": 900})
    page.route("**/logs/facets?**", lambda route: held.append(route))
    page.goto("/acme/logs/?last=7d")
    expect(page.get_by_role("link", name="Counts by value")).to_be_visible()
    parts = "[...document.querySelectorAll('.chart, .log-table, .pager')]"
    where = f"{parts}.map(one => JSON.stringify(one.getBoundingClientRect()))"
    before = page.evaluate(where)
    held[0].continue_()
    expect(page.locator(".facet").first).to_be_visible()
    assert page.evaluate(where) == before
    assert page.evaluate("document.querySelector('.log-table').getBoundingClientRect().top") < 450
    assert page.evaluate("document.activeElement === document.body")


def test_counts_that_fail_leave_their_link_and_the_page(page: Page):
    page.route("**/logs/facets?**", lambda route: route.fulfill(status=500, body="out of order"))
    with page.expect_response("**/logs/facets?**"):
        page.goto("/acme/logs/?last=7d")
    expect(page.locator(ROWS)).to_have_count(50)
    page.unroute("**/logs/facets?**")
    page.get_by_role("link", name="Counts by value").click()
    page.wait_for_url("**/logs/facets?**")
    expect(page.get_by_role("heading", name="Counts by value")).to_be_visible()
    page.locator(".facet__value").first.click()
    page.wait_for_url("**/acme/logs/?**")
    expect(page.locator(ROWS).first).to_be_visible()


def test_a_phone_asks_for_the_counts_when_they_come_into_sight(page: Page):
    asked = []
    page.on("request", lambda request: "/logs/facets?" in request.url and asked.append(request.url))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/acme/logs/?last=7d")
    page.wait_for_load_state("networkidle")
    assert asked == []
    page.get_by_role("link", name="Counts", exact=True).click()
    expect(page.locator(".facet").first).to_be_visible()
    assert len(asked) == 1


def test_a_bar_leads_to_its_requests(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    bar = page.locator(".chart__bar", has=page.locator("[data-part=failures]")).first
    requests = re.search(r": ([\d,]+) requests?,", bar.locator("title").text_content())[1]
    address = page.url
    bar.click()
    page.wait_for_url(lambda url: url != address)
    expect(page.locator(".said__count")).to_have_text(requests)


def test_the_chart_can_be_read_and_followed_by_keyboard(page: Page):
    page.goto("/acme/logs/?last=7d")
    page.get_by_text("As a list").focus()
    page.keyboard.press("Enter")
    page.get_by_role("region", name="API requests over time, as a list").get_by_role("link").nth(20).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**from=**")


def test_the_counts_are_a_page_without_a_script(browser: Browser, demo: QuickStart):
    context = browser.new_context(base_url=demo.address, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, demo)
    page.goto(f"/acme/logs/?{PAST}")
    page.get_by_role("link", name="Counts", exact=True).click()
    page.get_by_role("link", name="Counts by value").click()
    value = page.locator(".facet__value").first
    count = value.locator(".facet__count").inner_text()
    value.click()
    assert page.locator(".said__count").inner_text() == count
    context.close()


def test_the_columns_one_chooses_stay_in_the_address_or_for_good(page: Page):
    page.goto("/acme-eu/logs/")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="User Agent").check()
    page.get_by_role("checkbox", name="Path").uncheck()
    page.get_by_role("button", name="Show", exact=True).last.click()
    page.wait_for_url("**columns=**")
    headings = page.locator("thead th").all_inner_texts()
    assert any("User Agent" in heading for heading in headings)
    assert not any(heading.startswith("Path") for heading in headings)


def test_hostile_text_stays_text(page: Page, demo: QuickStart, complaints: list[str], tmp_path: Path):
    hostile = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    entry = {
        "created_at": datetime.now(UTC).isoformat(),
        "request_id": f"hostile-{hostile}",
        **dict.fromkeys(
            (
                "username",
                "impersonator_username",
                "interface",
                "api_name",
                "request_path",
                "request_host",
                "user_agent",
            ),
            hostile,
        ),
        "error_type": hostile,
        "error_message": f"{hostile}\u202e",
        "response_code": 500,
    }
    file = tmp_path / "hostile.jsonl"
    file.write_text(json.dumps(entry) + "\n")
    demo.manage("import_logs", str(file), "--site", "acme-labs")
    alarms = []
    page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
    page.goto("/acme-labs/logs/?request=hostile-*&columns=created_at,request_path,username,error_message,request_id")
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator(f"{ROWS} a").first.click()
    expect(page.locator("main")).to_contain_text("<script>alert(1)</script>")
    assert alarms == []
    assert complaints == []


def test_acting_as_someone_is_said_on_every_page_and_in_the_book(page: Page, demo: QuickStart):
    page.context.clear_cookies()  # a session of its own: acting as someone ends the old one
    sign_in(page, demo)
    page.goto("/admin/auth/user/")
    page.get_by_role("row", name="bob").get_by_role("button").first.click()
    page.wait_for_url("**/")
    expect(page.locator("body")).to_contain_text("You act as bob")
    page.locator("a[href='/acme/logs/']").click()
    expect(page.locator(ROWS).first).to_be_visible()
    page.get_by_role("button", name="Be yourself again").click()
    page.goto("/acme/logs/?user=bob&impersonator=administrator&last=15m")
    for _ in range(20):
        if page.locator(ROWS).count():
            break
        page.wait_for_timeout(300)
        page.reload()
    page.locator(ROWS).first.locator("a").first.click()
    expect(page.locator("main")).to_contain_text("bob, impersonated by administrator")


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/acme/logs/?last=7d&status=failure",
        "/acme/logs/?user=nobody",
        f"/acme/logs/?q=x:{'y' * 300}",
        "/acme/logs/facets?last=7d",
    ],
)
def test_no_page_is_wider_than_its_window(page: Page, width: int, path: str):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
