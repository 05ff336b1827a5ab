"""The API Logs page: what a reader sees for an address."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client

from auditlog.models import Preference
from auditlog.models.log import COLUMNS
from auditlog.search import pages, timerange
from auditlog.search.snapshot import OutOfBudget
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry


@pytest.fixture
def visitor(signed_in, staff: User) -> Client:
    return signed_in(staff)


def shown_headings(page: str) -> list[str]:
    return [re.sub(r"<[^>]+>|[↑↓]", "", cell).strip() for cell in re.findall(r"<th[^>]*>(.*?)</th>", page, re.DOTALL)]


def links(page: str, text: str) -> list[str]:
    found = re.findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', page, re.DOTALL)
    return [href.replace("&amp;", "&") for href, label in found if text in re.sub(r"<[^>]+>", " ", label)]


def sentence(page: str) -> str:
    """What the page says it shows."""
    said = re.search(r'<div class="said".*?</div>(?=\s*<div class="log__tools")', page, re.DOTALL)[0]
    said = re.sub(r"<form.*?</form>|<a class=.chip__drop.*?</a>", "", said, flags=re.DOTALL)
    return re.sub(r"\s+([,.])(?!\d)", r"\1", re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", said))).strip()


def count_at(visitor: Client, address: str) -> int:
    """The number of API requests that the page at an address says it shows."""
    said = sentence(visitor.get(address if address.startswith("/") else f"/acme/logs/{address}").text)
    return int(re.match(r"([\d,]+|No) API request", said)[1].replace(",", "").replace("No", "0"))


def rows(page: str) -> list[str]:
    return re.findall(r"<tr[^>]*data-status.*?</tr>", page, re.DOTALL)


def test_status_filter_keeps_only_failures(visitor, site):
    make_entry(site, request_path="/ok", response_code=200)
    make_entry(site, request_path="/broken", response_code=503)
    page = visitor.get("/acme/logs/?status=failure").text
    assert "/broken" in page
    assert "/ok" not in page


def test_the_page_says_how_many_match_and_in_which_time(visitor, site):
    write(site, [entry(response_code=500) for _ in range(3)])
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visitor.get("/acme/logs/?status=failure&last=7d").text))
    assert re.search(r"3 API requests", page)
    assert "last 7 days" in page
    assert "newest first" in page


def test_the_number_holds_once_the_page_itself_is_in_the_book(signed_in, administrator, site, own_entries):
    reader = signed_in(administrator)
    make_entry(site)
    page = reader.get("/acme/logs/?last=15m").text
    assert write(site, own_entries()).stored == 1
    [counts], [export] = links(page, "Counts by value"), links(page, "Export")
    assert sentence(page).startswith("1 API request ")
    assert count_at(reader, f"?{urlsplit(counts).query}") == 1
    assert "<h1>Export 1 API request</h1>" in reader.get(export).text


def test_an_empty_answer_says_so(visitor, site):
    make_entry(site)
    page = visitor.get("/acme/logs/?user=nobody")
    assert page.status_code == 200
    assert rows(page.text) == []
    assert "Nothing matches" in page.text


@pytest.mark.parametrize(
    ("query", "key", "sentence"),
    [
        ("from=soon", "from", "soon is not a time"),
        ("bogus=1", "bogus", "is not a search key"),
        ("code=4xx", "code", "4xx is not a number or range"),
        ("after=rubbish", "after", "is not a place in an answer"),
        ("columns=colour", "columns", "colour is not a column"),
        ("sort=colour", "sort", "colour is not a column"),
        ("last=1h&from=2026-11-20T00:00:00Z", "last", "cannot be combined"),
    ],
)
def test_bad_input_is_refused_in_a_sentence_and_the_form_stays(visitor, site, query, key, sentence):
    make_entry(site, request_path="/known")
    page = visitor.get(f"/acme/logs/?{query}&user=alice")
    assert page.status_code == 400
    assert sentence in page.text
    assert key in page.text
    assert 'name="status"' in page.text
    assert 'value="alice"' in page.text
    assert "/known" not in page.text


def test_a_time_without_a_zone_is_the_readers_and_the_address_says_utc(visitor, site):
    visitor.cookies["gatebook_zone"] = "Europe/Berlin"
    answer = visitor.get("/acme/logs/?from=2026-07-01T10:00&to=2026-07-01T12:00&user=")
    assert answer.status_code == 302
    assert answer["Location"] == "/acme/logs/?from=2026-07-01T08%3A00%3A00Z&to=2026-07-01T10%3A00%3A00Z"
    assert visitor.get(answer["Location"]).status_code == 200


def test_times_are_shown_in_the_readers_zone(visitor, site):
    made = make_entry(site, created_at=ago(hours=1))
    visitor.cookies["gatebook_zone"] = "Asia/Kathmandu"
    page = visitor.get("/acme/logs/").text
    assert f"{made.created_at:%Y-%m-%d %H:%M:%S}" in page  # UTC in the title
    assert f"{made.created_at.astimezone(ZoneInfo('Asia/Kathmandu')):%H:%M:%S}" in page


def zone_where_it_is(hour: int) -> str:
    """A zone whose clocks show that hour now."""
    ahead = (hour - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}"


def times_shown(page: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", time) for time in re.findall(r"<td[^>]*created_at.*?(<time.*?</time>)", page)]


@pytest.mark.parametrize("query", ["", "last=7d", "sort=-duration_ms", "request=late,early", "from={from}&to={to}"])
def test_only_a_time_of_the_readers_today_is_without_its_day(visitor, site, query):
    visitor.cookies["gatebook_zone"] = zone = zone_where_it_is(12)
    midnight = datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    make_entry(site, request_id="late", created_at=midnight.astimezone(UTC), duration_ms=1)
    make_entry(site, request_id="early", created_at=(midnight - timedelta(minutes=1)).astimezone(UTC), duration_ms=2)
    ends = {"from": midnight - timedelta(minutes=8), "to": midnight + timedelta(minutes=7)}
    asked = query.format_map({key: timerange.written(end) for key, end in ends.items()})
    page = visitor.get(f"/acme/logs/?{asked or 'last=24h'}").text
    yesterday = f"{midnight - timedelta(minutes=1):%-d %b} 23:59:00.000"
    assert times_shown(page) == ([yesterday, "00:00:00.000"] if "duration" in query else ["00:00:00.000", yesterday])
    assert "data-dates" in page


def test_a_day_of_another_year_says_that_too(visitor, site):
    site.retention_days = 800
    site.save()
    made = make_entry(site, created_at=ago(days=400))
    page = visitor.get(f"/acme/logs/?request={made.request_id}").text
    [shown] = times_shown(page)
    assert shown.startswith(f"{made.created_at:%-d %b %Y} ")
    assert 'data-dates="years"' in page


def test_where_all_is_of_today_no_room_is_kept_for_days(visitor, site):
    visitor.cookies["gatebook_zone"] = zone_where_it_is(12)
    make_entry(site)
    page = visitor.get("/acme/logs/?last=1h").text
    assert re.fullmatch(r"[\d:.]+", *times_shown(page))
    assert "data-dates" not in page


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../../etc/passwd", "a" * 5000, "\x01"])
def test_a_zone_that_is_none_is_utc(visitor, site, zone):
    visitor.cookies["gatebook_zone"] = zone
    assert visitor.get("/acme/logs/").status_code == 200


def test_older_and_newer_links_walk_the_whole_answer(visitor, site):
    write(site, [entry(created_at=ago(minutes=number), request_path=f"/p{number:03}") for number in range(120)])
    page = visitor.get("/acme/logs/?path=/p*").text
    seen = re.findall(r"/p\d{3}(?=<)", page)
    steps = 0
    while older := links(page, "Older"):
        page = visitor.get(f"/acme/logs/{older[0]}" if older[0].startswith("?") else older[0]).text
        seen += re.findall(r"/p\d{3}(?=<)", page)
        steps += 1
    assert seen == [f"/p{number:03}" for number in range(120)]
    assert steps == 2
    newer = links(page, "Newer")[0]
    back = visitor.get(f"/acme/logs/{newer}" if newer.startswith("?") else newer).text
    assert re.findall(r"/p\d{3}(?=<)", back) == [f"/p{number:03}" for number in range(50, 100)]


def test_every_heading_sorts_and_says_so(visitor, site):
    write(site, [entry(duration_ms=ms, request_path=f"/{ms}ms") for ms in (5, 700, 30)])
    page = visitor.get("/acme/logs/").text
    by_duration = links(page, "Duration")[0]
    page = visitor.get(f"/acme/logs/{by_duration}" if by_duration.startswith("?") else by_duration).text
    assert re.findall(r"/\d+ms(?=<)", page) == ["/700ms", "/30ms", "/5ms"]
    assert 'aria-sort="descending"' in page


def test_sorting_too_many_rows_is_refused_in_words(visitor, site, monkeypatch):
    monkeypatch.setattr("auditlog.search.pages.SORT_LIMIT", 2)
    write(site, [entry(username=name) for name in ("b", "a", "c")])
    page = visitor.get("/acme/logs/?sort=username").text
    assert len(rows(page)) == 3
    assert "works for at most 2 API requests" in page


def test_the_address_chooses_the_columns(visitor, site):
    make_entry(site, username="bob")
    page = visitor.get("/acme/logs/?columns=username,request_id").text
    assert shown_headings(page) == ["User", "Request-ID"]


def test_all_nineteen_columns_can_be_shown(visitor, site):
    make_entry(site)
    page = visitor.get(f"/acme/logs/?columns={','.join(COLUMNS)}").text
    assert shown_headings(page) == list(COLUMNS.values())


def test_a_reader_keeps_their_own_columns(visitor, site, staff, signed_in, superuser):
    make_entry(site)
    answer = visitor.post("/accounts/columns/", {"columns": ["username", "success"], "next": "/acme/logs/?last=7d"})
    assert answer["Location"] == "/acme/logs/?last=7d"
    assert shown_headings(visitor.get("/acme/logs/").text) == ["User", "Status"]
    assert shown_headings(visitor.get("/acme/logs/?columns=interface").text) == ["Interface"]
    assert shown_headings(signed_in(superuser).get("/acme/logs/").text) != ["User", "Status"]
    visitor.post("/accounts/columns/", {"next": "/acme/logs/"})
    assert "Path" in shown_headings(visitor.get("/acme/logs/").text)
    assert Preference.objects.get(user=staff).columns == []


def test_columns_are_shown_once_in_the_places_they_are_given(visitor, site, staff):
    make_entry(site)
    form = {
        "columns": ["created_at", "username", "interface", "request_path"],
        **{f"place-{name}": str(at) for at, name in enumerate(COLUMNS, start=1)},
        "place-request_path": "1",
        "place-username": "5",
        "act": "show",
        "next": "/acme/logs/?last=7d",
    }
    answer = visitor.post("/accounts/columns/", form)
    assert answer["Location"] == "/acme/logs/?last=7d&columns=request_path,created_at,interface,username"
    assert shown_headings(visitor.get(answer["Location"]).text) == ["Path", "Date", "Interface", "User"]
    assert not Preference.objects.filter(user=staff).exists()


def test_the_chooser_begins_with_what_is_shown_and_in_its_order(visitor, site):
    make_entry(site)
    page = visitor.get("/acme/logs/?columns=username,created_at").text
    listed = re.findall(r'name="columns" value="(\w+)" (checked)?', page)
    assert listed[:3] == [("username", "checked"), ("created_at", "checked"), ("impersonator_username", "")]
    assert len(listed) == len(COLUMNS)


def test_a_reader_resets_their_columns(visitor, site, staff):
    make_entry(site)
    visitor.post("/accounts/columns/", {"columns": "username", "act": "keep", "next": "/acme/logs/"})
    visitor.post("/accounts/columns/", {"columns": "username", "act": "reset", "next": "/acme/logs/"})
    assert "Path" in shown_headings(visitor.get("/acme/logs/").text)


def test_a_place_that_is_no_number_is_refused(visitor):
    answer = visitor.post("/accounts/columns/", {"columns": "username", "place-username": "first", "next": "/"})
    assert answer.status_code == 400
    assert "first is no place for username" in answer.text


def test_keeping_columns_leads_nowhere_else(visitor):
    answer = visitor.post("/accounts/columns/", {"columns": "username", "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_keeping_an_unknown_column_is_refused(visitor):
    answer = visitor.post("/accounts/columns/", {"columns": "colour", "next": "/acme/logs/"})
    assert answer.status_code == 400
    assert "colour is not a column" in answer.text


def test_impersonation_and_parent_site_are_told_beside_the_user(visitor, site):
    make_entry(site, username="bob", impersonator_username="alice", user_is_from_parent_site=True)
    page = visitor.get("/acme/logs/").text
    assert "by alice" in page
    assert "parent" in page


def test_the_interface_is_shown_by_its_label(visitor, site):
    make_entry(site, interface="dav")
    assert "WebDAV" in "".join(rows(visitor.get("/acme/logs/").text))


def test_only_administrators_are_offered_the_download(visitor, signed_in, administrator, site):
    make_entry(site)
    assert "/acme/logs/export" not in visitor.get("/acme/logs/").text
    assert "/acme/logs/export?" in signed_in(administrator).get("/acme/logs/").text


def test_each_condition_can_be_dropped(visitor, site):
    make_entry(site)
    page = visitor.get("/acme/logs/?interface=sftp&-user=bob").text
    assert any("interface" not in link and "-user=bob" in link for link in links(page, "SFTP"))


def test_what_is_searched_for_leads_to_the_address_that_says_it(visitor, site):
    make_entry(site, username="bob", request_path="/q4/Report.pdf", response_code=500)
    make_entry(site, username="bob", request_path="/q4/other", response_code=500)
    answer = visitor.get("/acme/logs/", {"q": "status:failure -user:svc-*  report", "sort": "created_at"})
    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer["Location"]).query) == {
        "status": ["failure"],
        "-user": ["svc-*"],
        "q": ["report"],
        "sort": ["created_at"],
    }
    page = visitor.get(answer["Location"])
    assert "/q4/Report.pdf" in page.text
    assert "/q4/other" not in page.text
    assert field(page.text, "search", "q") == "status:failure -user:svc-* report"


def test_a_time_in_the_text_is_the_readers_and_replaces_the_one_beside_it(visitor, site):
    visitor.cookies["gatebook_zone"] = "Europe/Berlin"
    answer = visitor.get("/acme/logs/", {"q": "from:2026-07-01T10:00 x", "last": "7d"})
    assert parse_qs(urlsplit(answer["Location"]).query) == {"from": ["2026-07-01T08:00:00Z"], "q": ["x"]}


def test_box_and_form_carry_what_the_other_says(visitor, site):
    page = visitor.get("/acme/logs/?status=failure&q=report&last=7d&sort=-duration_ms&columns=username").text
    assert field(page, "search", "q") == "status:failure report"
    assert [field(page, "search", key) for key in ("last", "sort", "columns")] == ["7d", "-duration_ms", "username"]
    assert [field(page, "filters", key) for key in ("q", "sort", "columns")] == ["report", "-duration_ms", "username"]


def test_each_word_is_a_condition_that_can_be_dropped(visitor, site):
    page = visitor.get("/acme/logs/", {"q": 'report -draft user:a* user:*b "not found"'}, follow=True).text
    without = [parse_qs(urlsplit(link).query)["q"][0] for link in links(page, "Drop")]
    assert without == [
        '-draft user:a* user:*b "not found"',
        'report user:a* user:*b "not found"',
        'report -draft user:*b "not found"',
        'report -draft user:a* "not found"',
        "report -draft user:a* user:*b",
    ]


def test_mistyped_keys_are_mended_by_a_click(visitor, site):
    make_entry(site, username="bob", request_path="/broken", response_code=503)
    make_entry(site, username="bob", request_path="/fine", response_code=200)
    page = visitor.get("/acme/logs/", {"q": "usr:bob -stauts:success", "path": "/b*"}).text
    (address, words) = re.search(r'Did you mean <a href="([^"]*)"><bdi>(.*?)</bdi>', page).groups()
    assert words == "path:/b* user:bob -status:success"
    mended = visitor.get(f"/acme/logs/{html.unescape(address)}", follow=True).text
    assert "/broken" in mended
    assert "/fine" not in mended


@pytest.mark.parametrize("asked", ["q=stauts:perhaps", "q=xyzzy:1", "q=stauts:failure+code:x", "q=stauts:failure&ip=x"])
def test_what_mending_would_not_help_is_not_offered(visitor, asked):
    page = visitor.get(f"/acme/logs/?{asked}")
    assert page.status_code == 400
    assert "Did you mean <a" not in page.text


def test_a_fault_in_the_text_is_marked_where_it_is(visitor, site):
    make_entry(site, request_path="/known")
    page = visitor.get("/acme/logs/", {"q": "status:failure stauts:x <b>see http://y", "last": "7d", "user": "alice"})
    assert page.status_code == 400
    assert re.findall(r"<mark>(.*?)</mark>", page.text) == ["stauts:x", "http://y"]
    assert "did you mean status?" in page.text
    assert "quote it: &quot;http://y&quot;" in page.text
    assert "&lt;b&gt;see" in page.text
    assert "/known" not in page.text
    assert field(page.text, "search", "q") == "user:alice status:failure stauts:x &lt;b&gt;see http://y"
    assert field(page.text, "search", "last") == "7d"
    assert field(page.text, "filters", "user") == "alice"


def test_a_bad_value_is_marked_in_the_text_too(visitor):
    page = visitor.get("/acme/logs/?code=4xx&from=soon&q=report")
    assert re.findall(r"<mark>(.*?)</mark>", page.text) == ["code:4xx"]
    assert 'name="from" id="id_from" value="soon"' in page.text
    assert field(page.text, "search", "q") == "code:4xx report"


def test_a_bad_time_in_the_text_is_answered_beside_its_field(visitor):
    page = visitor.get("/acme/logs/", {"q": "user:alice from:soon"})
    assert page.status_code == 400
    assert "soon is not a time" in page.text
    assert 'name="from" id="id_from" value="soon"' in page.text
    assert field(page.text, "search", "q") == "user:alice"


def test_every_example_of_the_help_can_be_asked(visitor):
    page = visitor.get("/acme/logs/").text
    examples = re.findall(r'<dt><a href="(\?q=[^"]*)">', page)
    assert len(examples) > 5
    for example in examples:
        assert visitor.get(f"/acme/logs/{example}", follow=True).status_code == 200


def field(page: str, form: str, name: str) -> str:
    """The value of a field in one of the page's forms, as it is escaped."""
    part = re.search(rf'<form [^>]*id="{form}".*?</form>', page, re.DOTALL)[0]
    return re.search(rf'name="{re.escape(name)}"[^>]* value="([^"]*)"', part)[1]


