"""The documents name only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = ("auditlog/", "config/", "docs/", "gatebook/", "requirements/", "static/", "templates/", "tests/", ".ci/")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_exists(document):
    text = document.read_text()
    named = {name for name in re.findall(r"`([\w./-]+)`", text) if name.startswith(OURS)}
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    named |= {str((document.parent / link).resolve().relative_to(ROOT)) for link in linked}
    missing = sorted(name for name in named if not (ROOT / name).exists() and "<" not in name)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_names_exists(document):
    text = document.read_text()
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets


def test_the_readme_names_every_variable_that_the_server_reads():
    sources = [*(ROOT / "config").glob("*.py")]
    read = {name for source in sources for name in re.findall(r'env_\w+\(\s*"([A-Z_]+)"', source.read_text())}
    missing = {name for name in read if f"`{name}`" not in (ROOT / "README.md").read_text()}
    assert missing == set()
