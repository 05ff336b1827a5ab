"""The demo's everyday requests: people by day, machines around the clock, over every interface."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import partial
from itertools import accumulate
from random import Random
from typing import Any
from urllib.parse import unquote

from auditlog.demo import mishaps
from auditlog.demo.cast import (
    ACME,
    ALICE,
    API,
    BROWSERS,
    BY_NAME,
    FOLDERS,
    HELEN,
    MACHINES,
    SITES,
    DemoSite,
    Someone,
    a_file,
    someone_of,
)
from auditlog.demo.drawn import Drawn, acting, drawing, key_of, midnight, request
from auditlog.demo.operations import some_operation
from gatebook.entry import Entry

_BY_PEOPLE = {"web": 46, "desktop": 16, "mobile": 13, "office": 9, "jsapi": 5, "dav": 4, "webdesktopapi": 2}
_BY_MACHINES = {
    "restapi": 34, "sftp": 22, "sync": 8, "robot": 7, "s3": 6, "ftp": 6, "as2": 4, "scim": 3, "remote": 3,
    "inbound_email": 2, "inbound_s3": 2,
}  # fmt: skip
_PARTNERS = {
    "sftp": ("nordwind-logistics", "tailspin-sftp", "lab-instruments"),
    "ftp": ("contoso-edi", "fabrikam-gmbh", "lab-instruments"),
    "as2": ("contoso-edi", "fabrikam-gmbh", "svc-pipeline"),
    "scim": ("okta-scim", "azure-scim", "ci-runner"),
    "robot": ("robot-nightly", "robot-invoices", "robot-samples"),
    "inbound_email": ("mail-intake", "svc-archive", "svc-pipeline"),
}
"""The accounts that use an interface, by site in the order of SITES."""
_PROGRAMS = {
    site: [each for each in members if each.username.startswith(("svc-", "ci-"))] for site, members in MACHINES.items()
}
"""The accounts that use the others."""
_CLIENTS = {
    "restapi": (
        "Files.com Python SDK v2.0.4",
        "Files.com JavaScript SDK v1.2.314",
        "python-requests/2.32.4",
        "curl/8.14.1",
    ),
    "desktop": ("AcmeDrive/6.4.1 (Windows 11)", "AcmeDrive/6.4.1 (macOS 15.5)", "AcmeDrive/6.3.9 (Windows 10)"),
    "office": ("Microsoft Office/16.0 (Word; WOPI)", "Microsoft Office/16.0 (Excel; WOPI)"),
    "dav": ("Microsoft-WebDAV-MiniRedir/10.0.22631", "WebDAVFS/3.0.0 Darwin/24.5.0", "davfs2/1.7.1 neon/0.34.0"),
    "ftp": ("FileZilla 3.69.1", "lftp/4.9.3"),
    "sftp": ("SSH-2.0-OpenSSH_9.9", "SSH-2.0-WinSCP_release_6.5", "SSH-2.0-JSCH_0.2.26"),
    "s3": ("rclone/v1.70.2", "aws-sdk-go-v2/1.36.5"),
    "as2": ("AS2 Gateway/4.1", "mendelson opensource AS2 1.1"),
    "scim": ("Okta SCIM Client 1.0.0", "Microsoft Entra ID Provisioning/1.0"),
}
_INSIDE = frozenset({"robot", "sync", "remote", "inbound_email"})
"""These run on the server itself: no key, no address, no client."""
_PLAIN = frozenset({"ftp", "sftp"})
"""These name a file as it is, not percent-encoded."""
_RHYTHM = (2, 1, 1, 1, 1, 2, 6, 22, 62, 92, 100, 96, 70, 82, 98, 94, 84, 62, 34, 20, 14, 10, 6, 4)
"""How busy people are in each hour of their day."""
_PEOPLES_PART = 0.62
_QUIET_DAYS_PART = 0.3  # of people's work, on Saturdays and Sundays
_MICROSECONDS = 3_600_000_000


def _weights(weights: dict[str, int]) -> tuple[tuple[str, ...], list[int]]:
    return tuple(weights), list(accumulate(weights.values()))


_PEOPLES_INTERFACES, _PEOPLES_WEIGHTS = _weights(_BY_PEOPLE)
_MACHINES_INTERFACES, _MACHINES_WEIGHTS = _weights(_BY_MACHINES)


def of_day(day: date) -> Iterator[Drawn]:
    """Draw the everyday requests of a UTC day."""
    for site in SITES:
        rng = drawing("work", site.slug, day)
        for hour in range(24):
            start = midnight(day) + timedelta(hours=hour)
            local = start + timedelta(hours=site.hours_ahead)
            people = site.requests_a_day * _PEOPLES_PART * _RHYTHM[local.hour] / sum(_RHYTHM)
            if local.weekday() >= 5:
                people *= _QUIET_DAYS_PART
            machines = site.requests_a_day * (1 - _PEOPLES_PART) / 24
            for make, expected in ((_of_person, people), (_of_machine, machines)):
                for _ in range(max(0, round(rng.gauss(expected, expected**0.5)))):
                    at = start + timedelta(microseconds=int(rng.random() * _MICROSECONDS))
                    yield Drawn(at, rng.random(), site.slug, partial(make, site, at, rng.getrandbits(64)))


def _of_person(site: DemoSite, at: datetime, seed: int) -> Entry:
    rng = drawing(seed)
    interface = rng.choices(_PEOPLES_INTERFACES, cum_weights=_PEOPLES_WEIGHTS)[0]
    who = someone_of(site, rng)
    fields: dict[str, Any] = {}
    if interface == "web" and rng.random() < 0.06:
        if site is not ACME and rng.random() < 0.7:  # someone from headquarters looks after a child site
            who, fields = rng.choice((ALICE, HELEN)), {"user_is_from_parent_site": True}
        elif who is not ALICE:
            fields = acting(ALICE)
    agents = _CLIENTS.get(interface, BROWSERS)
    fields["user_agent"] = mishaps.mobile_app(at, who) if interface == "mobile" else who.agent(agents)
    return _entry(rng, site, at, interface, who, fields)


def _of_machine(site: DemoSite, at: datetime, seed: int) -> Entry:
    rng = drawing(seed)
    interface = rng.choices(_MACHINES_INTERFACES, cum_weights=_MACHINES_WEIGHTS)[0]
    names = _PARTNERS.get(interface)
    who = BY_NAME[names[SITES.index(site)]] if names else rng.choice(_PROGRAMS[site])
    fields: dict[str, Any] = {"request_ip": None} if interface in _INSIDE else key_of(who)
    if interface in _CLIENTS:
        fields["user_agent"] = who.agent(_CLIENTS[interface])
    if interface == "restapi" and rng.random() < 0.3:
        fields["details"] = {"trace_id": f"{rng.getrandbits(128):032x}"}
    return _entry(rng, site, at, interface, who, fields)


def _entry(rng: Random, site: DemoSite, at: datetime, interface: str, who: Someone, fields: dict[str, Any]) -> Entry:
    done = some_operation(interface, rng)
    failure = mishaps.failure_of(at, site, interface, done.api_name)
    if failure is None and rng.random() < done.chance:
        failure = done.failure
    path = done.path.format(api=API, file=a_file(rng), folder=rng.choice(FOLDERS), id=rng.randint(2000, 2999))
    fields |= {
        "request_method": done.method,
        "request_path": unquote(path) if interface in _PLAIN else path,
        "api_name": done.api_name,
        "response_code": done.code,
    }
    return request(rng, at, who, site, interface, done.median_ms, failure, fields)
