"""A book kept for years: its partitions are months."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.http import QueryDict

from auditlog.dashboard import health
from auditlog.export.csv import lines
from auditlog.models import ApiRequestLog, Site
from auditlog.search.question import Question
from auditlog.store import closing, partitions, retention, rollups
from auditlog.store.writer import write
from tests.book import ago, entry, make_entry

pytestmark = pytest.mark.django_db(transaction=True)
YEARS = 10


@pytest.fixture(autouse=True)
def _months(settings) -> None:
    settings.PARTITIONS = "month"


def keep_for(site: Site, days: int) -> None:
    Site.objects.filter(pk=site.pk).update(retention_days=days)
    site.refresh_from_db()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_book_of_ten_years_is_written_read_counted_closed_and_purged(site, signed_in, administrator):
    keep_for(site, 3652)
    made = [
        entry(
            created_at=ago(days=days, minutes=5),
            username="bob" if days % 10 else "ann",
            response_code=500 if days % 3 else 200,
        )
        for days in range(0, 3650, 9)
    ]
    assert write(site, made).stored == len(made)
    assert write(site, made).duplicates == len(made)
    there = partitions.attached()
    assert len(there) in (YEARS * 12, YEARS * 12 + 1)
    assert all(each.is_month and one.end == each.start for one, each in pairwise(there))

    rollups.roll_up()
    closed = closing.close_days()
    assert len(closed) == len(there) - 1
    assert closing.close_days() == []

    visitor = signed_in(administrator)
    span = f"from={ago(days=3651):%Y-%m-%d}&to={ago(days=-1):%Y-%m-%d}"
    page = visitor.get(f"/acme/logs/?{span}", follow=True).text
    assert f"{len(made):,}" in page
    failures = sum(each.response_code == 500 for each in made)
    assert f"{failures:,}" in visitor.get(f"/acme/logs/?{span}&status=failure", follow=True).text
    named = visitor.get(f"/acme/logs/?{span}&user=ann", follow=True).text
    assert f"{sum(each.username == 'ann' for each in made):,}" in named
    oldest = made[-1]
    assert (
        oldest.request_id
        in visitor.get(f"/acme/logs/?request={oldest.request_id}&columns=request_id", follow=True).text
    )
    question = Question.from_query(QueryDict(span), [site])
    assert b"".join(lines(question, ["request_id"])).decode().split()[1:] == [each.request_id for each in made]

    keep_for(site, 3650 - 365)
    purged = retention.purge()
    assert len(purged.days) in (11, 12)
    kept = {each.request_id for each in made if each.created_at >= ago(days=3650 - 365)}
    assert set(ApiRequestLog.objects.values_list("request_id", flat=True)) == kept
    assert f"{len(kept):,}" in visitor.get(f"/acme/logs/?{span}", follow=True).text


def test_no_entry_is_kept_for_the_rest_of_its_month(site):
    keep_for(site, 40)
    now = datetime(2026, 6, 20, 12, tzinfo=UTC)
    partitions.ensure_days([date(2026, 4, 1), date(2026, 5, 1)])
    with connection.cursor() as cursor:
        for day in ("2026-04-30", "2026-05-10", "2026-05-12"):
            cursor.execute(
                f"INSERT INTO {partitions.TABLE} (created_at, site_id, request_id, user_is_from_parent_site) "
                "VALUES (%s, %s, %s, false)",
                [f"{day}T12:00Z", site.pk, day],
            )
    purged = retention.purge(now)
    assert purged.days == [date(2026, 4, 1)]
    assert purged.rows == {"acme": 1}
    assert list(ApiRequestLog.objects.values_list("request_id", flat=True)) == ["2026-05-12"]


def test_the_last_and_the_first_instant_of_months_are_told_apart(site):
    keep_for(site, 3650)
    turns = [datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)]
    write(site, [entry(created_at=moment) for moment in turns])
    assert [(each.day, each.end.date()) for each in partitions.attached()] == [
        (date(2024, 2, 1), date(2024, 3, 1)),
        (date(2024, 3, 1), date(2024, 4, 1)),
    ]
    assert len(partitions.attached()[0].hours()) == 29 * 24


def test_a_book_of_days_goes_on_in_months_and_back(site, settings):
    keep_for(site, 3650)
    settings.PARTITIONS = "day"
    begun = ago(days=100).replace(day=10)
    write(site, [entry(created_at=begun)])
    settings.PARTITIONS = "month"
    same_month, next_month = begun + timedelta(days=2), (begun + timedelta(days=31)).replace(day=20)
    write(site, [entry(created_at=moment) for moment in (same_month, next_month)])
    settings.PARTITIONS = "day"
    write(site, [entry(created_at=next_month + timedelta(days=1)), entry(created_at=next_month + timedelta(days=31))])
    assert [(each.is_month, each.day.day) for each in partitions.attached()] == [
        (False, 10),
        (False, 12),
        (True, 1),
        (False, (next_month + timedelta(days=31)).day),
    ]
    assert ApiRequestLog.objects.count() == 5


def test_the_months_ahead_are_made_and_readyz_sees_them(site):
    today = datetime.now(UTC).date()
    assert health.days_ahead().startswith("warning")
    assert 1 <= len(partitions.ensure_days_ahead(today)) <= 2
    assert partitions.ensure_days_ahead(today) == []
    assert health.days_ahead() == "ok"


def test_a_month_is_closed_when_it_is_over(site):
    keep_for(site, 3650)
    make_entry(site, created_at=ago(days=62))
    make_entry(site)
    assert closing.close_days() == [ago(days=62).date().replace(day=1)]
