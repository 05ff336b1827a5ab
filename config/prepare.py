"""What the quick start needs before its parts run: static files, tables, an administrator, something to read."""

from __future__ import annotations

import os
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection

from config.env import env_str, kept_secret, stop


def prepare(kind: str, var: Path) -> str:
    """Prepare a `demo` or a book to `run`; return how to sign in, in words."""
    sites = apps.get_model("gatebook", "Site").objects
    try:
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("migrate", interactive=False, verbosity=0)
        sign_in = first_administrator(var)
        if kind == "demo":
            call_command("load_demo")
        elif not sites.exists():
            call_command("create_site", "main", name="Main")
        if settings.ROOT_SITE and not sites.filter(slug=settings.ROOT_SITE).exists():
            raise stop(f"ROOT_SITE is {settings.ROOT_SITE!r}, expected the slug of a site.")
        return sign_in
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]


def first_administrator(var: Path) -> str:
    """Make the first superuser where there is none; return how to sign in, in words."""
    accounts = get_user_model()._default_manager
    name = env_str("GATEBOOK_ADMIN_USERNAME", "administrator")
    chosen = os.environ.get("GATEBOOK_ADMIN_PASSWORD")
    password = chosen or kept_secret(var / "administrator_password", bytes_of_chance=12)
    if not accounts.filter(is_superuser=True).exists():
        accounts.create_superuser(name, password=password)
    account = accounts.filter(is_superuser=True, username=name).first()
    if not account or not account.check_password(password):
        return "as the administrator you have made, with your own password"
    shown = "from GATEBOOK_ADMIN_PASSWORD" if chosen else password
    return f"as {name} with the password {shown}"
