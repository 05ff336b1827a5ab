"""The settings page of the copy from Files.com: who connects a site, what the page says, and what it never says."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from kombu.exceptions import OperationalError

from auditlog import tasks
from auditlog.models import ApiRequestLog, FilesComConnection, Site
from auditlog.models.filescom import OVERLAP
from config.celery import app
from tests.book import ago
from tests.files_com import KEY, FilesCom

PAGE = "/acme/settings/filescom/"
CONNECT, DISCONNECT, SYNC = (f"{PAGE}{what}" for what in ("connect", "disconnect", "sync"))
ADDRESS = "https://acme.files.com"


@pytest.fixture
def visitor(signed_in, administrator):
    return signed_in(administrator)


@pytest.fixture
def connected(site: Site) -> FilesComConnection:
    connection = FilesComConnection(site=site, base_url=ADDRESS, synced_to=ago(minutes=1), rows=12_345)
    connection.key = KEY
    connection.save()
    return connection


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the worker was told."""
    told: list[Any] = []
    monkeypatch.setattr(app, "send_task", lambda name, arguments, **_: told.append((name, arguments)))
    return told


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def beside(page: str, field: str) -> str:
    return html.unescape(re.search(rf'data-field="{field}">(.*?)</div>', page, re.DOTALL)[1])


def test_a_site_is_connected_and_its_log_copied(visitor, site, files_com: FilesCom):
    moment = ago(hours=2)
    files_com.records = [{"created_at": moment.isoformat(), "request_id": "r1", "username": "bob"}]
    answer = visitor.post(CONNECT, {"base_url": f"{files_com.address}/", "key": KEY}, follow=True)
    assert f"Acme is copied from {files_com.address} from now on, every minute." in words(answer.text)
    assert "none yet" in answer.text
    tasks.sync_filescom_site(FilesComConnection.objects.get().pk)
    assert list(ApiRequestLog.objects.values_list("created_at", "username")) == [(moment, "bob")]
    said = words(visitor.get(PAGE).text)
    assert "Entries stored 1 " in said
    assert "none yet" not in said
    assert "behind" not in said


def test_the_key_is_never_shown_again(visitor, connected):
    wrong = visitor.post(CONNECT, {"base_url": "nonsense", "key": KEY}).text
    for page in (visitor.get(PAGE).text, visitor.get(DISCONNECT).text, wrong):
        assert KEY not in page
        assert connected.sealed_key not in page
    assert "kept, encrypted" in visitor.get(PAGE).text


def test_the_state_is_said(visitor, connected):
    FilesComConnection.objects.update(
        synced_to=ago(hours=3),
        last_run_at=ago(minutes=2),
        last_error="Files.com does not take the API key; replace it. (<b>\u202eoops)",
        not_before=ago(minutes=-10),
    )
    page = visitor.get(PAGE).text
    said = words(page)
    assert "3\xa0hours behind" in html.unescape(page)
    assert "Entries stored 12,345" in said
    assert "does not take the API key; replace it." in said
    assert "as Files.com asked" in said
    assert "<b>" not in page
    assert "\u202e" not in page


def test_a_retention_that_is_no_longer_than_theirs_is_pointed_out(visitor, site):
    assert "raise it first" in visitor.get(PAGE).text
    Site.objects.update(retention_days=3650)
    page = visitor.get(PAGE).text
    assert "raise it first" not in page
    assert "3,650 days" in page


def test_what_ended_the_run_is_on_the_page(visitor, files_com):
    visitor.post(CONNECT, {"base_url": files_com.address, "key": "wrong1"})
    tasks.sync_filescom_site(FilesComConnection.objects.get().pk)
    page = visitor.get(PAGE).text
    assert "Files.com does not take the API key; replace it." in page
    assert "wrong1" not in page
    visitor.post(CONNECT, {"base_url": files_com.address, "key": KEY})
    assert 'role="alert"' not in visitor.get(PAGE).text


def test_a_first_day_can_be_chosen(visitor, site):
    day = ago(days=20)
    visitor.post(CONNECT, {"base_url": ADDRESS, "key": KEY, "since": f"{day:%Y-%m-%d}"})
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert FilesComConnection.objects.get().synced_to == midnight + OVERLAP


def test_the_key_is_replaced_and_the_copy_goes_on(visitor, connected):
    visitor.post(CONNECT, {"base_url": ADDRESS, "key": "another1"})
    now = FilesComConnection.objects.get()
    assert (now.key, now.synced_to) == ("another1", connected.synced_to)
    visitor.post(CONNECT, {"base_url": ADDRESS, "key": ""})
    assert FilesComConnection.objects.get().key == "another1"