def too_long(*_):
    raise OutOfBudget


def test_a_chart_and_a_count_that_take_too_long_leave_the_rows(visitor, site, monkeypatch):
    make_entry(site, request_path="/known")
    monkeypatch.setattr("auditlog.search.answers.volume", too_long)
    monkeypatch.setattr("auditlog.search.answers.total", too_long)
    page = visitor.get("/acme/logs/")
    assert page.status_code == 200
    assert "/known" in page.text
    assert "could not be counted in time" in page.text


def test_a_chart_that_takes_too_long_says_so_and_the_count_stands(visitor, site, monkeypatch):
    write(site, [entry(response_code=code) for code in (200, 500, 503)])
    monkeypatch.setattr("auditlog.search.answers.volume", too_long)
    page = visitor.get("/acme/logs/?last=30d").text
    assert sentence(page).startswith("3 API requests")
    assert "Too much to draw in time: narrow the range" in page
    assert links(page, "last 24 hours")[0].endswith("last=24h")


def test_a_chart_over_its_budget_is_stopped_by_the_server(visitor, site, monkeypatch):
    monkeypatch.setattr("auditlog.dashboard.logs.CHART_BUDGET_MS", 1)
    write(site, [entry(request_path="/" + "a" * 4000, created_at=ago(seconds=number)) for number in range(3000)])
    page = visitor.get("/acme/logs/?path=*" + "*a" * 20 + "*").text
    assert "Too much to draw in time" in page
    assert sentence(page).startswith("3,000 API requests")


