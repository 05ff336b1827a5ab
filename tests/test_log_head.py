"""The head of the API Logs page: the sentence and its chips, and the menus beside the search box."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from auditlog.dashboard.sentence import period_words
from auditlog.models import ApiKey
from auditlog.models.keys import Scope
from auditlog.search.question import Question
from auditlog.search.snapshot import OutOfBudget
from auditlog.search.terms import exactly
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry
from tests.test_log_page import count_at, links, rows, sentence


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


def forms(page: str) -> list[dict[str, list[str]]]:
    """What each chip's form would send, in the order of the chips."""
    found = []
    for form in re.findall(r'<form class="drop chip__form".*?</form>', page, re.DOTALL):
        fields: dict[str, list[str]] = {}
        for name, value in re.findall(r'name="([^"]*)"[^>]* value="([^"]*)"', form):
            fields.setdefault(unescape(name), []).append(unescape(value))
        found.append(fields)
    return found


def asked(visitor: Client, query: str) -> dict[str, list[str]]:
    """The parameters of the address to which this one leads."""
    answer = visitor.get(f"/acme/logs/?{query}")
    assert answer.status_code in (200, 302)
    return parse_qs(urlsplit(answer["Location"]).query if answer.status_code == 302 else query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("-interface=scim&path=/api/*,/dav/*", "not through SCIM to /api/* or /dav/* in the last 24 hours"),
        ("user=alice&-code=400..499&last=7d", "by alice not with Response Code 400..499 in the last 7 days"),
        (
            "duration=2000..&q=report -draft",
            "taking 2000.. ms containing report not containing draft in the last 24 hours",
        ),
        ("is=parent&-is=impersonated", "that are from the parent site not that are impersonated"),
        ("request=0b1f", "with Request-ID 0b1f in everything that is kept"),
        ("from=2025-11-20&to=2025-11-20", "on 20 Nov 2025"),
        ("from=2025-11-20T14:00Z&to=2025-11-20T16:00Z", "from 20 Nov 2025 14:00 to 16:00"),
        ("to=2025-11-20T16:00Z", "until 20 Nov 2025 16:00"),
    ],
)
def test_the_sentence_says_what_is_asked_for(visitor, site, query, said):
    site.retention_days = (datetime.now(UTC) - datetime(2025, 11, 1, tzinfo=UTC)).days
    site.save()
    assert sentence(visitor.get(f"/acme/logs/?{query}", follow=True).text).startswith(f"No API requests {said}")


@pytest.mark.parametrize(
    ("query", "opposite"),
    [
        ("user=alice", "-user=alice"),
        ("-user=alice,bob", "user=alice,bob"),
        ("user=a&-user=b", "-user=b,a"),
        ("-user=b&user=a,c", "-user=b,a,c"),
        ("q=report", "q=-report"),
        ('q=-"not found" report', 'q=report "not found"'),
        ("q=user:*a* user:*b*", "user=*b*&-user=*a*"),
    ],
)
def test_the_first_chip_can_be_turned_into_its_opposite(visitor, query, opposite):
    page = visitor.get("/acme/logs/", QueryDict(query)).text
    turned = [link for text in ("Leave it out", "Ask for it") for link in links(page, text)]
    found = [asked(visitor, urlsplit(link).query) for link in turned]
    assert parse_qs(opposite) in found


def test_a_chip_turned_where_both_must_hold_says_so_in_the_text(visitor):
    page = visitor.get("/acme/logs/", {"user": "a", "-user": 'b,"c d"'}).text
    turned = urlsplit(links(page, "Ask for it")[0]).query
    assert asked(visitor, turned) == {"user": ["a"], "q": ['user:b,"c d"']}


@pytest.mark.parametrize(
    ("query", "place", "value", "changed"),
    [
        ("user=alice&status=failure", 0, "bob,carol", "user=bob,carol&status=failure"),
        ("-path=/x*&last=7d&sort=created_at", 0, "/y*", "-path=/y*&last=7d&sort=created_at"),
        ("user=alice&q=report", 0, "", "q=report"),
        ("user=alice&q=report -draft", 1, "status:failure", "user=alice&status=failure&q=-draft"),
        ("q=report", 0, "-report", "q=-report&last=24h"),
        ("user=alice&q=user:*b*", 1, "user:*c*", "user=alice&q=user:*c*"),
        ("user=alice&q=user:*b* report", 0, "*a*", "user=*a*&q=user:*b* report"),
    ],
)
def test_a_chip_is_changed_in_place(visitor, query, place, value, changed):
    sent = forms(visitor.get("/acme/logs/", QueryDict(query)).text)[place]
    last = list(sent)[-1]
    sent[last][-1] = value
    assert asked(visitor, urlencode(sent, doseq=True)) == parse_qs(changed)


