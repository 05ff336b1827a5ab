"""The documents name only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.http import QueryDict

from auditlog.search.keys import KEYS
from auditlog.search.language import LONGEST, MOST_TERMS, TIME_KEYS, faults, spread
from auditlog.search.timerange import LAST
from gatebook.conf import DEFAULTS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = (
    "auditlog/",
    "benchmarks/",
    "config/",
    "docs/",
    "gatebook/",
    "requirements/",
    "static/",
    "templates/",
    "tests/",
    ".ci/",
)


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


def test_the_page_on_capture_explains_every_setting():
    table = (ROOT / "docs" / "capture.md").read_text().partition("## Settings")[2]
    assert re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE) == list(DEFAULTS)


SEARCH = ROOT / "docs" / "search.md"


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading of the search document, without their code marks."""
    part = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", SEARCH.read_text(), re.MULTILINE | re.DOTALL)[1]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return [[cell.removeprefix("`").removesuffix("`") for cell in cells] for cells in lines]


def asked(text: str) -> QueryDict:
    query = QueryDict(mutable=True)
    query["q"] = text
    return spread(query)


@pytest.mark.parametrize("heading", ["Words", "Keys", "Time", "The address"])
def test_every_search_that_the_document_shows_can_be_asked(heading):
    examples = [cells[-1] if cells[0] in KEYS else cells[0] for cells in rows(heading)]
    assert len(examples) > 3
    assert [fault.sentence for text in examples for fault in faults(text)] == []


def test_the_document_explains_every_key():
    examples = {cells[0]: cells[2] for cells in rows("Keys") if cells[0] in KEYS}
    assert list(examples) == list(KEYS)
    assert all(example.startswith(f"{key}:") for key, example in examples.items())
    assert all(f"{key}:" in SEARCH.read_text() for key in TIME_KEYS)
    assert all(f"`{span}`" in SEARCH.read_text() or f"last:{span}" in SEARCH.read_text() for span in LAST)
    assert f"at most {LONGEST:,} characters and {MOST_TERMS} terms" in SEARCH.read_text()


def test_the_document_says_into_which_address_a_text_turns():
    for text, address in rows("The address")[1:]:
        assert dict(asked(text).lists()) == dict(QueryDict(address).lists())


def test_the_document_says_what_is_refused_and_why():
    for text, why in rows("What is refused")[1:]:
        assert any(why in fault.sentence for fault in faults(text)), text
