"""Fixtures that start real servers, and what to do where a program for them is missing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import redis

from config.postgres import throwaway_server


def require(program: str, package: str) -> str:
    """Return where the program is; without it the test is skipped, or fails where none may be."""
    path = shutil.which(program)
    if path is None:
        cannot_run(f"{program} is not installed; try: apt-get install {package}")
    return path


def cannot_run(sentence: str) -> NoReturn:
    """Skip the test because of what the machine lacks, or fail where nothing may be lacking."""
    if os.environ.get("GATEBOOK_TEST_REQUIRE_ALL"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def free_port() -> int:
    """Return a TCP port nobody listens on."""
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return int(attempt.getsockname()[1])


def bare_environment(**variables: str) -> dict[str, str]:
    """Return an environment for a program that is to see nothing of the tests' own settings."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | variables


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run the PostgreSQL that comes with Gatebook, or that of GATEBOOK_TEST_POSTGRES_BIN; its address."""
    programs = os.environ.get("GATEBOOK_TEST_POSTGRES_BIN")
    with throwaway_server(Path(os.environ["GATEBOOK_TEST_VAR"]), bin=Path(programs) if programs else None) as url:
        yield url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres_server: str) -> None:
    """Start PostgreSQL before pytest-django makes its database, and only then."""


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real redis-server; its address."""
    program = require("redis-server", "redis-server")
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    directory = str(tmp_path_factory.mktemp("redis"))
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", directory, "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        client = redis.Redis.from_url(url)
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        client.close()
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find Chromium; its path."""
    return require("chromium", "chromium")