def test_the_sentence_counts_everything_and_the_failures(visitor, site):
    write(site, [entry(response_code=500 if number % 8 == 0 else 200) for number in range(1_200)])
    page = visitor.get("/acme/logs/").text
    assert sentence(page) == "1,200 API requests in the last 24 hours. None the day before. 150 failures, 12.5 %."
    assert count_at(visitor, links(page, "150 failures")[0]) == 150


def test_the_sentence_says_that_nothing_failed_and_is_silent_where_failures_are_asked_for(visitor, site):
    make_entry(site, response_code=200)
    assert sentence(visitor.get("/acme/logs/").text).endswith("None the day before. No failures.")
    make_entry(site, response_code=500)
    assert "failures" not in sentence(visitor.get("/acme/logs/?status=failure").text)


def bars(page: str) -> list[tuple[str, str]]:
    """The address and the title of each bar."""
    found = re.findall(r'<a class="chart__bar" href="([^"]*)"[^>]*><title>(.*?)</title>', page)
    return [(href.replace("&amp;", "&"), title) for href, title in found]


@pytest.mark.parametrize("query", ["", "?last=7d&user=alice&status=failure", "?last=1h&sort=duration_ms"])
def test_every_bar_leads_to_exactly_its_requests(visitor, site, query):
    write(
        site,
        [
            entry(
                created_at=ago(minutes=number**2),
                response_code=500 if number % 5 == 0 else 200,
                username="alice" if number % 2 else "bob",
            )
            for number in range(40)
        ],
    )
    page = visitor.get(f"/acme/logs/{query}").text
    told = 0
    for address, title in bars(page):
        requests = int(re.search(r"([\d,]+) requests?,", title)[1])
        told += requests
        if requests:
            assert count_at(visitor, address) == requests
        assert ("sort=duration_ms" in address) == ("sort=" in query)
    assert sentence(page).startswith(f"{told} API requests")


