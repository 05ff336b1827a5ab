"""The books that are measured: the full one, and one of a tenth of its rows to see what size costs."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
from django.apps import apps
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.http import QueryDict

from auditlog.models import ApiRequestLog, Site
from auditlog.search.question import Question
from auditlog.store import closing, partitions, rollups
from benchmarks.data import COLUMNS, SITES, Day, Generator, Plan
from benchmarks.peers import Peer

BLOCK_BYTES = 1 << 20
_BEGUN = perf_counter()


@dataclass
class Book:
    """A database with a plan's rows in it. `opened()` makes it the one that Gatebook's own code speaks to."""

    plan: Plan
    connection: Any
    sites: list[Site] = field(default_factory=list)
    """The dominant one first."""

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Let Django's default connection be this book's."""
        before = connections[DEFAULT_DB_ALIAS]
        connections[DEFAULT_DB_ALIAS] = self.connection
        try:
            yield
        finally:
            connections[DEFAULT_DB_ALIAS] = before

    def question(self, query: str) -> Question:
        """Return the question of an address of the dominant site, asked at the moment at which the plan ends."""
        return Question.from_query(QueryDict(query), self.sites[:1], now=self.plan.now)


def make(name: str, plan: Plan, directory: Path, generator: Generator, peers: Sequence[Peer] = ()) -> Book:
    """Make the book in a database called `name`, and fill the peers with the same rows."""
    book = Book(plan, _connection(name))
    with book.opened():
        call_command("migrate", verbosity=0)
        book.sites = [Site.objects.create(slug=slug, name=slug.title()) for slug in SITES]
        assert [site.pk for site in book.sites] == list(range(1, len(SITES) + 1))  # noqa: S101
        partitions.ensure_days({*(day.day for day in plan.days()), plan.now.date() + timedelta(days=1)})
        _load(book, directory, generator, peers)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        say(f"{name}: roll-ups")
        with transaction.atomic(), connection.cursor() as cursor:
            rollups.mark(cursor, plan.hours())
        rollups.roll_up()
        with transaction.atomic(), connection.cursor() as cursor:
            rollups.mark(cursor, plan.hours()[-1:])  # where entries arrive, the running hour is always marked
        say(f"{name}: closing the days")
        closing.close_days()
        _tidy(plan)
    for peer in peers:
        say(f"{name}: {peer.name} puts its table in order")
        peer.finish()
    return book


def _tidy(plan: Plan) -> None:
    """Do what autovacuum would have done by now: to the day that is still open, the roll-ups and their marks."""
    tables = [model._meta.db_table for model in apps.get_app_config("gatebook").get_models() if model != ApiRequestLog]
    with connection.cursor() as cursor:
        for table in (partitions.partition_of(plan.now.date()).name, *tables):
            cursor.execute(f"VACUUM ANALYZE {table}")


def say(sentence: str) -> None:
    """Tell how far we are, and since when."""
    print(f"{perf_counter() - _BEGUN:5.0f} s  {sentence}", file=sys.stderr, flush=True)


def _connection(name: str) -> Any:
    """Return a connection like Django's own to the database `name`, made where it is missing."""
    own = connections[DEFAULT_DB_ALIAS]
    if own.settings_dict["NAME"] == name:
        return own
    with own.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    other = connections.create_connection(DEFAULT_DB_ALIAS)
    other.settings_dict = copy.deepcopy(own.settings_dict) | {"NAME": name}
    return other


def _load(book: Book, directory: Path, generator: Generator, peers: Sequence[Peer]) -> None:
    """COPY each day straight into its partition, two days at a time; the peers take the same files in order."""
    params = book.connection.get_connection_params()

    def store(day: Day) -> Path:
        path = directory / f"{day.day}.csv"
        generator.write_csv(day, path)
        into = f"COPY {partitions.partition_of(day.day).name} ({', '.join(COLUMNS)}) FROM STDIN WITH (FORMAT csv)"
        with (
            psycopg.connect(**_plain(params)) as session,
            session.cursor() as cursor,
            path.open("rb") as file,
            cursor.copy(into) as incoming,
        ):
            while block := file.read(BLOCK_BYTES):
                incoming.write(block)
        return path

    days = book.plan.days()
    pool = ThreadPoolExecutor(max_workers=2)
    try:
        for number, path in enumerate(pool.map(store, days), 1):
            for peer in peers:
                peer.load(path)
            path.unlink()
            if number % 5 == 0:
                say(f"{params['dbname']}: {number} of {len(days)} days, {book.plan.rows:,} rows in all")
    finally:
        pool.shutdown(cancel_futures=True)


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Return connection parameters without what only Django's connections take, and without a time limit."""
    kept = {name: value for name, value in params.items() if name in ("dbname", "user", "password", "host", "port")}
    return {**kept, "options": "-c timezone=UTC"}