def test_a_chip_that_is_sent_unchanged_asks_the_same(visitor):
    query = {"user": 'a\\*b,"c, d"', "-ip": "10.0.0.0/8", "q": 'user:*x* "a:b" -c', "last": "7d", "columns": "username"}
    for sent in forms(visitor.get("/acme/logs/", query).text):
        found = asked(visitor, urlencode(sent, doseq=True))
        assert sorted(found.pop("q")[0].split(" ")) == sorted(query["q"].split(" "))
        assert found == {key: [value] for key, value in query.items() if key != "q"}


def test_a_changed_chip_with_a_fault_is_refused_at_its_place(visitor):
    sent = forms(visitor.get("/acme/logs/", {"q": "report -draft"}).text)[0]
    sent["q"][-1] = '"open'
    page = visitor.get(f"/acme/logs/?{urlencode(sent, doseq=True)}", follow=True)
    assert page.status_code == 400
    assert re.findall(r"<mark>(.*?)</mark>", page.text) == ["&quot;open"]


def test_hostile_values_stay_text_in_chips_and_their_forms(visitor, site):
    hostile = "\"><script>alert(1)</script>\u202e, * x'"
    make_entry(site, username=hostile)
    page = visitor.get("/acme/logs/", {"user": exactly(hostile)}).text
    assert len(rows(page)) == 1
    assert "<script>alert" not in page
    assert "\u202e" not in re.sub(r' (data-)?value="[^"]*"', "", page)
    assert asked(visitor, urlencode(forms(page)[0], doseq=True)) == {"user": [exactly(hostile)], "last": ["24h"]}


def test_the_time_can_be_dropped_only_where_it_is_not_the_usual_one(visitor):
    assert links(visitor.get("/acme/logs/").text, "Drop the time") == []
    (without,) = links(visitor.get("/acme/logs/?last=7d&user=alice").text, "Drop the time")
    assert parse_qs(urlsplit(without).query) == {"user": ["alice"]}


def menu(page: str) -> str:
    return re.search(r'<details class="time".*?</details>', page, re.DOTALL)[0]


def test_the_time_menu_says_what_is_chosen_and_offers_the_rest(visitor):
    page = menu(visitor.get("/acme/logs/?last=7d&user=alice&sort=created_at").text)
    assert re.search(r"<summary.*?Last 7 days.*?</summary>", page, re.DOTALL)
    assert re.search(r'aria-current="true">Last 7 days<', page)
    for text, last in [("Last 15 minutes", "15m"), ("Last 180 days", "180d")]:
        (address,) = links(page, text)
        assert parse_qs(urlsplit(address).query) == {"last": [last], "user": ["alice"], "sort": ["created_at"]}


def test_the_time_menu_offers_no_more_than_is_kept(visitor, site):
    site.retention_days = 30
    site.save()
    page = menu(visitor.get("/acme/logs/").text)
    assert links(page, "Last 30 days")
    assert not links(page, "Last 180 days")


def test_today_is_the_readers(visitor):
    visitor.cookies["gatebook_zone"] = "Pacific/Kiritimati"
    today = datetime.now(UTC) + timedelta(hours=14)
    page = visitor.get(f"/acme/logs/{links(menu(visitor.get('/acme/logs/').text), 'Today')[0]}", follow=True).text
    assert f"today, {today:%-d %b}" in sentence(page)
    assert re.search(r'aria-current="true">Today<', menu(page))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Santiago", "Pacific/Kiritimati"])
@pytest.mark.parametrize("name", ["yesterday", "this week", "last week", "this month", "last month"])
def test_a_week_or_month_of_the_menu_is_said_by_its_name(visitor, zone, name):
    visitor.cookies["gatebook_zone"] = zone
    page = menu(visitor.get("/acme/logs/?user=alice&sort=created_at").text)
    (address,) = links(page, name.capitalize())
    page = visitor.get(f"/acme/logs/{address}", follow=True).text
    assert f"by alice {name}, " in sentence(page)
    assert re.search(rf"<summary[^>]*>.*?{name.capitalize()}</span></summary>", menu(page))
    assert re.findall(r'aria-current="true">(.*?)<', menu(page)) == [name.capitalize()]


