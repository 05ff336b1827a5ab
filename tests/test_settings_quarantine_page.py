"""The settings page of a site's quarantine: why lines were refused, sending them again, discarding them."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.utils.http import urlencode

from auditlog.dashboard.settings import quarantine
from auditlog.intake.batch import take
from auditlog.models import ApiKey, ApiRequestLog, DroppedLines, QuarantinedLine, Site
from auditlog.models.quarantine import NotTaken
from tests.book import ago

PAGE = "/acme/settings/quarantine/"


@pytest.fixture
def visitor(signed_in, administrator):
    return signed_in(administrator)


@pytest.fixture
def key(site: Site) -> ApiKey:
    """A key of Acme."""
    return ApiKey.objects.issue(site, "web shop", ["ingest"])[0]


def line(number: int, **fields: object) -> bytes:
    return json.dumps({"created_at": ago(days=9).isoformat(), "request_id": f"r{number}", **fields}).encode()


def refuse_as_too_old(site: Site, key: ApiKey, count: int) -> None:
    """Send lines that the site would have taken with the retention it has."""
    days, key.site.retention_days = site.retention_days, 7
    taken = take(key, [line(number) for number in range(count)])
    key.site.retention_days = days
    assert len(taken.rejected) == count


def whys(page: str) -> list[tuple[str, str]]:
    found = re.findall(r'reasons__count">([\d,]+)</span> <bdi class="reasons__text">([^<]*)<', page)
    return [(count, html.unescape(why)) for count, why in found]


def test_a_line_says_when_whose_where_why_and_what_it_was(visitor, site, key):
    take(key, [b'{"created_at": "yesterday", "request_id": "x"}'])
    page = html.unescape(visitor.get(PAGE).text)
    cells = re.search(r'data-heading="When">.*?</tr>', page, re.DOTALL)[0]
    assert f'datetime="{QuarantinedLine.objects.get().received_at:%Y-%m-%dT%H:%M:%S}' in cells
    assert "web shop" in cells
    assert "<code>created_at</code>" in cells
    assert "expected a date and time in the form of RFC3339" in cells
    assert '{"created_at": "yesterday", "request_id": "x"}' in cells


def test_hostile_lines_are_shown_as_text(visitor, site, key):
    take(key, ["<script>alert(1)</script>\u202egnp.exe \x1b[31m".encode()])
    page = visitor.get(PAGE).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩gnp.exe ␛[31m" in page
    for raw in ("<script>alert", "\u202e", "\x1b"):
        assert raw not in page


def test_reasons_that_differ_in_numbers_and_times_are_one(visitor, site, key):
    refuse_as_too_old(site, key, 3)
    take(key, [b"rubbish"])
    page = visitor.get(PAGE)
    assert whys(page.text) == [
        ("3", "created_at: … is older than the retention of … days"),
        ("1", "not JSON, or broken off"),
    ]
    query = html.unescape(re.search(r'reasons__link" href="([^"]+)"', page.text)[1])
    chosen = visitor.get(PAGE + query).text
    assert ">3</strong> lines match" in chosen
    assert "rubbish" not in chosen


def test_the_page_says_how_many_lines_have_other_reasons(visitor, site, key, monkeypatch):
    monkeypatch.setattr(quarantine, "REASONS", 1)
    take(key, [b"torn", b"rubbish", b'{"created_at": 1}', b"{}", b"[]"])
    page = visitor.get(PAGE).text
    assert whys(page) == [("2", "not JSON, or broken off")]
    assert "3 for other reasons" in re.sub(r"<[^>]+>", "", page)
    asking = visitor.get(f"{PAGE}discard?all={QuarantinedLine.objects.latest('pk').pk}").text
    assert "3 for other reasons" in re.sub(r"<[^>]+>", "", asking)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_the_line_break_that_ends_a_line_is_not_shown_and_others_are(visitor, site, key, end):
    QuarantinedLine.objects.keep(site, key, [NotTaken(None, "why", f"two\nlines\n{end}")])
    page = visitor.get(PAGE).text
    assert (f"two␊lines{'␊' if end else ''}</pre>") in page


def test_lines_are_found_by_key_and_by_a_part_of_the_reason_in_any_case(visitor, site, key):
    other, _ = ApiKey.objects.issue(site, "edge proxy", ["ingest"])
    take(key, [b"torn"])
    take(other, [b"torn as well", b'{"created_at": 1}'])
    by_key = visitor.get(f"{PAGE}?key={other.pk}").text
    assert ">2</strong> lines match" in by_key
    assert "web shop</bdi></td>" not in by_key
    both = visitor.get(f"{PAGE}?{urlencode({'key': other.pk, 'reason': 'BROKEN off'})}").text
    assert ">1</strong> line matches" in both
    assert "No line in quarantine matches" in visitor.get(f"{PAGE}?reason=no+such").text


def test_a_nonsensical_filter_is_refused_beside_its_field(visitor, site, key):
    for value in ("77777", "x", str(10**30)):
        answer = visitor.get(f"{PAGE}?key={value}")
        assert answer.status_code == 400
        assert "No line in quarantine is of this key." in answer.text
    assert visitor.get(f"{PAGE}?before=x").status_code == 400
    assert visitor.get(f"{PAGE}?reason=%00").status_code == 400
    assert visitor.get(f"{PAGE}?before={10**30}").status_code == 200


def test_pages_show_each_line_once(visitor, site, key, monkeypatch):
    monkeypatch.setattr(quarantine, "LINES", 3)
    take(key, [b"torn %d." % number for number in range(7)])
    address, seen = PAGE, []
    while address:
        page = visitor.get(address).text
        seen += re.findall(r'line__whole">torn (\d)\.<', page)
        onward = re.search(r'href="(\?[^"]+)" rel="next"', page)
        address = onward and PAGE + html.unescape(onward[1])
    assert seen == list("6543210")


def test_lines_past_their_time_are_out_of_sight_before_the_purge(visitor, site, key):
    site.retention_days = 7
    site.save()
    QuarantinedLine.objects.create(site=site, api_key=key, error="why", line="too old", received_at=ago(days=8))
    DroppedLines.objects.create(site=site, day=ago(days=9).date(), lines=4711)
    page = visitor.get(PAGE).text
    assert "Nothing is in quarantine" in page
    assert "4,711" not in page
    assert "They stay for 7 days" in page


def test_lines_that_were_only_counted_are_named(visitor, site):
    DroppedLines.objects.create(site=site, day=ago(days=1).date(), lines=12345)
    DroppedLines.objects.create(site=site, day=ago(days=2).date(), lines=6)
    page = visitor.get(PAGE).text
    assert f"12,345 lines on {ago(days=1):%-d %b %Y}, and on 1 day before" in page
    assert f"<li>{ago(days=2):%-d %b %Y} (UTC): 6</li>" in page


def test_a_line_of_a_key_that_is_gone_is_shown(visitor, site, key):
    take(key, [b"torn"])
    ApiKey.objects.all().delete()
    assert 'data-heading="API key">gone<' in visitor.get(PAGE).text


def test_one_line_is_sent_again_and_is_in_the_book(visitor, site, key):
    refuse_as_too_old(site, key, 2)
    newest = QuarantinedLine.objects.latest("pk")
    page = visitor.post(f"{PAGE}again", {"line": newest.pk}, follow=True)
    assert "Sent again: 1 accepted." in page.text
    assert ApiRequestLog.objects.get().request_id == "r1"
    assert QuarantinedLine.objects.count() == 1


def test_all_of_a_reason_are_sent_again_and_each_is_accounted_for(visitor, site, key):
    refuse_as_too_old(site, key, 4)
    take(key, [QuarantinedLine.objects.earliest("pk").line.encode()])  # the sender did so itself
    cut = QuarantinedLine.objects.order_by("pk").last()
    cut.line = cut.line[:20]
    cut.save()
    take(key, [b"of another reason"])
    reason = "created_at: … is older"
    sent = {"reason": reason, "all": QuarantinedLine.objects.latest("pk").pk}
    answer = visitor.post(f"{PAGE}again", sent)
    assert answer["Location"] == f"{PAGE}?{urlencode({'reason': reason})}"
    page = visitor.get(PAGE)
    assert "Sent again: 2 accepted, 1 already in the book, 1 still refused." in page.text
    assert set(ApiRequestLog.objects.values_list("request_id", flat=True)) == {"r0", "r1", "r2"}
    left = QuarantinedLine.objects.get(pk=cut.pk)
    assert (left.field, left.error) == (None, "not JSON, or broken off")  # why it is refused now
    assert left.received_at == cut.received_at
    assert QuarantinedLine.objects.count() == 2


def test_a_line_for_a_child_site_that_was_missing_goes_there(visitor, site, key):
    take(key, [line(1, site="acme-asia")])
    Site.objects.create(slug="acme-asia", name="Acme Asia", parent=site)
    page = visitor.post(f"{PAGE}again", {"line": QuarantinedLine.objects.get().pk}, follow=True).text
    assert "1 accepted" in page
    assert ApiRequestLog.objects.get().site_id == Site.objects.get(slug="acme-asia").pk


def test_from_a_childs_quarantine_nothing_reaches_the_parent(signed_in, site, child, key, child_staff):
    child.memberships.update(role="administrator")
    QuarantinedLine.objects.keep(child, key, [NotTaken(None, "why", line(1, site="acme").decode())])
    visitor = signed_in(child_staff)
    address = "/acme-eu/settings/quarantine/again"
    page = visitor.post(address, {"line": QuarantinedLine.objects.get().pk}, follow=True).text
    assert "Sent again: 1 still refused." in page
    assert not ApiRequestLog.objects.exists()


def test_a_line_without_its_secrets_is_still_one_that_can_be_sent_again(visitor, site, key):
    days, key.site.retention_days = site.retention_days, 7
    told = {
        "error_message": "login failed: password=hunter2 for bob",
        "user_agent": "curl Authorization: Bearer abc123",
    }
    take(key, [line(1, request_path="/a?api_key=abc123&page=2", details={"token": "abc123", "note": "kept"}, **told)])
    key.site.retention_days = days
    held = QuarantinedLine.objects.get()
    visitor.post(f"{PAGE}again", {"line": held.pk})
    stored = ApiRequestLog.objects.get()
    assert stored.request_path == "/a?api_key=[redacted]&page=2"
    assert stored.details["note"] == "kept"
    for shown in (held.line, str(vars(stored))):
        assert "abc123" not in shown
        assert "hunter2" not in shown


@pytest.mark.parametrize("form", ["key-{:032x}", "token={}-1", "/reset/{:032x}", "{}" + "a" * 300 + " token=x"])
def test_lines_whose_request_ids_differ_in_a_secret_are_sent_again_each_once(visitor, site, key, form):
    days, key.site.retention_days = site.retention_days, 7
    at = ago(days=9).isoformat()
    sent = [line(0, request_id=form.format(number), created_at=at) for number in (1, 2)]
    take(key, sent)
    key.site.retention_days = days
    assert take(key, sent[:1]).accepted == 1
    page = visitor.post(f"{PAGE}again", {"reason": "", "all": QuarantinedLine.objects.latest("pk").pk}, follow=True)
    assert "Sent again: 1 accepted, 1 already in the book." in page.text
    assert ApiRequestLog.objects.count() == 2


@pytest.mark.parametrize(
    "message",
    [
        r"C:\\u0041bc",
        r"dir\\u006eew",
        r"a\\/b",
        r"x\\u0022y",
        r"\\\\u0041",
        r"\\\u0041",
        r"\u0041\/b",
        r"a\tb\nc",
        "a\\\\",
    ],
)
def test_a_line_is_sent_again_as_it_was_sent_whatever_is_escaped_in_it(visitor, site, key, message):
    days, key.site.retention_days = site.retention_days, 7
    sent = line(1, error_message="MESSAGE").replace(b"MESSAGE", message.encode())
    take(key, [sent])
    key.site.retention_days = days
    visitor.post(f"{PAGE}again", {"line": QuarantinedLine.objects.get().pk})
    assert ApiRequestLog.objects.get().error_message == json.loads(sent)["error_message"]


@pytest.mark.parametrize("message", [r"/a?token\\u003dabc123", r"/a?x=1\\u0026token\\u003dabc123"])
def test_a_secret_between_signs_that_are_escaped_twice_is_hidden(site, key, message):
    sent = line(1, error_message="MESSAGE", site="nowhere").replace(b"MESSAGE", message.encode())
    take(key, [sent])
    assert "abc123" not in QuarantinedLine.objects.get().line


def test_one_line_is_discarded(visitor, site, key):
    take(key, [b"first", b"second"])
    page = visitor.post(f"{PAGE}discard", {"line": QuarantinedLine.objects.latest("pk").pk}, follow=True).text
    assert "1 line discarded." in page
    assert QuarantinedLine.objects.get().line == "first"


def test_all_of_a_reason_are_discarded_once_somebody_is_sure(visitor, site, key):
    take(key, [b"torn", b"torn too", b'{"created_at": 1}'])
    page = visitor.get(f"{PAGE}?reason=broken").text
    asked = visitor.get(html.unescape(re.search(r'href="([^"]+/discard\?[^"]+)"', page)[1])).text
    assert "Discard 2 lines?" in asked
    assert whys(asked) == [("2", "not JSON, or broken off")]
    assert QuarantinedLine.objects.count() == 3
    take(key, [b"torn after the question"])
    sent = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked))
    answer = visitor.post(f"{PAGE}discard", sent, follow=True).text
    assert "2 lines discarded." in answer
    assert set(QuarantinedLine.objects.values_list("line", flat=True)) == {
        '{"created_at": 1}',
        "torn after the question",
    }


@pytest.mark.parametrize("act", ["again", "discard"])
@pytest.mark.parametrize("sent", [{}, {"line": "x"}, {"line": "1", "all": "1"}, {"all": "1", "key": "77777"}])
def test_an_act_on_nothing_in_particular_is_refused(visitor, site, key, act, sent):
    take(key, [b"torn"])
    assert visitor.post(f"{PAGE}{act}", sent).status_code == 400
    assert QuarantinedLine.objects.count() == 1


@pytest.mark.parametrize("act", ["again", "discard"])
def test_lines_of_another_site_are_out_of_reach(visitor, signed_in, stranger, staff, site, other_site, key, act):
    QuarantinedLine.objects.keep(other_site, key, [NotTaken(None, "why", line(1).decode())])
    theirs = QuarantinedLine.objects.get()
    assert visitor.post(f"{PAGE}{act}", {"line": theirs.pk}).status_code == 302
    assert visitor.post(f"{PAGE}{act}", {"all": theirs.pk}).status_code == 302
    assert signed_in(staff).post(f"{PAGE}{act}", {"all": theirs.pk}).status_code == 404
    assert signed_in(stranger).post(f"{PAGE}{act}", {"all": theirs.pk}).status_code == 404
    assert QuarantinedLine.objects.get() == theirs
    assert not ApiRequestLog.objects.exists()


def test_the_page_asks_the_database_a_fixed_number_of_times(visitor, site, key, django_assert_max_num_queries):
    take(key, [b"torn %d" % number for number in range(20)])
    with django_assert_max_num_queries(
        9
    ):  # session, user, site, counted lines, keys, numbers, lines, reasons; the capture's own
        visitor.get(PAGE)


def test_the_book_names_what_was_done(visitor, site, key, own_entries):
    take(key, [b"torn"])
    visitor.post(f"{PAGE}discard", {"line": QuarantinedLine.objects.get().pk})
    visitor.post(f"{PAGE}again", {"key": "77777", "all": 1})
    done, refused = own_entries()[-2:]
    assert (done.api_name, done.username, done.response_code) == ("discard_quarantined", "alice", 302)
    assert (refused.api_name, refused.response_code) == ("send_quarantined_again", 400)
    assert refused.error_message == "key: No line in quarantine is of this key."
