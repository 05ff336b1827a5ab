"""The ingest door, from a gzip'd body to the answer after the commit, against `write()` alone."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from django.test import Client

from auditlog.models import ApiKey, Scope
from auditlog.store import writer
from benchmarks.bench import Bench, Disagreement
from benchmarks.report import Reach, Row, rate_text
from benchmarks.rows_write import BATCH, new_entries, shuffled
from benchmarks.timing import alternate
from gatebook.entry import Entry, encode_json
from gatebook.http_sink import DOOR

BATCHES = 4
"""To a turn."""
OF_WRITE = Reach(0.5)
WRITTEN = 1_000_000
"""More than the measurement of writing has taken already."""


def ingest_rows(bench: Bench) -> Iterator[Row]:
    """Bring new rows to the right edge of the book by the door and by the writer, taking turns."""
    turns = bench.repeats + 1
    site = bench.book.sites[0]
    _, secret = ApiKey.objects.issue(site, "benchmark", [Scope.INGEST])
    headers = {"X-FilesAPI-Key": secret, "Content-Encoding": "gzip"}
    entries = iter(new_entries(bench, turns * 2 * BATCHES * BATCH, skip=WRITTEN))
    to_send = iter([[_packed(shuffled(entries)) for _ in range(BATCHES)] for _ in range(turns)])
    to_write = iter([[shuffled(entries) for _ in range(BATCHES)] for _ in range(turns)])
    client = Client()

    def send(_: int) -> None:
        for body in next(to_send):
            answer = client.post(DOOR, body, content_type="application/x-ndjson", headers=headers)
            if answer.json().get("accepted") != BATCH:
                raise Disagreement(f"the door answered {answer.content[:200]!r}")

    def write(_: int) -> None:
        for batch in next(to_write):
            written = writer.write(site, batch)
            if written.stored != len(batch):
                raise Disagreement(f"{written.stored} of {len(batch)} entries were stored")

    times = alternate({"send": send, "write": write}, repeats=bench.repeats)
    sent, written = times["send"] / BATCHES, times["write"] / BATCHES
    yield Row(
        f"ingest door, NDJSON, gzip, batches of {BATCH:,}",
        rate_text(BATCH, sent),
        f"write() alone: {rate_text(BATCH, written)}",
        written / sent,
        OF_WRITE,
    )


def _packed(entries: list[Entry]) -> bytes:
    return gzip.compress(b"\n".join(map(encode_json, entries)), 1)
