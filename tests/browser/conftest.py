"""A real Chromium in front of the real demo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, sync_playwright

from tests.quick_start import QuickStart, offered

MARKS = [pytest.mark.browser, pytest.mark.slow]
"""Of every module here."""

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


@pytest.fixture(scope="session")
def demo() -> Iterator[QuickStart]:
    """Run `make demo`'s own command, once for all."""
    with offered() as made:
        made.start_and_wait("demo")
        yield made


@pytest.fixture(scope="package")  # its event loop must not outlive the package
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


@pytest.fixture(scope="package")
def signed_in(browser: Browser, demo: QuickStart) -> StorageState:
    """The cookies of the demo's administrator, who signs in once for all."""
    context = browser.new_context(base_url=demo.address, timezone_id="Europe/Berlin")
    sign_in(context.new_page(), demo)
    cookies = context.storage_state()
    context.close()
    return cookies


@pytest.fixture
def context(browser: Browser, demo: QuickStart, signed_in: StorageState) -> Iterator[BrowserContext]:
    """Open a window of a reader in Berlin, the demo's administrator."""
    opened = browser.new_context(
        base_url=demo.address,
        storage_state=signed_in,
        timezone_id="Europe/Berlin",
        permissions=["clipboard-read", "clipboard-write"],
        viewport={"width": 1440, "height": 900},
    )
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, complaints: list[str]) -> Page:
    """Open a page, and listen to what it complains of."""
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    opened.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    return opened


def sign_in(page: Page, demo: QuickStart) -> None:
    """Walk through the front door."""
    page.goto("/")
    page.fill("input[name=username]", "administrator")
    page.fill("input[name=password]", demo.password())
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/")
