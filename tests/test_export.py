"""Both downloads hold what the page shows."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.http import QueryDict

from auditlog.models.log import COLUMNS
from auditlog.search import answers, pages
from auditlog.search.question import Question
from auditlog.store.writer import write
from tests.book import ago, entry


def ids_of_csv(file: str) -> list[str]:
    _, *rows = csv.reader(io.StringIO(file, newline=""))
    return [row[list(COLUMNS).index("request_id")] for row in rows]


def ids_of_jsonl(file: str) -> list[str]:
    return [json.loads(line)["request_id"] for line in file.splitlines()]


@pytest.mark.parametrize(("name", "ids_of"), [("logs.csv", ids_of_csv), ("logs.jsonl", ids_of_jsonl)])
@pytest.mark.parametrize(
    "query",
    [
        "",
        "status=failure",
        "sort=username",
        "sort=-duration_ms&-code=200",
        "code=99999",
        "last=1h&user=a*",
        "user=2",
        "user=%3D2",
    ],
)
def test_page_count_and_file_agree(signed_in, administrator, site, name, ids_of, query):
    write(
        site,
        [
            entry(
                request_id=f"r{n}",
                created_at=ago(minutes=n),
                username=["alice", "bob", None, "2"][n % 4],
                user_id=["1", "2", None, "3"][n % 4],
                response_code=[200, 404, 500, None][n % 4],
                duration_ms=n % 5 or None,
            )
            for n in range(100)
        ],
    )
    question = Question.from_query(QueryDict(query), [site])
    ids = ids_of(b"".join(signed_in(administrator).get(f"/acme/{name}?{query}")).decode())
    assert ids == [row.request_id for row in pages.fetch(question, size=1000).rows]
    assert (not ids) == (query == "code=99999")
    assert len(ids) == answers.total(question).count
