"""Settings from the environment: nonsense stops the start."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import env_bool, env_int, env_list, env_str, kept_secret
from tests.servers import bare_environment

ROOT = Path(__file__).resolve().parent.parent
SERVER = {
    "DATABASE_URL": "postgresql://gatebook@localhost/gatebook",
    "SECRET_KEY": "k" * 64,
    "ALLOWED_HOSTS": "gatebook.example.org",
}


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("SOME", "")
    assert env_str("SOME", "default") == "default"
    assert env_bool("SOME", default=True) is True
    assert env_int("SOME", 7, least=1, most=9) == 7
    assert env_list("SOME", str, "names") == []


def test_values_are_read_by_their_type(monkeypatch):
    monkeypatch.setenv("SOME", "False")
    assert env_bool("SOME", default=True) is False
    monkeypatch.setenv("SOME", "9")
    assert env_int("SOME", 7, least=1, most=9) == 9
    monkeypatch.setenv("SOME", "10.0.0.0/8, 192.0.2.1,")
    networks = env_list("SOME", ipaddress.ip_network, "networks")
    assert networks == [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("192.0.2.1/32")]


@pytest.mark.parametrize("text", ["yes", "1", "true", " True"])
def test_a_boolean_is_True_or_False_only(monkeypatch, text):  # noqa: N802
    monkeypatch.setenv("SOME", text)
    with pytest.raises(SystemExit, match=f"SOME is '{text}', expected True or False"):
        env_bool("SOME", default=False)


@pytest.mark.parametrize("text", ["ten", "0", "10", "1.5"])
def test_a_number_outside_its_bounds_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("SOME", text)
    with pytest.raises(SystemExit, match=f"SOME is '{text}', expected a whole number from 1 to 9"):
        env_int("SOME", 7, least=1, most=9)


def test_a_kept_secret_stays_the_same_and_private(tmp_path):
    path = tmp_path / "var" / "secret"
    secret = kept_secret(path)
    assert len(secret) >= 50
    assert kept_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"PORT": "http"}, "PORT is 'http', expected a whole number from 1 to 65535."),
        ({"DEBUG": "on"}, "DEBUG is 'on', expected True or False."),
        ({"PARTITIONS": "year"}, "PARTITIONS is 'year', expected one of day, month."),
        ({"TRUSTED_PROXIES": "proxy"}, "TRUSTED_PROXIES is 'proxy', expected addresses or networks, comma-separated."),
        ({"REDIS_URL": "localhost"}, "REDIS_URL is not an address that begins with redis://"),
        ({**SERVER, "SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({**SERVER, "SECRET_KEY": "short"}, "SECRET_KEY has 5 characters"),
        ({**SERVER, "ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is not set"),
        ({**SERVER, "ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS contains '*'"),
        ({**SERVER, "DATABASE_URL": "sqlite:///book.db"}, "DATABASE_URL is not an address that begins with postgresql"),
        ({**SERVER, "DATABASE_URL": "book"}, "DATABASE_URL is not an address that begins with postgresql"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value)[-40:],
)
def test_nonsense_stops_the_start_in_one_sentence(tmp_path, variables, sentence):
    ended = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=ROOT,
        env=bare_environment(GATEBOOK_VAR=str(tmp_path), **variables),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Gatebook cannot start: ")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