def test_last_week_has_its_first_and_last_moment_and_no_other(visitor, site):
    visitor.cookies["gatebook_zone"] = "Asia/Kathmandu"
    here = datetime.now(UTC).astimezone(ZoneInfo("Asia/Kathmandu"))
    monday = (here - timedelta(days=here.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    second = timedelta(seconds=1)
    for number, at in enumerate((monday - timedelta(7), monday - second)):
        make_entry(site, created_at=at, request_path=f"/in/{number}")
    for at in (monday - timedelta(7) - second, monday):
        make_entry(site, created_at=at, request_path="/outside")
    (address,) = links(menu(visitor.get("/acme/logs/").text), "Last week")
    page = visitor.get(f"/acme/logs/{address}", follow=True).text
    assert [re.search(r"/(in/.|outside)", row)[1] for row in rows(page)] == ["in/1", "in/0"]


def test_the_time_menu_offers_a_week_or_month_only_where_all_of_it_is_kept(visitor, site):
    site.retention_days = 7
    site.save()
    page = menu(visitor.get("/acme/logs/").text)
    assert links(page, "This week")
    assert not links(page, "Last week") + links(page, "Last month")


def test_a_time_is_chosen_where_nothing_else_is_asked(visitor):
    page = menu(visitor.get("/acme/logs/?last=7d").text)
    sent = dict(re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', page))
    assert asked(visitor, urlencode(sent | {"from": "2026-11-20"})) == {"from": ["2026-11-20T00:00:00Z"]}


def test_the_time_form_keeps_the_question_and_replaces_its_time(visitor):
    page = menu(visitor.get("/acme/logs/?last=7d&user=a b&sort=created_at&q=report").text)
    sent = dict(re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', page))
    found = asked(visitor, urlencode({key: unescape(value) for key, value in sent.items()} | {"from": "2026-11-20"}))
    assert found == {"from": ["2026-11-20T00:00:00Z"], "user": ["a b"], "sort": ["created_at"], "q": ["report"]}


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-11-15T23:00Z", "2026-11-22T23:00Z", "week"),
        ("2026-08-31T22:00Z", "2026-09-30T22:00Z", "30 days"),
        ("2026-09-30T22:00Z", "2026-10-31T23:00Z", "time"),  # Berlin's October
        ("2026-10-24T22:00Z", "2026-10-25T23:00Z", "25 hours"),
    ],
)
def test_the_period_before_is_said_in_no_more_hours_than_one_counts(site, start, end, words):
    assert period_words(Question.from_query(QueryDict(f"from={start}&to={end}"), [site])) == words


def filled(visitor, site, *, now: tuple[int, int], before: tuple[int, int]) -> str:
    """The sentence about a day with so many successes and failures, after a day with so many."""
    for (successes, failures), days in ((now, 0), (before, 1)):
        codes = [200] * successes + [500] * failures
        write(site, [entry(response_code=code, created_at=ago(days=days, minutes=30)) for code in codes])
    return visitor.get("/acme/logs/").text


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        ((27, 3), (19, 1), "50 % more than the day before. 3 failures, 10 %, up from 5 %."),
        ((9, 1), (18, 2), "50 % fewer than the day before. 1 failure, 10 %, as before."),
        ((10, 0), (9, 1), "About as many as the day before. No failures, down from 10 %."),
        ((9, 1), (5, 0), "Twice as many as the day before. 1 failure, 10 %, up from none."),
        ((10, 0), (4, 0), "2.5 times as many as the day before. No failures, as before."),
        ((0, 0), (4, 0), "4 the day before."),
        ((3, 0), (0, 0), "None the day before. No failures."),
        ((0, 0), (0, 0), "in the last 24 hours."),
    ],
)
def test_the_sentence_compares_with_the_period_before(visitor, site, now, before, said):
    page = filled(visitor, site, now=now, before=before)
    assert sentence(page).endswith(said)
    for text in ("the day before", "from "):
        for link in links(page.partition('<div class="log__tools"')[0], text):
            assert count_at(visitor, link) == (sum(before) if text == "the day before" else before[1])


@pytest.mark.parametrize(("last", "said"), [("1h", "hour"), ("7d", "week"), ("15m", "15 minutes")])
def test_the_period_before_is_named(visitor, site, last, said):
    make_entry(site, created_at=ago(minutes=1))
    assert f"the {said} before" in sentence(visitor.get(f"/acme/logs/?last={last}").text)


@pytest.mark.parametrize("query", ["last=180d", "from=2026-01-01", "to=2099-01-01&from=2026-11-28"])
def test_what_cannot_be_compared_is_not(visitor, site, query):
    make_entry(site)
    assert "before" not in sentence(visitor.get(f"/acme/logs/?{query}", follow=True).text)


