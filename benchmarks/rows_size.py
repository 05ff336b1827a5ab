"""Bytes per entry: the rows, each index, the roll-ups."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator

from django.db import connection

from auditlog.store import partitions
from benchmarks.bench import Bench
from benchmarks.report import Row
from gatebook.entry import Entry, encode_json

SAMPLE = 100_000
# The indexes of each day have names of their own; those every day has belong to one of the log, look-ups do not.
SIZES = """
SELECT kind, sum(bytes) FROM (
    SELECT 'rows' AS kind, pg_table_size(inhrelid) AS bytes FROM pg_inherits WHERE inhparent = %(log)s::regclass
    UNION ALL
    SELECT 'index ' || coalesce(common.relname, substr(own.relname, length(day.relname) + 2)),
        pg_relation_size(indexrelid)
    FROM pg_inherits AS days
    JOIN pg_class AS day ON day.oid = days.inhrelid
    JOIN pg_index ON indrelid = day.oid
    JOIN pg_class AS own ON own.oid = indexrelid
    LEFT JOIN pg_inherits AS indexes ON indexes.inhrelid = indexrelid
    LEFT JOIN pg_class AS common ON common.oid = indexes.inhparent
    WHERE days.inhparent = %(log)s::regclass
    UNION ALL
    SELECT 'roll-ups', pg_total_relation_size(attrelid) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind = 'r' AND relname LIKE 'gatebook%%' AND attname = 'requests' AND attnum > 0
) AS parts GROUP BY kind ORDER BY kind LIKE 'index%%', sum(bytes) DESC
"""


def size_rows(bench: Bench) -> Iterator[Row]:
    """Report what an entry takes, in all and part by part."""
    rows = bench.book.plan.rows
    with connection.cursor() as cursor:
        cursor.execute(SIZES, {"log": partitions.TABLE})
        parts = {kind: int(size) / rows for kind, size in cursor.fetchall()}
    lines = gzip.compress(b"".join(_lines(bench)))
    count = min(SAMPLE, bench.book.plan.days()[0].rows)
    total = sum(parts.values())
    packed = len(lines) / count
    yield Row("bytes per entry, in all", f"{total:.0f}", f"gzip'd JSON lines: {packed:.0f}", total / packed)
    for kind, size in parts.items():
        yield Row(f"bytes per entry, {kind}", f"{size:.3g}")


def _lines(bench: Bench) -> Iterator[bytes]:
    for row in itertools.islice(bench.generator.rows(bench.book.plan.days()[0]), SAMPLE):
        del row["site_id"]
        moment = row["created_at"].replace(tzinfo=bench.book.plan.now.tzinfo)
        yield encode_json(Entry(**row | {"created_at": moment, "details": {}})) + b"\n"
