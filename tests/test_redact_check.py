"""`manage.py redact_check`: shows what would be hidden, and keeps nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

LINE = {"created_at": "2026-05-04T12:00:00Z", "request_id": "r1", "username": "bob:hunter2", "request_path": "/a?x=1"}


def check(tmp_path, content: bytes) -> str:
    file = tmp_path / "lines"
    file.write_bytes(content)
    output = io.StringIO()
    call_command("redact_check", str(file), stdout=output, no_color=True)
    return output.getvalue()


def test_each_line_that_would_change_is_shown_before_and_after(tmp_path):
    output = check(tmp_path, b"/a?page=2\n/a?token=abc&x=1\npassword: hunter2 and pwd=x\n")
    assert output.splitlines() == [
        "     2 - /a?token=<<abc>>&x=1",
        "       + /a?token=[redacted]&x=1",
        "     3 - password: <<hunter2>> and pwd=<<x>>",
        "       + password: [redacted] and pwd=[redacted]",
        "3 lines read, 2 with something hidden.",
        "       1  token",
        "       1  password",
        "       1  pwd",
    ]


def test_what_is_written_anew_is_marked_as_a_whole(tmp_path):
    output = check(tmp_path, b"/a?next=%2Fcb%3Ftoken%3Dabc\n")
    assert "- <</a?next=%2Fcb%3Ftoken%3Dabc>>" in output
    assert "+ /a?next=/cb%3Ftoken%3D[redacted]" in output


@pytest.mark.parametrize("line", [LINE, {"site": None, "entry": LINE}, {**LINE, "site": "acme", "success": True}])
def test_entries_are_read_as_entries(tmp_path, line):
    output = check(tmp_path, json.dumps(line).encode())
    assert "- username: bob:<<hunter2>>" in output
    assert "request_path" not in output


def test_what_a_line_holds_cannot_steer_the_terminal(tmp_path):
    assert "\x1b" not in check(tmp_path, b"/a?token=abc&x=\x1b[2J\n")


def test_invalid_bytes_and_huge_lines_are_survived(tmp_path):
    output = check(tmp_path, b"\xff\xfe?token=abc\n" + b"/a?token=" + b"x" * 300_000 + b"\n/b?token=abc\n\n{\n")
    assert "5 lines read, 3 with something hidden." in output
    assert "1 lines were looked at up to 65536 bytes only." in output
    assert len(output) < 100_000


def test_standard_input_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"/a?token=abc")))
    output = io.StringIO()
    call_command("redact_check", "-", stdout=output)
    assert "1 lines read, 1 with something hidden." in output.getvalue()


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(CommandError, match=r"/nowhere cannot be read: No such file"):
        call_command("redact_check", "/nowhere")


HOST = """
import sys
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["gatebook"],
    GATEBOOK={"SPOOL": "/var/spool/gatebook", "REDACT": ["re:ACME-[0-9]{3}"], "NOT_SECRET": ["code"]},
)
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "redact_check", "-"])
"""


@pytest.mark.slow
def test_it_runs_in_a_project_without_database_by_that_projects_rules():
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    lines = b"/a?code=EUR\n/a/ACME-123\n"
    done = subprocess.run([sys.executable, "-c", HOST], input=lines, capture_output=True, env=environment, timeout=60)
    assert done.stderr == b""
    assert done.stdout.decode().splitlines() == [
        "     2 - /a/<<ACME-123>>",
        "       + /a/[redacted]",
        "2 lines read, 1 with something hidden.",
        "       1  re:ACME-[0-9]{3}",
    ]
