"""The embedded server, each time a real one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dj_database_url
import psutil
import psycopg
import pytest

from config import postgres
from config.postgres import SOCKET_NAME, Cluster, database_url, socket_directory, throwaway_server
from config.processes import end

pytestmark = pytest.mark.slow


@pytest.fixture
def var() -> Iterator[Path]:
    """Make a short directory that other accounts may enter: root's PostgreSQL runs as another one."""
    directory = Path(tempfile.mkdtemp(prefix="gatebook-test-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@contextmanager
def running(var: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server as the quick start does, and stop it in the end."""
    cluster = Cluster(var)
    with (var / "postgres.log").open("ab") as log:
        process = cluster.start(log)
    try:
        deadline = time.monotonic() + 30
        while not cluster.answers():
            assert process.poll() is None, (var / "postgres.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
    finally:
        end(process.send_signal, process.wait, (signal.SIGINT, 10))
        cluster.stop_leftovers()


def servers_of(var: Path) -> list[psutil.Process]:
    data = str(var / "postgres" / "data")
    return [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == data]


def run_sql(var: Path, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url(var)) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_the_server_is_as_gatebook_needs_it(var):
    with throwaway_server(var):
        shown = run_sql(
            var,
            "SELECT current_setting('max_locks_per_transaction'), current_setting('timezone'),"
            " current_setting('listen_addresses'), current_setting('is_superuser'),"
            " pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'gatebook'",
        )
    assert shown == [("1024", "UTC", "", "off", "UTF8", "C.UTF-8")]
    assert servers_of(var) == []


def test_a_second_start_finds_its_data_again(var):
    with running(var):
        run_sql(var, "CREATE TABLE book (line text)", "INSERT INTO book VALUES ('kept')")
    with running(var):
        assert run_sql(var, "SELECT line FROM book") == [("kept",)]


def test_a_killed_server_starts_again_with_its_data(var):
    with running(var) as process:
        run_sql(var, "CREATE TABLE book (line text)", "INSERT INTO book VALUES ('kept')")
        process.kill()
        process.wait()
        with running(var):
            assert run_sql(var, "SELECT line FROM book") == [("kept",)]


def test_a_server_left_running_is_stopped_and_replaced(var):
    with running(var) as first, running(var) as second:
        assert first.wait(5) == 0
        assert second.poll() is None
        assert run_sql(var, "SELECT 1") == [(1,)]


def test_a_killed_first_start_is_begun_anew(var):
    unfinished = var / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with running(var):
        assert run_sql(var, "SELECT 1") == [(1,)]


def test_a_stranger_with_the_number_of_a_killed_server_lives_on(var):
    with running(var) as process:
        process.kill()
        process.wait()
    note = var / "postgres" / "data" / "postmaster.pid"
    account = note.stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=account, start_new_session=True)
    try:
        for place in (note, socket_directory(var) / f"{SOCKET_NAME}.lock"):
            lines = place.read_text().split("\n") if place.exists() else ["", str(var), "0", "5432", "", ""]
            place.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        with running(var):
            assert run_sql(var, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("name", ["x" * 100, "with space", "with,comma", "with:@%?#ü"])
def test_a_path_no_socket_can_have_is_no_obstacle(var, name):
    deep = var / name
    deep.mkdir()
    with throwaway_server(deep) as url:
        assert dj_database_url.parse(url)["HOST"] == str(socket_directory(deep))
        assert len(str(socket_directory(deep) / SOCKET_NAME)) <= 103
        assert run_sql(deep, "SELECT 1") == [(1,)]
    assert not socket_directory(deep).parent.exists()


def test_a_socket_directory_of_somebody_else_is_not_used(var):
    deep = var / ("x" * 100)
    deep.mkdir()
    directory = socket_directory(deep).parent
    directory.mkdir()
    directory.chmod(0o777)
    try:
        with pytest.raises(SystemExit, match="is not a directory of"), throwaway_server(deep):
            pass
    finally:
        directory.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_root_can_keep_its_data_where_only_root_may_look(var):
    var.chmod(0o700)
    (var / "in").mkdir(0o700)
    with running(var / "in") as process:
        assert psutil.Process(process.pid).uids().effective != 0
        assert run_sql(var / "in", "SELECT 1") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_only_who_started_the_server_may_connect(var):
    with running(var):
        (var / "postgres" / "socket").chmod(0o777)
        refused = subprocess.run(
            [postgres.embedded_bin() / "psql", "-d", database_url(var), "-c", "SELECT 1"],
            user=pwd.getpwnam("nobody").pw_uid,
            cwd="/",
            capture_output=True,
            text=True,
        )
    assert "Peer authentication failed" in refused.stderr


def test_a_platform_without_a_server_is_told_of_database_url(monkeypatch):
    monkeypatch.setattr(postgres.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="set DATABASE_URL"):
        postgres.embedded_bin()


def test_the_address_is_known_without_a_server(tmp_path):
    assert database_url(tmp_path) == database_url(tmp_path)
    assert list(tmp_path.iterdir()) == []
