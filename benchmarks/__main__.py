"""`make bench`: a server and books of its own, every measurement, one table; only the JSON file stays.

From the environment: ROWS (2,000,000), ONLY (names of measurements, comma-separated), PROFILE=1, and GATEBOOK_VAR,
where the temporary directory and `benchmark.json` go (else the system's temporary directory and `var/`).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

from config.env import env_int, env_list, env_str, stop
from config.postgres import throwaway_server

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Measure, print, and write the same down."""
    rows = env_int("ROWS", 2_000_000, least=20_000, most=1_000_000_000)
    only = env_list("ONLY", str, "names of measurements, comma-separated")
    profile = env_str("PROFILE") not in ("", "0")
    kept = Path(env_str("GATEBOOK_VAR", str(ROOT / "var"))).resolve()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with temporary_directory() as directory, durable_server(directory):
        django.setup()
        from benchmarks import measurements, report

        try:
            chosen = measurements.chosen(only)
        except ValueError as error:
            raise stop(f"ONLY {error}") from None
        result = measurements.measure(chosen, directory, rows, profile=profile)
    print(report.table(result.rows))
    kept.mkdir(parents=True, exist_ok=True)
    path = kept / "benchmark.json"
    path.write_text(json.dumps(result.as_json(), indent=1, ensure_ascii=False) + "\n")
    print(f"\n{result.summary()} The same as JSON: {path}")


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """Make a directory for everything this run makes; remove it however the run ends."""
    parent = env_str("GATEBOOK_VAR")
    if parent:
        Path(parent).mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="gatebook-bench-", dir=parent or None)).resolve()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def durable_server(directory: Path) -> Iterator[None]:
    """Run the PostgreSQL that comes with Gatebook, with its own settings, and point Django at it."""
    with throwaway_server(directory, durable=True) as url:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "GATEBOOK_VAR": str(directory),
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "testserver,127.0.0.1",
            "HTTPS": "False",
        }
        for name in ("DEBUG", "PORT", "REDIS_URL", "ROOT_SITE", "TRUSTED_PROXIES"):
            os.environ.pop(name, None)
        yield


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; everything this run made is gone.")
