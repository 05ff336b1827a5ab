"""Take the documents' screenshots of a running `make demo`: `.venv/bin/python docs/screenshots.py ADDRESS PASSWORD`."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZES = {1440: 900, 390: 844}
DIRECTORY = Path(__file__).parent / "screenshots"


def main(address: str, password: str) -> None:
    """Take each page at both widths, light and dark."""
    DIRECTORY.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for scheme in ("light", "dark"):
            for width, height in SIZES.items():
                window = browser.new_context(
                    base_url=address,
                    color_scheme=scheme,
                    timezone_id="Europe/Berlin",
                    viewport={"width": width, "height": height},
                )
                page = window.new_page()
                sign_in(page, password)
                page.goto("/acme/logs/?interface=sftp,restapi,mobile,dav&last=7d")
                page.wait_for_load_state("networkidle")  # the counts by value
                page.screenshot(path=DIRECTORY / f"log-page-{width}-{scheme}.png")
                page.goto("/acme/overview/?last=7d&scope=children")
                page.wait_for_load_state("networkidle")  # what only the rows know
                page.screenshot(path=DIRECTORY / f"overview-page-{width}-{scheme}.png")
                page.goto("/acme/logs/?status=failure&last=7d&impersonator=*")
                page.locator("td[data-column=created_at] a").first.click()
                page.wait_for_url("**/logs/entry?**")
                page.wait_for_load_state("networkidle")  # what belongs to it
                page.screenshot(path=DIRECTORY / f"entry-page-{width}-{scheme}.png")
                page.goto("/acme/settings/retention/?days=30")
                page.screenshot(path=DIRECTORY / f"settings-page-{width}-{scheme}.png")
                window.close()
        browser.close()


def sign_in(page: Page, password: str) -> None:
    """Sign in as the demo's administrator."""
    page.goto("/")
    page.fill("input[name=username]", "administrator")
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/")


if __name__ == "__main__":
    main(*sys.argv[1:])
