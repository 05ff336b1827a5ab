"""The spool: what was written is there, whatever happens to the process."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from gatebook import segments as segments_module
from gatebook import spool as spool_module
from gatebook.entry import Entry
from gatebook.spool import Segment, Spool, SpoolError, decode_line


def entry(request_id="r1", **fields):
    return Entry(created_at=fields.pop("created_at", datetime.now(UTC)), request_id=request_id, **fields)


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


def segments(spool):
    return sorted(path for path in spool.directory.glob("*.jsonl") if path.stem != "rejected")


def read(path):
    return [decode_line(line) for line in path.read_bytes().splitlines()]


def test_an_entry_is_one_line_with_its_site(spool):
    spool.append("acme", entry(username="a\nb"))
    spool.append(None, entry("r2"))
    (path,) = segments(spool)
    assert [(line.site, line.entry.request_id) for line in read(path)] == [("acme", "r1"), (None, "r2")]


def test_directory_and_files_are_the_owners_alone(spool):
    spool.append(None, entry())
    spool.reject(b"x", "bad")
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.directory.iterdir()} == {0o600}


def test_lines_of_many_threads_do_not_mix(spool):
    def write(number):
        for ordinal in range(200):
            spool.append(None, entry(f"{number}-{ordinal}", user_agent="x" * 2000))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {line.entry.request_id for path in segments(spool) for line in read(path)}
    assert len(ids) == 1600


def test_the_segment_of_a_living_process_is_nobody_elses(spool):
    spool.append(None, entry())
    assert list(Spool(spool.directory).orphans()) == []


def test_the_segment_of_a_dead_process_is_anyones_once(spool):
    child = os.fork()
    if child == 0:
        spool.append(None, entry("of the child"))
        os._exit(9)
    os.waitpid(child, 0)
    orphans = list(Spool(spool.directory).orphans())
    assert [line.entry.request_id for orphan in orphans for line in read(orphan.path)] == ["of the child"]
    assert list(Spool(spool.directory).orphans()) == []  # held by the first who took it
    for orphan in orphans:
        orphan.close()


def test_a_forked_process_begins_its_own_segment(spool):
    spool.append(None, entry("parent"))
    child = os.fork()
    if child == 0:
        spool.append(None, entry("child"))
        os._exit(0)
    os.waitpid(child, 0)
    spool.append(None, entry("parent again"))
    assert sorted([line.entry.request_id for line in read(path)] for path in segments(spool)) == [
        ["child"],
        ["parent", "parent again"],
    ]


def test_a_forked_process_does_not_keep_its_dead_parents_segment(spool):
    ready, go_on = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        spool.append(None, entry("of the dead"))
        if os.fork() == 0:  # lives on, as a worker of gunicorn --preload does
            os.write(ready[1], b"x")
            os.close(go_on[1])
            os.read(go_on[0], 1)
            os._exit(0)
        os._exit(9)
    os.waitpid(parent, 0)
    os.read(ready[0], 1)
    orphans = list(Spool(spool.directory).orphans())
    os.close(go_on[1])
    assert len(orphans) == 1
    orphans[0].close()


def test_a_full_segment_is_let_go_and_a_new_one_begun(spool, monkeypatch):
    monkeypatch.setattr(spool_module, "SEGMENT_LIMIT_BYTES", 1000)
    for number in range(20):
        spool.append(None, entry(str(number)))
    taken = list(Spool(spool.directory).orphans())
    assert len(taken) >= 1
    assert len(taken) == len(segments(spool)) - 1  # all but the one that is being written
    for segment in taken:
        segment.close()


def test_an_old_segment_is_let_go(spool, monkeypatch):
    monkeypatch.setattr(spool_module, "SEGMENT_LIMIT_SECONDS", -1)
    spool.append(None, entry("1"))
    spool.append(None, entry("2"))
    assert len(segments(spool)) == 2


def test_sealing_returns_all_lines_so_far_and_later_ones_go_elsewhere(spool):
    spool.append(None, entry("before"))
    sealed = spool.seal()
    spool.append(None, entry("after"))
    assert b"before" in b"".join(line for line, _ in sealed.lines(0))
    assert b"after" not in b"".join(line for line, _ in sealed.lines(0))
    sealed.close()


def test_there_is_nothing_to_seal_where_nothing_was_recorded(spool):
    assert spool.seal() is None


def test_a_line_that_did_not_fit_leaves_no_trace(spool, monkeypatch):
    spool.append(None, entry("good"))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:10]))
    with pytest.raises(SpoolError):
        spool.append(None, entry("torn"))
    monkeypatch.undo()
    spool.append(None, entry("next"))
    assert [line.entry.request_id for path in segments(spool) for line in read(path)] == ["good", "next"]


def test_a_full_disk_is_a_spool_error_and_passes(spool, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SpoolError, match="No space left"):
        spool.append(None, entry())
    monkeypatch.undo()
    assert segments(spool) == []  # not one empty file for every refusal
    spool.append(None, entry("later"))
    assert "later" in segments(spool)[-1].read_text()


def test_a_removed_directory_is_made_again_with_the_next_segment(spool):
    spool.append(None, entry("1"))
    for path in spool.directory.iterdir():
        path.unlink()
    spool.directory.rmdir()
    sealed = spool.seal()
    assert b"1" in next(sealed.lines(0))[0]  # still readable, though its name is gone
    sealed.delete()
    spool.append(None, entry("2"))
    assert [line.entry.request_id for line in read(segments(spool)[0])] == ["2"]


def test_a_spool_that_cannot_be_made_is_a_spool_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError):
        Spool(tmp_path / "file" / "spool").append(None, entry())


def test_a_probe_leaves_nothing_to_ship(spool):
    spool.probe()
    sealed = spool.seal()
    assert [line for line, _ in sealed.lines(0) if line] == []
    sealed.delete()


def test_a_probe_notices_that_the_directory_went_away(spool):
    spool.append(None, entry())
    for path in spool.directory.iterdir():
        path.unlink()
    spool.directory.rmdir()
    spool.directory.write_text("")
    with pytest.raises(SpoolError):
        spool.probe()


def test_misses_are_counted_each_and_logged_now_and_then(spool, caplog):
    for _ in range(5):
        spool.miss("no space")
    assert spool.backlog().missed == 5
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "no space" in caplog.text


def test_a_rejected_line_is_kept_with_its_reason_and_logged(spool, caplog):
    spool.reject(b'{"torn\xff', "unexpected end")
    kept = (spool.directory / "rejected.jsonl").read_text()
    assert "unexpected end" in kept
    assert '{\\"torn\ufffd' in kept
    assert "unexpected end" in caplog.text


def test_the_backlog_counts_what_waits(spool):
    nothing = spool.backlog()
    assert (nothing.segments, nothing.bytes, nothing.oldest_at, nothing.rejected) == (0, 0, None, 0)
    assert nothing.complaints() == []
    oldest_at = datetime.now(UTC) - timedelta(hours=2)
    spool.append(None, entry(created_at=oldest_at))
    spool.append(None, entry("r2"))
    spool.reject(b"x", "bad")
    backlog = spool.backlog()
    assert (backlog.segments, backlog.oldest_at, backlog.rejected) == (1, oldest_at, 1)
    assert backlog.bytes == segments(spool)[0].stat().st_size


def test_closing_removes_an_empty_segment(spool):
    spool.append(None, entry())
    spool.seal().delete()
    spool.close()
    assert list(spool.directory.iterdir()) == []


def test_what_cannot_be_taken_does_not_keep_later_orphans_waiting(spool, caplog):
    spool.append(None, entry("later"))
    spool.close()
    (spool.directory / "0.jsonl").mkdir()
    (segment,) = spool.orphans()
    assert [line.entry.request_id for line in read(segment.path)] == ["later"]
    segment.close()
    assert "0.jsonl" in caplog.text


def test_half_made_segments_are_cleared_away(spool):
    spool.directory.mkdir()
    leftover = spool.directory / "x.new"
    leftover.touch()
    os.utime(leftover, (0, 0))
    assert list(spool.orphans()) == []
    assert not leftover.exists()


def test_a_segment_deleted_a_moment_ago_is_not_taken(spool, monkeypatch):
    spool.append(None, entry())
    (path,) = segments(spool)
    spool._segment.close()
    spool._segment = None
    monkeypatch.setattr("gatebook.segments.fcntl.flock", lambda *_: path.unlink())  # by whoever held it until now
    assert Segment.take(path) is None


def test_a_kept_position_is_where_reading_goes_on(spool):
    spool.append(None, entry("1"))
    spool.append(None, entry("2"))
    sealed = spool.seal()
    first_end = next(iter(sealed.lines(0)))[1]
    sealed.keep_position(first_end)
    sealed.close()
    again = Segment.take(sealed.path)
    assert [decode_line(line).entry.request_id for line, _ in again.lines(again.position)] == ["2"]
    again.delete()
    assert list(spool.directory.glob("*.position")) == []


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_read_as_lines_without_loss(tmp_path_factory, content, block):
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    path.write_bytes(content)
    segment = Segment.take(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments_module, "READ_BYTES", block)
        lines = list(segment.lines(0))
        assert b"\n".join(line for line, _ in lines) == content.removesuffix(b"\n")
        for number, (_, position) in enumerate(lines, 1):
            assert list(segment.lines(position)) == lines[number:]
    segment.close()


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=8), st.integers(0, 10_000))
def test_a_torn_segment_loses_no_complete_line(tmp_path_factory, ids, torn_at):
    path = tmp_path_factory.mktemp("torn") / "torn.jsonl"
    whole = [spool_module.encode_json(spool_module.Line(None, entry(request_id))) + b"\n" for request_id in ids]
    content = b"".join(whole)[:torn_at]
    path.write_bytes(content)
    segment = Segment.take(path)
    lines = [line + b"\n" for line, _ in segment.lines(0)]
    complete = content.count(b"\n")
    assert lines[:complete] == whole[:complete]
    segment.close()


# --- Bounds --------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    spool = Spool(tmp_path / "small", limit_bytes=5000)
    yield spool
    spool.close()


def fill(spool):
    """Append until there is no room; return how many entries fitted."""
    for number in range(1000):
        try:
            spool.append(None, entry(f"fill-{number}"))
        except SpoolError:
            return number
    raise AssertionError("there was no end to it")


def test_a_spool_at_its_limit_takes_no_more_and_says_why(small):
    assert fill(small) > 10
    with pytest.raises(SpoolError, match="SPOOL_LIMIT_BYTES is 5000"):
        small.append(None, entry())
    with pytest.raises(SpoolError):
        small.begin(None, entry())
    with pytest.raises(SpoolError):
        small.probe()
    assert small.backlog().used_bytes < 6000
    assert "the spool is full" in small.backlog().complaints()[0]


def test_the_limit_is_for_all_processes_together(small):
    others = Spool(small.directory, limit_bytes=5000)
    fill(others)
    with pytest.raises(SpoolError, match="full"):
        small.append(None, entry())
    others.close()


def test_a_spool_takes_entries_again_when_there_is_room(small, monkeypatch):
    monkeypatch.setattr(spool_module, "_SECONDS_BETWEEN_MEASURES", 0)
    fill(small)
    small.seal().delete()
    small.append(None, entry("again"))
    assert "again" in "".join(path.read_text() for path in segments(small))


def test_a_spool_that_is_half_full_is_a_complaint(small):
    for number in range(30):
        small.append(None, entry(str(number)))
    assert small.backlog().complaints()[0].startswith("the spool is half full")


# --- Gaps ----------------------------------------------------------------------------------------


def test_what_could_not_be_recorded_is_in_the_book_as_a_gap(spool):
    for _ in range(3):
        spool.miss(SpoolError("disk: no space left"))
    spool.append("acme", entry("next"))
    spool.append("acme", entry("after"))
    lines = [line for path in segments(spool) for line in read(path)]
    assert [line.entry.request_id for line in lines if line.site == "acme"] == ["next", "after"]
    (gap,) = [line.entry for line in lines if line.site is None]
    assert gap.error_type == "requests-not-recorded"
    assert gap.error_message.startswith("3 requests between ")
    assert gap.error_message.endswith("could not be recorded: disk: no space left")
    assert not gap.success
    assert spool.backlog().missed == 3


def test_a_gap_is_told_when_the_process_ends(spool):
    spool.miss(SpoolError("no space"))
    spool.close()
    (line,) = [line for path in segments(spool) for line in path.read_bytes().splitlines() if line]
    assert decode_line(line).entry.error_type == "requests-not-recorded"


def test_a_gap_does_not_repeat_what_an_exception_says(spool):
    spool.miss(ValueError("password=hunter2"))
    spool.append(None, entry())
    assert "hunter2" not in segments(spool)[0].read_text()


# --- The disk ------------------------------------------------------------------------------------


def test_a_spool_that_syncs_waits_for_the_disk_with_each_line(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    spool = Spool(tmp_path / "synced", syncs=True)
    spool.append(None, entry("1"))
    spool.append(None, entry("2"))
    assert synced == [spool._segment.descriptor] * 2
    spool.begin(None, entry("3"))
    assert len(synced) == 3
    spool.close()


def test_a_line_the_disk_does_not_confirm_is_not_recorded(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "synced", syncs=True)

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(SpoolError, match="Input/output"):
        spool.append(None, entry())
    monkeypatch.undo()
    spool.append(None, entry("later"))
    assert [line.entry.request_id for path in segments(spool) for line in read(path)] == ["later"]
    spool.close()


def test_a_full_disk_keeps_the_segment_for_the_next_shipping(spool, monkeypatch):
    spool.append(None, entry("before"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SpoolError):
        spool.append(None, entry("missed"))
    monkeypatch.undo()
    sealed = spool.seal()
    assert b"before" in b"".join(line for line, _ in sealed.lines(0))
    sealed.close()


def test_lines_of_a_removed_directory_are_written_again_with_the_next(spool):
    spool.append(None, entry("1"))
    shutil.rmtree(spool.directory)
    spool.append(None, entry("2"))
    assert [line.entry.request_id for path in segments(spool) for line in read(path)] == ["1", "2"]


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def configured(settings, tmp_path):
    """The spool of a project's settings."""
    settings.GATEBOOK = {"SPOOL": tmp_path / "spool", "SHIP": False, "SPOOL_LIMIT_BYTES": 2**20}
    yield spool_module.current()
    spool_module.current().close()


