"""A database that does not answer in time: each part of a page says so, the rest stands, and nothing breaks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Event, Thread

import pytest
from django.db import connection
from django.urls import get_resolver

from auditlog.models import ApiRequestLog
from auditlog.store import rollups
from tests.book import make_entry
from tests.test_every_page import PAGES

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
TABLES = ", ".join(model._meta.db_table for model in (ApiRequestLog, *rollups.TABLES))

SAID = {
    "log page": ("they could not be counted in time", "This took too long", "last 15 minutes", "try again"),
    "chart": ("Too much to draw in time", "last 15 minutes"),
    "facets": ("Too much to count in time",),
    "overview": ("Too much to count in time",),
    "who and what": ("Too much to count in time",),
    "suggestions": (),
    "export": ("They could not be counted in time", "Download CSV"),
    "retention": ("The entries could not be counted in time", "Keep entries for 7 days"),
    "entry page": ("The database does not answer just now",),
    "around an entry": ("The database does not answer just now",),
}
"""Pages of the log → what they say then. One that is about a single entry has nothing else to show."""


@pytest.fixture
def _stuck(site, monkeypatch) -> Iterator[None]:
    """Let somebody else hold the log and its roll-ups, and let budgets be over soon."""
    make_entry(site, request_id="known", request_path="/known")
    assert get_resolver().url_patterns  # so that every page's module is there
    for module in [module for name, module in sys.modules.items() if name.startswith("auditlog.")]:
        for constant in [name for name in vars(module) if name.endswith(("BUDGET_MS", "PART_MS", "PAGE_MS"))]:
            monkeypatch.setattr(module, constant, 30)
    held, done = Event(), Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"BEGIN; LOCK TABLE {TABLES} IN ACCESS EXCLUSIVE MODE")
            held.set()
            done.wait(60)
            cursor.execute("ROLLBACK")
        connection.close()

    holder = Thread(target=hold)
    holder.start()
    assert held.wait(10)
    yield
    done.set()
    holder.join()


@pytest.mark.usefixtures("_stuck")
def test_no_page_breaks_and_each_says_what_is_missing(signed_in, administrator):
    visitor = signed_in(administrator)
    visitor.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 500")  # instead of the half minute that is a page's whole time
    for name, sentences in SAID.items():
        answer = visitor.get(PAGES[name], headers={"HX-Request": "true"})
        assert answer.status_code == (503 if "entry" in name else 200), name
        for sentence in sentences:
            assert sentence in answer.text, name
