"""The demo's stories: failures that somebody will want to find out about.

Each is placed by the calendar and told the same whenever one asks. The great ones return every few days or weeks; two
smaller incidents happen every day, in the morning and in the afternoon, so that the last 24 hours always have one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from auditlog.demo.cast import (
    ACME,
    ALICE,
    API,
    BOB,
    BROWSERS,
    BY_NAME,
    EUROPE,
    SITES,
    DemoSite,
    Someone,
    a_file,
    someone_of,
)
from auditlog.demo.drawn import (
    BAD_PASSWORD,
    DISK_FULL,
    TOO_MANY,
    Drawn,
    Failure,
    acting,
    drawing,
    key_of,
    moment,
    request,
)
from auditlog.demo.mishaps import DISK_FULL_EVERY, DISK_FULL_HOUR, DISK_FULL_ON, day_of_cycle
from gatebook.entry import Entry

_LOCKED_OUT = Failure(401, "not-authenticated/locked-out", "Too many failed logins: this address is locked out.")
_TOO_MANY_LOGINS = Failure(429, "rate-limited/too-many-login-attempts", "Too many login attempts, try again later.")
_KEY_EXPIRED = Failure(None, "not-authenticated/invalid-credentials", "The SSH key nordwind-2025 has expired.")
_OLD_API_KEY = Failure(401, "not-authenticated/invalid-credentials", "This API key has expired.")
_READ_ONLY = Failure(403, "not-authorized/read-only-session", "This session is read-only: changes are not possible.")
_TIMED_OUT = Failure(504, "processing-failure/upload-timed-out", "The upload did not end within 120 seconds.")
_GATEWAY = Failure(502, "service-unavailable", "The storage gateway did not answer.")
_NO_SINGLE_SIGN_ON = Failure(503, "service-unavailable/single-sign-on", "The identity provider did not answer.")
_CERTIFICATE = Failure(400, "bad-request/as2-certificate-expired", "The partner's certificate has expired.")

PARTNER = BY_NAME["nordwind-logistics"]
NIGHT_ROBOT = BY_NAME["robot-nightly"]
WEBHOOKS = BY_NAME["svc-webhooks"]
OLD_KEY = {"api_key_id": "74218", "api_key_prefix": "wH7kQe"}
"""The key that svc-webhooks should no longer use; it has another one that works."""
OLD_KEY_RANK = 0.36
"""Above the share that is loaded of what is older than a week: one only sees it in the last days."""
KEY_EXPIRES_EVERY, KEY_EXPIRED_ON = 29, (17, 18)
BRUTE_FORCE_EVERY = 9
TIMEOUTS_EVERY = 8
READ_ONLY_EVERY = 3

_Make = Callable[[Random, datetime], Entry]


def of_day(day: date) -> Iterator[Drawn]:
    """Draw all stories of a UTC day."""
    for story in (_partner, _old_api_key, _brute_force, _night_robot, _disk_full, _timeouts, _read_only, _incidents):
        yield from story(day, drawing(story.__name__, day))


def _told(rng: Random, at: datetime, site: DemoSite, make: _Make, rank: float = 0.0) -> Drawn:
    seed = rng.getrandbits(64)
    return Drawn(at, rank, site.slug, lambda: make(drawing(seed), at))


def _partner(day: date, rng: Random) -> Iterator[Drawn]:
    """A partner looks for orders every two hours, until its key expires; then every twenty minutes, for two days."""
    expired = day_of_cycle(day, KEY_EXPIRES_EVERY) in KEY_EXPIRED_ON
    for minute in range(4, 24 * 60, 20 if expired else 120):
        at = moment(day, minute / 60 + rng.random() / 60)
        yield _told(rng, at, ACME, partial(_partner_request, expired=expired))


def _partner_request(rng: Random, at: datetime, *, expired: bool) -> Entry:
    fields = {"user_agent": "SSH-2.0-JSCH_0.2.26", "request_host": "sftp.acme.example.com"}
    if expired:
        fields |= {"request_method": "AUTH", "request_path": "/", "api_name": "sftp.login"}
        return request(rng, at, PARTNER, ACME, "sftp", 60, _KEY_EXPIRED, fields)
    fields |= {"request_method": "READDIR", "request_path": "/Clients/Nordwind/orders", "api_name": "sftp.readdir"}
    return request(rng, at, PARTNER, ACME, "sftp", 70, None, fields | key_of(PARTNER))


def _old_api_key(day: date, rng: Random) -> Iterator[Drawn]:
    """One job of an integration still has an expired API key: refused for some hours every day."""
    for minute in range(6 * 60, 10 * 60, 5):
        at = moment(day, (minute + 4 * rng.random()) / 60)
        yield _told(rng, at, ACME, _with_old_api_key, OLD_KEY_RANK)


def _with_old_api_key(rng: Random, at: datetime) -> Entry:
    fields = OLD_KEY | {"user_agent": "acme-webhooks/2.3"} | _doing("GET", "webhook_tests", "webhook_tests.list")
    return request(rng, at, WEBHOOKS, ACME, "restapi", 14, _OLD_API_KEY, fields)


def _brute_force(day: date, rng: Random) -> Iterator[Drawn]:
    """One address tries passwords for half an hour at night, until it is locked out."""
    if day_of_cycle(day, BRUTE_FORCE_EVERY) != 2:
        return
    address, start = f"192.0.2.{rng.randint(200, 250)}", rng.uniform(1, 4)
    site = rng.choice(SITES)
    for number in range(130):
        at = moment(day, start + (number + rng.random()) * 12 / 3600)
        yield _told(rng, at, site, partial(_login_attempt, site=site, address=address, number=number))


def _login_attempt(rng: Random, at: datetime, *, site: DemoSite, address: str, number: int) -> Entry:
    failure = BAD_PASSWORD if number < 60 else _TOO_MANY_LOGINS if number < 100 else _LOCKED_OUT
    fields = {
        "username": rng.choice(("admin", "administrator", "root", "test", "backup", "alice", "bob", "info", "ftpuser")),
        "request_ip": address,
        "user_agent": "python-requests/2.31.0",
    }
    return request(rng, at, None, site, "web", 160, failure, fields | _doing("POST", "sessions", "sessions.create"))


def _night_robot(day: date, rng: Random) -> Iterator[Drawn]:
    """The nightly archive run works so fast that it is told to slow down, every night."""
    for number in range(16):
        at = moment(day, 2 + (number * 20 + rng.random() * 15) / 3600)
        yield _told(rng, at, ACME, partial(_night_request, limited=number >= 11))


def _night_request(rng: Random, at: datetime, *, limited: bool) -> Entry:
    fields = key_of(NIGHT_ROBOT) | {"user_agent": "acme-archive/1.9", "response_code": 201}
    fields |= _doing("POST", f"file_actions/move/{a_file(rng)}", "files.move")
    median_ms, failure = (15, TOO_MANY) if limited else (120, None)
    return request(rng, at, NIGHT_ROBOT, ACME, "robot", median_ms, failure, fields)


def _disk_full(day: date, rng: Random) -> Iterator[Drawn]:
    """While the disk is full, programs try again and again."""
    if day_of_cycle(day, DISK_FULL_EVERY) == DISK_FULL_ON:
        for _ in range(90):
            yield _told(rng, moment(day, DISK_FULL_HOUR + rng.random()), EUROPE, _refused_upload)


def _refused_upload(rng: Random, at: datetime) -> Entry:
    who = BY_NAME[rng.choice(("svc-archive", "svc-erp-eu", "robot-invoices"))]
    fields = key_of(who) | {"user_agent": "python-requests/2.32.4"}
    fields |= _doing("POST", f"files/{a_file(rng)}", "files.upload")
    return request(rng, at, who, EUROPE, "restapi", 900, DISK_FULL, fields)


def _timeouts(day: date, rng: Random) -> Iterator[Drawn]:
    """One person tries all afternoon to upload a file that is too large for the line; in the end it works."""
    if day_of_cycle(day, TIMEOUTS_EVERY) != 3:
        return
    site = rng.choice(SITES)
    who, start = someone_of(site, rng), rng.uniform(13, 16)
    for number in range(9):
        at = moment(day, start + number * 0.2 + rng.random() * 0.1)
        yield _told(rng, at, site, partial(_slow_upload, site=site, who=who, gives_up=number < 8))


def _slow_upload(rng: Random, at: datetime, *, site: DemoSite, who: Someone, gives_up: bool) -> Entry:
    fields = _doing("PUT", "files/Engineering/Releases/site-survey-full.mov", "files.upload")
    fields |= {
        "user_agent": "AcmeDrive/6.4.1 (Windows 11)",
        "response_code": 201,
        "duration_ms": rng.randint(120_000, 121_500) if gives_up else 96_400,
    }
    return request(rng, at, who, site, "desktop", 0, _TIMED_OUT if gives_up else None, fields)


def _read_only(day: date, rng: Random) -> Iterator[Drawn]:
    """Alice, an administrator, looks at the site as Bob to help him, and cannot change anything."""
    if day_of_cycle(day, READ_ONLY_EVERY) != 1:
        return
    start = rng.uniform(14, 20)
    for number in range(8):
        at = moment(day, start + number / 90 + rng.random() / 120)
        yield _told(rng, at, ACME, partial(_as_bob, refused=number in (5, 6)))


def _as_bob(rng: Random, at: datetime, *, refused: bool) -> Entry:
    fields = acting(ALICE) | {"user_agent": ALICE.agent(BROWSERS), "response_code": 200}
    if refused:
        fields |= _doing("DELETE", "files/Finance/Invoices/duplicate.pdf", "files.delete")
        return request(rng, at, BOB, ACME, "web", 30, _READ_ONLY, fields)
    return request(
        rng, at, BOB, ACME, "web", 50, None, fields | _doing("GET", "folders/Finance/Invoices", "folders.list")
    )


def _incidents(day: date, rng: Random) -> Iterator[Drawn]:
    """Two small incidents a day. Those of long ago are mostly thinned out, each as a whole."""
    kinds = (_gateway, _runaway_script, _single_sign_on, _partner_certificate)
    for number, earliest in enumerate((8.0, 14.0)):
        make = kinds[(day.toordinal() + 2 * number) % len(kinds)]
        rank, start, site = rng.uniform(0.08, 1), earliest + 2 * rng.random(), rng.choice(SITES)
        for _ in range(rng.randint(40, 80)):
            # They begin at once and fade out.
            at = moment(day, start) + timedelta(minutes=min(rng.expovariate(1 / 7), 30))
            yield _told(rng, at, site, partial(make, site=site), rank)


def _gateway(rng: Random, at: datetime, *, site: DemoSite) -> Entry:
    who = someone_of(site, rng)
    fields = _doing("GET", f"files/{a_file(rng)}", "files.download") | {"user_agent": who.agent(BROWSERS)}
    return request(rng, at, who, site, rng.choice(("web", "jsapi")), 9_500, _GATEWAY, fields)


def _runaway_script(rng: Random, at: datetime, *, site: DemoSite) -> Entry:
    who = _account(site, "svc-erp", "svc-erp-eu", "ci-runner")
    path = f"folders/Finance/Invoices?per_page=1&page={rng.randint(1, 9000)}"
    fields = key_of(who) | _doing("GET", path, "folders.list")
    fields |= {"user_agent": "python-requests/2.32.4", "response_code": 200}
    median_ms, failure = (12, TOO_MANY) if rng.random() < 0.8 else (160, None)
    return request(rng, at, who, site, "restapi", median_ms, failure, fields)


def _single_sign_on(rng: Random, at: datetime, *, site: DemoSite) -> Entry:
    who = someone_of(site, rng)
    fields = _doing("POST", "sessions/saml", "sessions.create")
    fields |= {"request_ip": who.address, "user_agent": who.agent(BROWSERS)}  # nobody knows yet who it is
    return request(rng, at, None, site, "web", 10_000, _NO_SINGLE_SIGN_ON, fields)


def _partner_certificate(rng: Random, at: datetime, *, site: DemoSite) -> Entry:
    who = _account(site, "contoso-edi", "fabrikam-gmbh", "svc-pipeline")
    fields = {"request_method": "POST", "request_path": "/as2/stations/acme", "api_name": "as2.receive"}
    fields["user_agent"] = "mendelson opensource AS2 1.1"
    return request(rng, at, who, site, "as2", 240, _CERTIFICATE, fields)


def _account(site: DemoSite, *by_site: str) -> Someone:
    return BY_NAME[by_site[SITES.index(site)]]


def _doing(method: str, path: str, api_name: str) -> dict[str, Any]:
    return {"request_method": method, "request_path": f"{API}/{path}", "api_name": api_name}
