"""A demo book of 50,000 entries, read whole by both of Files.com's SDKs, and by their filters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from auditlog.demo.generate import generate
from auditlog.demo.load import BATCH, DAYS
from auditlog.models import Site
from auditlog.store.writer import write
from gatebook.entry import Entry
from tests.test_wire_javascript import read, sdk  # noqa: F401
from tests.test_wire_python import client_of, log  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(300)]
SIZE = 50_000
SINCE = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)


@pytest.fixture
def book(site: Site) -> list[Entry]:
    """The first entries of the demo's Acme, newest first."""
    made = list(islice((each for slug, each in generate(SINCE, datetime.now(UTC)) if slug == "acme"), SIZE))
    for start in range(0, SIZE, BATCH):
        write(site, made[start : start + BATCH])
    return sorted(made, key=lambda each: (each.created_at, each.request_id), reverse=True)


QUESTIONS: list[tuple[dict[str, Any], Callable[[Entry], bool]]] = [
    ({}, lambda each: True),
    ({"filter": {"success": False}}, lambda each: not each.success),
    ({"filter": {"interface": "sftp"}}, lambda each: each.interface == "sftp"),
    ({"filter_prefix": {"interface": "web"}}, lambda each: (each.interface or "").startswith("web")),
    ({"filter": {"request_method": ["PUT", "DELETE"]}}, lambda each: each.request_method in ("PUT", "DELETE")),
    ({"filter_prefix": {"request_ip": "198.51."}}, lambda each: (each.request_ip or "").startswith("198.51.")),
    (
        {"filter": {"interface": "restapi", "success": True}, "filter_gteq": {"created_at": f"{SINCE:%Y-%m-%d}"}},
        lambda each: each.interface == "restapi" and each.success,
    ),
]


def test_both_sdks_read_all_of_it_once_and_in_order(book, log, read):  # noqa: F811
    assert len({each.request_id for each in book}) == SIZE
    expected = [[each.request_id for each in book if matches(each)] for _, matches in QUESTIONS]
    assert all(0 < len(ids) < SIZE for ids in expected[1:])
    asked = [{**parameters, "per_page": 1000} for parameters, _ in QUESTIONS]
    for parameters, ids in zip(asked, expected, strict=True):
        assert [each.request_id for each in log.list(parameters).auto_paging_iter()] == ids
    assert [[each["request_id"] for each in answer] for answer in read(*asked)] == expected