def test_a_comparison_that_takes_too_long_is_left_out(visitor, site, monkeypatch):
    def too_long(*_):
        raise OutOfBudget

    make_entry(site)
    monkeypatch.setattr("auditlog.search.answers.outcomes", too_long)
    assert sentence(visitor.get("/acme/logs/").text).endswith("last 24 hours. No failures.")


def explained(page: str) -> str:
    """What stands in the table's place."""
    section = re.search(r'<section class="empty".*?</section>', page, re.DOTALL)[0]
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", section)))


def test_an_empty_answer_names_the_condition_that_emptied_it(visitor, site):
    write(site, [entry(username="alice", interface="sftp", response_code=200) for _ in range(3)])
    page = visitor.get("/acme/logs/?user=alice&interface=sftp&-status=success&-user=bob").text
    assert "It is “Status not success” that leaves nothing." in explained(page)
    assert "without “Status not success”: 3 API requests" in explained(page)
    assert "“User" not in explained(page)
    (address,) = links(page.partition('id="nothing"')[2], "without")
    assert count_at(visitor, address) == 3


def test_an_empty_answer_offers_each_way_that_leads_somewhere(visitor, site):
    make_entry(site, username="svc-alice", interface="sftp")
    make_entry(site, username="bob", interface="web")
    page = visitor.get("/acme/logs/?user=alice&interface=sftp").text.partition('<div class="log__answer">')[2]
    assert "Values are compared whole" in explained(page)
    assert "without “Interface" not in explained(page)
    for text in ("without “User alice”", "User that contains “alice”"):
        (address,) = links(re.sub("</?bdi>", "", page), text)
        assert f"{text}: 1 API request" in explained(page)
        assert count_at(visitor, address) == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("interface=sf", "Did you mean SFTP (4)?"),
        ("interface=ebDA", "Did you mean WebDAV (2)?"),
        ("user=BOB", "Did you mean bob (1), svc-bob (3) or bob@acme.example (2)?"),
        ("user=%3DBOB", "Did you mean bob (1), svc-bob (3) or bob@acme.example (2)?"),
        ("user=bob@&interface=sftp", "Did you mean bob@acme.example (2)?"),
        ("user=bob@&interface=sftp&-api=none&q=files", "Did you mean bob@acme.example (2)?"),
        ("q=files user:bob@ interface:sftp", "Did you mean bob@acme.example (2)?"),
        ("code=40", "Did you mean 404 (3)?"),
        ("host=EU.example.com", "Did you mean eu.example.com (7)?"),
    ],
)
def test_an_empty_answer_offers_the_values_that_were_probably_meant(visitor, site, query, said):
    users = ["bob", "svc-bob", "svc-bob", "svc-bob", "bob@acme.example", "bob@acme.example", "the-bobs"]
    for number, user in enumerate(users):
        fields = {"interface": "sftp" if "@" in user or user in ("bob", "the-bobs") else "web"}
        fields |= {"interface": "dav"} if number in (1, 2) else {}
        fields |= {"response_code": 404} if user == "svc-bob" else {"response_code": 200}
        make_entry(site, username=user, request_host="eu.example.com", request_path="/files", **fields)
    page = visitor.get(f"/acme/logs/?{query}", follow=True).text
    assert said in explained(page)
    hits = re.findall(r'<a href="([^"]*)"><bdi>[^<]*</bdi></a> \((\d+)\)', page)
    assert len(hits) == said.count("(")
    for address, requests in hits:
        assert count_at(visitor, unescape(address)) == int(requests)


@pytest.mark.parametrize(
    "query",
    [
        "user=BO*",
        "user=BOB,Eve",
        "-user=*",
        "user=nobody",
        "path=/FILES",
        "user=BOB&-user=bob",
        "q=user:*b* user:BOB",
        "user=bob&interface=sf&status=success",
        "user=bob&api=other",
        "code=400..499",
        "ip=10.0.0.0/9",
    ],
)
def test_nothing_is_guessed_of_what_is_no_single_value_or_does_not_lead_anywhere(visitor, site, query):
    make_entry(site, username="bob", interface="sftp", api_name="files", response_code=500, request_path="/files")
    make_entry(site, username="bobby", api_name="other", response_code=200, request_path="/files")
    page = explained(visitor.get(f"/acme/logs/?{query}", follow=True).text)
    assert "Nothing matches" in page
    assert "Did you mean" not in page


