"""The live switch in a browser: rows that arrive by themselves, wait while one reads, and a server that is away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import MARKS
from tests.browser.test_log_page import ROWS
from tests.quick_start import QuickStart

pytestmark = MARKS
SITE = "acme-labs"
_numbers = count(1)

Arrive = Callable[..., str]


@pytest.fixture
def arrive(demo: QuickStart, tmp_path: Path) -> Arrive:
    """Let entries arrive in the store; return the path they all begin with."""

    def written(*fields: dict[str, object], seconds_ago: float = 0) -> str:
        path = f"/arrived-{next(_numbers)}"
        now = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        file = tmp_path / f"{path[1:]}.jsonl"
        lines = [
            {"created_at": now.isoformat(), "request_id": f"{path}-{at}-{now}", "request_path": f"{path}/{at}", **more}
            for at, more in enumerate(fields or [{}])
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        demo.manage("import_logs", str(file), "--site", SITE)
        return path

    return written


@pytest.fixture
def live(page: Page) -> Page:
    """A log page in which the switch is on, and the pointer beside the table."""
    return opened(page, "-user=administrator")  # whose own page views arrive too


def opened(page: Page, query: str) -> Page:
    page.set_default_timeout(30_000)
    page.goto(f"/{SITE}/logs/?{query}")
    page.mouse.move(5, 5)
    page.get_by_role("button", name="Live", exact=True).click()
    page.mouse.move(5, 5)
    return page


def arrived(page: Page, path: str):
    return page.locator(ROWS).filter(has=page.locator("td[data-column=request_path]", has_text=path))


def pill(page: Page):
    return page.locator(".live__new")


def test_a_row_arrives_without_a_reload(live: Page, arrive: Arrive, complaints: list[str]):
    live.evaluate("window.stays = true")
    path = arrive()
    expect(arrived(live, path)).to_have_count(1, timeout=15_000)
    expect(live.locator(ROWS).first).to_contain_text(path)
    expect(live.locator(".live__state")).to_contain_text("Counts as of")
    assert live.evaluate("window.stays")
    arrived(live, path).get_by_role("link").first.click()
    live.wait_for_url("**entry**")
    assert complaints == []


def test_after_midnight_the_rows_of_yesterday_say_their_day(live: Page, arrive: Arrive):
    path = arrive()
    expect(arrived(live, path)).to_have_count(1, timeout=15_000)
    expect(arrived(live, path).locator(".date")).to_be_empty()
    live.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=1))
    today = datetime.now(ZoneInfo("Europe/Berlin"))
    expect(arrived(live, path).locator(".date")).to_have_text(re.compile(f"{today:%-d %b}|{today:%-d %b %Y}"))
    assert live.locator(".log-table .date:empty").count() == 0
    expect(live.locator(".live__state")).to_contain_text(re.compile(r"Counts as of \d+ \w+ \d\d:"))


def test_a_late_row_stands_at_its_time_also_on_a_page_that_was_empty(page: Page, arrive: Arrive):
    opened(page, "user=tardy-reader")
    first = arrive({"username": "tardy-reader"})
    expect(arrived(page, first)).to_have_count(1, timeout=15_000)
    late = arrive({"username": "tardy-reader"}, seconds_ago=60)
    expect(arrived(page, late)).to_have_count(1, timeout=15_000)
    expect(page.locator(ROWS).first).to_contain_text(first)


def test_only_what_the_question_asks_for_arrives(page: Page, arrive: Arrive):
    opened(page, "status=failure&last=7d")
    path = arrive({"response_code": 200}, {"response_code": 503})
    expect(arrived(page, f"{path}/1")).to_have_count(1, timeout=15_000)
    assert arrived(page, f"{path}/0").count() == 0


def test_rows_wait_while_one_reads_and_come_at_a_click(live: Page, arrive: Arrive):
    live.locator(f"{ROWS} td").nth(3).hover()
    first = live.locator(f"{ROWS} time").first
    before = first.get_attribute("datetime")
    arrive({}, {})
    expect(pill(live)).to_have_text("2 new: show them", timeout=15_000)
    expect(first).to_have_attribute("datetime", before)
    pill(live).click()
    expect(pill(live)).to_be_hidden()
    expect(first).not_to_have_attribute("datetime", before)


@pytest.mark.parametrize(
    "reading",
    [
        "scrollTo(0, 900)",
        "document.querySelector('#log_table tbody td').focus()",
        "getSelection().selectAllChildren(document.querySelector('#log_table td'))",
    ],
)
def test_scrolling_focus_and_selection_are_reading_too(live: Page, arrive: Arrive, reading: str):
    live.evaluate(reading)
    path = arrive()
    expect(pill(live)).to_have_text("1 new: show it", timeout=15_000)
    expect(pill(live)).to_be_in_viewport()
    assert arrived(live, path).count() == 0


def test_more_than_a_page_at_once_is_one_click_away(live: Page, arrive: Arrive):
    path = arrive(*({} for _ in range(60)))
    expect(pill(live)).to_have_text("More than 50 new: show them", timeout=15_000)
    assert arrived(live, path).count() == 0
    pill(live).click()
    expect(arrived(live, path)).to_have_count(50)
    expect(live.get_by_role("button", name="Live", exact=True)).to_have_attribute("aria-pressed", "true")
    following = arrive()
    expect(arrived(live, following)).to_have_count(1, timeout=15_000)
    expect(arrived(live, path)).to_have_count(50)  # the others are of the next page, though of the same moment


def test_a_server_that_is_away_is_told_since_when_and_found_again(live: Page, arrive: Arrive):
    live.route("**/logs/newer?**", lambda route: route.abort())
    expect(live.locator(".live__state")).to_have_text(
        re.compile(r"No connection since \d\d:\d\d, trying again"), timeout=10_000
    )
    path = arrive()
    live.unroute("**/logs/newer?**")
    expect(arrived(live, path)).to_have_count(1, timeout=20_000)
    expect(live.locator(".live__state")).to_contain_text("Counts as of")


def test_signing_out_ends_it_and_is_said(live: Page):
    asked = []
    live.on("request", lambda request: "/logs/newer" in request.url and asked.append(request.url))
    live.context.clear_cookies()
    expect(live.locator(".live__state")).to_contain_text("Signed out", timeout=10_000)
    number = len(asked)
    live.wait_for_timeout(4_000)
    assert len(asked) == number
    live.get_by_role("button", name="Sign in").click()
    live.wait_for_url("**/accounts/sign-in/**")


def test_asking_adds_nothing_to_the_book(page: Page):
    opened(page, "last=15m")
    with page.expect_response("**/logs/newer?**"):
        pass
    page.wait_for_timeout(7_000)
    page.goto(f"/{SITE}/logs/?path=*newer*&user=administrator&last=15m")
    expect(page.get_by_role("heading", name=re.compile("Nothing"))).to_be_visible()


def test_it_is_on_until_it_is_switched_off(live: Page):
    live.reload()
    switch = live.get_by_role("button", name="Live", exact=True)
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    live.reload()
    expect(switch).to_have_attribute("aria-pressed", "false")


def test_old_rows_make_way_and_the_next_page_goes_on_after_the_last(live: Page):
    switch = live.locator("#live")
    names = switch.get_attribute("data-rows").split()

    def many(route: Route) -> None:
        """Bring fifty rows again and again, each time as new ones."""
        answer = route.fetch()
        now = int(re.search(r'data-now="(\d+)"', answer.text())[1])
        rows = live.locator(ROWS).first.evaluate("one => one.outerHTML")
        keys = " ".join(f"{now - at}.{next(_numbers):08}" for at in range(50))
        table = f'<div id="log_table"><table><tbody>{rows * 50}</tbody></table></div>'
        route.fulfill(body=f'<div id="newer" data-now="{now}" data-rows="{keys}">{table}</div>')

    live.route("**/logs/newer?**", many)
    expect(live.locator(ROWS)).to_have_count(200, timeout=30_000)
    assert len(names) == 50
    expect(live.locator("#older")).to_have_attribute("href", re.compile("[?&]to=2"), timeout=15_000)
    expect(live.locator(ROWS)).to_have_count(200)
    expect(live.locator(".pager__rows")).to_have_text("200 API requests on this page")


def test_hostile_rows_arrive_as_text(live: Page, arrive: Arrive, complaints: list[str]):
    hostile = "<img src=x onerror=alert(1)>"
    alarms = []
    live.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
    path = arrive({"username": hostile, "api_name": hostile, "error_type": hostile, "response_code": 500})
    expect(arrived(live, path)).to_contain_text(hostile, timeout=15_000)
    assert live.locator("#log_table img").count() == 0
    assert alarms == complaints == []
