"""The log table in a browser: by keyboard, its values, what opens beside it, and on a phone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from auditlog.models.log import COLUMNS
from tests.browser.conftest import MARKS, sign_in
from tests.quick_start import QuickStart

pytestmark = MARKS
ROWS = ".log-table tbody tr"
_now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
PAST = f"from={_now - timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}&to={_now - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"

HOSTILE = [
    "plain",
    "star*",
    r"back\slash",
    "ends in \\",
    'quo"ted, "twice"',
    "comma,separated",
    " blanks around ",
    "two\r\nlines",
    "next line\x85",
    "override\u202egnp",
    "-begins with a dash",
    "<b>bold</b>&amp;",
    "emoji 🚪 漢字",
    "%41+plus&and=equals#hash",
]


@pytest.fixture(scope="module")
def hostile(demo: QuickStart, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a log with one entry for each hostile value."""
    file = tmp_path_factory.mktemp("hostile") / "hostile.jsonl"
    lines = [
        {
            "created_at": (_now - timedelta(minutes=number)).isoformat(),
            "request_id": f"row-{number}",
            "interface": "ftp",  # unlike Gatebook's own entries of these very visits
            "username": text[:200],
            "user_agent": text,
            "request_path": f"/{text}",
            "response_code": 200,
        }
        for number, text in enumerate([*HOSTILE, "x" * 900])
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    demo.manage("create_site", "hostile-words", "--name", "Hostile")
    demo.manage("import_logs", str(file), "--site", "hostile-words")
    return "/hostile-words/logs/?interface=ftp"


def cell(page: Page, row: int, column: str) -> Locator:
    return page.locator(ROWS).nth(row).locator(f"td[data-column={column}]")


def opened(page: Page) -> Locator:
    return page.locator(".panel:not([hidden])")


@pytest.mark.parametrize("column", ["username", "user_agent", "request_path"])
def test_filter_for_and_out_ask_exactly_the_value(page: Page, hostile: str, column: str):
    def ids(address: str) -> set[str]:
        answer = page.request.get(f"{hostile.partition('?')[0]}{address}")
        assert answer.status == 200
        return set(re.findall(r"<bdi>(row-\d+)</bdi>", answer.text()))

    page.goto(f"{hostile}&columns=username,user_agent,request_path,request_id&sort=request_id")
    everyone = set(page.locator("td[data-column=request_id]").all_inner_texts())
    assert len(everyone) == len(HOSTILE) + 1
    for row in range(len(everyone)):
        shown = cell(page, row, "request_id").inner_text()
        cell(page, row, column).focus()
        links = page.locator(".value a[aria-keyshortcuts]")
        wanted, unwanted = links.evaluate_all("all => all.map(one => one.getAttribute('href'))")
        assert ids(wanted) == {shown}
        assert ids(unwanted) == everyone - {shown}


def test_f_and_x_filter_without_leaving_the_page(page: Page, hostile: str):
    page.goto(f"{hostile}&columns=username,request_id&sort=request_id")
    page.evaluate("window.stays = true")
    cell(page, 3, "username").focus()
    page.keyboard.press("x")
    expect(page.locator(ROWS)).to_have_count(len(HOSTILE))
    cell(page, 0, "username").focus()
    page.keyboard.press("f")
    expect(page.locator(ROWS)).to_have_count(1)
    assert "sort=request_id" in page.url
    assert page.evaluate("window.stays")


def test_who_filters_by_keyboard_goes_on_in_the_table(page: Page, hostile: str):
    page.goto(f"{hostile}&columns=username,request_id&sort=request_id")
    cell(page, 3, "username").focus()
    page.keyboard.press("x")
    expect(page.locator(ROWS)).to_have_count(len(HOSTILE))
    expect(cell(page, 0, "username")).to_be_focused()
    page.keyboard.press("j")
    expect(cell(page, 1, "username")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(".value").get_by_text("Filter out")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(len(HOSTILE) - 1)
    expect(cell(page, 0, "username")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("f")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(cell(page, 0, "request_id")).to_be_focused()
    page.keyboard.press("x")  # what alone is asked for
    expect(page.locator("#nothing")).to_be_visible()
    expect(page.locator("#conditions")).to_be_focused()


def test_who_clicks_is_led_to_what_is_shown_now(page: Page, hostile: str):
    page.goto(f"{hostile}&columns=username,request_id&sort=request_id")
    cell(page, 0, "username").focus()
    page.keyboard.press("x")
    expect(page.locator(ROWS)).to_have_count(len(HOSTILE))
    expect(cell(page, 0, "username")).to_be_focused()
    page.locator("#conditions").get_by_role("link", name="Drop User").click()
    expect(page.locator(ROWS)).to_have_count(len(HOSTILE) + 1)
    expect(page.locator("#conditions")).to_be_focused()
    cell(page, 1, "username").hover()
    page.locator(".value").get_by_role("link", name="Filter for").click()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator("#conditions")).to_be_focused()


def test_leaving_out_adds_and_asking_replaces(page: Page, hostile: str):
    page.goto(f"{hostile}&columns=username,request_id&sort=request_id&-user=star%5C*")
    cell(page, 0, "username").hover()
    page.locator(".value").get_by_role("link", name="Filter out").click()
    expect(page.locator(ROWS)).to_have_count(len(HOSTILE) - 1)
    assert page.url.count("-user=") == 2
    page.goto(f"{hostile}&columns=username,request_id&sort=request_id&user=plain,star%5C*")
    cell(page, 1, "username").hover()
    page.locator(".value").get_by_role("link", name="Filter for").click()
    expect(page.locator(ROWS)).to_have_count(1)
    assert page.url.count("user=") == 1


def test_a_value_is_copied_as_it_was_sent(page: Page, hostile: str):
    page.goto(f"{hostile}&columns=username,request_id&last=24h")
    for row in range(len(HOSTILE)):
        cell(page, row, "username").focus()
        page.keyboard.press("c")
        expect(page.locator(".value [role=status]")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == HOSTILE[row]


def test_the_buttons_of_a_value_are_reached_by_tab_and_left_by_escape(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    path = cell(page, 2, "request_path")
    path.focus()
    expect(page.locator(".value")).to_be_visible()
    for name in ("Filter for", "Filter out", "Copy", "Open"):
        page.keyboard.press("Tab")
        expect(page.locator(".value").get_by_text(name, exact=True)).to_be_focused()
        box = page.locator(":focus").bounding_box()
        assert min(box["width"], box["height"]) >= 24
    page.keyboard.press("Escape")
    expect(path).to_be_focused()
    expect(page.locator(".value")).to_have_count(0)


def test_a_cut_value_is_shown_whole_on_focus(page: Page, hostile: str):
    page.goto(f"{hostile}&columns=user_agent&agent=xxx*")
    cell(page, 0, "user_agent").focus()
    assert page.locator(".value__whole").inner_text() == "x" * 900


def test_the_table_is_one_stop_and_walked_by_keyboard(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    expect(page.locator(".log-table td[tabindex='0']")).to_have_count(1)
    assert page.locator(".log-table tbody a:not([tabindex='-1'])").count() == 0
    cell(page, 0, "created_at").focus()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    expect(cell(page, 1, "created_at")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(cell(page, 1, "request_path")).to_be_focused()
    page.keyboard.press("Home")
    expect(cell(page, 1, "created_at")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for _ in range(40):
        page.keyboard.press("j")
    expect(cell(page, 41, "created_at")).to_be_in_viewport()
    page.keyboard.press("?")
    expect(page.locator("#keys dl")).to_be_visible()
    page.locator("#id_q").fill("")
    page.locator("#id_q").press_sequentially("jkfxco?")
    expect(page.locator("#id_q")).to_have_value("jkfxco?")
    assert "?" in page.url
    expect(opened(page)).to_have_count(0)


def test_o_opens_the_entry_as_a_page(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    address = cell(page, 3, "created_at").locator("a").get_attribute("href")
    cell(page, 3, "username").focus()
    page.keyboard.press("o")
    page.wait_for_url("**/logs/entry?**")
    expect(page.locator("main")).to_contain_text(re.search(r"request=([^&]+)", address)[1])


def test_an_entry_opens_beside_the_table_and_escape_gives_the_page_back(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    before = page.url
    page.evaluate("window.stays = true")
    cell(page, 4, "username").focus()
    page.keyboard.press("Enter")
    expect(opened(page)).to_be_focused()
    assert "entry=acme,2" in page.url
    expect(page.locator(f"{ROWS}[aria-current]")).to_have_count(1)
    table, panel = page.locator(".log-table").bounding_box(), opened(page).bounding_box()
    assert table["x"] + table["width"] <= panel["x"]
    page.keyboard.press("j")
    page.keyboard.press("j")  # before the first has come
    expect(page.locator(ROWS).nth(6)).to_have_attribute("aria-current", "true")
    expect(opened(page)).to_have_attribute("data-entry", re.search("entry=(.*)", page.url)[1])
    page.keyboard.press("k")
    expect(page.locator(ROWS).nth(5)).to_have_attribute("aria-current", "true")
    expect(opened(page)).to_have_attribute("data-entry", re.search("entry=(.*)", page.url)[1])
    page.keyboard.press("Escape")
    expect(opened(page)).to_have_count(0)
    assert page.url == before
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 6
    assert page.evaluate("window.stays")


def test_back_and_forward_close_and_open_the_panel(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    cell(page, 1, "request_path").locator("a").click()
    expect(opened(page)).to_be_visible()
    with_panel, shown = page.url, opened(page).get_attribute("data-entry")
    page.go_back()
    expect(opened(page)).to_have_count(0)
    assert "entry=" not in page.url
    page.go_forward()
    expect(opened(page)).to_have_attribute("data-entry", shown)
    assert page.url == with_panel
    opened(page).locator(".facts__alike").first.click()
    page.wait_for_url(lambda address: "entry=" not in address)
    page.go_back()
    expect(opened(page)).to_have_attribute("data-entry", shown)
    opened(page).get_by_role("link", name="Close").click()
    expect(opened(page)).to_have_count(0)
    expect(page.locator(ROWS)).to_have_count(50)


def test_a_shared_address_shows_table_and_panel_without_a_script(browser: Browser, page: Page, demo: QuickStart):
    page.goto(f"/acme/logs/?{PAST}")
    cell(page, 2, "request_path").locator("a").click()
    expect(opened(page)).to_be_visible()
    context = browser.new_context(base_url=demo.address, java_script_enabled=False)
    elsewhere = context.new_page()
    sign_in(elsewhere, demo)
    elsewhere.goto(page.url)
    assert elsewhere.locator(ROWS).count() == 50
    assert elsewhere.locator(f"{ROWS}[aria-current]").count() == 1
    opened(elsewhere).get_by_role("link", name="Next").click()
    assert elsewhere.locator(ROWS).nth(3).get_attribute("aria-current") == "true"
    opened(elsewhere).get_by_role("link", name="Close").click()
    assert opened(elsewhere).count() == 0
    elsewhere.locator("td[data-column=request_path] a").first.click()
    assert opened(elsewhere).count() == 1
    context.close()


def test_a_panel_whose_answer_is_no_panel_opens_as_a_page(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    page.context.clear_cookies()
    cell(page, 2, "request_path").locator("a").click()
    page.wait_for_url("**/accounts/sign-in/**")


@pytest.mark.parametrize("columns", ["created_at,request_path,username", ",".join(COLUMNS)], ids=["few", "all"])
def test_headings_stay_in_sight(page: Page, columns: str):
    page.goto(f"/acme/logs/?{PAST}&columns={columns}")
    box = page.locator(".log-table").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    for _ in range(4):
        page.mouse.wheel(0, 300)
        page.wait_for_timeout(100)
    assert is_seen(page.locator("thead th").first)
    assert page.locator(ROWS).nth(0).bounding_box()["y"] < page.locator("thead th").first.bounding_box()["y"]


def test_headings_of_all_columns_stay_beside_counts_that_are_longer(page: Page):
    page.goto(f"/acme/logs/?{PAST}&columns={','.join(COLUMNS)}")
    expect(page.locator(".facet").first).to_be_visible()
    page.mouse.move(100, 500)
    page.mouse.wheel(0, 5000)
    page.wait_for_timeout(300)
    head = page.locator("thead th").first
    assert is_seen(head)
    top = head.bounding_box()["y"]
    page.mouse.move(700, top + 100)
    page.mouse.wheel(900, 0)
    page.wait_for_timeout(300)
    assert is_seen(head)
    assert page.locator("thead th").nth(1).bounding_box()["x"] < head.bounding_box()["x"]
    assert head.bounding_box()["y"] == top


def is_seen(head: Locator) -> bool:
    """Tell whether a heading is in sight, covered by nothing."""
    return head.evaluate(
        """one => {
            const {left, top} = one.getBoundingClientRect();
            return document.elementFromPoint(left + 30, top + 8)?.closest("th") === one;
        }"""
    )


def test_the_path_keeps_its_room_among_all_columns(page: Page):
    page.goto(f"/acme/logs/?{PAST}&path=/api/*&columns={','.join(COLUMNS)}")
    widths = {
        name: page.locator(f"thead th[data-column={name}]").bounding_box()["width"]
        for name in ("request_path", "user_is_from_parent_site", "request_host", "user_agent")
    }
    assert widths["request_path"] > 340
    assert widths["user_is_from_parent_site"] < 130
    assert max(widths["request_host"], widths["user_agent"]) < 200


def test_columns_are_arranged_by_keyboard(page: Page):
    page.goto("/acme-labs/logs/")
    page.get_by_text("Columns", exact=True).click()
    path = page.get_by_role("checkbox", name="Path")
    path.focus()
    for _ in range(3):
        page.keyboard.press("Alt+ArrowUp")
    expect(path).to_be_focused()
    page.get_by_role("button", name="Move Date down").click()
    page.get_by_role("button", name="Show", exact=True).last.click()
    page.wait_for_url("**columns=request_path,response_code,created_at**")
    assert page.locator("thead th").first.inner_text().startswith("Path")


def test_columns_are_arranged_by_number_without_a_script(browser: Browser, demo: QuickStart):
    context = browser.new_context(base_url=demo.address, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, demo)
    page.goto("/acme-labs/logs/")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("spinbutton", name="Place of User", exact=True).fill("1")
    page.get_by_role("button", name="Show", exact=True).last.click()
    assert "columns=username,created_at" in page.url
    context.close()


def test_a_phone_has_two_lines_a_sort_menu_that_stays_and_a_panel_over_the_page(page: Page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/acme/logs/?{PAST}&code=200")
    assert not page.locator("thead").is_visible()
    row = page.locator(ROWS).nth(20)
    row.scroll_into_view_if_needed()
    tops = {
        name: row.locator(f"td[data-column={name}]").bounding_box()["y"]
        for name in ("created_at", "response_code", "duration_ms", "request_method", "request_path")
    }
    first, second = tops["created_at"], tops["request_path"]
    assert max(abs(tops[name] - first) for name in ("response_code", "duration_ms")) < 6
    assert second - first > 10
    assert row.bounding_box()["height"] < 64
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(200)
    menu = page.locator(".sort-menu summary")
    assert menu.bounding_box()["y"] < 5
    assert menu.bounding_box()["height"] >= 24
    menu.click()
    page.locator(".sort-menu").get_by_role("link", name="Duration").click()
    page.wait_for_url("**sort=-duration_ms**")
    page.locator("td[data-column=request_path] a").first.click()
    expect(opened(page)).to_be_visible()
    assert opened(page).bounding_box()["width"] == 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    opened(page).get_by_role("link", name="Close").click()
    expect(opened(page)).to_have_count(0)
