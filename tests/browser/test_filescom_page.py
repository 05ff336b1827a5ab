"""The page Settings, Files.com in a browser: a small Files.com is connected, refuses, is copied, and is let go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.book import ago
from tests.browser.conftest import MARKS
from tests.files_com import KEY, FilesCom
from tests.quick_start import QuickStart, soon

pytestmark = MARKS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("width", [1440, 390])
def test_a_site_is_connected_refused_copied_and_let_go(
    page: Page, demo: QuickStart, files_com: FilesCom, complaints: list[str], width: int
):
    page.set_viewport_size({"width": width, "height": 844})
    site, name = f"copied-{width}", f"Copied {width}"
    demo.manage("create_site", site, "--name", name)
    files_com.records = [
        {"created_at": ago(hours=hours).isoformat(), "request_id": f"r{hours}", "request_path": f"/copied/{hours}"}
        for hours in (1, 2, 30)
    ]

    def fits() -> None:
        assert complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def sync_until(is_so: Callable[[], bool]) -> None:
        page.get_by_role("button", name="Sync now").click()
        expect(page.get_by_text("The worker has been told")).to_be_visible()

        def seen() -> bool:
            page.goto(f"/{site}/settings/filescom/")
            return is_so()

        soon(seen, seconds=120)
        fits()

    def connect(key: str, button: str) -> None:
        page.fill("[name=base_url]", files_com.address)
        page.fill("[name=key]", key)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_text(f"{name} is copied from {files_com.address} from now on")).to_be_visible()
        fits()

    page.goto(f"/{site}/logs/")
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("link", name="Files.com", exact=True).click()
    fits()

    # A key that Files.com does not take, and one that it does.
    alert = page.get_by_role("alert")
    connect("wrong1", "Connect")
    sync_until(lambda: alert.count() == 1)
    expect(alert).to_contain_text("Files.com does not take the API key; replace it.")
    connect(KEY, "Change the connection")
    stored = page.get_by_text("Entries stored").locator("xpath=following-sibling::dd")
    sync_until(lambda: stored.inner_text() == "3" and alert.count() == 0)
    assert KEY not in page.content()

    # What was copied stays when the site is let go.
    page.get_by_role("link", name="Disconnect").click()
    fits()
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_text(f"{name} is not copied from Files.com any more")).to_be_visible()
    expect(page.get_by_role("button", name="Connect")).to_be_visible()
    fits()
    page.goto(f"/{site}/logs/?last=7d")
    for hours in (1, 2, 30):
        expect(page.get_by_text(f"/copied/{hours}", exact=True).first).to_be_visible()
