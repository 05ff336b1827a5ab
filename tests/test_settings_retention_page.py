"""The settings page of a site's retention: what another number of days would do, said before and done after."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from auditlog.models import ApiKey, QuarantinedLine, Site
from auditlog.store.rollups import roll_up
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry

PAGE = "/acme/settings/retention/"


@pytest.fixture
def visitor(signed_in, administrator):
    return signed_in(administrator)


def outcome(page: str) -> str:
    """What the preview says, as words."""
    found = re.search(r'<section class="outcome".*?</section>', page, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", found[0])).split())


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(days|was)" value="(\d+)"', page))


def days_ago(days: float) -> str:
    return f"{ago(days=days):%-d %b %Y}"


@pytest.mark.parametrize("is_counted", [True, False], ids=["from roll-ups", "from rows"])
def test_the_present_range_is_said_exactly(visitor, site, other_site, is_counted):
    write(site, [entry(created_at=ago(days=age)) for age in (170, 60, 60, 0.01)])
    make_entry(other_site, created_at=ago(days=175))
    if is_counted:
        roll_up()
    page = visitor.get(PAGE).text
    values = re.findall(r'facts__value">([^<]+)<', page)
    assert values == ["4", f"of {days_ago(170)} (UTC)", f"of {days_ago(0.01)} (UTC)"]
    assert "kept for <strong>180 days</strong>" in page


def test_a_book_without_entries_says_so(visitor, site):
    assert "none yet" in visitor.get(PAGE).text


def test_a_shorter_retention_is_previewed_and_changes_nothing(visitor, site):
    write(site, [entry(created_at=ago(days=age)) for age in (100.1, 100.2, 40, 29, 1)])
    said = outcome(visitor.get(f"{PAGE}?days=30").text)
    counted = {days_ago(100.1), days_ago(100.2), days_ago(40)}
    assert f"3 entries of {len(counted)} days, {days_ago(100.2)} to {days_ago(40)} (UTC), would be out of sight" in said
    assert f"{days_ago(40)}: 1" in said
    assert "What the purge has removed does not come back." in said
    assert Site.objects.get(slug="acme").retention_days == 180


def test_what_was_previewed_is_what_leaves(visitor, site):
    write(site, [entry(created_at=ago(days=age), request_path="/of-then") for age in (100, 40)])
    write(site, [entry(created_at=ago(days=age), request_path="/of-now") for age in (29, 1)])
    page = visitor.get(f"{PAGE}?days=30").text
    them = html.unescape(re.search(r'href="([^"]+)">See them', page)[1])
    assert visitor.get(them).text.count(">/of-then<") == 2
    assert visitor.get(html.unescape(re.search(r'href="([^"]+)">download', page)[1])).status_code == 200
    answer = visitor.post(f"{PAGE}change", hidden(page), follow=True)
    assert "Entries of Acme are kept for 30 days from now on." in answer.text
    log = visitor.get("/acme/logs/?last=180d").text
    assert "/of-then" not in log
    assert "/of-now" in log
    call_command("purge")
    assert "nothing older than 30 days is left" in outcome(visitor.get(f"{PAGE}?days=180").text)


def test_a_longer_retention_says_what_does_not_come_back_and_what_does(visitor, site):
    make_entry(site, created_at=ago(days=100))
    Site.objects.filter(pk=site.pk).update(retention_days=30)
    page = visitor.get(f"{PAGE}?days=120").text
    assert "What is gone does not come back, but 1 older entry, which the purge has not removed yet" in outcome(page)
    assert "1 older entry" not in outcome(visitor.get(f"{PAGE}?days=90").text)
    visitor.post(f"{PAGE}change", hidden(page))
    assert Site.objects.get(pk=site.pk).retention_days == 120


def test_a_preview_that_touches_nothing_says_so(visitor, site):
    make_entry(site)
    assert "No entry is that old: nothing would be out of sight." in outcome(visitor.get(f"{PAGE}?days=30").text)
    assert "That is what it is." in visitor.get(f"{PAGE}?days=180").text


def test_quarantined_lines_that_would_leave_are_counted(visitor, site):
    key, _ = ApiKey.objects.issue(site, "n", ["ingest"])
    for age in (1, 8, 20, 40):
        QuarantinedLine.objects.create(site=site, api_key=key, error="why", line="x", received_at=ago(days=age))
    assert "2 lines in quarantine would leave as well." in outcome(visitor.get(f"{PAGE}?days=7").text)
    assert "quarantine would leave" not in outcome(visitor.get(f"{PAGE}?days=60").text)


def test_an_outcome_that_somebody_else_changed_meanwhile_is_shown_anew(visitor, site):
    sent = hidden(visitor.get(f"{PAGE}?days=30").text)
    Site.objects.filter(pk=site.pk).update(retention_days=365)
    answer = visitor.post(f"{PAGE}change", sent)
    assert answer.status_code == 409
    assert "Meanwhile somebody else has set 365 days. Nothing was changed" in answer.text
    assert hidden(answer.text) == {"days": "30", "was": "365"}
    assert Site.objects.get(pk=site.pk).retention_days == 365


@pytest.mark.parametrize("days", ["0", "-1", "36501", "x", "", "1.5", "9" * 5000])
def test_nonsense_is_refused_beside_the_field(visitor, site, days):
    for answer in (visitor.get(PAGE, {"days": days}), visitor.post(f"{PAGE}change", {"days": days, "was": 180})):
        assert answer.status_code == 400
        beside = re.search(r'data-field="days">(.*?)</div>', answer.text, re.DOTALL)[1]
        assert "Expected a whole number from 1 to 36,500." in beside
    assert Site.objects.get(pk=site.pk).retention_days == 180


def test_the_longest_retention_is_previewed_too(visitor, site):
    make_entry(site)
    Site.objects.filter(pk=site.pk).update(retention_days=36_500)
    page = visitor.get(f"{PAGE}?days=1").text
    assert "36,500 days" in page
    assert "No entry is that old" in outcome(page)


def test_a_count_that_takes_too_long_leaves_the_rest_of_the_page(visitor, site, monkeypatch):
    monkeypatch.setattr("auditlog.dashboard.settings.retention.BUDGET_MS", 0)
    make_entry(site, created_at=ago(days=40))
    page = visitor.get(f"{PAGE}?days=30").text
    assert "The entries could not be counted in time. Those older than 30 days would be out of sight" in outcome(page)
    assert hidden(page) == {"days": "30", "was": "180"}


@pytest.mark.parametrize("who", ["staff", "stranger", "child_staff"])
def test_others_change_nothing(request, signed_in, site, who):
    visitor = signed_in(request.getfixturevalue(who))
    assert visitor.post(f"{PAGE}change", {"days": 1, "was": 180}).status_code == 404
    assert Site.objects.get(pk=site.pk).retention_days == 180


def test_a_parents_administrator_changes_the_child_alone(visitor, site, child):
    visitor.post("/acme-eu/settings/retention/change", {"days": 30, "was": 180})
    assert dict(Site.objects.values_list("slug", "retention_days")) == {"acme": 180, "acme-eu": 30}


def test_the_page_asks_the_database_a_fixed_number_of_times(visitor, site, django_assert_max_num_queries):
    write(site, [entry(created_at=ago(days=age)) for age in range(170)])
    roll_up(datetime.now(UTC))
    visitor.get(f"{PAGE}?days=30")
    with django_assert_max_num_queries(36):
        visitor.get(f"{PAGE}?days=30")


def test_the_book_names_what_was_done(visitor, site, own_entries):
    visitor.post(f"{PAGE}change", {"days": 30, "was": 180})
    visitor.post(f"{PAGE}change", {"days": 60, "was": 180})
    done, refused = own_entries()[-2:]
    assert (done.api_name, done.username, done.response_code) == ("change_retention", "alice", 302)
    assert (refused.response_code, refused.error_type) == (409, "conflict/changed-meanwhile")
