"""The package for host projects: what it needs, what it brings, and that it works with nothing else there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PROJECT = """
import sys
from importlib.metadata import packages_distributions
REFUSED = {*packages_distributions()} - {"django", "asgiref", "sqlparse", "msgspec"}
class Strict:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"gatebook may not need {name}", name=name)
sys.meta_path.insert(0, Strict())
sys.path.insert(0, sys.argv[1])

from django.conf import settings
settings.configure(
    SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, INSTALLED_APPS=["gatebook"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    MIDDLEWARE=["gatebook.middleware.GatebookMiddleware"],
    GATEBOOK={"SPOOL": sys.argv[2], "SINK": "__main__.Sink", "SHIP": False},
)
import django; django.setup()
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import path

class Sink:
    def write(self, site, entries):
        for entry in entries:
            print(site, entry.request_path, entry.response_code)
        return []

urlpatterns = [path("hello/", lambda request: HttpResponse("hello"))]
call_command("check")
Client().get("/hello/?token=abc")
from datetime import UTC, datetime
import gatebook
gatebook.record(gatebook.Entry(created_at=datetime.now(UTC), request_id="r1", request_path="/sftp"), site="acme")
call_command("spool_status")
gatebook.spool.current().close()
call_command("ship")
"""


BESIDE_DJANGO_AUDITLOG = """
import sys
sys.path.insert(0, sys.argv[1])
from django.conf import settings
APPS = ["auditlog", "gatebook", "rest_framework", "django.contrib.auth", "django.contrib.contenttypes"]
settings.configure(
    SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, INSTALLED_APPS=APPS, USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    MIDDLEWARE=["gatebook.middleware.GatebookMiddleware", "auditlog.middleware.AuditlogMiddleware"],
    GATEBOOK={"SPOOL": sys.argv[2], "SINK": "__main__.Sink", "SHIP": False},
)
import django; django.setup()
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response

class Sink:
    def write(self, site, entries):
        for entry in entries:
            print("request:", entry.request_method, entry.request_path, entry.response_code)
        return []

@api_view(["POST"])
def people(request):
    return Response({"id": User.objects.create(username="alice").pk}, status=201)

urlpatterns = [path("people/", people)]
auditlog.register(User)
call_command("migrate", verbosity=0)
call_command("check")
Client().post("/people/")
print("change:", LogEntry.objects.get().get_action_display(), LogEntry.objects.get().object_repr)
import gatebook.spool, gatebook.shipper
gatebook.spool.current().close()
gatebook.shipper.adopt()
"""


def run_alone(tmp_path: Path, program: str) -> str:
    """Run a project that sees Gatebook's package and the installed ones, but not this checkout."""
    shutil.copytree(ROOT / "gatebook", tmp_path / "site" / "gatebook")
    command = [sys.executable, "-I", "-W", "ignore", "-c", program, str(tmp_path / "site"), str(tmp_path / "spool")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def declared() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_installing_it_brings_django_and_msgspec_only():
    names = {requirement.partition(">")[0] for requirement in declared()["project"]["dependencies"]}
    assert names == {"Django", "msgspec"}


def test_all_of_it_is_packed():
    packages = sorted(
        str(path.parent.relative_to(ROOT)).replace("/", ".") for path in ROOT.glob("gatebook/**/__init__.py")
    )
    assert sorted(declared()["tool"]["setuptools"]["packages"]) == packages


@pytest.mark.slow
def test_alone_beside_any_database_it_records_and_ships(tmp_path):
    said = run_alone(tmp_path, PROJECT)
    assert "None /hello/?token=[redacted] 200" in said
    assert "acme /sftp None" in said
    assert "2 entries shipped" in said


@pytest.mark.slow
def test_it_lives_beside_django_auditlog(tmp_path):
    said = run_alone(tmp_path, BESIDE_DJANGO_AUDITLOG)
    assert "change: create alice" in said
    assert "request: POST /people/ 201" in said
