"""`import_logs --follow`: what is written to a file is in the book a second later, across rotation and restarts."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from auditlog.intake import files, follow
from auditlog.intake.formats.shape import LINE_LIMIT, Rejected
from auditlog.models import ApiRequestLog, Site
from gatebook.entry import Entry
from tests.book import ago
from tests.servers import bare_environment
from tests.test_import_logs import access_line, counts, run

ROOT = Path(__file__).resolve().parent.parent


def line(path: str) -> str:
    return access_line(ago(hours=1).replace(minute=0, second=0), path) + "\n"


def append(path: Path, *texts: str) -> None:
    with path.open("a") as stream:
        stream.write("".join(texts))


class Looking:
    """Looks at a followed file as the loop does, without its clock or a book."""

    def __init__(self, path: Path) -> None:
        self._followed = follow._Followed(files.find(path, "combined"))

    def new(self) -> list[str | None]:
        """Return what is new: paths of entries, reasons of rejections."""
        return [item.request_path if isinstance(item, Entry) else item.reason for item in self._followed.items()]

    def ids(self) -> list[str]:
        """Return the Request-IDs of what is new."""
        return [item.request_id for item in self._followed.items() if isinstance(item, Entry)]

    def close(self) -> None:
        """Let go of the files."""
        list(self._followed.close())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    append(path, line("/1"))
    return path


@pytest.fixture
def looking(log: Path) -> Iterator[Looking]:
    looking = Looking(log)
    yield looking
    looking.close()


def test_it_begins_at_the_beginning_and_goes_on_with_what_is_new(looking, log):
    assert looking.new() == ["/1"]
    assert looking.new() == []
    append(log, line("/2"), line("/3"))
    assert looking.new() == ["/2", "/3"]


def test_a_line_is_read_when_it_is_whole(looking, log):
    text = line("/2")
    looking.new()
    for character in text[:-1]:
        append(log, character)
        assert looking.new() == []
    append(log, text[-1])
    assert looking.new() == ["/2"]


def test_a_renamed_file_is_read_on_beside_the_new_one(looking, log):
    looking.new()
    append(log, line("/before"))
    old = log.rename(log.with_suffix(".1"))
    assert looking.new() == ["/before"]
    append(old, line("/late"))
    append(log, line("/new"))
    assert sorted(looking.new()) == ["/late", "/new"]
    append(old, line("/later"))
    append(log, line("/newer"))
    assert looking.new() == ["/later", "/newer"]


def test_a_renamed_file_is_left_when_it_has_been_quiet_for_long(looking, log, monkeypatch):
    looking.new()
    old = log.rename(log.with_suffix(".1"))
    append(log, line("/new"))
    looking.new()
    monkeypatch.setattr(follow, "QUIET_SECONDS", 0)
    looking.new()
    append(old, line("/too-late"))
    assert looking.new() == []


@pytest.mark.parametrize("texts", [[line("/2")], [line("/2")] * 9, []])
def test_an_emptied_file_is_read_from_its_beginning(looking, log, texts):
    append(log, *[line("/1")] * 3)
    looking.new()
    os.truncate(log, 0)
    append(log, *texts)
    assert looking.new() == ["/2"] * len(texts)
    append(log, line("/3"))
    assert looking.new() == ["/3"]


def test_a_file_that_is_renamed_and_emptied_is_no_obstacle(looking, log):
    append(log, *[line("/1")] * 3)
    looking.new()
    os.truncate(log.rename(log.with_suffix(".1")), 0)
    assert looking.new() == []
    append(log, line("/new"))
    assert looking.new() == ["/new"]


def test_a_file_that_cannot_be_opened_yet_is_opened_later(looking, log, caplog):
    looking.new()
    log.unlink()
    log.mkdir()
    assert looking.new() == looking.new() == []
    assert [record.message for record in caplog.records] == [f"{log} cannot be read: Is a directory"]
    log.rmdir()
    append(log, line("/new"))
    assert looking.new() == ["/new"]


def test_ordinals_count_within_one_file_so_that_importing_it_whole_makes_the_same_ids(looking, log):
    append(log, *[line("/2")] * 2)
    first = looking.ids()
    append(log, line("/2"))
    first += looking.ids()
    log.rename(log.with_suffix(".1"))
    append(log, *[line("/2")] * 2)
    second = looking.ids()
    assert len(set(first)) == 4
    for path, ids in ((log.with_suffix(".1"), first), (log, second)):
        assert [item.request_id for item in files.find(path).read()] == ids


def test_a_line_without_end_does_not_fill_the_memory(looking, log):
    looking.new()
    for _ in range(5):
        append(log, "x" * LINE_LIMIT)
    assert looking.new() == [f"longer than {LINE_LIMIT:,} bytes"]
    append(log, "x" * 10)
    assert looking.new() == []
    append(log, "\n", line("/2"))
    assert looking.new() == ["/2"]


def test_an_operation_waits_for_its_status_but_not_for_ever(tmp_path, monkeypatch):
    log = tmp_path / "auth.log"
    before = "2026-03-03T08:12:30+00:00 files internal-sftp[7]:"
    append(log, f"{before} received client version 3\n", f'{before} remove name "/a"\n')
    followed = follow._Followed(files.find(log))
    assert list(followed.items()) == []
    append(log, f"{before} sent status Permission denied\n", f'{before} remove name "/b"\n')
    (denied,) = followed.items()
    assert (denied.request_path, denied.error_message) == ("/a", "Permission denied")
    monkeypatch.setattr(follow, "WAITING_SECONDS", 0)
    (removed,) = followed.items()
    assert (removed.request_path, removed.success) == ("/b", True)
    list(followed.close())


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["-"], "--follow: standard input cannot be followed"),
        (["packed.gz"], "--follow: packed.gz is packed and will not grow"),
        (["empty.log"], "--follow: empty.log is empty; say with --format what will be in it."),
        (["trail.json"], "--follow: trail.json is AWS CloudTrail, which is not read line by line."),
        (["missing.log"], "missing.log cannot be read: No such file or directory."),
        (["access.log", "--rebase-time"], "--follow: new lines have no newest one to rebase by; use --shift-days."),
    ],
)
def test_what_cannot_be_followed_is_said_in_a_sentence(site, log, tmp_path, monkeypatch, names, sentence):
    monkeypatch.chdir(tmp_path)
    Path("packed.gz").write_bytes(gzip.compress(log.read_bytes()))
    Path("empty.log").touch()
    Path("trail.json").write_text('{"Records": []}')
    with pytest.raises(CommandError) as caught:
        call_command("import_logs", *names, "--follow", "--site=acme")
    assert sentence in str(caught.value)


def test_the_loop_stops_where_it_is_told_and_stores_what_it_has(site, log, monkeypatch):
    monkeypatch.setattr(files, "BATCH", 2)
    append(log, *(line(f"/{number}") for number in range(2, 10)))
    intake, stop = files.Intake(site), threading.Event()
    threading.Timer(0.5, stop.set).start()
    follow.follow([files.find(log)], intake, stop)
    assert (intake.tally.read, intake.tally.stored) == (9, 9)


class Follower:
    """The command in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        database = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/" + connection.settings_dict["NAME"]
        environment = bare_environment(
            GATEBOOK_VAR=os.environ["GATEBOOK_VAR"],
            DATABASE_URL=database,
            SECRET_KEY="for tests " * 5,
            ALLOWED_HOSTS="localhost",
            HTTPS="False",
        )
        command = [sys.executable, "manage.py", "import_logs", *map(str, arguments), "--site=acme", "--follow"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout.readline().startswith("Following ")

    def end(self, number: signal.Signals = signal.SIGTERM) -> str:
        """Stop it as a service manager or Ctrl-C does; return what it says."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return said


@pytest.fixture
def follower(transactional_db: None, site: Site) -> Iterator[Callable[..., Follower]]:
    started: list[Follower] = []

    def start(*arguments: object) -> Follower:
        started.append(Follower(*arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def wait_for(paths: set[str]) -> None:
    """Wait until exactly these paths are in the book."""
    deadline = time.monotonic() + 60
    while (there := set(ApiRequestLog.objects.values_list("request_path", flat=True))) != paths:
        assert time.monotonic() < deadline, there
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_written_is_in_the_book_and_the_end_is_a_summary(follower, log, number):
    running = follower(log)
    wait_for({"/1"})
    append(log, line("/2"), "torn\n")
    wait_for({"/1", "/2"})
    said = running.end(number)
    assert counts(said) == (3, 2, 0, 1)
    assert "access.log:3: torn" in said


@pytest.mark.slow
def test_rotation_of_either_kind_loses_and_doubles_nothing(follower, log):
    running = follower(log)
    wait_for({"/1"})
    append(log, line("/same"), line("/same"))
    old = log.rename(log.with_suffix(".1"))
    append(old, line("/late"))
    append(log, line("/new"))
    wait_for({"/1", "/same", "/late", "/new"})
    os.truncate(log, 0)
    append(log, line("/emptied"))
    wait_for({"/1", "/same", "/late", "/new", "/emptied"})
    assert counts(running.end()) == (6, 6, 0, 0)
    assert counts(run(old, log)) == (5, 0, 5, 0)


@pytest.mark.slow
def test_starting_again_adds_what_was_written_meanwhile_and_nothing_twice(follower, log):
    running = follower(log)
    append(log, line("/2"))
    wait_for({"/1", "/2"})
    running.process.kill()
    append(log, line("/2"), line("/3"))
    old = log.rename(log.with_suffix(".1"))
    append(log, line("/4"))
    running = follower(old, log)
    wait_for({"/1", "/2", "/3", "/4"})
    assert counts(running.end()) == (5, 3, 2, 0)
    assert ApiRequestLog.objects.count() == 5


@pytest.mark.slow
def test_a_database_that_is_away_is_waited_for(follower, log):
    running = follower(log)
    wait_for({"/1"})
    params = connection.get_connection_params()
    connection.close()
    with psycopg.connect(
        host=params["host"], user=params["user"], port=params.get("port"), dbname="postgres", autocommit=True
    ) as server:
        server.execute(f"ALTER DATABASE {params['dbname']} ALLOW_CONNECTIONS false")
        try:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [params["dbname"]]
            )
            append(log, line("/2"))
            time.sleep(2)
            for number in range(3):  # it is away for long: rotation goes on
                log.rename(log.with_suffix(f".{number}"))
                append(log, line(f"/after-{number}"))
                time.sleep(2)
            assert running.process.poll() is None
        finally:
            server.execute(f"ALTER DATABASE {params['dbname']} ALLOW_CONNECTIONS true")
    wait_for({"/1", "/2", "/after-0", "/after-1", "/after-2"})
    said = running.end()
    assert counts(said) == (5, 5, 0, 0)
    assert "The database is away, trying again" in said


@pytest.mark.slow
def test_lines_written_while_it_reads_are_all_stored_once(follower, log):
    running = follower(log)
    expected = {"/1"}
    for number in range(3000):
        append(log, line(f"/n{number}"))
        expected.add(f"/n{number}")
        if number % 1000 == 999:
            log.rename(log.with_suffix(f".{number}"))
            append(log, line("/new"))
            expected.add("/new")
            wait_for(expected)
    append(log, line("/last"))
    wait_for({*expected, "/last"})
    assert counts(running.end()) == (3005, 3003, 2, 0)


def test_rejections_are_told_apart_from_entries_in_what_is_new(looking, log):
    append(log, "torn\n", "\n", line("/2"))
    items = list(looking._followed.items())
    assert [(type(item), getattr(item, "number", None)) for item in items] == [
        (Entry, None), (Rejected, 2), (Entry, None),
    ]  # fmt: skip