def test_a_key_does_not_go_to_another_address_unless_given_again(visitor, connected):
    answer = visitor.post(CONNECT, {"base_url": "https://globex.files.com"})
    assert answer.status_code == 400
    assert "it would go to another address" in beside(answer.text, "key")
    assert FilesComConnection.objects.get().base_url == ADDRESS
    visitor.post(CONNECT, {"base_url": "https://globex.files.com", "key": KEY})
    now = FilesComConnection.objects.get()
    assert (now.base_url, now.synced_to) == ("https://globex.files.com", None)


@pytest.mark.parametrize(
    ("sent", "field", "sentence"),
    [
        ({"base_url": ""}, "base_url", "Say which"),
        ({"base_url": "http://acme.files.com"}, "base_url", "Expected https://"),
        ({"base_url": "https://169.254.169.254"}, "base_url", "is no host of files.com"),
        ({"base_url": "https://localhost:5432"}, "base_url", "is no host of files.com"),
        ({"base_url": "https://acme.files.com.evil.example"}, "base_url", "is no host of files.com"),
        ({"base_url": "https://acme.files.com/x?y"}, "base_url", "without a path"),
        ({"base_url": "javascript:alert(1)"}, "base_url", "Expected an address"),
        ({"base_url": "https://<script>"}, "base_url", "is no host of files.com"),
        ({"key": ""}, "key", "Give the key."),
        ({"key": "a-b"}, "key", "Expected letters and digits alone."),
        ({"since": "soon"}, "since", "Expected a day such as"),
        ({"since": "2999-01-01"}, "since", "that is not after"),
    ],
)
def test_nonsense_is_refused_beside_the_field(visitor, site, sent, field, sentence):
    answer = visitor.post(CONNECT, {"base_url": ADDRESS, "key": KEY} | sent)
    assert answer.status_code == 400
    assert sentence in beside(answer.text, field)
    assert "<script>" not in answer.text
    assert not FilesComConnection.objects.exists()


def test_a_key_in_the_environment_is_enough(visitor, site, monkeypatch):
    monkeypatch.setenv("FILESCOM_API_KEY_ACME", KEY)
    visitor.post(CONNECT, {"base_url": ADDRESS, "key": ""})
    page = visitor.get(PAGE).text
    assert "in the environment, <code>FILESCOM_API_KEY_ACME</code>" in page
    assert KEY not in page


@pytest.fixture
def keyless(site: Site) -> FilesComConnection:
    """Acme as `sync_filescom` leaves it, run with the key in its own environment: nobody else has one."""
    return FilesComConnection.objects.create(site=site, base_url=ADDRESS, synced_to=ago(minutes=1), last_run_at=ago())


def test_a_worker_leaves_a_site_alone_whose_key_is_in_the_environment_of_another(visitor, keyless, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.sync_filescom_site, "apply_async", lambda arguments, **_: asked.append(arguments))
    tasks.sync_filescom()
    assert asked == []
    page = visitor.get(PAGE).text
    assert "expected in the environment of the worker or command, FILESCOM_API_KEY_ACME" in words(page)
    assert 'role="alert"' not in page
    assert "No run" not in page
    monkeypatch.setenv("FILESCOM_API_KEY_ACME", KEY)
    tasks.sync_filescom()
    assert asked == [[keyless.pk]]


def test_who_forgot_to_give_the_worker_the_key_finds_out(visitor, keyless):
    sentence = "the worker, or the command, that is to copy needs FILESCOM_API_KEY_ACME in its environment."
    FilesComConnection.objects.update(last_run_at=None)
    assert f"No run yet. The key is not kept here: {sentence}" in words(visitor.get(PAGE).text)
    FilesComConnection.objects.update(last_run_at=ago(hours=2))
    said = words(visitor.get(PAGE).text)
    assert "No run for 2 hours." in said
    assert sentence in said
    tasks.sync_filescom_site(keyless.pk)  # what "Sync now" tells the worker
    page = visitor.get(PAGE).text
    assert 'role="alert"' in page
    assert "There is no API key; give one in Settings, Files.com, or set FILESCOM_API_KEY_ACME" in page


