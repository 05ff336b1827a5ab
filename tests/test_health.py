"""What a load balancer and an operator are told."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from celery import Celery
from django.db import OperationalError, connection

from auditlog.dashboard import health
from auditlog.dashboard.failures import server_error
from auditlog.store import closing, partitions, rollups
from tests.book import ago, make_entry


def test_alive_needs_nothing(client):
    assert client.get("/healthz").text == "ok"


def test_ready_reports_each_part(client, db):
    partitions.ensure_days_ahead(datetime.now(UTC).date())
    answer = client.get("/readyz")
    assert answer.status_code == 200
    report = answer.json()
    assert {key: report[key] for key in ("ready", "database", "broker", "partitions", "locks")} == {
        "ready": True, "database": "ok", "broker": "ok", "partitions": "ok", "locks": "ok",
    }  # fmt: skip
    assert "spool" in report


def test_a_missing_day_ahead_is_a_warning(client, db):
    report = client.get("/readyz").json()
    assert report["partitions"].startswith("warning: the partition of")
    assert report["ready"] is True


def test_a_root_site_that_is_none_is_a_warning(client, site, settings):
    assert client.get("/readyz").json()["sites"] == "ok"
    settings.ROOT_SITE = "typo"
    assert client.get("/readyz").json()["sites"].startswith("warning: ROOT_SITE is 'typo'")


def test_roll_ups_left_behind_are_a_warning(client, site):
    make_entry(site)
    assert client.get("/readyz").json()["roll-ups"] == "ok"
    make_entry(site, created_at=ago(hours=30))
    assert client.get("/readyz").json()["roll-ups"].startswith("warning: 1 hours wait to be counted anew")
    rollups.roll_up()
    assert client.get("/readyz").json()["roll-ups"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_days_left_open_are_a_warning(client, site):
    make_entry(site, created_at=ago(days=3))
    assert client.get("/readyz").json()["closed days"].startswith("warning: 1 days wait to be closed")
    closing.close_days()
    assert client.get("/readyz").json()["closed days"] == "ok"


def test_few_locks_are_a_warning(client, db, monkeypatch):
    monkeypatch.setattr("auditlog.dashboard.health.LOCKS_WANTED", 10**6)
    assert client.get("/readyz").json()["locks"].startswith("warning: max_locks_per_transaction is")


def test_without_a_database_it_is_not_ready(client, db, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "away: OperationalError"


def test_without_a_broker_it_is_not_ready(client, db, monkeypatch):
    monkeypatch.setattr(health, "app", Celery(broker="redis://127.0.0.1:1/0"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["broker"].startswith("away: ")


def test_a_broker_in_redis_is_ready(client, db, monkeypatch, redis_url):
    monkeypatch.setattr(health, "app", Celery(broker=redis_url))
    assert client.get("/readyz").json()["broker"] == "ok"


@pytest.fixture
def stranger_host(client):
    """Ask under a Host that is none of ours."""
    client.raise_request_exception = False
    return lambda path, **kwargs: client.generic("POST", path, b"{}", headers={"Host": "evil.example"}, **kwargs)


def test_a_program_at_an_unknown_host_is_refused_as_it_reads(stranger_host, db):
    answer = stranger_host("/api/rest/v1/api_request_logs")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    assert (answer.json()["type"], answer.json()["http-code"]) == ("bad-request/unknown-host", 400)
    assert "ALLOWED_HOSTS" in answer.json()["error"]
    answer = stranger_host("/v1/traces", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    answer = stranger_host("/v1/logs", content_type="application/x-protobuf")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/x-protobuf")


def test_a_person_at_an_unknown_host_is_shown_a_page(stranger_host, db):
    answer = stranger_host("/acme/logs/")
    assert answer.status_code == 400
    assert "Not understood" in answer.text


@pytest.mark.parametrize(("error", "status", "code"), [(OperationalError, 503, 14), (RuntimeError, 500, 13)])
def test_an_exporter_of_telemetry_is_told_in_its_words_that_something_broke(rf, error, status, code):
    try:
        raise error("secret detail")
    except error:
        answer = server_error(rf.post("/v1/traces", b"{}", "application/json"))
    assert answer.status_code == status
    told = json.loads(answer.content)
    assert told["code"] == code
    assert "secret" not in told["message"]


def test_a_page_says_when_the_database_is_away(rf):
    try:
        raise OperationalError("connection refused")
    except OperationalError:
        answer = server_error(rf.get("/"))
    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert "database" in answer.text


def test_a_page_that_breaks_says_so_without_details(rf):
    try:
        raise RuntimeError("secret detail")
    except RuntimeError:
        answer = server_error(rf.get("/"))
    assert answer.status_code == 500
    assert "secret" not in answer.text
