"""The chart and the facets: from roll-ups, against the same counted from the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.db import connection

from auditlog.search import answers
from auditlog.search.question import Question
from auditlog.search.snapshot import one_snapshot
from auditlog.store.partitions import TABLE
from benchmarks.bench import Bench, Disagreement, each
from benchmarks.report import AS_FAST, Reach, Row, time_text
from benchmarks.rows_lookups import bounds
from benchmarks.timing import alternate

FACETS = {
    "interface": "interface", "status": "success", "code": "response_code", "method": "request_method",
    "api": "api_name", "type": "error_type",
}  # fmt: skip
"""Search key → the column it counts."""
FROM_ROWS = Reach(50)

Counts = dict[Any, int]


def answer_rows(bench: Bench) -> Iterator[Row]:
    """Compare the chart and each facet with PostgreSQL's own counting and with each peer."""
    question = bench.book.question("last=30d")
    facets = [
        (f"facet {key}, 30 d", lambda key=key, column=column: _facet(bench, question, key, column))
        for key, column in FACETS.items()
    ]
    return each([("chart, 30 d", lambda: _chart(bench, question)), *facets])


def _chart(bench: Bench, question: Question) -> Iterable[Row]:
    with one_snapshot():
        volume = answers.volume(question)
    minutes = int((volume.buckets[1].time.end - volume.buckets[1].time.start).total_seconds()) // 60
    ours: Counts = {}
    for bucket in volume.buckets:
        start = int(bucket.time.start.timestamp()) // 60 // minutes * minutes
        for success, count in ((True, bucket.successes), (False, bucket.failures)):
            if count:
                ours[start, success] = count
    sql = f"SELECT {{}}, success, count(*) FROM {{}} WHERE {bounds(question)} GROUP BY 1, 2"  # noqa: S608
    statements = {
        "PostgreSQL": sql.format(f"floor(extract(epoch FROM created_at) / {minutes * 60})::bigint * {minutes}", TABLE)
    } | {peer.name: sql.format(peer.bucket(minutes), "log") for peer in bench.peers}
    return _compared("chart", bench, lambda: answers.volume(question), statements, lambda counts: counts == ours)


def _facet(bench: Bench, question: Question, key: str, column: str) -> Iterable[Row]:
    with one_snapshot():
        facet = answers.facet(question, key)

    def agrees(counts: Counts) -> bool:
        named = all(counts.get(value) == count for value, count in facet.values)
        return named and facet.has_more == (len(counts) > len(facet.values))

    sql = f"SELECT {column}, count(*) FROM {{}} WHERE {bounds(question)} GROUP BY 1"  # noqa: S608
    statements = {"PostgreSQL": sql.format(TABLE)} | {peer.name: sql.format("log") for peer in bench.peers}
    return _compared(f"facet {key}", bench, lambda: answers.facet(question, key), statements, agrees)


def _compared(
    what: str,
    bench: Bench,
    answer: Callable[[], object],
    statements: Mapping[str, str],
    agrees: Callable[[Counts], bool],
) -> Iterator[Row]:
    ask: dict[str, Callable[[str], Iterable[tuple[Any, ...]]]] = {"PostgreSQL": _from_rows}
    ask |= {peer.name: peer.ask for peer in bench.peers}
    for name, statement in statements.items():
        counts = dict(_plain(row) for row in ask[name](statement))
        if not agrees(counts):
            raise Disagreement(f"{name} counts otherwise: {statement}")

    def gatebook(_: int) -> None:
        with one_snapshot():
            answer()

    contestants = {"Gatebook": gatebook} | {
        name: lambda _, name=name, statement=statement: ask[name](statement) for name, statement in statements.items()
    }
    times = alternate(contestants, repeats=bench.repeats)
    ours = times.pop("Gatebook")
    for name, taken in times.items():
        from_rows = name == "PostgreSQL"
        yield Row(
            f"{what}, 30 d",
            time_text(ours),
            f"{'PostgreSQL GROUP BY of the rows' if from_rows else name}: {time_text(taken)}",
            taken / ours,
            FROM_ROWS if from_rows else AS_FAST,
        )


def _from_rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _plain(row: tuple[Any, ...]) -> tuple[Any, int]:
    """Return group and count with absent values as None and truths as booleans, whoever counted."""
    *group, count = row
    values = tuple(None if value in ("", 0) and value is not False else value for value in group)
    return (values if len(values) > 1 else values[0], int(count))
