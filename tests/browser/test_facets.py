"""Counts by value in a browser: choosing, leaving out and taking back, by mouse, keyboard and finger."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import MARKS
from tests.browser.test_log_page import PAST

pytestmark = MARKS


def value(page: Page, name: str) -> Locator:
    """The value of the facet Interface with that name."""
    facet = page.get_by_role("region", name="Interface", exact=True)
    return facet.locator("li").filter(has=page.locator(".facet__text", has_text=re.compile(f"^{name}$")))


def number(text: str) -> int:
    return int(text.replace(",", ""))


def total(page: Page) -> int:
    return number(page.locator(".said__count").inner_text())


def count(page: Page, name: str) -> int:
    return number(value(page, name).locator(".facet__count").inner_text())


def test_values_are_chosen_left_out_and_taken_back(page: Page, complaints: list[str]):
    page.goto(f"/acme/logs/?{PAST}")
    sftp, web, whole = count(page, "SFTP"), count(page, "Web"), total(page)
    value(page, "SFTP").locator(".facet__value").click()
    expect(page.locator(".said__count")).to_have_text(f"{sftp:,}")
    value(page, "Web").locator(".facet__value").click()
    expect(page.locator(".said__count")).to_have_text(f"{sftp + web:,}")
    value(page, "SFTP").locator(".facet__value").click()
    expect(page.locator(".said__count")).to_have_text(f"{web:,}")
    value(page, "Web").locator(".facet__value").click()
    expect(page.locator(".said__count")).to_have_text(f"{whole:,}")
    value(page, "SFTP").hover()
    page.get_by_role("link", name="Leave out SFTP", exact=True).click()
    expect(page.locator(".said__count")).to_have_text(f"{whole - sftp:,}")
    left_out = value(page, "SFTP").locator("[data-left-out]")
    expect(left_out.locator(".facet__count")).to_have_text(f"{sftp:,}")
    expect(left_out.locator(".facet__count")).to_have_css("text-decoration-line", "line-through")
    left_out.click()
    expect(page.locator(".said__count")).to_have_text(f"{whole:,}")
    assert complaints == []


def test_old_counts_stay_dimmed_and_out_of_reach_until_the_new_ones_are_there(page: Page):
    held = []
    page.goto(f"/acme/logs/?{PAST}")
    sftp, api = count(page, "SFTP"), page.get_by_role("region", name="API Name", exact=True).inner_text()
    page.route("**/logs/facets?**", lambda route: held.append(route))
    with page.expect_request("**/logs/facets?**"):
        value(page, "SFTP").locator(".facet__value").click()
    expect(page.locator(".said__count")).to_have_text(f"{sftp:,}")
    counts = page.locator("#facets")
    expect(counts).to_have_attribute("aria-busy", "true")
    expect(page.locator("#counts")).to_have_css("opacity", "0.55")
    old = counts.locator("section", has_text="API Name").first
    expect(old).to_have_text(re.compile(re.escape(api.split("\n")[1])))
    assert old.evaluate("one => one.inert")
    with page.expect_response("**/logs/facets?**"):
        held.pop().continue_()
    expect(counts).not_to_have_attribute("aria-busy", "true")
    expect(value(page, "SFTP").locator("[aria-current]")).to_be_visible()
    assert page.get_by_role("region", name="API Name", exact=True).inner_text() != api
    assert page.locator("#facets").count() == 1


def test_old_counts_outlast_a_second_click_before_new_ones_came(page: Page):
    held = []
    page.goto(f"/acme/logs/?{PAST}")
    expect(page.locator(".facet").first).to_be_visible()
    page.route("**/logs/facets?**", lambda route: held.append(route))
    with page.expect_request("**/logs/facets?**"):
        value(page, "SFTP").locator(".facet__value").click()
    page.route("**/acme/logs/?**", lambda route: held.append(route))
    with page.expect_request("**/acme/logs/?**"):
        page.get_by_role("link", name="Zoom out").click()
    page.wait_for_timeout(200)  # in which the first counts are given up
    expect(page.locator("#facets > .facet").first).to_be_visible()
    held.pop().continue_()
    page.unroute("**/logs/facets?**")
    expect(page.locator("#facets:not([aria-busy]) > .facet").first).to_be_visible()


def test_old_counts_go_where_no_new_ones_come(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    sftp = count(page, "SFTP")
    page.route("**/logs/facets?**", lambda route: route.fulfill(status=500, body="out of order"))
    value(page, "SFTP").locator(".facet__value").click()
    expect(page.locator(".said__count")).to_have_text(f"{sftp:,}")
    expect(page.get_by_role("link", name="Counts by value")).to_be_visible()
    assert page.locator(".facet").count() == 0


def test_a_value_beside_a_moving_time_keeps_it_moving(page: Page):
    page.goto("/acme/logs/?last=7d")
    value(page, "SFTP").locator(".facet__value").click()
    page.wait_for_url(lambda address: "interface=SFTP" in address and "last=7d" in address and "from=" not in address)


def test_the_way_out_is_seen_on_focus_and_large_enough(page: Page):
    page.goto(f"/acme/logs/?{PAST}")
    out = page.get_by_role("link", name="Leave out SFTP", exact=True)
    expect(out).to_have_css("opacity", "0")
    value(page, "SFTP").locator(".facet__value").focus()
    page.keyboard.press("Tab")
    expect(out).to_be_focused()
    expect(out).to_have_css("opacity", "1")
    box = out.bounding_box()
    assert min(box["width"], box["height"]) >= 24


@pytest.mark.parametrize("width", [390, 1024])
def test_in_a_narrow_window_the_counts_unfold_before_the_log(page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"/acme/logs/?{PAST}")
    expect(page.locator("#counts")).to_be_hidden()
    page.get_by_role("link", name="Counts", exact=True).click()
    out = page.get_by_role("link", name="Leave out SFTP", exact=True)
    expect(out).to_have_css("opacity", "1")
    assert out.bounding_box()["height"] >= 24
    expect(page.get_by_role("link", name="Fold the counts")).to_be_in_viewport()
    assert page.locator("#counts").bounding_box()["y"] < page.locator("#log_table").bounding_box()["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("link", name="Fold the counts").click()
    expect(page.locator("#counts")).to_be_hidden()
