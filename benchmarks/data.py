"""A made-up month of requests, drawn by DuckDB from a hash of each row's number: the same plan, the same rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gatebook.entry import FIELDS

COLUMNS = ("site_id", *FIELDS)
"""The columns of a drawn row, in the order of the files."""

DAYS = 30
RHYTHM = 0.6
"""How much busier noon is than midnight: from 0, not at all, to 1, nights without requests."""

SITES = {"main": 0.8, **{f"middling-{n}": 0.035 for n in range(1, 6)}, **{f"tiny-{n}": 0.0025 for n in range(1, 11)}}
"""Slug → its share of the rows. Site ids count from 1 in this order."""
MAIN_USERS, OTHER_USERS = 5_000, 200
PATHS, ADDRESSES = 50_000, 4_000
FAILURES = 0.06
RARE_INTERFACE = "as2"

INTERFACES = {
    "restapi": 0.38, "web": 0.24, "sftp": 0.12, "desktop": 0.08, "mobile": 0.05, "ftp": 0.04, "dav": 0.03,
    "sync": 0.03, "office": 0.015, "s3": 0.01, "scim": 0.0048, RARE_INTERFACE: 0.0002,
}  # fmt: skip
SUCCESSES = {200: 0.82, 201: 0.08, 204: 0.05, 206: 0.03, 304: 0.015, 302: 0.005}
MISTAKES = {
    404: 0.4, 401: 0.15, 403: 0.15, 422: 0.1, 400: 0.07, 429: 0.05, 409: 0.03, 500: 0.03, 503: 0.015, 504: 0.005,
}  # fmt: skip
ERROR_TYPES = {
    404: "not-found/file-not-found", 401: "not-authenticated/invalid-username-or-password",
    403: "not-authorized/insufficient-permission-for-folder", 422: "processing-failure/model-save-error",
    400: "bad-request/invalid-path", 429: "rate-limited/too-many-concurrent-requests",
    409: "processing-failure/destination-exists", 500: "processing-failure/internal-error",
    503: "service-unavailable/automatic-maintenance", 504: "processing-failure/remote-server-timeout",
}  # fmt: skip
RESOURCES = [
    "files", "folders", "users", "groups", "permissions", "api_keys", "sessions", "history", "bundles",
    "notifications", "sites", "usage_snapshots", "automations", "behaviors", "webhooks", "locks", "messages",
    "comments", "projects", "requests", "sync_jobs", "remote_servers", "public_keys", "certificates", "invoices",
    "payments", "priorities", "dns_records", "ip_addresses", "reports",
]  # fmt: skip
VERBS = {"list": "GET", "show": "GET", "create": "POST", "update": "PATCH", "delete": "DELETE"}
FIRST_NAMES = [
    "ada", "ben", "cleo", "dan", "eva", "finn", "gina", "hugo", "ines", "jon", "kira", "leo", "mia", "noah", "olga",
    "paul", "quinn", "rosa", "sam", "tina",
]  # fmt: skip
LAST_NAMES = [
    "abel", "brandt", "costa", "diaz", "engel", "fischer", "garcia", "hansen", "ivanov", "jung", "kaya", "lopez",
    "meyer", "novak", "olsen",
]  # fmt: skip
BROWSERS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/{}.0.0.0 Safari/537.36": range(120, 134),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:{0}.0) Gecko/20100101 Firefox/{0}.0": range(120, 130),
    "GuestDesktop/{}.4 (macOS 15.1; arm64)": range(5, 11),
    "python-requests/2.{}.0": range(27, 33),
    "curl/8.{}.0": range(4, 8),
}
AGENTS = [name.format(version) for name, versions in BROWSERS.items() for version in versions]


@dataclass(frozen=True)
class Day:
    """One day of a plan: how many rows, numbered from `first`, in how much of it."""

    day: date
    first: int
    rows: int
    share: float
    """1 for a whole day; today's part of the rhythm until now."""


