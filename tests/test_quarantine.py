"""The quarantine: what could not be taken stays a while, within bounds."""

from __future__ import annotations

import threading

import pytest
from django.core.management import call_command
from django.db import connection

from auditlog.models import ApiKey, DroppedLines, QuarantinedLine, Site, quarantine
from auditlog.models.quarantine import NotTaken
from tests.book import ago


@pytest.fixture
def key(site: Site) -> ApiKey:
    """A key of Acme."""
    return ApiKey.objects.issue(site, "web shop", ["ingest"])[0]


def lines(count: int) -> list[NotTaken]:
    return [NotTaken("created_at", "why", f"line {number}") for number in range(count)]


def test_no_more_lines_are_kept_than_there_is_room_for_and_the_others_are_counted(site, other_site, key, monkeypatch):
    monkeypatch.setattr(quarantine, "KEPT_LINES", 5)
    for _ in range(3):
        QuarantinedLine.objects.keep(site, key, lines(4))
    QuarantinedLine.objects.keep(other_site, key, lines(4))
    assert QuarantinedLine.objects.filter(site=site).count() == 5
    assert QuarantinedLine.objects.filter(site=other_site).count() == 4
    assert DroppedLines.objects.get().lines == 7


@pytest.mark.django_db(transaction=True)
def test_senders_at_the_same_time_share_the_room(site, key, monkeypatch):
    monkeypatch.setattr(quarantine, "KEPT_LINES", 50)

    def keep() -> None:
        try:
            QuarantinedLine.objects.keep(site, key, lines(40))
        finally:
            connection.close()

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert QuarantinedLine.objects.count() == 50
    assert DroppedLines.objects.get().lines == 110


def test_lines_and_counts_leave_after_30_days_or_with_a_shorter_retention(site, other_site, key, capsys):
    other_site.retention_days = 7
    other_site.save()
    for owner, days in ((site, 29), (site, 31), (other_site, 6), (other_site, 8)):
        QuarantinedLine.objects.create(site=owner, api_key=key, error="why", line=f"{days}", received_at=ago(days=days))
        DroppedLines.objects.create(site=owner, day=ago(days=days).date(), lines=1)
    call_command("purge", "--dry-run")
    assert "2 lines would be removed from quarantine" in capsys.readouterr().out
    assert QuarantinedLine.objects.count() == 4
    call_command("purge")
    assert "2 lines were removed from quarantine" in capsys.readouterr().out
    assert set(QuarantinedLine.objects.values_list("line", flat=True)) == {"29", "6"}
    assert DroppedLines.objects.count() == 2


def test_superusers_read_it_and_hostile_text_is_text(signed_in, superuser, site, key):
    QuarantinedLine.objects.keep(site, key, [NotTaken(None, "torn <i>", "<script>alert(1)</script>")])
    DroppedLines.objects.create(site=site, day=ago(days=1).date(), lines=12345)
    visitor = signed_in(superuser)
    line = QuarantinedLine.objects.get()
    assert "torn &lt;i&gt;" in visitor.get("/admin/gatebook/quarantinedline/").text
    assert "&lt;script&gt;alert(1)" in visitor.get(f"/admin/gatebook/quarantinedline/{line.pk}/change/").text
    assert "12345" in visitor.get("/admin/gatebook/droppedlines/").text
