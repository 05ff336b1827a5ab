"""What the one writer and the partitions promise."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import OperationalError, connection

from auditlog.models import ApiRequestLog, Site
from auditlog.store import partitions, writer
from auditlog.store.writer import write
from gatebook.entry import Entry
from tests.book import ago, entry


def stored_ids(site: Site) -> list[str]:
    return sorted(ApiRequestLog.objects.filter(site_id=site.pk).values_list("request_id", flat=True))


def test_every_field_is_stored_as_it_was_sent(site):
    sent = Entry(
        created_at=ago(minutes=1),
        request_id="0198-77",
        user_id="17",
        username="bob",
        impersonator_user_id="3",
        impersonator_username="alice",
        user_is_from_parent_site=True,
        interface="sftp",
        api_key_id="8",
        api_key_prefix="ab12",
        api_name="files.upload",
        request_method="PUT",
        request_path="/files/ünïcode?x=1",
        request_ip="2001:db8::1",
        request_host="acme.example.com",
        response_code=503,
        user_agent="WinSCP",
        error_type="service-unavailable",
        error_message="line one\nline two",
        duration_ms=1204,
        details={"trace": "00-ab", "note": 'quote " and \\ backslash'},
    )
    write(site, [sent])
    row = ApiRequestLog.objects.get()
    assert Entry(**{name: getattr(row, name) for name in Entry.__struct_fields__}) == sent
    assert row.site_id == site.pk


@pytest.mark.parametrize(
    ("fields", "success"),
    [
        ({"response_code": 200}, True),
        ({"response_code": 399}, True),
        ({"response_code": 400}, False),
        ({"response_code": 503}, False),
        ({"response_code": 200, "error_type": "stream-cut-off"}, True),
        ({}, True),
        ({"error_type": "denied"}, False),
        ({"error_message": "No such file"}, False),
    ],
)
def test_status_is_the_same_before_and_after_storing(site, fields, success):
    sent = entry(**fields)
    write(site, [sent])
    assert sent.success is ApiRequestLog.objects.get().success is success


def test_sending_a_batch_again_adds_nothing(site):
    batch = [entry() for _ in range(20)]
    first, second = write(site, batch), write(site, [*batch[5:], entry()])
    assert (first.stored, first.duplicates) == (20, 0)
    assert (second.stored, second.duplicates) == (1, 15)
    assert len(stored_ids(site)) == 21


def test_a_repeat_within_a_batch_is_stored_once(site):
    one = entry()
    written = write(site, [one, one, one])
    assert (written.stored, written.duplicates) == (1, 2)


def test_a_stored_entry_is_never_changed(site):
    moment = ago(minutes=5)
    write(site, [entry(created_at=moment, request_id="a", username="first")])
    write(site, [entry(created_at=moment, request_id="a", username="second")])
    assert ApiRequestLog.objects.get().username == "first"


def test_no_site_can_shadow_the_entry_of_another(site, other_site):
    one = entry()
    assert write(other_site, [one]).stored == 1
    assert write(site, [one]).stored == 1


def test_missing_days_are_made_when_entries_arrive(site):
    batch = [entry(created_at=ago(days=days)) for days in (3, 40, 100)]
    assert write(site, batch).stored == 3
    assert {one.created_at.date() for one in batch} <= {partition.day for partition in partitions.attached()}


def test_an_entry_outside_the_retention_comes_back_with_its_reason(site):
    batch = [entry(created_at=ago(days=181)), entry(), entry(created_at=ago(days=-2))]
    written = write(site, batch)
    assert written.stored == 1
    assert [(one.index, one.field) for one in written.rejected] == [(0, "created_at"), (2, "created_at")]
    assert "older than the retention of 180 days" in written.rejected[0].error
    assert "more than a day ahead" in written.rejected[1].error


def test_an_entry_at_midnight_belongs_to_the_day_that_begins(site):
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    write(site, [entry(created_at=midnight), entry(created_at=midnight - timedelta(microseconds=1))])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {partitions.partition_of(midnight.date()).name}")
        assert cursor.fetchone()[0] == 1


@pytest.mark.django_db(transaction=True)
def test_writers_that_send_the_same_rows_at_once_store_each_once(site):
    batches = [[entry(created_at=ago(days=random.randint(0, 3))) for _ in range(200)] for _ in range(6)]

    def send() -> None:
        try:
            for batch in random.sample(batches, len(batches)):
                write(site, random.sample(batch, len(batch)))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as writers:
        for sent in [writers.submit(send) for _ in range(4)]:
            sent.result()
    assert stored_ids(site) == sorted(one.request_id for batch in batches for one in batch)


@pytest.mark.django_db(transaction=True)
def test_a_missing_day_is_made_beside_an_open_reader(site):
    write(site, [entry()])
    done = threading.Event()

    def store_elsewhere() -> None:
        write(site, [entry(created_at=ago(days=50))])
        connection.close()
        done.set()

    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT count(*) FROM {partitions.TABLE}")
        writer = threading.Thread(target=store_elsewhere)
        writer.start()
        assert done.wait(5), "the writer waited for the reader"
        writer.join()
        cursor.execute("ROLLBACK")


def test_every_day_has_the_indexes_of_the_log(site):
    write(site, [entry()])
    with connection.cursor() as cursor:
        name = partitions.partition_of(ago(minutes=10).date()).name
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [name])
        definitions = " ".join(definition for (definition,) in cursor.fetchall())
    assert "(created_at, site_id, request_id)" in definitions
    assert "(site_id, created_at)" in definitions
    assert "(site_id, created_at) WHERE (NOT success)" in definitions
    assert "USING hash (request_id)" in definitions


def test_the_days_ahead_are_made_once(db):
    today = datetime.now(UTC).date()
    assert len(partitions.ensure_days_ahead(today)) == partitions.DAYS_AHEAD + 1
    assert partitions.ensure_days_ahead(today) == []


@pytest.mark.django_db(transaction=True)
def test_a_connection_lost_in_the_middle_is_djangos_error_and_stores_nothing(site, monkeypatch):
    as_before = writer._row

    def lose_the_connection(*arguments):
        monkeypatch.setattr(writer, "_row", as_before)
        with psycopg.connect(**parameters) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [backend])
        return as_before(*arguments)

    write(site, [entry()])
    parameters = connection.get_connection_params() | {"cursor_factory": None}
    backend = connection.connection.info.backend_pid
    monkeypatch.setattr(writer, "_row", lose_the_connection)
    with pytest.raises(OperationalError):
        write(site, [entry() for _ in range(20_000)])
    connection.close()
    assert ApiRequestLog.objects.count() == 1
