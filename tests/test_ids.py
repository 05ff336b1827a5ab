"""Request-IDs: distinct, sorted by time, and UUIDs to everybody else."""

from __future__ import annotations

import os
import random
import time
import uuid

from gatebook.ids import new_id


def test_an_id_is_a_uuid_of_version_7_that_tells_its_moment():
    before = time.time_ns() // 1_000_000
    read = uuid.UUID(text := new_id())
    assert (str(read), read.version, read.variant) == (text, 7, uuid.RFC_4122)
    assert before <= read.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_are_distinct_and_sort_by_time():
    ids = [new_id() for _ in range(5) if time.sleep(0.001) is None]
    assert ids == sorted(ids)
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_a_forked_process_makes_ids_of_its_own():
    ids, write = os.pipe()
    for _ in range(2):
        if (child := os.fork()) == 0:
            os.write(write, "".join(new_id()[-12:] for _ in range(100)).encode())
            os._exit(0)
        os.waitpid(child, 0)
    tails = os.read(ids, 2 * 100 * 12)
    assert len({tails[start : start + 12] for start in range(0, len(tails), 12)}) == 200


def test_a_project_that_seeds_its_chance_gets_distinct_ids():
    tails = set()
    for _ in range(10):
        random.seed(1)
        tails.add(new_id()[-12:])
    assert len(tails) == 10
