"""The chart in a browser: what a bar counts, and ranges by mouse, finger and keyboard."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, StorageState, expect

from tests.browser.conftest import MARKS
from tests.browser.test_log_page import PAST
from tests.quick_start import QuickStart

pytestmark = MARKS
PARTS = "[...document.querySelectorAll('.chart, .chart__plot, .log-table, .facets')]"
PLACES = f"{PARTS}.map(one => JSON.stringify(one.getBoundingClientRect()))"


@pytest.fixture
def log(page: Page) -> Page:
    """The log page with its counts."""
    page.goto(f"/acme/logs/?{PAST}")
    expect(page.locator(".facet").first).to_be_visible()
    return page


def told(page: Page) -> str:
    """The number of requests in the readout."""
    return re.search(r"([\d,]+) requests?,", page.locator(".chart__readout").inner_text())[1]


def drag(page: Page, start: float, end: float) -> None:
    """Press at one share of the chart's width, and move to another."""
    box = page.locator(".chart__plot").bounding_box()
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 40, steps=5)


def times(address: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(address).query)
    return query["from"][0], query["to"][0]


def test_the_pointer_reads_a_bar_in_both_zones_and_nothing_moves(log: Page):
    before = log.evaluate(PLACES)
    bar = log.locator(".chart__bar", has=log.locator("[data-part=failures]")).nth(3)
    said = bar.locator("title").text_content()
    bar.hover()
    readout = log.locator(".chart__readout")
    time, _, counts = said.rpartition(": ")
    expect(readout).to_contain_text(time)
    expect(readout).to_contain_text(counts)
    expect(readout).to_contain_text("UTC")
    assert log.evaluate(PLACES) == before
    log.mouse.move(5, 5)
    expect(readout).to_be_hidden()


def test_the_readout_covers_no_link(log: Page):
    log.locator(".chart__bar").last.hover()
    readout = log.locator(".chart__readout").bounding_box()
    for link in (".chart__zoom", ".chart__summary"):
        box = log.locator(link).bounding_box()
        assert readout["x"] + readout["width"] <= box["x"]


@pytest.mark.parametrize(("start", "days"), [("21:48", 1), ("00:12", 1), ("14:36", 7), ("07:24", 7)])
def test_on_a_phone_no_label_of_the_axis_runs_over_the_edge(log: Page, start: str, days: int):
    """The reader's midnight, with its day, is a twentieth of the width from one end or the other."""
    log.set_viewport_size({"width": 390, "height": 844})
    since = datetime.fromisoformat(f"2026-03-10T{start}:00Z")
    log.goto(f"/acme/logs/?from={since:%Y-%m-%dT%H:%M:%SZ}&to={since + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}")
    plot = log.locator(".chart__plot").bounding_box()
    labels = [label.bounding_box() for label in log.locator(".chart__label:visible text").all()]
    assert labels
    assert min(box["x"] for box in labels) >= plot["x"]
    assert max(box["x"] + box["width"] for box in labels) <= plot["x"] + plot["width"]


def test_the_keyboard_reads_bars_chooses_a_range_and_follows_it(log: Page):
    log.locator(".chart__bar[tabindex='0']").focus()
    log.keyboard.press("ArrowLeft")
    assert f": {told(log)} request" in log.locator(":focus").get_attribute("aria-label")
    for _ in range(4):
        log.keyboard.press("Shift+ArrowLeft")
    expect(log.locator("[data-chosen]")).to_have_count(5)
    requests = told(log)
    log.keyboard.press("Enter")
    expect(log.locator(".said__count")).to_have_text(requests)


def test_a_drag_asks_for_the_range_that_was_read_exactly_at_the_bars_ends(log: Page):
    ends = [
        times(f"?{href}")
        for href in log.locator(".chart__bar").evaluate_all("all => all.map(one => one.getAttribute('href').slice(1))")
    ]
    log.evaluate("window.stays = true")
    drag(log, 0.2, 0.55)
    requests = told(log)
    log.mouse.up()
    expect(log.locator(".said__count")).to_have_text(requests)
    start, end = times(log.url)
    assert start in {first for first, _ in ends}
    assert end in {last for _, last in ends}
    assert log.evaluate("window.stays")
    expect(log.locator("#log, header")).to_have_count(2)
    log.get_by_role("link", name="Zoom out").click()
    log.wait_for_url(lambda address: times(address)[0] < start and times(address)[1] > end)


def test_escape_gives_a_drag_up(log: Page):
    address = log.url
    drag(log, 0.7, 0.3)
    expect(log.locator("[data-chosen]").first).to_be_visible()
    log.keyboard.press("Escape")
    log.mouse.up()
    expect(log.locator("[data-chosen]")).to_have_count(0)
    log.wait_for_timeout(300)
    assert log.url == address


def test_a_finger_drags_too(browser: Browser, demo: QuickStart, signed_in: StorageState):
    context = browser.new_context(
        base_url=demo.address,
        storage_state=signed_in,
        timezone_id="Europe/Berlin",
        viewport={"width": 390, "height": 844},
        has_touch=True,
    )
    page = context.new_page()
    page.goto(f"/acme/logs/?{PAST}")
    box = page.locator(".chart__plot").bounding_box()
    finger = context.new_cdp_session(page)
    places = [box["x"] + box["width"] * share for share in (0.2, 0.3, 0.5, 0.6)]
    for kind, x in zip(["touchStart", "touchMove", "touchMove", "touchMove"], places, strict=True):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": box["y"] + 30}]})
    page.wait_for_timeout(200)  # touches reach a page with its frames
    requests = told(page)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator(".said__count")).to_have_text(requests)
    context.close()


def test_a_chart_that_comes_later_takes_the_place_kept_for_it(page: Page):
    held = []

    def without_chart(route: Route) -> None:
        """Answer as a server does that could not draw in time."""
        text = route.fetch().text()
        attributes = re.search(r'hx-get="([^"]*)facets([^"]*)"', text)
        place = (
            f'<section class="chart chart--missing" id="chart" hx-get="{attributes[1]}chart{attributes[2]}"'
            ' hx-trigger="load" hx-target="this" hx-select="#chart" hx-swap="outerHTML" hx-sync="this:drop">'
            '<p class="chart__wait">Drawing …</p></section>'
        )
        route.fulfill(body=re.sub(r'<section class="chart".*?</section>', place, text, flags=re.DOTALL))

    page.route("**/acme/logs/?**", without_chart)
    page.route("**/logs/chart?**", lambda route: held.append(route))
    with page.expect_request("**/logs/chart?**"):
        page.goto(f"/acme/logs/?{PAST}")
    expect(page.locator(".facet").first).to_be_visible()
    places = PLACES.replace(".chart__plot, ", "")
    before = page.evaluate(places)
    page.evaluate(f"addEventListener('htmx:afterSwap', () => {{ window.atOnce = {places} }})")
    held[0].continue_()
    expect(page.locator(".chart__bar").first).to_be_visible()
    assert page.evaluate("window.atOnce") == before  # also in the moment in which the chart came
    assert page.evaluate(places) == before
