"""axe looks at every page and state, light and dark, wide and on a phone: WCAG 2.2 AA and its best practices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, expect

from auditlog.models.log import COLUMNS
from tests.browser.conftest import MARKS
from tests.browser.test_log_page import PAST, ROWS
from tests.quick_start import QuickStart

pytestmark = MARKS
AXE = Axe()
ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ALIKE = {"exclude": [["tbody tr:nth-child(n + 9)"], [".facet__values > li:nth-child(n + 4)"]]}
"""Rows and values that look like those before them: to look at each takes its time."""
FEW = f"{PAST}&status=failure&interface=sftp"
FAILURES = "/acme/logs/?status=failure&last=7d&user=*&interface=restapi"


# What a state needs to be reached; the part that is new in it, where it is not the whole page.
def settled(page: Page) -> None:
    page.wait_for_load_state("networkidle")


def with_panel(page: Page) -> str:
    page.locator(f"{ROWS} td[data-column=request_path] a").first.click()
    expect(page.locator("#panel[data-entry]")).to_be_visible()
    return "#panel"


def with_suggestions(page: Page) -> str:
    page.fill("#id_q", "")
    page.click("#id_q")
    page.keyboard.type("status:")
    expect(page.get_by_role("listbox", name="Suggestions").get_by_role("option").first).to_be_visible()
    return "form:has(#id_q)"


def with_a_values_buttons(page: Page) -> str:
    page.locator(f"{ROWS} td[data-column=username]").first.focus()
    expect(page.locator(".value")).to_be_visible()
    return "td:has(.value)"


def at_its_entry(page: Page) -> None:
    page.goto(page.locator(f"{ROWS} td[data-column=created_at] a").first.get_attribute("href"))
    expect(page.locator(".nearby__row").first).to_be_visible()


def around_its_entry(page: Page) -> None:
    at_its_entry(page)
    page.goto(page.url.replace("/entry?", "/entry/around?"))


STATES: dict[str, tuple[str, Callable[[Page], str | None]]] = {
    "rows": (f"/acme/logs/?{PAST}", settled),
    "all columns": (f"/acme/logs/?columns={','.join(COLUMNS)}&-user=svc-*&{FEW}", settled),
    "panel": (f"/acme/logs/?{FEW}", with_panel),
    "suggestions": (f"/acme/logs/?{FEW}", with_suggestions),
    "a value's buttons": (f"/acme/logs/?{FEW}", with_a_values_buttons),
    "errors": ("/acme/logs/?code=4xx&q=stauts:x", settled),
    "nothing matches": ("/acme/logs/?user=nobody-at-all", settled),
    "a first day": ("/first-day/logs/", settled),
    "counts by value": ("/acme/logs/facets?last=7d", settled),
    "chart alone": (f"/acme/logs/chart?{FEW}", settled),
    "entry": (FAILURES, at_its_entry),
    "around an entry": (FAILURES, around_its_entry),
    "no such entry": ("/acme/logs/entry?request=unknown", settled),
    "overview": ("/acme/overview/?last=7d&scope=children", settled),
    "overview, refused": ("/acme/overview/?user=x", settled),
    "overview of a first day": ("/first-day/overview/", settled),
    "export": ("/acme/logs/export?status=failure&last=7d", settled),
    "views": ("/acme/views/", settled),
    "keys": ("/acme/settings/keys/", settled),
    "members": ("/acme/settings/members/", settled),
    "retention": ("/acme/settings/retention/?days=30", settled),
    "quarantine": ("/acme/settings/quarantine/", settled),
    "filescom": ("/acme/settings/filescom/", settled),
    "sites": ("/", settled),
    "not found": ("/nowhere/", settled),
}


@pytest.fixture(scope="module")
def window(browser: Browser, demo: QuickStart, signed_in: StorageState) -> Iterator[Page]:
    """Open one window for all states, into which axe may be brought past the pages' policy."""
    demo.manage("create_site", "first-day", "--name", "First day")
    context = browser.new_context(
        base_url=demo.address,
        storage_state=signed_in,
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",  # colours are looked at when they have arrived
        bypass_csp=True,
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def faults(page: Page, within: str | dict[str, Any] = ALIKE) -> Iterator[str]:
    """Yield what axe objects to; a colour depends on the scheme alone, a size and an order on the width."""
    for width, scheme, run in (
        (1440, "light", {"type": "tag", "values": ALL}),
        (1440, "dark", {"type": "rule", "values": ["color-contrast"]}),
        (390, "light", {"type": "tag", "values": ALL}),
    ):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        options: dict[str, Any] = {"runOnly": run, "resultTypes": ["violations"]}
        if width == 390:
            options["rules"] = {"color-contrast": {"enabled": False}}
        for violation in AXE.run(page, within, options).response["violations"]:
            for node in violation["nodes"]:
                yield f"{width} {scheme}: {violation['help']}: {node['html'][:200]} {node['failureSummary']}"
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(window: Page, state: str):
    address, reach = STATES[state]
    window.set_viewport_size({"width": 1440, "height": 900})
    window.goto(address)
    assert list(faults(window, reach(window) or ALIKE)) == []


def test_axe_finds_nothing_in_an_open_menu(window: Page):
    window.goto(f"/acme/logs/?{FEW}")
    settled(window)
    for number in range(window.locator("details[data-menu]").count()):
        menu = window.locator("details[data-menu]").nth(number)
        menu.locator("summary").first.press("Enter")
        expect(menu).to_have_attribute("open", "")
        assert list(faults(window, "details[data-menu][open]")) == []


def test_axe_finds_nothing_at_the_door(browser: Browser, demo: QuickStart):
    context = browser.new_context(base_url=demo.address, reduced_motion="reduce", bypass_csp=True)
    page = context.new_page()
    page.goto("/accounts/sign-in/")
    assert list(faults(page)) == []
    page.fill("input[name=username]", "nobody")
    page.fill("input[name=password]", "wrong")
    page.press("input[name=password]", "Enter")
    page.get_by_role("alert").or_(page.locator(".form__error")).first.wait_for()
    assert list(faults(page)) == []
    context.close()
