"""Look-ups: one user, address, key, Request-ID; the failures of a rare interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditlog.search import pages
from auditlog.search.question import Question
from benchmarks.bench import Bench, Disagreement, each
from benchmarks.data import COLUMNS, RARE_INTERFACE
from benchmarks.peers import Peer
from benchmarks.report import AS_FAST, Row, time_text
from benchmarks.timing import alternate


@dataclass(frozen=True)
class LookUp:
    """A question with a value in it, in an address and in SQL."""

    what: str
    query: str
    condition: str
    values: str
    """The SQL of all values and how many rows each has; empty where there is nothing to choose."""


BY_VALUE = "SELECT {0}, count(*) FROM log WHERE site_id = 1 AND {0} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
LOOK_UPS = (
    LookUp("one user, 30 d", "last=30d&user={}", "(username = '{0}' OR user_id = '{0}')", BY_VALUE.format("username")),
    LookUp("one IP, 30 d", "last=30d&ip={}", "request_ip = '{0}'", BY_VALUE.format("request_ip")),
    LookUp(
        "one API key, 30 d",
        "last=30d&key={}",
        "(api_key_id = '{0}' OR api_key_prefix = '{0}')",
        BY_VALUE.format("api_key_id"),
    ),
    LookUp(
        "one Request-ID, no date",
        "request={}",
        "request_id = '{0}'",
        "SELECT request_id, 1 FROM log WHERE site_id = 1 ORDER BY hash(request_id) LIMIT 100",
    ),
    LookUp(
        "failures of a rare interface, 30 d",
        f"last=30d&interface={RARE_INTERFACE}&status=failure",
        f"interface = '{RARE_INTERFACE}' AND NOT success",
        "",
    ),
)


def look_up_rows(bench: Bench) -> Iterator[Row]:
    """Compare each look-up with each peer."""
    return each((look_up.what, lambda look_up=look_up: _rows(bench, look_up)) for look_up in LOOK_UPS)  # type: ignore[misc]


def _rows(bench: Bench, look_up: LookUp) -> Iterator[Row]:
    turns = picks(bench.peers[0], look_up.values, bench.repeats)
    questions = [[bench.book.question(look_up.query.format(value)) for value in values] for values in turns]
    statements = [
        [_sql(question, look_up.condition.format(value)) for question, value in zip(asked, values, strict=True)]
        for asked, values in zip(questions, turns, strict=True)
    ]
    place = COLUMNS.index("request_id")
    for asked, told in zip(questions, statements, strict=True):
        for question, statement in zip(asked, told, strict=True):
            ours = [row.request_id for row in pages.fetch(question).rows]
            for peer in bench.peers:
                theirs = [row[place] for row in peer.ask(statement)]
                if ours != theirs:
                    raise Disagreement(f"{len(ours)} rows here, {len(theirs)} in {peer.name}: {statement}")

    def gatebook(turn: int) -> None:
        for question in questions[turn]:
            pages.fetch(question)

    def asking(peer: Peer, turn: int) -> None:
        for statement in statements[turn]:
            peer.ask(statement)

    contestants = {"Gatebook": gatebook}
    contestants |= {peer.name: lambda turn, peer=peer: asking(peer, turn) for peer in bench.peers}  # type: ignore[misc]
    times = alternate(contestants, repeats=bench.repeats)
    here = times.pop("Gatebook")
    for name, there in times.items():
        one_here, one_there = (time_text(taken / len(turns[0])) for taken in (here, there))
        yield Row(look_up.what, one_here, f"{name}: {one_there}", there / here, AS_FAST)


def picks(peer: Peer, sql: str, turns: int) -> list[list[str]]:
    """Return for each turn a busy, a middling and a rare value, others each time."""
    if not sql:
        return [[""]] * turns
    values = [str(row[0]) for row in peer.ask(sql)]
    middle = len(values) // 4
    return [
        [values[turn % len(values)], values[(middle + turn) % len(values)], values[-1 - turn % len(values)]]
        for turn in range(turns)
    ]


def _sql(question: Question, condition: str) -> str:
    return (
        f"SELECT * FROM log WHERE {bounds(question)} AND {condition} "  # noqa: S608
        f"ORDER BY created_at DESC, site_id DESC, request_id DESC LIMIT {pages.PAGE_SIZE}"
    )


def bounds(question: Question) -> str:
    """Return the question's site and time as every peer and PostgreSQL understand them."""
    start, end = (f"{moment:%Y-%m-%d %H:%M:%S.%f}" for moment in (question.time.start, question.time.end))
    return f"site_id = {question.sites[0].pk} AND created_at >= '{start}' AND created_at < '{end}'"
