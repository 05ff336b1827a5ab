"""One entry whose every text is an attack: wherever a page shows it, it is text, and no wider than the window."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from auditlog.models.log import COLUMNS
from gatebook.entry import TEXT_LIMITS
from tests.browser.conftest import MARKS
from tests.browser.test_log_page import ROWS
from tests.quick_start import QuickStart

pytestmark = MARKS
ATTACK = (
    "<img src=x onerror=alert(1)><script>alert(1)</script>\"'><svg onload=alert(1)>"
    "{{7*7}}\u202egnp\r\nUser: forged\x00\u2066🚪👩‍👩‍👧\x1b[31m javascript:alert(1) "
)
SITE = "hostile-everywhere"


@pytest.fixture(scope="module")
def attacked(demo: QuickStart, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Store the entry twice, as a failure and as a success; the address of its log."""
    texts = {name: ATTACK + "x" * 4000 for name in TEXT_LIMITS if name not in ("request_ip", "request_id")}
    entries = [
        {
            "created_at": datetime.now(UTC).isoformat(),
            "request_id": f"attack-{code} {ATTACK}",
            "request_ip": "203.0.113.7",
            "response_code": code,
            "duration_ms": 12,
            "details": {ATTACK: ATTACK * 9},
            **texts,
        }
        for code in (500, 200)
    ]
    file = tmp_path_factory.mktemp("attack") / "attack.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    demo.manage("create_site", SITE, "--name", "<b>Hostile</b>")
    assert "2 stored" in demo.manage("import_logs", str(file), "--site", SITE)
    return f"/{SITE}/logs/?request=attack-*&last=1h"


@pytest.mark.parametrize("width", [1440, 390])
def test_an_attack_is_shown_as_text_everywhere(page: Page, complaints: list[str], attacked: str, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.on("dialog", lambda dialog: (complaints.append(f"it ran: {dialog.message}"), dialog.dismiss()))

    def harmless() -> None:
        page.wait_for_load_state("networkidle")
        assert page.locator("main img, main script, main b, svg[onload]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert "\u202e" not in page.locator("body").inner_text()
        assert complaints == []

    page.goto(f"{attacked}&columns={','.join(COLUMNS)}")
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator(ROWS).first).to_contain_text("<script>alert(1)</script>")
    harmless()
    page.locator(f"{ROWS} td[data-column=username]").first.focus()  # its value, whole
    harmless()
    page.keyboard.press("Escape")
    page.locator(f"{ROWS} td[data-column=request_path] a").first.click()
    expect(page.locator("#panel[data-entry]")).to_contain_text("<script>alert(1)</script>")
    harmless()
    page.goto(page.locator("#panel").get_by_role("link", name="Open as a page").get_attribute("href"))
    expect(page.locator("main")).to_contain_text("<script>alert(1)</script>")
    harmless()
    page.goto(page.url.replace("/entry?", "/entry/around?"))
    harmless()
    page.goto(f"/{SITE}/logs/facets?request=attack-*&last=1h")
    expect(page.locator("main")).to_contain_text("<img src=x onerror")
    harmless()
    page.goto(f"/{SITE}/overview/?last=24h")
    expect(page.locator("main")).to_contain_text("<img src=x")
    harmless()
    page.goto(f"/{SITE}/logs/facets?request=attack-*&last=1h")
    page.get_by_role("region", name="User", exact=True).locator(".facet__value").first.click()
    expect(page.locator(".chip__text").filter(has_text="onerror")).to_contain_text("<img src=x")
    harmless()
    page.goto(f"/{SITE}/logs/export?last=1h&q={quote('<img/src=x/onerror=alert(1)>')}")
    harmless()