def test_a_guess_that_takes_too_long_is_left_out(visitor, site, monkeypatch):
    def too_long(*_, **__):
        raise OutOfBudget

    make_entry(site, username="bob")
    monkeypatch.setattr("auditlog.search.answers.facet", too_long)
    page = visitor.get("/acme/logs/?user=Bob")
    assert page.status_code == 200
    assert "It is “User Bob” that leaves nothing." in explained(page.text)
    assert "Did you mean" not in page.text


def test_a_guess_of_what_an_attacker_wrote_is_text(visitor, site):
    make_entry(site, username="bob<script>alert(1)</script>\u202e\r\nx" + "y" * 100)
    page = visitor.get("/acme/logs/?user=BOB").text
    assert "Did you mean bob<script>alert(1)</script>⟨U+202E⟩␍…yyy" in explained(page)
    assert "<script>alert" not in page
    assert "\u202e" not in page
    (address,) = re.findall(r'<a href="([^"]*)"><bdi>bob', page)
    assert count_at(visitor, unescape(address)) == 1


def test_a_value_that_would_escape_the_wildcard_behind_it_is_not_offered_wider(visitor, site):
    make_entry(site, username="ACME*")
    assert "that contains" not in explained(visitor.get("/acme/logs/?user=ACME%5C").text)


def test_where_no_single_condition_is_to_blame_all_can_be_dropped(visitor, site):
    make_entry(site, username="bob")
    page = visitor.get("/acme/logs/?user=nobody&interface=nowhere&-ip=*&last=7d").text
    (address,) = links(page, "without any condition")
    assert address == "?last=7d"
    assert "No condition alone stands in the way." in explained(page)
    assert "without any condition: 1 API request" in explained(page)
    assert "Nothing else that is kept matches either." in explained(page)
    assert "further back" not in explained(page)


@pytest.mark.parametrize(("query", "said"), [("", "The last API request"), ("&user=bob", "that matches")])
def test_an_empty_time_says_when_the_last_request_was_made(visitor, site, query, said):
    made = make_entry(site, username="bob", created_at=ago(days=40))
    make_entry(site, username="carol", created_at=ago(days=40 if not query else 2, minutes=30))
    page = visitor.get(f"/acme/logs/?last=1h{query}").text
    assert said in explained(page)
    assert f"{made.created_at:%-d %b %Y, %H:%M}" in explained(page)
    newest = links(page.partition('id="nothing"')[2], f"{made.created_at:%-d %b %Y}")
    assert count_at(visitor, newest[0]) == 1


def test_what_is_older_than_kept_is_not_told(visitor, site):
    make_entry(site, created_at=ago(days=40))
    site.retention_days = 30
    site.save()
    assert "40" not in explained(visitor.get("/acme/logs/").text)
    assert "in the book yet" in explained(visitor.get("/acme/logs/").text)


@pytest.mark.parametrize("who", ["staff", "administrator"])
def test_on_its_first_day_a_site_says_how_to_send_a_request(request, signed_in, site, who):
    page = signed_in(request.getfixturevalue(who)).get("/acme/logs/?user=alice").text
    assert "Acme has no API requests in the book yet" in page
    assert 'id="chart"' not in page
    assert bool(links(page, "Make a key")) == (who == "administrator")
    command = unescape(re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[1])
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    words = shlex.split(command.replace("$(date -u +%Y-%m-%dT%H:%M:%SZ)", now).replace("\\\n", " "))
    _, secret = ApiKey.objects.issue(site, "first", [Scope.INGEST])
    headers = dict(word.split(": ") for word in words if re.match(r"[\w-]+: ", word))
    answer = Client().post(
        urlsplit(words[1]).path,
        words[-1],
        content_type=headers["Content-Type"],
        headers={"X-FilesAPI-Key": headers["X-FilesAPI-Key"].replace("$BOOK_KEY", secret)},
    )
    assert answer.json()["accepted"] == 1


def test_an_explanation_that_takes_too_long_offers_the_ways_without_numbers(visitor, site, monkeypatch):
    def too_long(*_):
        raise OutOfBudget

    make_entry(site, username="bob")
    monkeypatch.setattr("auditlog.search.answers.newest", too_long)
    monkeypatch.setattr("auditlog.search.answers.total", too_long)
    page = visitor.get("/acme/logs/?user=nobody&last=7d")
    assert page.status_code == 200
    assert "without “User nobody”" in explained(page.text)
    assert "without “User nobody”:" not in explained(page.text)
