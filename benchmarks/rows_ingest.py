"""The ingest door, from a gzip'd body to the answer after the commit, against `write()` alone.

In this process, one request after the other, and as it is served: over HTTP, to several senders at once.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from django.conf import settings
from django.test import Client

from auditlog.models import ApiKey, Scope
from auditlog.store import writer
from benchmarks.bench import Bench, Disagreement
from benchmarks.report import Reach, Row, rate_text
from benchmarks.rows_write import BATCH, new_entries, shuffled
from benchmarks.served import WORKERS, send_at_once, web_server
from benchmarks.timing import alternate
from gatebook.entry import Entry, encode_json
from gatebook.http_sink import DOOR

BATCHES = 4
"""To a turn; over HTTP, from each sender."""
SENDERS = 4
OF_WRITE = Reach(0.5)
NDJSON = "application/x-ndjson"
WRITTEN = 1_000_000
"""More than the measurement of writing has taken already."""


def ingest_rows(bench: Bench) -> Iterator[Row]:
    """Bring new rows to the right edge of the book by the door, in both ways, and by the writer, taking turns."""
    turns = bench.repeats + 1
    site = bench.book.sites[0]
    _, secret = ApiKey.objects.issue(site, "benchmark", [Scope.INGEST])
    headers = {"X-FilesAPI-Key": secret, "Content-Encoding": "gzip"}
    entries = iter(new_entries(bench, turns * (2 + SENDERS) * BATCHES * BATCH, skip=WRITTEN))
    to_send = iter([_bodies(entries) for _ in range(turns)])
    to_serve = iter([[_bodies(entries) for _ in range(SENDERS)] for _ in range(turns)])
    to_write = iter([[shuffled(entries) for _ in range(BATCHES)] for _ in range(turns)])
    client = Client()

    def send(_: int) -> None:
        for body in next(to_send):
            answer = client.post(DOOR, body, content_type=NDJSON, headers=headers)
            if answer.json().get("accepted") != BATCH:
                raise Disagreement(f"the door answered {answer.content[:200]!r}")

    def write(_: int) -> None:
        for batch in next(to_write):
            written = writer.write(site, batch)
            if written.stored != len(batch):
                raise Disagreement(f"{written.stored} of {len(batch)} entries were stored")

    with web_server(settings.VAR / "web.log") as port:

        def serve(_: int) -> None:
            send_at_once(port, {**headers, "Content-Type": NDJSON}, next(to_serve), BATCH)

        times = alternate({"send": send, "serve": serve, "write": write}, repeats=bench.repeats)
    sent, served, written = times["send"] / BATCHES, times["serve"] / BATCHES / SENDERS, times["write"] / BATCHES
    for how, taken in (
        ("in this process, one request after the other", sent),
        (f"over HTTP, {WORKERS} workers, {SENDERS} senders at once", served),
    ):
        yield Row(
            f"ingest door, NDJSON, gzip, batches of {BATCH:,}, {how}",
            rate_text(BATCH, taken),
            f"write() alone, one connection: {rate_text(BATCH, written)}",
            written / taken,
            OF_WRITE,
        )


def _bodies(entries: Iterator[Entry]) -> list[bytes]:
    return [gzip.compress(b"\n".join(map(encode_json, shuffled(entries))), 1) for _ in range(BATCHES)]
