"""The head of the log page in a browser: suggestions by keyboard, chips, menus; with a script and without."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import MARKS, sign_in
from tests.browser.test_log_page import PAST, ROWS
from tests.quick_start import QuickStart

pytestmark = MARKS


def suggestions(page: Page):
    return page.get_by_role("listbox", name="Suggestions")


def objections(complaints: list[str]) -> list[str]:
    """The complaints, but that a part of the page was given up for a click."""
    return [text for text in complaints if not text.startswith("htmx:")]


def test_a_search_is_written_by_keyboard_from_suggestions(page: Page, complaints: list[str]):
    page.goto(f"/acme/logs/?{PAST}")
    box = page.get_by_role("combobox", name="Search")
    page.keyboard.press("/")
    page.keyboard.type("sta")
    expect(suggestions(page).get_by_role("option")).to_have_count(1)
    expect(suggestions(page)).to_contain_text("status:")
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    active = page.locator(f"#{box.get_attribute('aria-activedescendant')}")
    expect(active).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(box).to_have_value("status:")
    expect(suggestions(page).get_by_role("option").first).to_contain_text(re.compile(r"failure\s+\d"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(box).to_have_value("status:failure")
    expect(box).to_be_focused()
    expect(suggestions(page)).to_be_hidden()
    page.keyboard.type(" -user:svc-")
    first = suggestions(page).get_by_role("option").first
    expect(first).to_contain_text("svc-")
    name, count = first.locator("bdi").all_inner_texts()
    page.keyboard.press("ArrowUp")
    expect(suggestions(page).get_by_role("option").last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(box).not_to_have_attribute("aria-activedescendant", re.compile("."))
    page.keyboard.press("Home")
    expect(suggestions(page)).to_be_hidden()
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    expect(first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(box).to_have_value(f"status:failure -user:{name}")
    page.keyboard.press("Enter")
    page.wait_for_url("**status=failure**")
    page.goto(f"/acme/logs/?status=failure&user={name}&{PAST}")
    expect(page.locator(".said__count")).to_have_text(count)
    assert objections(complaints) == []


def test_escape_closes_the_suggestions_and_keeps_the_text(page: Page):
    page.goto("/acme/logs/")
    page.click("#id_q")
    page.keyboard.type("inter")
    expect(suggestions(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(suggestions(page)).to_be_hidden()
    expect(page.locator("#id_q")).to_have_value("inter")
    page.keyboard.press("Escape")  # with nothing to close
    expect(page.locator("#id_q")).to_have_value("inter")
    expect(page.locator("#id_q")).to_be_focused()
    page.keyboard.type("f")
    expect(suggestions(page)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#id_q")).not_to_be_focused()
    expect(suggestions(page)).to_be_hidden()


def test_escape_before_suggestions_have_come_gives_them_up_and_keeps_the_text(page: Page):
    held = []
    page.route("**/logs/suggest?**", lambda route: held.append(route))
    page.goto("/acme/logs/?status=failure")
    page.click("#id_q")
    page.keyboard.press("Escape")
    expect(page.locator("#id_q")).to_have_value("status:failure")
    with page.expect_request("**/logs/suggest?**"):
        page.keyboard.type(" inter")
    with page.expect_event("requestfailed"):
        page.keyboard.press("Escape")
    expect(page.locator("#id_q")).to_have_value("status:failure inter")
    expect(suggestions(page)).to_be_hidden()
    page.locator("#time summary").click()
    page.focus("#id_q")
    page.keyboard.press("Escape")
    expect(page.locator("#time")).not_to_have_attribute("open", "")


def test_enter_searches_while_suggestions_are_open(page: Page):
    page.goto("/acme/logs/?last=7d")
    page.fill("#id_q", "")
    page.click("#id_q")
    page.keyboard.type("status:fail")
    expect(suggestions(page)).to_be_visible()
    page.keyboard.type("ure")
    page.keyboard.press("Enter")
    page.wait_for_url("**status=failure**")
    expect(suggestions(page)).to_be_hidden()


def test_a_late_suggestion_is_given_up_and_nothing_moves(page: Page):
    held = []
    page.goto("/acme/logs/?last=7d")
    page.route(
        "**/logs/suggest?**", lambda route: held.append(route) if "user" not in route.request.url else route.continue_()
    )
    parts = "[...document.querySelectorAll('.chart, .log-table, .said')]"
    where = f"JSON.stringify({parts}.map(one => one.getBoundingClientRect()))"
    before = page.evaluate(where)
    page.click("#id_q")
    with page.expect_request("**/logs/suggest?**"):
        page.keyboard.type("st")
    page.keyboard.press("Control+a")
    page.keyboard.type("user:")
    expect(suggestions(page).get_by_role("option").first).to_be_visible()
    assert "status:" not in suggestions(page).inner_text()
    assert page.evaluate(where) == before


def test_suggestions_that_fail_leave_a_plain_box(page: Page):
    page.route("**/logs/suggest?**", lambda route: route.fulfill(status=500, body="out of order"))
    page.goto("/acme/logs/?last=7d")
    page.click("#id_q")
    with page.expect_response("**/logs/suggest?**"):
        page.keyboard.type("status:failure")
    expect(suggestions(page)).to_be_hidden()
    page.keyboard.press("Enter")
    page.wait_for_url("**status=failure**")


def test_a_hostile_value_is_suggested_as_text_and_asks_exactly_for_itself(
    page: Page, demo: QuickStart, complaints: list[str], tmp_path: Path
):
    hostile = '🦊<img src=x onerror=alert(1)>, "*" \\'
    file = tmp_path / "hostile.jsonl"
    for number, name in enumerate((hostile, f"{hostile}2")):
        entry = {"created_at": datetime.now(UTC).isoformat(), "request_id": f"fox-{number}", "username": name}
        with file.open("a") as lines:
            lines.write(json.dumps(entry) + "\n")
    demo.manage("import_logs", str(file), "--site", "acme-labs")
    alarms = []
    page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
    page.goto("/acme-labs/logs/?last=1h")
    page.fill("#id_q", "-path:🦊 request:fox-* ")
    page.click("#id_q")
    page.keyboard.press("End")
    page.keyboard.type("user:")
    option = suggestions(page).get_by_role("option").filter(has_text=re.compile(r"\\\s+1"))
    expect(option).to_contain_text("<img src=x")
    option.click()
    page.keyboard.press("Enter")
    page.wait_for_url("**user=**")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(".chip__text").first).to_contain_text("<img src=x")
    page.locator(".chip__text").first.click()
    page.get_by_role("button", name="Change").first.click()
    page.wait_for_url("**user=**")
    expect(page.locator(ROWS)).to_have_count(1)
    assert alarms == []
    assert objections(complaints) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with a script", "without"])
def test_a_chip_is_changed_turned_and_dropped(browser: Browser, demo: QuickStart, scripts: bool):
    context = browser.new_context(base_url=demo.address, java_script_enabled=scripts)
    page = context.new_page()
    sign_in(page, demo)
    page.goto(f"/acme/logs/?interface=sftp&{PAST}")
    everything = count_at(page, f"/acme/logs/?{PAST}")
    page.goto(f"/acme/logs/?interface=sftp&{PAST}")
    sftp = count(page)
    page.locator(".chip__text").first.click()
    field = page.get_by_role("textbox", name="Interface").first
    if scripts:
        expect(field).to_be_focused()
    field.fill("sftp,web")
    field.press("Enter")
    page.wait_for_url("**interface=sftp%2Cweb**" if not scripts else re.compile("interface=sftp(,|%2C)web"))
    expect(page.locator(".chip__text").first).to_have_text("SFTP or Web")
    expect(page.locator("#id_q")).to_have_value("interface:sftp,web")
    page.locator(".chip__text").first.click()
    field = page.get_by_role("textbox", name="Interface").first
    field.fill("sftp")
    page.get_by_role("button", name="Change").click()
    expect(page.locator(".chip__text").first).to_have_text("SFTP")
    page.locator(".chip__text").first.click()
    page.get_by_role("link", name="Leave it out").click()
    page.wait_for_url("**-interface=sftp**")
    expect(page.locator(".chip[data-negated]")).to_contain_text("SFTP")
    assert count(page) == everything - sftp
    page.get_by_role("link", name="Drop Interface SFTP").click()
    page.wait_for_url(re.compile("^((?!interface=).)*$"))
    expect(page.locator("#id_q")).to_have_value("")
    assert count(page) == everything
    context.close()


def count(page: Page) -> int:
    return int(page.locator(".said__count").inner_text().replace(",", ""))


def count_at(page: Page, address: str) -> int:
    page.goto(address)
    return count(page)


def test_typing_only_and_form_only_reach_the_same_rows(page: Page):
    dates = "all => all.map(one => one.dateTime)"
    page.goto(f"/acme/logs/?{PAST}")
    page.fill("#id_q", "status:failure interface:web,sftp -user:svc-* code:400..499 report")
    page.press("#id_q", "Enter")
    page.wait_for_url("**status=failure**")
    typed, words = page.locator("td time").evaluate_all(dates), page.locator("#id_q").input_value()
    page.goto(f"/acme/logs/?q=report&{PAST}")
    page.locator("summary", has_text=re.compile("^Filters")).click()
    form = page.locator("#filters")
    form.get_by_label("Status", exact=True).select_option("failure")
    form.get_by_label("Interface", exact=True).fill("web,sftp")
    page.get_by_text("More filters").click()
    form.get_by_label("Response Code", exact=True).fill("400..499")
    page.get_by_text("Leave out", exact=True).click()
    form.get_by_label("Not User", exact=True).fill("svc-*")
    form.get_by_role("button", name="Show").click()
    page.wait_for_url("**status=failure**")
    assert page.locator("td time").evaluate_all(dates) == typed
    assert set(page.locator("#id_q").input_value().split()) == set(words.split())


def test_the_time_is_chosen_in_its_menu(page: Page):
    page.goto("/acme/logs/?status=failure")
    time = page.locator("#time summary")
    expect(time).to_have_text(re.compile("Last 24 hours"))
    page.get_by_role("link", name="last 24 hours", exact=True).click()
    expect(time).to_be_focused()
    page.get_by_role("link", name="Last 7 days").click()
    page.wait_for_url("**last=7d**")
    expect(time).to_have_text(re.compile("Last 7 days"))
    assert "status=failure" in page.url
    time.click()
    page.locator("#time input[name=from]").fill("2026-11-20T14:00")
    page.locator("#time input[name=to]").fill("2026-11-20T16:00")
    page.get_by_role("button", name="Show this time").click()
    page.wait_for_url("**from=2026-11-20T13**")  # Berlin's time
    expect(time).to_have_text(re.compile("20 Nov 14:00 to 16:00"))
    page.get_by_role("link", name="Drop the time").click()
    expect(time).to_have_text(re.compile("Last 24 hours"))


def test_one_menu_is_open_at_a_time_and_escape_leads_back(page: Page):
    page.goto("/acme/logs/?status=failure")
    menus = page.locator("details[data-menu][open]")
    for summary in page.locator("details[data-menu] > summary").all():
        summary.press("Enter")
        expect(menus).to_have_count(1)
    page.keyboard.press("Escape")
    expect(menus).to_have_count(0)
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.locator("#time summary").click()
    page.mouse.click(700, 20)
    expect(menus).to_have_count(0)


def test_single_keys_are_turned_off_for_this_browser_and_on_again(page: Page):
    page.goto("/acme/logs/?status=failure&last=7d")
    box, switch = page.locator("#id_q"), page.get_by_label("Single-key shortcuts")

    def turn() -> None:
        page.locator("#search_help > summary").click()
        switch.click()
        page.keyboard.press("Escape")

    page.keyboard.press("/")
    expect(box).to_be_focused()
    turn()
    page.keyboard.press("/")
    expect(box).not_to_be_focused()
    expect(page.locator(".search__slash")).to_be_hidden()
    page.locator(f"{ROWS} td").first.focus()
    page.keyboard.press("j")  # in the table, keys belong to what has the focus
    expect(page.locator(f"{ROWS} td").first).not_to_be_focused()
    page.keyboard.press("/")
    expect(box).not_to_be_focused()
    page.goto(page.locator(f"{ROWS} td[data-column=created_at] a").nth(5).get_attribute("href"))
    expect(page.locator("#around a[rel=prev]")).to_have_attribute("title", "")
    here = page.url
    page.keyboard.press("[")
    page.wait_for_timeout(200)
    assert page.url == here
    page.go_back()
    page.locator("#search_help > summary").click()
    expect(switch).not_to_be_checked()
    page.keyboard.press("Escape")
    turn()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.goto(here)
    expect(page.locator("#around a[rel=prev]")).to_have_attribute("title", "Key [")
    expect(page.locator("#around a[rel=prev]")).to_have_attribute("aria-keyshortcuts", "[")
    page.keyboard.press("[")
    page.wait_for_url(lambda address: address != here)


@pytest.mark.parametrize(("width", "height", "most"), [(1440, 900, 450), (390, 844, 650)])
def test_the_table_begins_above_the_fold(page: Page, width: int, height: int, most: int):
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/acme/logs/?status=failure&interface=sftp,web&-user=svc-*&last=7d")
    assert page.locator(".log-table").bounding_box()["y"] < most
    assert page.evaluate("document.documentElement.scrollWidth") <= width
