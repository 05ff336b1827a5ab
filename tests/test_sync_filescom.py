"""Copying the API logs of Files.com: all of them, once, from a good server and from one that misbehaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database

from auditlog import tasks
from auditlog.api import turns
from auditlog.api.record import record as wire_record
from auditlog.filescom import source, sync
from auditlog.filescom.source import SourceError
from auditlog.management.commands import sync_filescom
from auditlog.models import ApiKey, ApiRequestLog, FilesComConnection, QuarantinedLine, Scope, Site
from auditlog.store.writer import write
from gatebook.entry import Entry
from tests.book import ago, entry, in_another_connection
from tests.files_com import KEY, FilesCom, broken, cut_off, refused

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little where nobody asks for more."""
    monkeypatch.setattr(source, "FIRST_WAIT_SECONDS", 0.01)
    turns._due.clear()


@pytest.fixture
def connected(site: Site, files_com: FilesCom) -> FilesComConnection:
    """Acme, copied from the small Files.com."""
    connection = FilesComConnection(site=site, base_url=files_com.address)
    connection.key = KEY
    connection.save()
    return connection


def copy(connection: FilesComConnection, **options: Any) -> sync.Synced:
    found = sync.run(connection, **{"patience_seconds": 5, **options})
    connection.refresh_from_db()
    return found


def record(number: int, **fields: Any) -> dict[str, Any]:
    moment = fields.pop("at", ago(hours=1))
    return {
        "created_at": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "request_id": f"r{number:05}",
        "request_path": "/api/rest/v1/files",
        "response_code": 200,
        "success": True,
        **fields,
    }


def request_ids(site: Site) -> list[str]:
    return sorted(ApiRequestLog.objects.filter(site_id=site.pk).values_list("request_id", flat=True))


# --- From Gatebook's own door, which answers as Files.com does ------------------------------------

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)