@dataclass(frozen=True)
class Plan:
    """`rows` over 30 days that end at `now`."""

    rows: int
    now: datetime

    @property
    def start(self) -> datetime:
        """The first day's first instant."""
        return datetime.combine(self.now.date() - timedelta(days=DAYS - 1), datetime.min.time(), UTC)

    def days(self) -> list[Day]:
        """Return the days, oldest first; their rows add up."""
        today = _passed((self.now - datetime.combine(self.now.date(), datetime.min.time(), UTC)) / timedelta(days=1))
        days = []
        first = 0
        for number in range(DAYS):
            share = 1.0 if number < DAYS - 1 else today
            last = round(self.rows * min(number + share, DAYS - 1 + today) / (DAYS - 1 + today))
            days.append(Day(self.start.date() + timedelta(days=number), first, last - first, share))
            first = last
        return days

    def hours(self) -> list[datetime]:
        """Return every hour that the plan touches."""
        hours = math.ceil((self.now - self.start) / timedelta(hours=1))
        return [self.start + timedelta(hours=hour) for hour in range(hours)]


class Generator:
    """Draws days with a DuckDB of its own."""

    def __init__(self) -> None:
        import duckdb

        self.duckdb = duckdb.connect()
        self.duckdb.execute("SET preserve_insertion_order = true")
        self.duckdb.execute("CREATE MACRO h(i, k) AS hash(i * 64 + k)")  # hash(i, k) is not independent for each k
        self.duckdb.execute("CREATE MACRO u(i, k) AS (h(i, k) >> 11) / 9007199254740992.0")
        self.duckdb.execute("CREATE MACRO zipf(n, x) AS CAST(floor(pow(n, x)) AS INTEGER)")

    def write_csv(self, day: Day, path: Path) -> None:
        """Write the day's rows to `path` in the order of the log's key, columns as the writer's."""
        self.duckdb.cursor().execute(f"COPY ({query(day)}) TO '{path}' (FORMAT csv, HEADER false)")

    def rows(self, day: Day) -> Iterator[dict[str, Any]]:
        """Yield the day's rows by column name."""
        answer = self.duckdb.cursor().execute(query(day))
        while some := answer.fetchmany(5_000):
            for values in some:
                yield dict(zip(COLUMNS, values, strict=True))


