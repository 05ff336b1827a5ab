"""A small book to test with: sites, people with each role, and entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from auditlog.dashboard import around, chart_part, export, facets, live, logs, nothing, overview, suggest
from auditlog.models import Membership, Role, Site
from auditlog.store import partitions, rollups
from auditlog.store.writer import write
from gatebook.entry import Entry
from gatebook.spool import current as current_spool
from gatebook.spool import decode_line

_numbers = count(1)


def entry(**fields: Any) -> Entry:
    """An entry of ten minutes ago with a Request-ID of its own; `fields` say what matters."""
    fields.setdefault("created_at", ago(minutes=10))
    fields.setdefault("request_id", f"request-{next(_numbers)}")
    return Entry(**fields)


def ago(**span: float) -> datetime:
    """The moment that long ago."""
    return datetime.now(UTC) - timedelta(**span)


def make_entry(site: Site, **fields: Any) -> Entry:
    """Store one entry."""
    made = entry(**fields)
    written = write(site, [made])
    assert written.stored == 1, written
    return made


T = TypeVar("T")


def in_another_connection(act: Callable[[], T]) -> T:
    """Do it in a thread, beside what this test's own connection holds open; return its result."""

    def acted() -> T:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(acted).result()


@pytest.fixture(autouse=True)
def _empty_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drop the log's days and empty its roll-ups after a test that commits: Django's flush does not know them."""
    marker = request.node.get_closest_marker("django_db")
    commits = bool(marker and marker.kwargs.get("transaction")) or "transactional_db" in request.fixturenames
    if commits:
        request.getfixturevalue("transactional_db")  # so that the database is still open below
    yield
    if commits:
        with connection.cursor() as cursor:
            for partition in partitions.attached():
                cursor.execute(f"DROP TABLE {partition.name}")
            cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in rollups.TABLES)}")


@pytest.fixture(autouse=True)
def _patient_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine answer every part of a page, rather than say that it took too long."""
    for module in (around, chart_part, export, facets, live, logs, nothing, overview, suggest):
        for budget in (name for name in vars(module) if name.endswith("_MS")):
            monkeypatch.setattr(module, budget, 60_000)


@pytest.fixture
def site(db: None) -> Site:
    """The parent site Acme."""
    return Site.objects.create(slug="acme", name="Acme")


@pytest.fixture
def child(site: Site) -> Site:
    """A child site of Acme."""
    return Site.objects.create(slug="acme-eu", name="Acme Europe", parent=site)


@pytest.fixture
def other_site(db: None) -> Site:
    """A site that has nothing to do with Acme."""
    return Site.objects.create(slug="globex", name="Globex")


@pytest.fixture
def administrator(site: Site) -> User:
    """An administrator of Acme."""
    return _member("alice", site, Role.ADMINISTRATOR)


@pytest.fixture
def staff(site: Site) -> User:
    """A member of Acme's staff."""
    return _member("bob", site, Role.STAFF)


@pytest.fixture
def child_staff(child: Site) -> User:
    """A member of the child site's staff."""
    return _member("carol", child, Role.STAFF)


@pytest.fixture
def stranger(other_site: Site) -> User:
    """An administrator elsewhere, without a role on Acme."""
    return _member("mallory", other_site, Role.ADMINISTRATOR)


@pytest.fixture
def superuser(db: None) -> User:
    """A superuser of Gatebook."""
    return User.objects.create_superuser("root", password="open sesame, please")


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """Return a browser in which a user is signed in."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


@pytest.fixture
def own_entries(settings: Any, tmp_path: Path) -> Iterator[Callable[[], list[Entry]]]:
    """Return what the book will say of this test's own requests."""
    settings.GATEBOOK = {**settings.GATEBOOK, "SPOOL": tmp_path / "spool", "SHIP": False}

    def recorded() -> list[Entry]:
        lines = [
            line for path in sorted((tmp_path / "spool").glob("*.jsonl")) for line in path.read_bytes().split(b"\n")
        ]
        return [decode_line(line).entry for line in lines if line]

    yield recorded
    current_spool().close()


def _member(username: str, site: Site, role: Role) -> User:
    user = User.objects.create_user(username, password=f"{username} opens the gate")
    Membership.objects.create(site=site, user=user, role=role)
    return user