@pytest.fixture
def gatebook(live_server: Any, site: Site, other_site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Acme, copied from Globex in this book."""
    monkeypatch.setenv("NO_PROXY", "*")
    settings.FILESCOM_HOSTS = ["localhost"]
    connection = FilesComConnection(site=site, base_url=live_server.url)
    connection.key = ApiKey.objects.issue(other_site, "copy", [Scope.READ])[1]
    connection.save()
    return connection


def various(number: int) -> Entry:
    """One of many entries: at few moments, with every field and with none."""
    moments = [DAY, DAY + timedelta(hours=5, microseconds=1), DAY + timedelta(hours=50, microseconds=999_999)]
    if number % 7 == 0:
        return entry(request_id=f"{number:05}", created_at=moments[number % 3])
    return entry(
        request_id=f"{number:05}",
        created_at=moments[number % 3],
        user_id=str(number % 40) if number % 5 else f"u-{number}",
        username=f"user {number % 40} é\u202e",
        impersonator_user_id="7" if number % 11 == 0 else None,
        user_is_from_parent_site=number % 13 == 0,
        interface=("web", "restapi", "sftp")[number % 3],
        api_key_id="0012" if number % 3 else "12",
        api_key_prefix="ab12cd34",
        api_name="file-list",
        request_method="GET",
        request_path=f"/api/rest/v1/folders/{number}?per_page=10",
        request_ip="2001:db8::1" if number % 2 else "10.0.0.1",
        request_host="acme.files.com",
        response_code=None if number % 17 == 0 else (200, 403, 500)[number % 3],
        user_agent="an agent",
        error_type="not-authorized/x" if number % 3 == 1 else None,
        error_message="Line one\nline two" if number % 3 == 1 else None,
        duration_ms=number,
    )


def on_the_wire(site: Site) -> list[dict[str, Any]]:
    return [
        wire_record(row) for row in ApiRequestLog.objects.filter(site_id=site.pk).order_by("created_at", "request_id")
    ]


def test_what_is_copied_is_equal_in_every_field_of_the_wire(gatebook, site, other_site):
    write(other_site, [various(number) for number in range(3_300)])
    first = copy(gatebook)
    assert (first.read, first.stored, first.rejected, first.is_complete) == (3_300, 3_300, 0, True)
    assert on_the_wire(site) == on_the_wire(other_site)
    assert gatebook.rows == 3_300
    assert gatebook.last_error == ""
    assert gatebook.lag < timedelta(minutes=1)


def test_a_second_run_adds_only_what_is_new_or_late(gatebook, site, other_site):
    write(other_site, [various(number) for number in range(100)])
    copy(gatebook)
    assert copy(gatebook).stored == 0
    late, new = entry(created_at=ago(minutes=14), request_id="late"), entry(created_at=ago(seconds=2), request_id="new")
    too_late = entry(created_at=ago(minutes=20), request_id="too late")
    write(other_site, [late, new, too_late])
    assert copy(gatebook).stored == 2
    assert copy(gatebook).stored == 0
    assert "too late" not in request_ids(site)
    call_command("sync_filescom", "--site", "acme", "--once", "--since", f"{DAY:%Y-%m-%d}")
    assert on_the_wire(site) == on_the_wire(other_site)


# --- What comes late --------------------------------------------------------------------------------


def now_is(monkeypatch: pytest.MonkeyPatch, connection: FilesComConnection, **later: float) -> sync.Synced:
    """Run so much later than the connection began."""
    moment = datetime.now(UTC) + timedelta(**later)

    class Later(datetime):
        @classmethod
        def now(cls, zone: Any = None) -> datetime:
            return moment.astimezone(zone)

    with monkeypatch.context() as patched:
        patched.setattr(sync, "datetime", Later)
        return copy(connection)


@pytest.mark.parametrize(
    ("took", "is_found_after"),
    [
        (timedelta(minutes=30), timedelta(hours=2)),
        (timedelta(hours=3), timedelta(hours=7)),
        (timedelta(hours=40), timedelta(hours=49)),
    ],
)
def test_an_entry_that_appears_late_is_found_when_its_time_is_read_again(
    connected, files_com, site, monkeypatch, took, is_found_after
):
    monkeypatch.setattr(sync, "AGAIN_EVERY", timedelta(hours=1))  # some questions less
    files_com.records = [record(1)]
    copy(connected)
    began = ago(minutes=1)
    now_is(monkeypatch, connected, seconds=took.total_seconds())
    files_com.records.append(record(2, at=began))
    now_is(monkeypatch, connected, seconds=took.total_seconds() + 60)
    assert request_ids(site) == ["r00001"]
    now_is(monkeypatch, connected, seconds=is_found_after.total_seconds())
    assert request_ids(site) == ["r00001", "r00002"]
    assert connected.rows == 2
    asked = len(files_com.asked)
    now_is(monkeypatch, connected, seconds=is_found_after.total_seconds() + 60)
    assert len(files_com.asked) == asked + 1  # the usual minute: nothing is to be read again


@pytest.fixture
def behind(connected: FilesComConnection, files_com: FilesCom) -> FilesComConnection:
    """Acme, in which nobody has looked for late entries for a day; there are some."""
    copy(connected)
    FilesComConnection.objects.update(reread_to=ago(days=1))
    connected.refresh_from_db()
    files_com.records = [record(number, at=ago(hours=2 + number)) for number in range(27)]
    files_com.asked.clear()
    return connected


def test_what_is_read_again_is_gone_on_with_after_an_error(behind, files_com, site):
    files_com.mishaps = [*[None] * 100, *[refused(500, "internal", "Oops")] * 5]
    with pytest.raises(SourceError):
        copy(behind)
    behind.refresh_from_db()
    assert ago(days=1) < behind.reread_to < ago(hours=10)
    assert behind.synced_to > ago(minutes=1)  # the newest is in the book all the same
    files_com.asked.clear()
    copy(behind)
    assert request_ids(site) == [f"r{number:05}" for number in range(27)]
    assert len(files_com.asked) < 130  # of 213 in all


def test_the_newest_entries_do_not_wait_for_what_is_read_again(behind, files_com, site):
    files_com.records.append(record(99, at=ago(seconds=3)))
    assert copy(behind, budget_seconds=0).is_complete
    assert request_ids(site) == ["r00099"]
    assert len(files_com.asked) == 1


def test_what_the_site_keeps_no_longer_is_not_read_again(behind, files_com, site):
    Site.objects.update(retention_days=1)
    assert copy(behind).rejected == 0
    assert set(request_ids(site)) < {f"r{number:05}" for number in range(23)}
    assert not QuarantinedLine.objects.exists()


def test_what_was_before_the_first_day_asked_for_is_not_read_again(connected, files_com, site, monkeypatch):
    files_com.records = [record(1, at=ago(hours=30)), record(2, at=ago(hours=10))]
    connected.begin_at(ago(hours=20))
    connected.save()
    copy(connected)
    files_com.records.append(record(3, at=ago(hours=19)))
    now_is(monkeypatch, connected, hours=30)
    assert request_ids(site) == ["r00002", "r00003"]


def test_after_a_first_day_late_entries_are_found_as_soon_as_ever(connected, files_com, site, monkeypatch):
    connected.begin_at(ago(hours=3))
    connected.save()
    copy(connected)
    now_is(monkeypatch, connected, minutes=30)
    files_com.records = [record(1, at=ago(minutes=1))]
    now_is(monkeypatch, connected, minutes=31)
    assert request_ids(site) == []
    now_is(monkeypatch, connected, hours=2)
    assert request_ids(site) == ["r00001"]


# --- From a server that misbehaves -----------------------------------------------------------------


def test_it_waits_as_long_as_it_is_asked_to(connected, files_com, site):
    files_com.records = [record(1)]
    files_com.mishaps = [
        refused(429, "rate-limited/too-many-requests", "Slow down", Retry_After="1"),
        refused(
            429,
            "rate-limited/too-many-requests",
            "Slow down",
            Retry_After=format_datetime(ago(seconds=-3), usegmt=True),
        ),
    ]
    copy(connected)
    (first, _), (second, _), (third, _), *_ = files_com.asked
    assert second - first >= 1
    assert third - second >= 0.9
    assert request_ids(site) == ["r00001"]


def test_a_wait_that_makes_no_sense_is_as_long_as_one_that_nobody_asked_for(connected, files_com, site):
    files_com.records = [record(1)]
    never = "Thu, 01 Jan 2026 99999999999:00:00 GMT"
    files_com.mishaps = [refused(429, "rate-limited/too-many-requests", "Slow down", Retry_After=never)]
    copy(connected)
    assert request_ids(site) == ["r00001"]


def test_a_wait_that_is_too_long_ends_the_run_and_the_beat_leaves_it_alone_meanwhile(connected, files_com, monkeypatch):
    files_com.mishaps = [refused(429, "rate-limited/too-many-requests", "Slow down", Retry_After="600")]
    with pytest.raises(SourceError, match="asks for fewer questions"):
        copy(connected)
    connected.refresh_from_db()
    assert timedelta(seconds=590) < connected.not_before - datetime.now(UTC) < timedelta(seconds=601)
    asked = []
    monkeypatch.setattr(tasks.sync_filescom_site, "apply_async", lambda arguments, **_: asked.append(arguments))
    tasks.sync_filescom()
    assert asked == []
    FilesComConnection.objects.update(not_before=ago(seconds=1))
    tasks.sync_filescom()
    assert asked == []
    FilesComConnection.objects.update(last_run_at=ago(minutes=6))
    tasks.sync_filescom()
    assert asked == [[connected.pk]]


MISHAPS = {
    "500": refused(500, "internal", "Oops"),
    "502 of a proxy": broken(b"<html>Bad gateway</html>", 502, Content_Type="text/html"),
    "429 without a wait": refused(429, "rate-limited/too-many-requests", "Slow down"),
    "cut off": cut_off,
    "no JSON": broken(b'[{"created_at": '),
    "an object": broken(b'{"data": []}'),
    "nesting": broken(b"[" * 100_000),
    "nothing": broken(b""),
    "texts": broken(b'["a", "b"]'),
}


@pytest.mark.parametrize("mishap", MISHAPS.values(), ids=MISHAPS)
@pytest.mark.parametrize("place", [0, 4, 12])
def test_what_passes_is_waited_out(connected, files_com, site, mishap, place):
    files_com.records = [record(number, at=ago(hours=1 + number / 10)) for number in range(200)]
    files_com.mishaps = [*[None] * place, mishap, mishap]
    assert copy(connected).stored == 200
    assert request_ids(site) == [f"r{number:05}" for number in range(200)]
    assert files_com.most == 1


def test_repeats_are_stored_once(connected, files_com, site):
    at = ago(hours=1)
    files_com.records = [record(1, at=at), record(1, at=at), record(1, at=at, response_code=500), record(2)]
    done = copy(connected)
    assert (done.read, done.stored, done.duplicates) == (4, 2, 2)
    assert request_ids(site) == ["r00001", "r00002"]


@pytest.mark.parametrize("every", [1, 3])
def test_a_cursor_that_repeats_ends_the_run_and_loses_nothing(connected, files_com, site, every):
    files_com.records = [record(number) for number in range(200)]
    turn = iter(range(10_000))

    def astray(handler: Any) -> None:
        handler.answer(files_com.records[:50], {"X-Files-Cursor": str(next(turn) % every)})

    copy_of_all = list(files_com.records)
    connected.begin_at(ago(hours=2))
    connected.save()
    files_com.mishaps = [astray] * 20
    with pytest.raises(SourceError, match="cursor that it had given before"):
        copy(connected)
    assert len(files_com.asked) < 8
    files_com.mishaps = []
    copy(connected)
    assert len(request_ids(site)) == len(copy_of_all)
    connected.refresh_from_db()
    assert connected.last_error == ""


@pytest.mark.parametrize(
    ("mishap", "sentence"),
    [
        (refused(401, "not-authenticated/invalid-credentials", "Bad key"), "does not take the API key; replace it"),
        (refused(403, "not-authorized/site-admin-required", "No"), "has to be one of a site administrator"),
        (refused(403, "site-configuration/site-was-removed", "Site was removed"), "Site was removed"),
        (refused(404, "not-found", "Not Found"), "Files.com answered 404"),
        (refused(422, "bad-request/invalid-filter-param", "No"), "Files.com answered 422"),
        (broken(b"<html>", 404, Content_Type="text/html"), "what is no answer of Files.com"),
    ],
)
def test_a_refusal_is_said_at_once_and_noted(connected, files_com, mishap, sentence):
    files_com.mishaps = [mishap]
    with pytest.raises(SourceError, match=sentence):
        copy(connected)
    connected.refresh_from_db()
    assert sentence in connected.last_error
    assert len(files_com.asked) == 1
    files_com.mishaps = [mishap]
    with pytest.raises(CommandError, match=sentence):
        call_command("sync_filescom", "--site", "acme", "--once")


def test_what_is_noted_never_holds_the_key(connected, files_com):
    connected.key = "wrongkey99"
    connected.save()
    with pytest.raises(SourceError):
        copy(connected)
    connected.refresh_from_db()
    assert "replace it" in connected.last_error
    assert "wrongkey99" not in connected.last_error


def test_the_key_does_not_follow_to_another_address(connected, files_com, live_server):
    there = {"Location": f"{live_server.url}/api/rest/v1/api_request_logs"}
    files_com.mishaps = [lambda handler: handler.answer(b"", there, 302)] * 5
    with pytest.raises(SourceError, match="sends us on to another address"):
        copy(connected)


def test_a_server_that_is_away_is_said(connected):
    FilesComConnection.objects.update(base_url="http://127.0.0.1:9")
    with pytest.raises(SourceError, match="cannot be reached"):
        copy(connected)


def test_a_run_that_breaks_off_goes_on_where_it_was(connected, files_com, site):
    files_com.records = [record(number, at=ago(hours=1 + number / 2)) for number in range(500)]
    files_com.mishaps = [*[None] * 25, *[refused(500, "internal", "Oops")] * 5]
    with pytest.raises(SourceError):
        copy(connected)
    connected.refresh_from_db()
    stored = len(request_ids(site))
    assert 0 < stored < 500
    assert connected.synced_to < ago(hours=1)
    asked = len(files_com.pages())
    copy(connected)
    assert len(request_ids(site)) == 500
    assert connected.synced_to > ago(minutes=1)
    resumed = files_com.pages()[asked]
    assert f"{connected.synced_to:%Y-%m-%d}" not in resumed
    assert connected.rows == 500


def test_a_run_with_a_budget_ends_between_stretches_and_is_gone_on_with(connected, files_com, site):
    files_com.records = [record(number, at=ago(hours=1 + number)) for number in range(300)]
    assert not copy(connected, budget_seconds=0).is_complete
    assert 0 < len(request_ids(site)) < 300
    for _ in range(3):
        tasks.sync_filescom_site(connected.pk)
    while not copy(connected, budget_seconds=0).is_complete:
        pass
    assert len(request_ids(site)) == 300


def command() -> dict[str, Any]:
    """The command that copies Acme once, as a program of its own."""
    server = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/" + database.settings_dict["NAME"]
    return {
        "args": [sys.executable, "manage.py", "sync_filescom", "--site", "acme", "--once"],
        "cwd": Path(__file__).parent.parent,
        "env": {**os.environ, "DATABASE_URL": server, "FILESCOM_HOSTS": "127.0.0.1", "NO_PROXY": "*"},
    }


def kill_after(pages: int, files_com: FilesCom) -> None:
    """Start the command and kill it when that many pages have been asked for."""
    process = subprocess.Popen(**command(), stdout=subprocess.DEVNULL)
    while len(files_com.pages()) < pages and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(30)


@pytest.mark.slow
def test_a_command_that_is_killed_and_started_again_loses_nothing(connected, files_com, site):
    files_com.records = [record(number, at=ago(minutes=1 + number)) for number in range(4_000)]
    files_com.per_page = 20
    for pages in (20, 60, 110):
        kill_after(pages, files_com)
        assert len(request_ids(site)) < 4_000
    done = subprocess.run(**command(), check=True, capture_output=True, text=True)
    assert "rejected" in done.stdout
    assert request_ids(site) == [f"r{number:05}" for number in range(4_000)]


@pytest.mark.slow
def test_a_command_that_is_killed_while_it_reads_again_goes_on_from_there(behind, files_com, site):
    for pages in (40, 80):
        kill_after(pages, files_com)
    behind.refresh_from_db()
    assert ago(days=1) < behind.reread_to < ago(hours=8)
    asked = len(files_com.pages())
    subprocess.run(**command(), check=True, stdout=subprocess.DEVNULL)
    assert request_ids(site) == [f"r{number:05}" for number in range(27)]
    assert len(files_com.pages()) - asked < 170  # of 213 in all


def test_after_days_away_each_time_is_read_again_once(behind, files_com, site):
    FilesComConnection.objects.update(reread_to=ago(days=8))
    copy(behind)
    assert request_ids(site) == [f"r{number:05}" for number in range(27)]
    assert len(files_com.asked) < 1_000  # of 2,304; one for each quarter of an hour, and more for the last ones


def test_one_run_of_a_site_at_a_time(connected, files_com, other_site):
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [sync._SYNC_LOCK, connected.site_id])
        assert in_another_connection(lambda: sync.run(connected, patience_seconds=1)) is None
        other = FilesComConnection(site=other_site, base_url=files_com.address)
        other.key = KEY
        other.save()
        assert in_another_connection(lambda: sync.run(other, patience_seconds=1)) is not None
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [sync._SYNC_LOCK, connected.site_id])


# --- What becomes of a record ----------------------------------------------------------------------


def test_impersonators_get_their_names_and_those_who_are_gone_keep_their_ids(connected, files_com, site):
    files_com.users = {"5": "alice"}
    files_com.records = [record(number, username="bob", user_id=9, impersonator_user_id=5) for number in range(20)]
    files_com.records += [record(20, impersonator_user_id=6), record(21, impersonator_user_id=6)]
    copy(connected)
    named = ApiRequestLog.objects.filter(request_id__lt="r00020").values_list(
        "impersonator_username", "impersonator_user_id", "username", "user_id"
    )
    assert set(named) == {("alice", "5", "bob", "9")}
    gone = ApiRequestLog.objects.filter(request_id__gte="r00020")
    assert set(gone.values_list("impersonator_username", "impersonator_user_id")) == {(None, "6")}
    assert sum("/users/" in address for _, address in files_com.asked) == 2


def test_a_key_that_may_not_see_users_copies_all_the_same(connected, files_com, site):
    files_com.users = {"5": None}
    files_com.records = [record(1, impersonator_user_id=5)]
    copy(connected)
    row = ApiRequestLog.objects.get()
    assert (row.impersonator_user_id, row.impersonator_username) == ("5", None)


def test_times_keep_their_microseconds_and_details_stay_empty(connected, files_com, site):
    moment = ago(hours=2).replace(microsecond=123_456)
    files_com.records = [record(1, at=moment)]
    copy(connected)
    row = ApiRequestLog.objects.get()
    assert (row.created_at, row.details) == (moment, None)


def test_a_failure_without_a_code_or_an_error_is_not_forgotten(connected, files_com, site):
    files_com.records = [record(1, response_code=None, success=False)]
    copy(connected)
    assert ApiRequestLog.objects.get().details == {"success": "false"}


def test_secrets_are_hidden_as_at_every_door(connected, files_com, site):
    files_com.records = [
        record(1, request_path="/api/rest/v1/sessions?password=hunter2", error_message="token=abc123def")
    ]
    copy(connected)
    row = ApiRequestLog.objects.get()
    assert "hunter2" not in row.request_path
    assert "abc123def" not in row.error_message


BAD = {
    "no time": {"created_at": "soon"},
    "no id": {"request_id": None},
    "a code that is a text": {"response_code": "200"},
    "a code out of range": {"response_code": 1000},
    "a name that is a list": {"username": ["a"]},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_a_bad_record_goes_to_the_quarantine_once_and_never_costs_a_good_one(connected, files_com, site, fields):
    bad = record(1, at=ago(minutes=3), request_path="/x?password=hunter2") | fields
    answers = [record(2), bad, record(3)]
    connected.begin_at(ago(minutes=30))
    connected.save()
    for _ in range(2):
        files_com.mishaps = [lambda handler: handler.answer(answers)]
        done = copy(connected)
        assert done.rejected == 1
    assert request_ids(site) == ["r00002", "r00003"]
    (line,) = QuarantinedLine.objects.filter(site=site)
    assert "hunter2" not in line.line


# --- Where it begins --------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0.01, 1.5, 12, 179])
def test_it_begins_at_the_oldest_entry_there_is(connected, files_com, site, days):
    files_com.records = [record(1, at=ago(days=days)), record(2, at=ago(minutes=1))]
    copy(connected)
    assert request_ids(site) == ["r00001", "r00002"]
    assert len(files_com.asked) < 70


def test_an_empty_log_is_a_start_too(connected, files_com, site):
    assert copy(connected).read == 0
    files_com.records = [record(1, at=ago(seconds=3))]
    assert copy(connected).stored == 1


def test_what_the_site_would_refuse_is_said_before_anything_is_copied(connected, files_com, site, capsys):
    files_com.records = [record(1, at=ago(days=178)), record(2)]
    Site.objects.update(retention_days=30)
    with pytest.raises(CommandError) as raised:
        call_command("sync_filescom", "--site", "acme", "--once")
    said = str(raised.value)
    assert "Acme keeps 30 days" in said
    assert f"Files.com has entries from {ago(days=178):%Y-%m-%d}" in said or ago(days=178).hour == 0
    assert "Raise the retention first" in said
    assert request_ids(site) == []
    day = said.partition("begin at ")[2].partition(" (")[0]
    call_command("sync_filescom", "--site", "acme", "--once", "--since", day)
    assert request_ids(site) == ["r00002"]
    assert "1 read from" in capsys.readouterr().out


def test_a_longer_retention_takes_it_all(connected, files_com, site):
    files_com.records = [record(1, at=ago(days=178)), record(2)]
    Site.objects.update(retention_days=3650)
    copy(connected)
    assert request_ids(site) == ["r00001", "r00002"]


# --- The command and the key -------------------------------------------------------------------------


def test_the_key_is_unreadable_in_the_database(connected, settings):
    assert KEY not in FilesComConnection.objects.values_list("sealed_key", flat=True)[0]
    assert FilesComConnection.objects.get().key == KEY
    settings.SECRET_KEY = "another one " * 5
    with pytest.raises(SourceError, match="SECRET_KEY was changed"):
        copy(connected)


def test_a_key_from_the_environment_needs_no_page(site, files_com, monkeypatch, capsys):
    files_com.records = [record(1)]
    with pytest.raises(CommandError, match="FILESCOM_API_KEY_ACME"):
        call_command("sync_filescom", "--site", "acme", "--once", "--base-url", files_com.address)
    monkeypatch.setenv("FILESCOM_API_KEY_ACME", KEY)
    call_command("sync_filescom", "--site", "acme", "--once")
    assert "1 stored in acme" in capsys.readouterr().out
    assert FilesComConnection.objects.get().sealed_key == ""


def test_another_base_url_is_another_log_and_read_from_its_beginning(connected, files_com, site):
    copy(connected)
    files_com.records = [record(1, at=ago(days=5))]
    command = ("sync_filescom", "--site", "acme", "--once", "--base-url")
    call_command(*command, files_com.address)
    assert request_ids(site) == []
    call_command(*command, files_com.address.replace("127.0.0.1", "localhost"))
    assert request_ids(site) == ["r00001"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--site", "nowhere"], "there is no site 'nowhere'"),
        (["--site", "acme", "--since", "soon"], "--since: 'soon'"),
        (["--site", "acme", "--since", "2999-01-01"], "expected a day that has begun"),
        (["--site", "acme", "--base-url", "https://169.254.169.254"], "is no host of files.com"),
        (["--site", "acme", "--base-url", "https://evil-files.com"], "is no host of files.com"),
        (["--site", "acme", "--base-url", "https://acme.files.com:8443"], "without a port"),
        (["--site", "acme", "--base-url", "http://acme.files.com"], "Expected https://"),
        (["--site", "acme", "--base-url", "https://x@acme.files.com"], "Expected an address such as"),
        (["--site", "acme", "--base-url", "https://acme.files.com/x"], "without a path"),
        (["--site", "acme", "--base-url", "https://["], "Expected an address such as"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(site, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("sync_filescom", "--once", *arguments)
    assert not FilesComConnection.objects.exists()


def test_it_goes_on_until_it_is_stopped_also_after_an_error(connected, files_com, site, monkeypatch, capsys):
    files_com.records = [record(1)]
    waits = []

    def pass_time(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            files_com.mishaps = [refused(403, "not-authorized/site-admin-required", "No")]
        elif len(waits) == 2:
            files_com.records.append(record(2, at=ago(seconds=2)))
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(sync_filescom, "pause", pass_time)
    call_command("sync_filescom", "--site", "acme")
    assert request_ids(site) == ["r00001", "r00002"]
    said = capsys.readouterr()
    assert "has to be one of a site administrator" in said.err
    assert "goes on from here" in said.out
    assert waits == [60, 300, 60]


def test_who_connects_to_elsewhere_during_a_run_begins_anew(connected, files_com, site):
    files_com.records = [record(1, at=ago(days=5))]

    def replaced(handler: Any) -> None:
        FilesComConnection.objects.update(base_url="http://127.0.0.1:9", synced_to=None)
        database.close()
        handler._list()

    connected.begin_at(ago(days=1))
    connected.save()
    files_com.mishaps = [replaced]
    copy(connected)
    assert connected.synced_to is None
