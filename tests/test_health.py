"""What a load balancer and an operator are told."""

from __future__ import annotations

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