def test_spool_status_says_what_waits(configured, capsys):
    configured.append(None, entry())
    call_command("spool_status")
    said = capsys.readouterr().out
    assert str(configured.directory) in said
    assert "1 segments" in said
    assert "of 1048576 bytes used" in said
    assert "All is well." in said


def test_spool_status_fails_where_somebody_should_look(configured):
    configured.append(None, entry(created_at=datetime.now(UTC) - timedelta(hours=1)))
    configured.reject(b"x", "bad")
    with pytest.raises(CommandError, match=r"1 lines were rejected(.|\n)*the oldest entry has waited since"):
        call_command("spool_status")


def test_the_settings_of_the_spool_are_obeyed(configured, settings):
    assert (configured.limit_bytes, configured.syncs) == (2**20, False)
    settings.GATEBOOK = {**settings.GATEBOOK, "SYNC_EACH_LINE": True}
    assert spool_module.current().syncs


def test_spool_status_fails_where_the_spool_cannot_be_written(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.GATEBOOK = {"SPOOL": tmp_path / "file" / "spool", "SHIP": False}
    with pytest.raises(CommandError, match="the spool cannot be written by this user"):
        call_command("spool_status")


@pytest.mark.parametrize("command", ["spool_status", "ship"])
def test_settings_that_make_no_sense_are_one_sentence(settings, command):
    settings.GATEBOOK = {"SPOOL": "spool"}
    with pytest.raises(CommandError, match="absolute path"):
        call_command(command)


def test_lines_that_were_set_aside_can_be_tried_again(spool):
    spool.append(None, entry("1"))
    (line,) = segments(spool)[0].read_bytes().splitlines()
    spool.seal().delete()
    spool.reject(line, "no such site")
    spool.reject(b"garbage", "unreadable")
    assert spool.take_back() == 2
    assert spool.backlog().rejected == 0
    (orphan,) = spool.orphans()
    assert [line for line, _ in orphan.lines(0)] == [line, b"garbage"]
    orphan.delete()
    assert spool.take_back() == 0


def test_a_try_that_was_interrupted_is_gone_on_with(spool, monkeypatch):
    spool.reject(b"first", "no such site")
    monkeypatch.setattr(Segment, "append", full_disk)
    with pytest.raises(OSError, match="No space"):
        spool.take_back()
    monkeypatch.undo()
    spool.reject(b"second", "no such site")
    assert [spool.take_back(), spool.take_back()] == [1, 1]
    assert sorted(line for orphan in spool.orphans() for line, _ in orphan.lines(0)) == [b"first", b"second"]


def full_disk(*_):
    """Fail as os.write does on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_signal_behind_the_writing_loses_no_line(spool, monkeypatch):
    write = os.write

    def interrupted(*arguments):
        write(*arguments)
        raise SystemExit

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(SystemExit):
        spool.append(None, entry("1"))
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:10]))
    with pytest.raises(SpoolError):
        spool.append(None, entry("torn"))
    monkeypatch.undo()
    spool.close()
    assert [line.entry.request_id for path in segments(spool) for line in read(path)] == ["1"]


def test_lines_of_a_removed_directory_wait_until_it_can_be_made(spool, tmp_path, monkeypatch):
    spool.append(None, entry("1"))
    shutil.rmtree(spool.directory)
    spool.directory.write_text("in the way")
    with pytest.raises(SpoolError):
        spool.append(None, entry("missed"))
    spool.directory.unlink()
    spool.append(None, entry("2"))
    assert [line.entry.request_id for path in segments(spool) for line in read(path)] == ["1", "2"]