def query(day: Day) -> str:
    """Return the SQL that draws a day. Times grow with the row's number: the result is in the order of the key."""
    midnight = f"{day.day:%Y-%m-%d} 00:00:00"
    agents = ", ".join(f"'{agent}'" for agent in AGENTS)
    users = f"CASE WHEN site_id = 1 THEN {MAIN_USERS} ELSE {OTHER_USERS} END"
    names = f"{_pick(FIRST_NAMES, 'user_no')} || '.' || {_pick(LAST_NAMES, '(user_no // 20)')} || user_no"
    values = {
        "site_id": "site_id",
        "created_at": "created_at",
        "request_id": "format('{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}', ms >> 16, ms & 65535, h(i, 20) & 4095, "
        "32768 + ((h(i, 20) >> 12) & 16383), h(i, 21) & 281474976710655)",
        "user_id": "CAST(site_id * 100000 + user_no AS VARCHAR)",
        "username": f"CASE WHEN site_id = 1 THEN '' ELSE 's' || site_id || '-' END || {names}",
        "impersonator_user_id": "CASE WHEN u(i, 22) < 0.01 THEN CAST(site_id * 100000 + 1 AS VARCHAR) END",
        "impersonator_username": "CASE WHEN u(i, 22) < 0.01 THEN 'support' || site_id END",
        "user_is_from_parent_site": "u(i, 23) < 0.02",
        "interface": _chosen(INTERFACES, "u(i, 2)"),
        "api_key_id": "CASE WHEN u(i, 8) < 0.5 THEN CAST(site_id * 1000000 + user_no * 3 + h(i, 9) % 2 AS VARCHAR) END",
        "api_key_prefix": "CASE WHEN u(i, 8) < 0.5 THEN "
        "format('{:06x}', hash(site_id * 1000000 + user_no * 3 + h(i, 9) % 2) & 16777215) END",
        "api_name": f"{_pick(RESOURCES, 'resource_no')} || '.' || {_pick(list(VERBS), 'verb_no')}",
        "request_method": _pick(list(VERBS.values()), "verb_no"),
        "request_path": f"'/api/rest/v1/' || {_pick(RESOURCES, 'resource_no')} || '/' || path_no",
        "request_ip": "format('{}.{}.{}.{}', 80 + ip_no % 23, ip_no % 251, ip_no // 16, ip_no % 16 + 1)",
        "request_host": "CASE WHEN u(i, 10) < 0.7 THEN 'app.example.com' ELSE "
        "format('r{}.eu.example.com', 1 + h(i, 10) % 9) END",
        "response_code": "response_code",
        "user_agent": f"[{agents}][zipf({len(AGENTS)}, u(i, 12))]",
        "error_type": _matched(ERROR_TYPES, "response_code"),
        "error_message": "CASE WHEN response_code >= 400 THEN 'Could not complete request ' || (h(i, 13) % 1000) "
        "|| ' for path ' || path_no || ': see the documentation of error ' || response_code END",
        "duration_ms": "CAST(least(exp(4.1 + 1.1 * sqrt(-2 * ln(1 - u(i, 14))) * cos(6.283185307 * u(i, 15))), 600000) "
        "AS INTEGER)",
        "details": "NULL",
    }
    assert tuple(values) == COLUMNS, "the writer's columns have changed"  # noqa: S101
    return f"""
    WITH drawn AS (
        SELECT i, {day.share} * (i - {day.first} + u(i, 0)) / {max(day.rows, 1)} AS x,
            {_chosen(dict(enumerate(SITES.values(), 1)), "u(i, 1)")} AS site_id,
            CAST(zipf({len(RESOURCES)}, u(i, 4)) - 1 AS INTEGER) AS resource_no,
            CAST(zipf({len(VERBS)}, u(i, 5)) - 1 AS INTEGER) AS verb_no,
            zipf({PATHS}, u(i, 6)) AS path_no,
            zipf({ADDRESSES}, u(i, 7)) AS ip_no,
            CASE WHEN u(i, 11) < {FAILURES} THEN {_chosen(MISTAKES, "u(i, 16)")}
                ELSE {_chosen(SUCCESSES, "u(i, 16)")} END AS response_code
        FROM range({day.first}, {day.first + day.rows}) AS t(i)
    ), placed AS (
        SELECT *, TIMESTAMP '{midnight}' + to_microseconds(CAST(floor(86400e6 *
                (x + {RHYTHM} * sin(6.283185307179586 * x) / 6.283185307179586)) AS BIGINT)) AS created_at,
            zipf({users}, u(i, 3)) AS user_no
        FROM drawn
    ), timed AS (
        SELECT *, epoch_ms(created_at) AS ms FROM placed
    )
    SELECT {", ".join(f"{expression} AS {name}" for name, expression in values.items())} FROM timed ORDER BY i
    """  # noqa: S608


def _passed(part: float) -> float:
    """Return the share of a day's rows that lie before `part` of the day: the rhythm, turned round."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle + RHYTHM * math.sin(2 * math.pi * middle) / (2 * math.pi) < part:
            low = middle
        else:
            high = middle
    return low


def _chosen(weights: Mapping[Any, float], draw: str) -> str:
    """Return the SQL that chooses one of `weights` by a number between 0 and 1."""
    total = 0.0
    cases = []
    *first, last = weights
    for value in first:
        total += weights[value]
        cases.append(f"WHEN {draw} < {total:.6f} THEN {value!r}")
    return f"CASE {' '.join(cases)} ELSE {last!r} END"


def _matched(texts: Mapping[int, str], column: str) -> str:
    return f"CASE {column} {' '.join(f'WHEN {value} THEN {text!r}' for value, text in texts.items())} END"


def _pick(texts: list[str], number: str) -> str:
    """Return the SQL that picks a text by a number from 0; it goes round."""
    return f"[{', '.join(map(repr, texts))}][1 + {number} % {len(texts)}]"
