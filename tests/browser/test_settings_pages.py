"""The settings in a browser: a key from its making to its end, and what becomes of lines that are refused."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import MARKS
from tests.quick_start import QuickStart
from tests.servers import require

pytestmark = MARKS
ROWS = "tbody tr[data-status]"
PASSWORD = "alice opens the gate"


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def alice(browser: Browser, demo: QuickStart, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open a window in which alice is signed in, an administrator of Acme and no superuser."""
    users = "from django.contrib.auth.models import User; user = User.objects.get(username='alice')"
    demo.manage("shell", "-c", f"{users}; user.set_password('{PASSWORD}'); user.save()")
    window = browser.new_context(
        base_url=demo.address,
        java_script_enabled=request.param,
        permissions=["clipboard-read", "clipboard-write"],
        viewport={"width": 1440, "height": 900},
    )
    page = window.new_page()
    page.set_default_timeout(15_000)
    page.goto("/")
    page.fill("input[name=username]", "alice")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/")
    yield page
    window.close()


def send(demo: QuickStart, secret: str, line: bytes) -> dict[str, object]:
    """Send a line as a program would; raises urllib.error.HTTPError when it is refused."""
    headers = {"X-FilesAPI-Key": secret, "Content-Type": "application/x-ndjson"}
    asked = urllib.request.Request(f"{demo.address}/api/rest/v1/api_request_logs", line, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=30) as answer:
        return json.loads(answer.read())


def test_a_key_is_made_used_and_revoked_and_refused_lines_are_looked_after(
    alice: Page, demo: QuickStart, request: pytest.FixtureRequest
):
    require("curl", "curl")
    has_scripts = "with scripts" in request.node.name
    name, site = ("scripted", "acme-asia") if has_scripts else ("plain", "acme-africa")

    # A key, and the line that tries it.
    alice.goto("/acme/logs/")
    alice.get_by_role("link", name="Settings", exact=True).click()
    alice.fill("[name=name]", f"{name} shop")
    alice.get_by_role("button", name="Make the key").click()
    secret = alice.locator("#secret").inner_text()
    if has_scripts:
        alice.get_by_role("button", name="Copy the key").click()
        expect(alice.get_by_text("Copied")).to_be_visible()
        assert alice.evaluate("navigator.clipboard.readText()") == secret
    command = alice.locator("#command").inner_text()
    said = subprocess.run(["sh", "-c", f"{command} -s --noproxy '*'"], check=True, capture_output=True, text=True)
    assert json.loads(said.stdout) == {"accepted": 1, "duplicates": 0, "rejected": []}
    alice.goto(f"/acme/logs/?request=first-{secret[:8]}")
    expect(alice.locator(ROWS)).to_have_count(1)

    # A line for a site that does not exist yet, and rubbish.
    moment = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    line = json.dumps({"created_at": moment, "request_id": f"for-{site}", "site": site, "request_path": "/far"})
    assert send(demo, secret, f"{line}\n<b>rubbish\u202e</b>".encode())["accepted"] == 0
    alice.goto("/acme/settings/quarantine/")
    alice.get_by_label("API key").select_option(label=f"{name} shop ({secret[:8]}…)")
    alice.get_by_role("button", name="Show").click()
    rows = alice.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="<b>rubbish⟨U+202E⟩</b>")).to_contain_text("not JSON, or broken off")
    far = rows.filter(has_text=f"'{site}' is neither the site of this API key nor a child site of it")
    far.get_by_role("button", name="Send again").click()
    expect(alice.get_by_text("Sent again: 1 still refused.")).to_be_visible()
    demo.manage("create_site", site, "--name", site, "--parent", "acme")
    far.get_by_role("button", name="Send again").click()
    expect(alice.get_by_text("Sent again: 1 accepted.")).to_be_visible()
    expect(rows).to_have_count(1)
    alice.goto(f"/{site}/logs/")
    expect(alice.locator(ROWS)).to_contain_text("/far")
    alice.goto("/acme/settings/quarantine/")
    rows.filter(has_text="rubbish").first.get_by_role("button", name="Discard").click()
    expect(alice.get_by_text("1 line discarded.")).to_be_visible()

    # The end of the key, and the requests that showed it.
    alice.goto("/acme/settings/keys/")
    ours = rows.filter(has_text=f"{name} shop")
    ours.get_by_role("link", name="Revoke").click()
    alice.get_by_role("button", name="Revoke the key").click()
    expect(ours).to_contain_text("revoked")
    with pytest.raises(urllib.error.HTTPError) as refused:
        send(demo, secret, line.encode())
    refused.value.close()
    assert refused.value.code == 401
    ours.get_by_role("link", name="Requests").click()
    for _ in range(20):
        if alice.locator(ROWS).count():
            break
        alice.wait_for_timeout(300)
        alice.reload()
    expect(alice.locator(ROWS)).to_contain_text("not-authenticated/invalid-credentials")


@pytest.mark.parametrize("path", ["keys/", "members/", "retention/?days=30", "quarantine/"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_settings_page_breaks_its_policy_or_its_width(page: Page, complaints: list[str], path: str, width: int):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"/acme/settings/{path}")
    expect(page.get_by_role("navigation", name="Settings of Acme")).to_be_visible()
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
