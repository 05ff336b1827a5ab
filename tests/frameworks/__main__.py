"""Answer requests that come as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings

directory = Path(sys.argv[1])

settings.configure(
    SECRET_KEY="somebody else's " * 4,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="tests.frameworks.urls",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / "db.sqlite3"}},
    AUTH_USER_MODEL="frameworks.Account",
    INSTALLED_APPS=[
        "tests.frameworks",
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "gatebook",
        "hijack",
        "loginas",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    MIDDLEWARE=[
        "gatebook.middleware.GatebookMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "hijack.middleware.HijackUserMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    LOGIN_REDIRECT_URL="/untouched/",
    LOGOUT_REDIRECT_URL="/untouched/",
    USE_TZ=True,
    GATEBOOK={"SPOOL": directory / "spool", "SHIP": False},
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "gatebook.logs.RequestIdFilter"}},
        "formatters": {"line": {"format": "%(request_id)s %(name)s: %(message)s"}},
        "handlers": {
            "file": {
                "class": "logging.FileHandler",
                "filename": directory / "log",
                "filters": ["request_id"],
                "formatter": "line",
            }
        },
        "root": {"handlers": ["file"], "level": "INFO"},
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402

from gatebook.spool import decode_line  # noqa: E402
from tests.frameworks.models import Account, Key  # noqa: E402


def prepare() -> dict[str, Any]:
    """Make the tables and who is in them; return what the tests must know."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    known = {}
    for name in ("alice", "bob", "carol"):
        account = Account(email=f"{name}@example.com", is_superuser=name != "carol", is_staff=name != "carol")
        account.set_password("correct horse 1")
        account.save()
        known[name] = str(account.pk)
    known["token"] = Token.objects.create(user=Account.objects.get(email="bob@example.com")).key
    known["key"] = str(Key.objects.create(prefix="ab12cd", secret="ab12cd" + "x7" * 20).pk)
    return known


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Make the request, with a session that goes by a name; return its answer and its entry."""
    if forget := asked.get("delete"):
        Account.objects.filter(email=forget).delete()
        return {}
    client = clients.setdefault(
        asked["session"], (AsyncClient if asked["is_async"] else Client)(raise_request_exception=False)
    )
    made = client.generic(asked["method"], asked["path"], asked["body"], asked["type"], headers=asked["headers"])
    response = asyncio.run(made) if asked["is_async"] else made
    (line,) = [line for path in (directory / "spool").glob("*.jsonl") for line in path.read_bytes().splitlines()][-1:]
    entry = decode_line(line).entry
    fields = {name: str(value) if name == "created_at" else value for name, value in entry_fields(entry)}
    return {"status": response.status_code, "body": response.text, "id": response["X-Request-Id"], "entry": fields}


def entry_fields(entry: Any) -> list[tuple[str, Any]]:
    """Return names and values."""
    return [(name, getattr(entry, name)) for name in entry.__struct_fields__]


clients: dict[str, Any] = {}
print(json.dumps(prepare()), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
