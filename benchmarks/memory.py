"""The child process in which the CSV's memory is measured: `python -m benchmarks.memory SITE ADDRESS`."""

from __future__ import annotations

import gc
import json
import os
import sys

import django
import psutil

TINY = "last=15m&user=nobody"


def main(slug: str, address: str) -> None:
    """Make the file of the address and print by how much this process grew meanwhile."""
    django.setup()
    from django.http import QueryDict

    from auditlog.export import csv
    from auditlog.models import Site
    from auditlog.models.log import COLUMNS
    from auditlog.search.question import Question

    site = Site.objects.get(slug=slug)

    def blocks(query: str) -> int:
        """Make a file block by block; the most memory this process held meanwhile."""
        most = 0
        for number, _ in enumerate(csv.lines(Question.from_query(QueryDict(query), [site]), list(COLUMNS))):
            if number % 16 == 0:
                most = max(most, process.memory_info().rss)
        return most

    process = psutil.Process(os.getpid())
    blocks(TINY)  # connect, and load what is loaded once
    gc.collect()
    before = process.memory_info().rss
    print(json.dumps({"growth": max(blocks(address) - before, 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