def test_bars_also_stand_in_a_list(visitor, site):
    make_entry(site, response_code=500)
    page = visitor.get("/acme/logs/").text
    listed = re.search(r'<ol class="chart__list">(.*?)</ol>', page, re.DOTALL)[1]
    assert [address for address, _ in bars(page)] == [
        href.replace("&amp;", "&") for href in re.findall('href="(.*?)"', listed)
    ]
    assert "1 request</span><span>1 failure<" in listed


def test_the_chart_covers_the_whole_question_on_every_page(visitor, site):
    write(site, [entry(created_at=ago(minutes=number)) for number in range(120)])
    first = visitor.get("/acme/logs/").text
    second = visitor.get(f"/acme/logs/{links(first, 'Older')[0]}").text
    assert bars(second) == bars(first)
    assert sentence(second).startswith("120 API requests")


def test_the_chart_speaks_the_readers_time(visitor, site):
    make_entry(site)
    visitor.cookies["gatebook_zone"] = "Asia/Kathmandu"
    page = visitor.get("/acme/logs/?from=2026-11-01T00:00:00Z&to=2026-11-01T06:00:00Z").text
    assert bars(page)[0][1] == "1 Nov 05:45 to 05:55: 0 requests, 0 failures"


def test_zooming_out_asks_the_same_over_twice_the_time(visitor, site):
    write(site, [entry(created_at=ago(hours=hours), username="alice") for hours in (1, 5, 30)])
    page = visitor.get("/acme/logs/?user=alice").text
    assert sentence(page).startswith("2 API requests")
    (address,) = links(page, "Zoom out")
    assert "user=alice" in address
    assert count_at(visitor, address) == 3
    assert links(visitor.get("/acme/logs/?from=2000-01-01T00:00:00Z").text, "Zoom out") == []


