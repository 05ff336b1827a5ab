"""Capture: what recording adds to a request, against peers that record requests into the same PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from benchmarks.bench import Bench, Disagreement, each
from benchmarks.capture.contestants import BARE, CALLER, CONTESTANTS, GATEBOOK, HOST, PEERS, Contestant
from benchmarks.report import AS_FAST, Reach, Row, time_text

ROOT = Path(__file__).parent.parent
DATABASE = "capture"
CEILING_SECONDS = 50e-6
OVER_PEERS = Reach(8)
TURN_SECONDS = 0.6
"""So that Gatebook's shipper, which gathers for half a second, works beside the requests of the same turn."""

TURNS = 3
"""Times as many as in other measurements: microseconds are to be told apart."""

LONGEST_WAIT_SECONDS = 60.0
LEAST_SECONDS = 1e-7
"""Less cannot be told from nothing."""


@dataclass(frozen=True)
class Scenario:
    """One kind of request, and for how many seconds the project keeps its connections (None: for ever)."""

    name: str
    path: str
    conn_max_age: int | None = None


SCENARIOS = (
    Scenario("160 bytes of JSON", "/api/small/"),
    Scenario("50 kB of JSON", "/api/large/"),
    Scenario("160 bytes, CONN_MAX_AGE=0", "/api/small/", conn_max_age=0),
)


@dataclass(frozen=True)
class Cost:
    """Seconds per request: of the clock, and of the processor in this process."""

    median: float
    p99: float
    cpu: float

    def above(self, other: Cost) -> Cost:
        """Return what this one costs more."""
        return Cost(self.median - other.median, self.p99 - other.p99, self.cpu - other.cpu)


def capture_rows(bench: Bench) -> Iterator[Row]:
    """Serve the same requests with and without what records them."""

    def rows(scenario: Scenario) -> Callable[[], list[Row]]:
        return lambda: scenario_rows(scenario, TURNS * bench.repeats, TURN_SECONDS)

    with database():
        yield from each((f"capture, {one.name}", rows(one)) for one in SCENARIOS)


def scenario_rows(scenario: Scenario, turns: int, turn_seconds: float) -> list[Row]:
    """Let all contestants take turns with one kind of request."""
    with ExitStack() as stack:
        spool = stack.enter_context(TemporaryDirectory(prefix="spool-", dir=settings.VAR))
        servers = [stack.enter_context(Server(one, scenario, spool)) for one in CONTESTANTS.values()]
        costs = measure(servers, turns, turn_seconds)
    added = {name: cost.above(costs[BARE.name]) for name, cost in costs.items() if name != BARE.name}
    ours = added.pop(GATEBOOK.name)
    fastest = min(added[peer.name].median for peer in PEERS)
    median = max(ours.median, LEAST_SECONDS)

    def row(what: str, of: Callable[[Cost], float], *verdict: Any) -> Row:
        others = ", ".join(f"{name} {time_text(of(cost))}" for name, cost in added.items())
        base = f"(without any {time_text(of(costs[BARE.name]))})"
        return Row(f"capture, {scenario.name}: {what}", time_text(of(ours)), f"{others} {base}", *verdict)

    return [
        Row(
            f"capture, {scenario.name}: added to the median",
            time_text(ours.median),
            f"a ceiling of {time_text(CEILING_SECONDS)}",
            CEILING_SECONDS / median,
            AS_FAST,
        ),
        row("added to the median", lambda cost: cost.median, fastest / median, OVER_PEERS),
        row("added to the p99", lambda cost: cost.p99),
        row("CPU added, threads included", lambda cost: cost.cpu),
    ]


def measure(servers: Sequence[Server], turns: int, turn_seconds: float) -> Mapping[str, Cost]:
    """Let the servers take turns. Raises Disagreement where one answers differently or records too little."""
    order = list(servers)
    answers = {server.contestant.name: server.probe() for server in order}
    for name, answer in answers.items():
        if answer != answers[BARE.name] or answer["status"] != 200:
            raise Disagreement(f"{name} answers {answer}, the bare project {answers[BARE.name]}")
    for server in order:
        server.serve(turn_seconds)
        server.forget()
    for _ in range(turns):
        for server in order:
            server.serve(turn_seconds)
        order.reverse()  # nobody always comes second
    return {server.contestant.name: server.cost() for server in servers}


class Server:
    """A contestant's process. It works while it is told to and until its rows are in the database, and then rests."""

    def __init__(self, contestant: Contestant, scenario: Scenario, spool: str) -> None:
        self.contestant = contestant
        self.path = scenario.path
        self.requests = 0
        self._before = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.capture.child"],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "benchmarks.capture.project",
                "CAPTURE_CONTESTANT": contestant.name,
                "CAPTURE_DATABASE": json.dumps(_settings() | {"NAME": DATABASE, "CONN_MAX_AGE": scenario.conn_max_age}),
                "CAPTURE_SPOOL": spool,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt is for the benchmark, which ends it
        )

    def __enter__(self) -> Server:
        self._ask("start")
        self._rows = psycopg.connect(**_parameters(DATABASE), autocommit=True)
        self._before = self._recorded()
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._process.communicate()  # the end of its input is the end of its work

    def probe(self) -> dict[str, Any]:
        """Have one request served; what was answered."""
        self.requests += 1
        answer = self._ask("probe", path=self.path)
        self._await_rows()
        return answer

    def serve(self, seconds: float) -> None:
        """Have requests served for that long, and what they leave to do be done."""
        self.requests += self._ask("serve", seconds=seconds)["requests"]
        self._await_rows()
        self._ask("rest")

    def forget(self) -> None:
        """Let what was measured so far not count."""
        self._ask("forget")

    def cost(self) -> Cost:
        """Return what a request has cost."""
        return Cost(**self._ask("cost"))

    def _await_rows(self) -> None:
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while self.contestant.recorded and (rows := self._recorded() - self._before) != self.requests:
            if time.monotonic() > until:
                raise Disagreement(f"{self.contestant.name} has recorded {rows} of {self.requests} requests")
            time.sleep(0.05)

    def _recorded(self) -> int:
        if not self.contestant.recorded:
            return 0
        asked = {"path": self.path, "address": f"http://{HOST}{self.path}", "caller": CALLER}
        row = self._rows.execute(self.contestant.recorded.encode(), asked).fetchone()
        return int(row[0]) if row else 0

    def _ask(self, what: str, **arguments: object) -> dict[str, Any]:
        assert self._process.stdin  # noqa: S101
        assert self._process.stdout  # noqa: S101
        print(json.dumps({"do": what, **arguments}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.contestant.name} has ended with {self._process.wait()}")
        return json.loads(answer)  # type: ignore[no-any-return]


@contextmanager
def database() -> Iterator[None]:
    """Make the database of all contestants, beside the book's; each has tables of its own."""
    with psycopg.connect(**_parameters(_settings()["NAME"]), autocommit=True) as session:
        session.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield
        finally:
            session.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def _settings() -> dict[str, Any]:
    own = connection.settings_dict
    return {name: own[name] for name in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")}


def _parameters(name: str) -> dict[str, Any]:
    own = _settings()
    return {"dbname": name, "user": own["USER"], "password": own["PASSWORD"], "host": own["HOST"], "port": own["PORT"]}
