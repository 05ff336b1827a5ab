"""A real Chromium in front of the real demo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.quick_start import QuickStart, offered

# Nothing may be asked of another host.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def demo() -> Iterator[QuickStart]:
    """Run `make demo`'s own command, once for all."""
    with offered() as made:
        made.start_and_wait("demo")
        yield made


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Start Chromium, once for all."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said against a page, the Content-Security-Policy's objections among it."""
    return []


@pytest.fixture
def context(browser: Browser, demo: QuickStart) -> Iterator[BrowserContext]:
    """Open a window of a reader in Berlin."""
    opened = browser.new_context(
        base_url=demo.address,
        timezone_id="Europe/Berlin",
        permissions=["clipboard-read", "clipboard-write"],
        viewport={"width": 1440, "height": 900},
    )
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, demo: QuickStart, complaints: list[str]) -> Page:
    """Sign in as the demo's administrator."""
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    opened.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(opened, demo)
    return opened


def sign_in(page: Page, demo: QuickStart) -> None:
    """Walk through the front door."""
    page.goto("/")
    page.fill("input[name=username]", "administrator")
    page.fill("input[name=password]", demo.password())
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/")
