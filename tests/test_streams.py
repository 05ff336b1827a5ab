"""Streams: an answer that is being sent is in the book at the end, however its process ends."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook import streams
from gatebook.entry import Entry
from gatebook.lines import decode_line
from gatebook.segments import Segment
from gatebook.shipper import Shipper
from gatebook.spool import Spool, SpoolError

AT = datetime.now(UTC)


def entry(request_id, **fields):
    return Entry(created_at=fields.pop("created_at", AT), request_id=request_id, response_code=200, **fields)


class Sink:
    """Keeps all it is given."""

    def __init__(self):
        self.entries = []

    def write(self, site, entries):
        """Take a batch."""
        self.entries += entries
        return []

    @property
    def ends(self):
        """Return how each request ended, in order."""
        return [(each.request_id, each.error_type) for each in self.entries]


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


@pytest.fixture
def sink():
    return Sink()


def shipped_by_another(spool, sink):
    Shipper(Spool(spool.directory), sink).adopt()
    return sink.ends


def die(spool):
    """Lose hold of all files without a word, as a killed process does."""
    for held in (spool._segment, spool._streams._file):
        if held is not None:
            held.close()
    spool.after_fork()


def full_disk(*_):
    """Fail as os.write does on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def notes(spool):
    return sorted(spool.directory.glob("*.streams"))


def test_an_answer_whose_process_died_is_shipped_as_cut_off(spool, sink):
    spool.begin("acme", entry("a"))
    die(spool)
    assert shipped_by_another(spool, sink) == [("a", "process-ended")]
    assert sink.entries[0].error_message == "the process ended before the end of the answer"
    assert list(spool.directory.iterdir()) == []


def test_an_answer_that_ended_is_shipped_once_as_it_ended(spool, sink):
    for request_id in "abc":
        spool.begin(None, entry(request_id))
    spool.append(None, entry("b", duration_ms=5))
    spool.append(None, entry("other"))
    die(spool)
    assert sorted(shipped_by_another(spool, sink)) == [
        ("a", "process-ended"), ("b", None), ("c", "process-ended"), ("other", None),
    ]  # fmt: skip


def test_answers_that_share_a_request_id_are_told_apart(spool, sink, monkeypatch):
    later = AT + timedelta(microseconds=1)
    spool.begin(None, entry("a"))
    spool.begin(None, entry("a", created_at=later))
    spool.append(None, entry("a", duration_ms=5))
    die(spool)
    assert shipped_by_another(spool, sink) == [("a", None), ("a", "process-ended")]
    assert [each.created_at for each in sink.entries] == [AT, later]


def test_what_a_living_process_is_sending_is_nobody_elses(spool, sink):
    spool.begin(None, entry("a"))
    assert shipped_by_another(spool, sink) == []
    Shipper(spool, sink).ship()
    assert sink.ends == []


def test_the_notes_of_a_killed_process_are_shipped(spool, sink):
    child = os.fork()
    if child == 0:
        spool.begin(None, entry("of the child"))
        os._exit(9)
    os.waitpid(child, 0)
    assert shipped_by_another(spool, sink) == [("of the child", "process-ended")]


def test_notes_take_no_room_when_all_answers_have_ended(spool):
    for number in range(50):
        spool.begin(None, entry(str(number)))
        spool.append(None, entry(str(number)))
    assert notes(spool)[0].stat().st_size == 0


def test_notes_do_not_grow_with_the_answers_that_have_ended(spool, sink, monkeypatch):
    monkeypatch.setattr(streams, "_REWRITE_BYTES", 10_000)
    spool.begin(None, entry("long"))
    for number in range(500):
        spool.begin(None, entry(str(number)))
        spool.append(None, entry(str(number)))
    (path,) = notes(spool)
    assert path.stat().st_size < 11_000
    die(spool)
    assert ("long", "process-ended") in shipped_by_another(spool, sink)
    assert len(sink.ends) == 501


def test_notes_that_were_removed_are_written_again_with_the_next(spool, sink):
    spool.begin(None, entry("a"))
    notes(spool)[0].unlink()
    spool.begin(None, entry("b"))
    die(spool)
    assert sorted(shipped_by_another(spool, sink)) == [("a", "process-ended"), ("b", "process-ended")]


def test_a_note_that_cannot_be_written_is_a_spool_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError):
        Spool(tmp_path / "file" / "spool").begin(None, entry("a"))


def test_an_end_that_finds_no_room_is_written_with_the_next(spool, sink, monkeypatch):
    spool.begin(None, entry("a"))
    monkeypatch.setattr(os, "write", full_disk)
    spool.append(None, entry("a", duration_ms=5))
    with pytest.raises(SpoolError):
        spool.append(None, entry("never begun"))
    monkeypatch.undo()
    spool.append(None, entry("b"))
    die(spool)
    assert shipped_by_another(spool, sink) == [("b", None), ("a", None)]


def test_an_end_that_never_finds_room_is_shipped_as_cut_off(spool, sink, monkeypatch):
    spool.begin(None, entry("a"))
    monkeypatch.setattr(os, "write", full_disk)
    spool.append(None, entry("a", duration_ms=5))
    monkeypatch.undo()
    die(spool)
    assert shipped_by_another(spool, sink) == [("a", "process-ended")]


def test_segments_are_shipped_before_notes_for_they_hold_the_ends(spool, sink):
    spool.begin(None, entry("a"))
    kept = notes(spool)[0].read_bytes()
    spool.append(None, entry("a", duration_ms=5))
    notes(spool)[0].write_bytes(kept)  # as if it died before it noted the end
    die(spool)
    assert shipped_by_another(spool, sink) == [("a", None), ("a", "process-ended")]


def test_closing_lets_go_of_what_is_still_being_sent(spool, sink):
    spool.begin(None, entry("a"))
    spool.close()
    assert shipped_by_another(spool, sink) == [("a", "process-ended")]


def test_the_backlog_counts_processes_that_are_sending(spool):
    assert spool.backlog().streams == 0
    spool.begin(None, entry("a"))
    assert spool.backlog().streams == 1
    spool.append(None, entry("a"))
    assert spool.backlog().streams == 0


@given(st.lists(st.tuples(st.sampled_from(["begin", "end"]), st.integers(0, 5)), max_size=40), st.binary(max_size=200))
def test_notes_with_a_torn_end_lose_no_open_answer(tmp_path_factory, steps, torn):
    spool = Spool(tmp_path_factory.mktemp("spool"))
    opened, begun = set(), False
    for step, number in steps:
        if step == "begin":
            begun = True
            opened.add(str(number))
            spool.begin(None, entry(str(number)))
        elif str(number) in opened:
            opened.discard(str(number))
            spool.append(None, entry(str(number)))
    die(spool)
    paths = notes(spool)
    assert bool(paths) == begun
    if paths:
        with paths[0].open("ab") as file:
            file.write(torn.replace(b"\n", b" "))
        segment = Segment.take(paths[0])
        lines = list(streams.cut_off(segment))
        segment.close()
        found = set()
        for line in lines:
            try:
                found.add(decode_line(line).entry.request_id)
            except ValueError:
                assert line in torn.replace(b"\n", b" ")
        assert found == opened
