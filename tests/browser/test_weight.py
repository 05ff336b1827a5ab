"""What a log page of 50 rows weighs, where it comes from, and that no page moves while its parts arrive."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import MARKS
from tests.browser.test_log_page import PAST, ROWS
from tests.quick_start import QuickStart

pytestmark = MARKS
SHIFT = """() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(one => sum += one.value))
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(sum), 200);
})"""


@pytest.mark.parametrize("query", [PAST, "last=180d&scope=children&status=failure&-user=svc-*&interface=web,sftp"])
def test_a_log_page_is_light_as_it_is_sent_and_comes_from_one_host(page: Page, demo: QuickStart, query: str):
    sent: list[tuple[str, str, int]] = []

    def weigh(request: Request) -> None:
        sent.append((request.resource_type, urlsplit(request.url).netloc, request.sizes()["responseBodySize"]))

    page.on("requestfinished", weigh)
    page.goto(f"/acme/logs/?{query}")
    page.wait_for_load_state("networkidle")
    expect(page.locator(ROWS)).to_have_count(50)
    assert {host for _, host, _ in sent} == {urlsplit(demo.address).netloc}
    for kind, most in (("document", 60_000), ("script", 40_000)):
        assert 0 < sum(size for sort, _, size in sent if sort == kind) <= most


@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_moves_while_its_parts_arrive(page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    for address in (
        "/acme/logs/?last=7d",
        "/acme/overview/?last=7d&scope=children",
        "/acme/logs/?status=failure&last=7d&user=*&interface=restapi",
    ):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(SHIFT) < 0.01
    page.goto(page.locator(f"{ROWS} td[data-column=created_at] a").first.get_attribute("href"))
    expect(page.locator(".nearby__row").first).to_be_visible()
    assert page.evaluate(SHIFT) < 0.01


def test_rows_that_come_before_the_rest_of_the_page_are_already_at_their_place(page: Page):
    place = "JSON.stringify(document.querySelector('.log-table').getBoundingClientRect())"
    page.goto(f"/acme/logs/?{PAST}")
    expect(page.locator(".facet").first).to_be_visible()
    whole = page.evaluate(place)

    def until_the_rows(route: Route) -> None:
        text = route.fetch().text()
        route.fulfill(body=text[: text.index('class="pager"')], content_type="text/html")

    page.route("**/acme/logs/?**", until_the_rows)
    page.reload()
    assert page.locator(".facets").count() == 0
    assert page.evaluate(place).split('"height"')[0] == whole.split('"height"')[0]
