"""The shipper: everything recorded reaches the sink, whatever the sink does meanwhile."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError, OperationalError

from auditlog.models import ApiRequestLog, Site
from gatebook import recording
from gatebook import shipper as shipper_module
from gatebook.entry import Entry
from gatebook.segments import Segment
from gatebook.shipper import Shipper
from gatebook.sinks import Rejection, SinkUnavailable, StoreSink
from gatebook.spool import Spool
from gatebook.spool import current as current_spool
from tests.quick_start import soon


def entry(request_id="r1", **fields):
    return Entry(created_at=fields.pop("created_at", datetime.now(UTC)), request_id=request_id, **fields)


class Sink:
    """Keeps what it is given; a test tells it what to refuse and when to fail."""

    def __init__(self):
        self.batches = []
        self.refused = {}
        self.poison = {}
        self.failing = None
        self.attempts = 0

    def write(self, site, entries):
        """Take a batch."""
        self.attempts += 1
        if self.failing is not None:
            raise self.failing
        for each in entries:
            if each.request_id in self.poison:
                raise self.poison[each.request_id]
        self.batches.append((site, [each.request_id for each in entries]))
        return [
            Rejection(place, "created_at", self.refused[each.request_id])
            for place, each in enumerate(entries)
            if each.request_id in self.refused
        ]

    @property
    def ids(self):
        """Return the Request-IDs taken, in order."""
        return [request_id for _, batch in self.batches for request_id in batch]


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


@pytest.fixture
def shipper(spool, sink):
    shipper = Shipper(spool, sink)
    yield shipper
    shipper.stop()


def files(spool):
    return sorted(path.name for path in spool.directory.iterdir())


def rejected(spool):
    path = spool.directory / "rejected.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def leave_orphan(spool, *lines):
    """Leave what a dead process leaves: lines nobody holds."""
    dead = Spool(spool.directory)
    dead.append("acme", entry("first of the dead"))
    path = dead._segment.path
    dead.close()
    with path.open("ab") as file:
        file.write(b"".join(lines))
    return path


def test_lines_are_shipped_grouped_by_site_and_the_segment_goes(spool, sink, shipper):
    for number, site in enumerate(["acme", None, "acme"]):
        spool.append(site, entry(str(number)))
    shipped = shipper.ship()
    assert sorted(sink.batches, key=str) == [("acme", ["0", "2"]), (None, ["1"])]
    assert (shipped.segments, shipped.entries, shipped.rejected) == (1, 3, 0)
    spool.close()
    assert files(spool) == []


def test_many_lines_go_in_batches_of_at_most_5000(spool, sink, shipper):
    for number in range(12_001):
        spool.append(None, entry(str(number)))
    shipper.ship()
    assert [len(batch) for _, batch in sink.batches] == [5000, 5000, 2001]
    assert len(set(sink.ids)) == 12_001


def test_what_is_recorded_is_shipped_once_the_shipper_is_told(spool, sink, shipper):
    for number in range(3):
        spool.append(None, entry(str(number)))
        shipper.notice()
        soon(lambda number=number: str(number) in sink.ids)


def test_an_idle_shipper_sleeps(spool, sink, shipper):
    spool.append(None, entry())
    shipper.notice()
    soon(lambda: sink.ids)
    attempts, before = sink.attempts, time.process_time()
    time.sleep(0.5)
    assert sink.attempts == attempts
    assert time.process_time() - before < 0.2


@pytest.mark.parametrize("failure", [SinkUnavailable("away"), OSError("no route")])
def test_while_the_sink_is_away_nothing_is_lost_and_nothing_spins(spool, sink, shipper, failure, monkeypatch, caplog):
    monkeypatch.setattr(shipper_module, "FIRST_PAUSE_SECONDS", 0.1)
    sink.failing = failure
    for number in range(10):
        spool.append(None, entry(str(number)))
        shipper.notice()
        time.sleep(0.1)
    soon(lambda: sink.attempts > 1)
    assert sink.attempts < 10
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    sink.failing = None
    spool.append(None, entry("10"))
    soon(lambda: len(sink.ids) == 11)
    assert sorted(sink.ids, key=int) == [str(number) for number in range(11)]
    soon(lambda: "shipped again" in caplog.text)


@pytest.mark.parametrize("count", [1, 5, 20])
def test_the_thread_outlives_a_sink_with_a_bug(spool, sink, shipper, monkeypatch, count):
    monkeypatch.setattr(shipper_module, "FIRST_PAUSE_SECONDS", 0.05)
    sink.failing = TypeError("bug")
    for number in range(count):
        spool.append(None, entry(str(number)))
    shipper.notice()
    soon(lambda: sink.attempts > count)
    sink.failing = None
    soon(lambda: len(sink.ids) == count)
    assert rejected(spool) == []


@pytest.mark.parametrize("count", [1, 5, 20])
def test_a_sink_that_breaks_after_it_worked_costs_no_entry(spool, sink, shipper, count):
    spool.append(None, entry("good"))
    shipper.ship()
    sink.failing = TypeError("bug")
    for number in range(count):
        spool.append(None, entry(str(number)))
    with pytest.raises(SinkUnavailable, match="whatever it is sent"):
        shipper.ship()
    assert rejected(spool) == []


def test_an_entry_that_fails_alone_is_set_aside_where_the_sink_takes_others(spool, sink, shipper):
    sink.poison = {"bad": ValueError("bug")}
    spool.append(None, entry("good"))
    shipper.ship()
    spool.append(None, entry("bad"))
    assert shipper.ship().rejected == 1
    assert "ValueError: bug" in rejected(spool)[0]


def test_a_first_entry_that_fails_alone_does_not_block_for_ever(spool, sink, shipper, monkeypatch):
    monkeypatch.setattr(shipper_module, "FIRST_PAUSE_SECONDS", 0.05)
    sink.poison = {"bad": ValueError("bug")}
    spool.append(None, entry("bad"))
    shipper.notice()
    soon(lambda: sink.attempts > 2)
    assert rejected(spool) == []
    leave_orphan(spool)  # as the spool does with this process's own segment after a minute
    soon(lambda: rejected(spool))
    assert set(sink.ids) == {"first of the dead"}


def test_a_failing_adoption_does_not_make_this_processs_own_entries_wait(spool, sink, shipper, monkeypatch, caplog):
    monkeypatch.setattr(spool, "orphans", lambda: 1 / 0)
    spool.append(None, entry())
    shipper._round()
    assert (sink.ids, shipper._pause_seconds) == (["r1"], 0)
    assert "Entries wait" in caplog.text


def test_entries_that_fail_alone_are_set_aside_and_the_rest_is_stored(spool, sink, shipper, caplog):
    sink.poison = {"3": DataError("bad value"), "77": ValueError("bug")}
    for number in range(100):
        spool.append(None, entry(str(number)))
    shipped = shipper.ship()
    assert sorted(sink.ids, key=int) == [str(number) for number in range(100) if number not in (3, 77)]
    assert (shipped.entries, shipped.rejected) == (98, 2)
    assert ["DataError: bad value" in rejected(spool)[0], "ValueError: bug" in rejected(spool)[1]] == [True, True]
    assert "bad value" in caplog.text


def test_refused_entries_are_set_aside_with_the_sinks_reason(spool, sink, shipper):
    sink.refused = {"1": "older than the retention"}
    spool.append(None, entry("0"))
    spool.append(None, entry("1"))
    assert shipper.ship().rejected == 1
    assert "created_at: older than the retention" in rejected(spool)[0]
    assert spool.backlog().rejected == 1


def test_bad_and_torn_lines_are_set_aside_and_the_good_ones_shipped(spool, sink, shipper):
    good = b'{"site":null,"entry":{"created_at":"2026-05-04T12:00:00Z","request_id":"good"}}\n'
    leave_orphan(
        spool, b"garbage\n", b"\n", good, b"\xff\xfe\n", b'{"site":null,"entry":{"request_id":"x"}}\n', good[:40]
    )
    shipped = shipper.adopt()
    assert sink.ids == ["first of the dead", "good"]
    assert shipped.rejected == 4
    assert len(rejected(spool)) == 4
    assert files(spool) == ["rejected.jsonl"]


def test_a_last_line_that_only_lacks_its_end_is_shipped(spool, sink, shipper):
    leave_orphan(spool, b'{"site":null,"entry":{"created_at":"2026-05-04T12:00:00Z","request_id":"last"}}')
    shipper.adopt()
    assert "last" in sink.ids
    assert rejected(spool) == []


def test_shipping_goes_on_where_the_sink_went_away(spool, sink, shipper, monkeypatch):
    monkeypatch.setattr(shipper_module, "BATCH", 10)
    for number in range(25):
        spool.append(None, entry(str(number)))
    write = sink.write

    def fail_at_third(site, entries):
        if len(sink.batches) == 2:
            raise SinkUnavailable
        return write(site, entries)

    monkeypatch.setattr(sink, "write", fail_at_third)
    with pytest.raises(SinkUnavailable):
        shipper.ship()
    monkeypatch.setattr(sink, "write", write)
    shipper.ship()
    assert sink.ids == [str(number) for number in range(25)]


def test_an_orphan_goes_on_where_the_dead_had_come_to(spool, sink, shipper, monkeypatch):
    monkeypatch.setattr(shipper_module, "BATCH", 1)
    path = leave_orphan(spool, b'{"site":null,"entry":{"created_at":"2026-05-04T12:00:00Z","request_id":"second"}}\n')
    path.with_suffix(".position").write_text(str(path.read_bytes().index(b"\n") + 1))
    shipper.adopt()
    assert sink.ids == ["second"]
    assert files(spool) == []


def test_an_orphan_that_cannot_be_shipped_now_stays_an_orphan(spool, sink, shipper):
    path = leave_orphan(spool)
    sink.failing = SinkUnavailable("away")
    with pytest.raises(SinkUnavailable):
        shipper.adopt()
    assert path.exists()
    sink.failing = None
    assert Shipper(Spool(spool.directory), sink).adopt().entries == 1


def test_a_running_shipper_adopts_orphans(spool, sink, shipper):
    leave_orphan(spool)
    shipper.notice()
    soon(lambda: sink.ids == ["first of the dead"])


def test_stopping_ships_what_was_just_recorded(spool, sink, shipper):
    spool.append(None, entry("first"))
    shipper.notice()
    spool.append(None, entry("last"))
    shipper.stop()
    assert sink.ids == ["first", "last"]


def test_stopping_ships_what_was_recorded_while_the_last_batch_was_on_its_way(spool, sink, shipper):
    busy, go_on, write = threading.Event(), threading.Event(), sink.write

    def slow(site, entries):
        busy.set()
        go_on.wait(5)
        return write(site, entries)

    def last(site, entries):
        sink.write = write
        spool.append(None, entry("meanwhile"))
        return write(site, entries)

    sink.write = slow
    spool.append(None, entry("first"))
    shipper.notice()
    assert busy.wait(5)
    spool.append(None, entry("second"))  # the round under way takes this one too
    shipper._stopping.set()
    sink.write = last
    go_on.set()
    shipper.stop()
    assert sink.ids == ["first", "second", "meanwhile"]


def test_a_full_disk_is_emptied_although_no_position_can_be_kept(spool, sink, shipper, monkeypatch):
    monkeypatch.setattr(shipper_module, "BATCH", 10)
    for number in range(25):
        spool.append(None, entry(str(number)))
    monkeypatch.setattr(Segment, "keep_position", lambda *_: (_ for _ in ()).throw(OSError("No space left")))
    assert shipper.ship().entries == 25


def test_a_thread_that_could_not_be_started_is_tried_again(spool, sink, shipper, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    spool.append(None, entry("1"))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        shipper.notice()
    shipper.notice()
    soon(lambda: sink.ids == ["1"])


def test_a_sink_that_cannot_be_made_keeps_no_request_waiting(settings, tmp_path, caplog):
    settings.GATEBOOK = {"SPOOL": tmp_path / "spool", "SINK": "tests.test_shipper.no_sink"}
    assert recording.record(entry("1"))
    assert recording.record(entry("2"))
    soon(lambda: "no such sink" in caplog.text)
    assert current_spool().backlog().segments == 1


def no_sink():
    """Fail as a sink does that is set up wrong."""
    raise ValueError("no such sink")


@pytest.mark.django_db
def test_the_store_sink_writes_to_the_named_site():
    root, acme = Site.objects.create(slug="root", name="Root"), Site.objects.create(slug="acme", name="Acme")
    assert list(StoreSink().write("acme", [entry("a")])) == []
    StoreSink().write(None, [entry("b")])
    StoreSink().write("no-such-site", [entry("c")])
    found = {row.request_id: row.site_id for row in ApiRequestLog.objects.all()}
    assert found == {"a": acme.pk, "b": root.pk, "c": root.pk}


@pytest.mark.django_db
def test_the_store_sink_tells_what_the_store_refuses():
    Site.objects.create(slug="root", name="Root")
    old = entry("old", created_at=datetime.now(UTC) - timedelta(days=4000))
    (rejection,) = StoreSink().write(None, [entry("new"), old])
    assert (rejection.place, rejection.field) == (1, "created_at")


@pytest.mark.django_db
def test_without_a_site_the_store_sink_is_unavailable():
    with pytest.raises(SinkUnavailable, match="no site yet"):
        StoreSink().write(None, [entry()])


@pytest.mark.django_db
@pytest.mark.parametrize("failure", [OperationalError("server closed the connection"), OSError("gone")])
def test_a_database_that_is_away_makes_the_store_sink_unavailable(monkeypatch, failure):
    Site.objects.create(slug="root", name="Root")

    def fail(*_):
        raise failure

    monkeypatch.setattr("auditlog.store.writer.write", fail)
    with pytest.raises(SinkUnavailable):
        StoreSink().write(None, [entry()])


@pytest.mark.django_db
def test_ship_command_adopts_and_says_what_it_did(settings, tmp_path, capsys):
    Site.objects.create(slug="root", name="Root")
    settings.GATEBOOK = {"SPOOL": tmp_path / "spool", "SHIP": False}
    leave_orphan(Spool(tmp_path / "spool"))
    call_command("ship")
    assert "1 segments adopted: 1 entries shipped, 0 set aside" in capsys.readouterr().out
    assert ApiRequestLog.objects.get().request_id == "first of the dead"
    call_command("ship")
    assert "0 segments adopted" in capsys.readouterr().out


@pytest.mark.django_db
def test_ship_command_tries_what_was_set_aside_again(settings, tmp_path, capsys):
    Site.objects.create(slug="root", name="Root")
    settings.GATEBOOK = {"SPOOL": tmp_path / "spool", "SHIP": False}
    path = leave_orphan(Spool(tmp_path / "spool"))
    Spool(tmp_path / "spool").reject(path.read_bytes().strip(), "no such site")
    path.unlink()
    call_command("ship", "--set-aside")
    assert "1 lines that were set aside were tried again." in capsys.readouterr().out
    assert ApiRequestLog.objects.get().request_id == "first of the dead"


@pytest.mark.django_db
def test_ship_command_says_that_nothing_is_lost_where_the_sink_is_away(settings, tmp_path):
    settings.GATEBOOK = {"SPOOL": tmp_path / "spool", "SHIP": False}
    leave_orphan(Spool(tmp_path / "spool"))
    with pytest.raises(CommandError, match=r"Nothing is lost.*no site yet"):
        call_command("ship")


PROGRAM = """
import sys, os, signal
from datetime import UTC, datetime
from django.conf import settings
settings.configure(DATABASES={}, GATEBOOK={"SPOOL": sys.argv[1], "SINK": "tests.file_sink.FileSink"})
import gatebook
from gatebook.ids import new_id
def record(name): gatebook.record(gatebook.Entry(created_at=datetime.now(UTC), request_id=name))
"""


def run(program, spool, tmp_path):
    environment = {**os.environ, "FILE_SINK": str(tmp_path / "sink.txt")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + program, str(spool)],
        env=environment,
        timeout=60,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_program_that_ends_ships_what_it_recorded(tmp_path):
    ended = run("record('a'); record('b')", tmp_path / "spool", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "sink.txt").read_text().split() == ["a", "b"]
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.slow
def test_forked_processes_each_ship_their_own(tmp_path):
    program = """
import time
record('parent')
for number in range(3):
    if os.fork() == 0:
        record(f'child-{number}')
        for _ in range(100):
            if os.path.exists(os.environ['FILE_SINK']) and f'child-{number}' in open(os.environ['FILE_SINK']).read():
                sys.exit()
            time.sleep(0.1)
        os._exit(1)
sys.exit(any(os.wait()[1] for _ in range(3)))
"""
    ended = run(program, tmp_path / "spool", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert sorted((tmp_path / "sink.txt").read_text().split()) == ["child-0", "child-1", "child-2", "parent"]


@pytest.mark.slow
def test_a_killed_program_leaves_its_lines_to_the_next(tmp_path):
    killed = run(
        "import tests.file_sink; tests.file_sink.FileSink.write = lambda *_: time.sleep(60)\nimport time\n"
        "for n in range(1000): record(str(n))\nos.kill(os.getpid(), signal.SIGKILL)",
        tmp_path / "spool",
        tmp_path,
    )
    assert killed.returncode == -9
    assert not (tmp_path / "sink.txt").exists()
    run("record('next')", tmp_path / "spool", tmp_path)
    assert sorted((tmp_path / "sink.txt").read_text().split()) == sorted([*map(str, range(1000)), "next"])