def test_nothing_to_draw_is_said_calmly(visitor, site):
    make_entry(site, created_at=ago(days=3))
    page = visitor.get("/acme/logs/").text
    assert "Nothing to draw" in page
    assert "failures" not in sentence(page)


def test_rows_that_take_too_long_offer_a_narrower_range(visitor, site, monkeypatch):
    monkeypatch.setattr("auditlog.search.pages.fetch", too_long)
    page = visitor.get("/acme/logs/?last=30d")
    assert page.status_code == 200
    assert any("last=24h" in link or "last=1h" in link for link in links(page.text, ""))


def test_a_query_over_its_budget_is_stopped_by_the_server(visitor, site, monkeypatch):
    monkeypatch.setattr("auditlog.dashboard.logs.ROWS_BUDGET_MS", 1)
    write(site, [entry(request_path="/" + "a" * 4000, created_at=ago(seconds=number)) for number in range(3000)])
    page = visitor.get("/acme/logs/?path=*" + "*a" * 30 + "*b")
    assert page.status_code == 200
    assert "This took too long" in page.text


def test_a_search_that_stops_early_says_how_far_it_came(visitor, site, monkeypatch):
    make_entry(site, created_at=ago(days=5), request_path="/long-ago")
    moment = datetime(2026, 10, 3, tzinfo=UTC)
    as_before = pages._found
    monkeypatch.setattr(pages, "_found", lambda *_, **__: ([], moment))
    page = visitor.get("/acme/logs/?path=*x*&last=180d").text
    assert "Nothing found yet" in page
    assert "3 Oct 2026 00:00" in page
    onward = links(page, "Go on from there")
    monkeypatch.setattr(pages, "_found", as_before)
    assert "Nothing on this side" in visitor.get(f"/acme/logs/{onward[0]}").text
    assert "/long-ago" in visitor.get("/acme/logs/?path=/l*&last=180d").text


def test_a_page_asks_the_database_a_fixed_number_of_times(visitor, site, django_assert_max_num_queries):
    write(site, [entry(username=f"user-{number}", impersonator_username="alice") for number in range(60)])
    visitor.get("/acme/logs/")
    with django_assert_max_num_queries(44):
        visitor.get("/acme/logs/")


def test_a_long_path_keeps_the_name_at_its_end(visitor, site):
    make_entry(site, request_path="/api/rest/v1/files/contract-5122.docx", error_type="not-allowed/invalid-session")
    make_entry(site, request_path="/api/rest/v1/files/what-has-a-rather-long-name-of-its-own.docx")
    tails = re.findall(r'<span class="cut__tail">(.*?)</span>', visitor.get("/acme/logs/").text)
    assert sorted(tails) == ["/contract-5122.docx", "/invalid-session", "its-own.docx"]