def test_a_key_that_is_elsewhere_is_not_asked_for_unless_it_would_go_to_another_address(visitor, keyless):
    day = f"{ago(days=20):%Y-%m-%d}"
    assert visitor.post(CONNECT, {"base_url": ADDRESS, "since": day}).status_code == 302
    assert FilesComConnection.objects.get().synced_to < ago(days=19)
    answer = visitor.post(CONNECT, {"base_url": "https://globex.files.com"})
    assert "it would go to another address" in beside(answer.text, "key")


def test_a_site_whose_key_is_kept_needs_no_environment(visitor, connected):
    FilesComConnection.objects.update(last_run_at=ago(hours=2))
    assert "in its environment" not in visitor.get(PAGE).text


def test_sync_now_tells_the_worker(visitor, connected, queued):
    answer = visitor.post(SYNC, follow=True)
    assert "The worker has been told" in answer.text
    assert queued == [("auditlog.tasks.sync_filescom_site", [connected.pk])]
    FilesComConnection.objects.update(not_before=ago(minutes=-5))
    assert "asked to be left alone" in visitor.post(SYNC, follow=True).text
    assert len(queued) == 1


def test_a_broker_that_is_away_is_said(visitor, connected, monkeypatch):
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(app, "send_task", away)
    answer = visitor.post(SYNC)
    assert answer.status_code == 503
    assert "its broker is away" in answer.text


def test_the_site_is_disconnected_after_a_question(visitor, connected):
    assert "What was copied stays." in visitor.get(DISCONNECT).text
    assert FilesComConnection.objects.exists()
    assert "is not copied from Files.com any more" in visitor.post(DISCONNECT, follow=True).text
    assert not FilesComConnection.objects.exists()
    assert visitor.post(DISCONNECT).status_code == visitor.post(SYNC).status_code == 404


def test_a_site_that_is_gone_meanwhile_is_no_matter(connected):
    pk = connected.pk
    connected.delete()
    tasks.sync_filescom_site(pk)


@pytest.mark.parametrize("who", ["staff", "stranger", "child_staff"])
@pytest.mark.parametrize("address", [CONNECT, DISCONNECT, SYNC])
def test_others_change_nothing(request, signed_in, connected, queued, who, address):
    visitor = signed_in(request.getfixturevalue(who))
    assert visitor.post(address, {"base_url": ADDRESS, "key": "other1"}).status_code == 404
    assert FilesComConnection.objects.get().key == KEY
    assert queued == []


@pytest.mark.parametrize("address", [CONNECT, DISCONNECT, SYNC])
def test_a_change_from_another_page_is_refused(administrator, connected, queued, address):
    visitor = Client(enforce_csrf_checks=True)
    visitor.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    assert visitor.post(address, {"base_url": ADDRESS, "key": "other1"}).status_code == 403
    assert FilesComConnection.objects.get().key == KEY
    assert queued == []


def test_looking_changes_nothing(visitor, connected, queued):
    for address in (CONNECT, SYNC):
        assert visitor.get(address).status_code == 302
    assert FilesComConnection.objects.get().key == KEY
    assert queued == []


def test_a_child_site_is_connected_apart(visitor, connected, child):
    visitor.post("/acme-eu/settings/filescom/connect", {"base_url": "https://eu.files.com", "key": "other1"})
    assert dict(FilesComConnection.objects.values_list("site__slug", "base_url")) == {
        "acme": ADDRESS,
        "acme-eu": "https://eu.files.com",
    }


def test_the_book_names_what_was_done_and_not_the_key(visitor, site, own_entries):
    visitor.post(CONNECT, {"base_url": "http://x", "key": KEY})
    visitor.post(CONNECT, {"base_url": ADDRESS, "key": KEY})
    visitor.post(DISCONNECT)
    refused, done, gone = own_entries()[-3:]
    assert (refused.api_name, refused.response_code) == ("connect_filescom", 400)
    assert "base_url: x is no host of files.com" in refused.error_message
    assert (done.api_name, done.username, done.response_code) == ("connect_filescom", "alice", 302)
    assert (gone.api_name, gone.response_code) == ("disconnect_filescom", 302)
    assert KEY not in repr((refused, done, gone))


def test_the_page_asks_the_database_a_fixed_number_of_times(visitor, connected, django_assert_max_num_queries):
    visitor.get(PAGE)
    with django_assert_max_num_queries(10):
        visitor.get(PAGE)


def test_a_long_lag_is_told_from_the_usual_minute(visitor, connected):
    assert "behind" not in visitor.get(PAGE).text
    FilesComConnection.objects.update(synced_to=ago(minutes=31))
    assert "behind" in visitor.get(PAGE).text
    assert FilesComConnection.objects.get().lag > timedelta(minutes=30)
