"""Work in the background: a real worker, told through a real Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from auditlog.models import ApiRequestLog, FilesComConnection
from auditlog.store import partitions
from gatebook.spool import Spool
from tests.book import ago, entry, make_entry
from tests.files_com import KEY
from tests.quick_start import soon

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_purges_makes_days_adopts_segments_and_copies(site, redis_url, tmp_path, files_com):
    make_entry(site, created_at=ago(days=20), request_path="/old")
    site.retention_days = 7
    site.save()
    spool = Spool(tmp_path / "spool")
    spool.append("acme", entry(request_path="/left-behind"))
    spool.close()
    files_com.records = [{"created_at": ago(hours=1).isoformat(), "request_id": "r", "request_path": "/copied"}]
    connected = FilesComConnection(site=site, base_url=files_com.address)
    connected.key = KEY
    connected.save()
    database = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/" + connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "GATEBOOK_VAR": str(tmp_path),
        "FILESCOM_HOSTS": "127.0.0.1",
        "NO_PROXY": "*",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }

    def celery(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", "config", *arguments]

    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(celery("worker", "-P", "solo"), cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        for task in ("purge", "adopt_segments", "sync_filescom"):
            call = celery("call", f"auditlog.tasks.{task}")
            subprocess.run(call, cwd=ROOT, env=environment, check=True, capture_output=True)
        soon(lambda: set(ApiRequestLog.objects.values_list("request_path", flat=True)) == {"/left-behind", "/copied"})
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
        soon(lambda: partitions.partition_of(tomorrow) in partitions.attached())
    finally:
        worker.terminate()
        worker.wait(30)
