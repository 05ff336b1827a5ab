"""The demo: the same entries whenever they are asked for, stories among them, and live traffic that goes on."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import pairwise
from threading import Event, Timer

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError

from auditlog.demo import load, traffic
from auditlog.demo.cast import ALICE, SITES
from auditlog.demo.generate import drawn_between, generate, of_day
from auditlog.demo.load import share_of
from auditlog.models import ApiRequestLog, Membership, Site
from gatebook.entry import Entry
from gatebook.redact import Redactor

NOW = datetime(2026, 7, 15, 11, 23, 45, tzinfo=UTC)
DOCUMENTATION = [
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


def entries(start: datetime, end: datetime) -> list[Entry]:
    return [entry for _, entry in generate(start, end)]


@pytest.fixture(scope="module")
def half_a_year() -> list[tuple[str, Entry]]:
    """All stories of 180 days, and a twentieth of the everyday requests."""
    return list(generate(NOW - timedelta(days=load.DAYS), NOW, lambda at: 0.05))


def failures(half_a_year, error_type: str) -> list[Entry]:
    return [entry for _, entry in half_a_year if entry.error_type == error_type and not entry.success]


# --- the same whenever asked ------------------------------------------------------------------------------------------
def test_a_span_asked_in_pieces_gives_the_same_entries():
    start = NOW - timedelta(hours=5)
    cuts = [
        start,
        start + timedelta(seconds=1),
        start + timedelta(minutes=7),
        start + timedelta(hours=4, seconds=3),
        NOW,
    ]
    pieces = [entry for begin, end in pairwise(cuts) for entry in entries(begin, end)]
    whole = entries(start, NOW)
    assert len(whole) > 100
    assert pieces == whole


def test_a_day_does_not_depend_on_what_was_asked_before():
    first = entries(NOW, NOW + timedelta(days=1))
    of_day.cache_clear()
    list(drawn_between(NOW - timedelta(days=3), NOW))
    assert entries(NOW, NOW + timedelta(days=1)) == first


def test_entries_come_in_order_within_their_span_with_ids_of_their_own(half_a_year):
    moments = [entry.created_at for _, entry in half_a_year]
    assert moments == sorted(moments)
    assert NOW - timedelta(days=load.DAYS) <= moments[0]
    assert moments[-1] < NOW
    assert len({entry.request_id for _, entry in half_a_year}) == len(half_a_year)


def test_what_a_later_load_keeps_of_a_day_an_earlier_one_had_loaded():
    day = NOW - timedelta(days=4)
    kept = [
        {
            entry.request_id
            for _, entry in generate(day, day + timedelta(hours=12), lambda at, late=late: share_of(late - at))
        }
        for late in (day + timedelta(hours=12), NOW, NOW + timedelta(days=30))
    ]
    assert kept[0] > kept[1] > kept[2]


# --- what is in it ----------------------------------------------------------------------------------------------------
def test_there_are_three_sites_and_more_than_a_dozen_interfaces(half_a_year):
    assert {slug for slug, _ in half_a_year} == {site.slug for site in SITES}
    interfaces = Counter(entry.interface for _, entry in half_a_year)
    assert len(interfaces) > 12
    assert min(interfaces.values()) > 20


def test_addresses_and_hosts_are_nobodys(half_a_year):
    for _, entry in half_a_year:
        if entry.request_ip:
            assert any(ipaddress.ip_address(entry.request_ip) in network for network in DOCUMENTATION), entry.request_ip
        assert entry.request_host is None or entry.request_host.endswith(".example.com")


def test_paths_hold_no_secrets_and_nothing_was_cut(half_a_year):
    for _, entry in half_a_year:
        assert entry.request_path == Redactor().path(entry.request_path or "")
        assert "cut" not in entry.details


def test_paths_are_percent_encoded_but_not_over_ftp_and_sftp(half_a_year):
    names = {entry.interface: set() for _, entry in half_a_year}
    for _, entry in half_a_year:
        names[entry.interface].update(re.findall("price(?: |%20)list|r(?:é|%C3%A9)sum", entry.request_path or ""))
    assert names["sftp"] == names["ftp"] == {"price list", "résum"}
    assert names["web"] == names["restapi"] == {"price%20list", "r%C3%A9sum"}


def test_days_are_busier_than_nights_and_weekdays_than_weekends(half_a_year):
    people = [entry.created_at for slug, entry in half_a_year if slug == "acme-eu" and entry.interface == "desktop"]
    hours = Counter(moment.hour for moment in people)
    assert hours[9] > 5 * hours[1]
    weekend = sum(moment.weekday() >= 5 for moment in people)
    assert weekend / 2 < 0.6 * (len(people) - weekend) / 5


def test_a_few_users_do_most_of_the_work(half_a_year):
    users = Counter(entry.username for _, entry in half_a_year)
    assert len(users) > 50
    assert sum(count for _, count in users.most_common(10)) > len(half_a_year) / 3


def test_there_are_keys_impersonations_and_users_from_the_parent_site(half_a_year):
    keys = {(entry.api_key_id, entry.api_key_prefix) for _, entry in half_a_year if entry.api_key_id}
    assert len(keys) > 8
    assert all(prefix for _, prefix in keys)
    assert sum(entry.impersonator_username == "alice" and entry.username != "alice" for _, entry in half_a_year) > 100
    from_parent = [slug for slug, entry in half_a_year if entry.user_is_from_parent_site]
    assert len(from_parent) > 20
    assert set(from_parent) == {"acme-eu", "acme-labs"}


# --- the stories ------------------------------------------------------------------------------------------------------
def test_a_partner_key_is_expired_for_two_days_and_then_works_again(half_a_year):
    days = sorted({entry.created_at.date() for entry in failures(half_a_year, "not-authenticated/invalid-credentials")})
    assert len(days) >= 10
    assert days[1] - days[0] == timedelta(days=1)
    assert days[2] - days[1] > timedelta(days=20)
    fetched = {
        e.created_at.date() for _, e in half_a_year if e.request_path == "/Clients/Nordwind/orders" and e.success
    }
    assert not fetched & set(days)
    assert days[1] + timedelta(days=1) in fetched


@pytest.mark.parametrize("days_later", [0, 3, 40])
def test_most_refused_api_requests_of_the_last_week_have_one_key(days_later):
    now = NOW + timedelta(days=days_later)
    week = [entry for _, entry in generate(now - timedelta(days=7), now, lambda at: share_of(now - at))]
    refused = [e for e in week if e.interface == "restapi" and e.response_code == 401 and e.api_key_id]
    ((key, times), *_) = Counter((e.api_key_id, e.api_key_prefix) for e in refused).most_common()
    assert key == ("74218", "wH7kQe")
    assert times > max(200, len(refused) / 2)
    assert len({e.created_at.date() for e in refused if e.api_key_id == "74218"}) >= 7
    assert not any(entry.success for entry in week if entry.api_key_id == "74218")


def test_one_address_tries_many_names_until_it_is_locked_out(half_a_year):
    locked = failures(half_a_year, "not-authenticated/locked-out")
    address, day = locked[0].request_ip, locked[0].created_at.date()
    attempts = [e for _, e in half_a_year if e.request_ip == address and e.created_at.date() == day]
    assert len(attempts) > 100
    assert {entry.response_code for entry in attempts} == {401, 429}
    assert len({entry.username for entry in attempts}) > 5


def test_a_robot_is_told_to_slow_down_every_night(half_a_year):
    limited = failures(half_a_year, "rate-limited/too-many-requests")
    nights = {entry.created_at.date() for entry in limited if entry.username == "robot-nightly"}
    assert len(nights) >= load.DAYS - 1


def test_a_full_disk_refuses_every_upload_for_an_hour(half_a_year):
    refused = failures(half_a_year, "service-unavailable/uploads-unavailable")
    moment = refused[0].created_at
    assert {entry.created_at.hour for entry in refused} == {moment.hour}
    hour = moment.replace(minute=0, second=0, microsecond=0)
    everybodys = [entry for slug, entry in generate(hour, hour + timedelta(hours=1)) if slug == "acme-eu"]
    uploads = [entry for entry in everybodys if "upload" in (entry.api_name or "")]
    assert len({entry.interface for entry in uploads}) > 2
    assert not any(entry.success for entry in uploads)
    assert any(entry.success for entry in everybodys)


def test_a_release_of_the_mobile_app_misses_an_endpoint_until_it_is_fixed(half_a_year):
    missing = failures(half_a_year, "not-found")
    versions = {(entry.user_agent or "").split()[0] for entry in missing}
    assert all(version.startswith("AcmeMobile/") and version.endswith(".0") for version in versions)
    fixed = {version.removesuffix(".0") + ".1" for version in versions}
    assert fixed & {
        (entry.user_agent or "").split()[0] for _, entry in half_a_year if entry.interface == "mobile" and entry.success
    }


def test_an_upload_times_out_again_and_again_before_it_works(half_a_year):
    slow = failures(half_a_year, "processing-failure/upload-timed-out")
    assert all((entry.duration_ms or 0) >= 120_000 for entry in slow)
    paths = {entry.request_path for entry in slow}
    assert any(entry.request_path in paths and entry.success for _, entry in half_a_year)


def test_alice_as_bob_cannot_change_anything(half_a_year):
    refused = failures(half_a_year, "not-authorized/read-only-session")
    assert {(e.username, e.impersonator_username, e.request_method) for e in refused} == {("bob", "alice", "DELETE")}
    assert {entry.request_ip for entry in refused} == {ALICE.address}


@pytest.mark.parametrize("hour", range(0, 24, 3))
@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 7, 15), date(2027, 2, 28)])
def test_the_last_24_hours_are_lively_and_have_an_incident_whenever_one_looks(day, hour):
    now = datetime(day.year, day.month, day.day, hour, 10, tzinfo=UTC)
    last = [entry for _, entry in generate(now - timedelta(days=1), now, lambda at: share_of(now - at))]
    assert len(last) > 500
    failed = Counter(int(entry.created_at.timestamp()) // 1800 for entry in last if not entry.success)
    assert max(failed.values()) >= 20


# --- loading ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def short(monkeypatch, db):
    """A demo of six days."""
    monkeypatch.setattr(load, "DAYS", 6)


def test_load_demo_makes_sites_people_and_entries_once(short, monkeypatch):
    output = StringIO()
    call_command("load_demo", "--yes", stdout=output)
    assert "Acme, Acme Europe, Acme Labs" in output.getvalue()
    assert Site.objects.get(slug="acme-eu").parent == Site.objects.get(slug="acme")
    roles = set(Membership.objects.values_list("user__username", "site__slug", "role"))
    assert {("alice", "acme", "administrator"), ("bob", "acme", "staff")} <= roles
    assert not any(user.has_usable_password() for user in User.objects.all())
    count = ApiRequestLog.objects.count()
    assert count > 2000
    call_command("load_demo", "--yes", stdout=StringIO())
    assert ApiRequestLog.objects.count() - count < 50
    monkeypatch.setattr(load, "generate", lambda *_: iter([]))
    output = StringIO()
    call_command("load_demo", "--yes", stdout=output)
    assert output.getvalue() == "Nothing new: all demo entries up to now are in Acme, Acme Europe, Acme Labs.\n"
    assert Membership.objects.count() == len(load.MEMBERS)


def test_a_second_load_fills_the_gap_and_reads_back_little(short):
    sites = load.make_sites()
    now = datetime.now(UTC) - timedelta(hours=50)
    load.fill(sites, now)
    assert load.fill(sites, now)[0] == 0
    later, since = load.fill(sites, now + timedelta(hours=50))
    assert now - timedelta(days=2) < since <= now
    expected = sum(
        1 for _ in generate(now, now + timedelta(hours=50), lambda at: share_of(now + timedelta(hours=50) - at))
    )
    assert later == expected


def test_a_load_just_after_midnight_is_whole(short):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    stored, since = load.fill(load.make_sites(), today)
    assert since < today - timedelta(days=5)
    assert stored > 1000


@pytest.mark.parametrize("writes_before", [0, 1, 2, 4, 5])
def test_a_load_that_was_cut_short_is_completed(short, monkeypatch, writes_before):
    sites, now = load.make_sites(), datetime.now(UTC)
    monkeypatch.setattr(load, "BATCH", 1500)
    writes = []

    def failing(site, batch):
        writes.append(site)
        if len(writes) > writes_before:
            raise OperationalError("gone")
        return write(site, batch)

    write = load.write
    monkeypatch.setattr(load, "write", failing)
    with pytest.raises(OperationalError):
        load.fill(sites, now)
    monkeypatch.setattr(load, "write", write)
    load.fill(sites, now)
    start = now - timedelta(days=load.DAYS) + timedelta(minutes=1)
    expected = {entry.request_id for _, entry in generate(start, now, lambda at: share_of(now - at))}
    assert set(ApiRequestLog.objects.values_list("request_id", flat=True)) == expected


def test_a_servers_book_is_left_alone(db):
    for command in ("load_demo", "demo_traffic"):
        with pytest.raises(CommandError, match="--yes"):
            call_command(command)
    assert not Site.objects.exists()


@pytest.mark.slow
def test_the_whole_load_is_a_book_to_look_at(db):
    call_command("load_demo", "--yes", stdout=StringIO())
    count = ApiRequestLog.objects.count()
    assert 60_000 < count < 90_000
    assert 0.05 < ApiRequestLog.objects.filter(success=False).count() / count < 0.2


# --- live traffic -----------------------------------------------------------------------------------------------------
def clock(stop: Event, *moments: datetime) -> Callable[[], datetime]:
    """Return a clock that says one moment after the other, and stops the traffic at the last."""
    left = list(moments)

    def now() -> datetime:
        if len(left) == 1:
            stop.set()
        return left.pop(0)

    return now


def test_traffic_fills_the_gap_and_then_writes_what_is_due(short):
    stop, start = Event(), datetime.now(UTC) - timedelta(hours=3)
    moments = (start, start + timedelta(hours=1), start + timedelta(hours=2))
    written = traffic.run(stop, seconds=0, now=clock(stop, *moments))
    assert written == ApiRequestLog.objects.count()
    live = {entry.request_id for entry in entries(start, start + timedelta(hours=2))}
    assert set(ApiRequestLog.objects.filter(created_at__gte=start).values_list("request_id", flat=True)) == live
    assert load.fill(load.make_sites(), start + timedelta(hours=2))[0] == 0


def test_traffic_loses_nothing_while_the_database_is_away(transactional_db, short, monkeypatch, caplog):
    stop, start = Event(), datetime.now(UTC) - timedelta(hours=5)
    moments = [start + timedelta(hours=hours) for hours in range(5)]
    failing = [True, True, False]

    def store(sites, items):
        if failing and failing.pop(0):
            raise OperationalError("the server closed the connection")
        return load.store(sites, items)

    monkeypatch.setattr(traffic, "store", store)
    caplog.set_level("INFO")
    traffic.run(stop, seconds=0, now=clock(stop, *moments))
    live = {entry.request_id for entry in entries(start, start + timedelta(hours=4))}
    assert set(ApiRequestLog.objects.filter(created_at__gte=start).values_list("request_id", flat=True)) == live
    assert [record.levelname for record in caplog.records if "database" in record.message] == ["WARNING", "INFO"]


def test_traffic_stops_on_sigterm(short):
    before = signal.getsignal(signal.SIGTERM)
    timer = Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    output = StringIO()
    call_command("demo_traffic", "--yes", stdout=output)
    timer.join()
    assert "demo entries written" in output.getvalue()
    assert signal.getsignal(signal.SIGTERM) is before
