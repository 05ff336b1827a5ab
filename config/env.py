"""Typed readers of environment variables; a value that makes no sense stops the start in one sentence."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def stop(sentence: str) -> SystemExit:
    """Return the exception that ends the process with `sentence` on standard error."""
    return SystemExit(f"Gatebook cannot start: {sentence}")


def _read(name: str, default: T, parse: Callable[[str], T], expected: str) -> T:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        return parse(text)
    except (ValueError, KeyError):
        raise stop(f"{name} is {text!r}, expected {expected}.") from None


def env_str(name: str, default: str = "") -> str:
    """Return the variable's text, or `default` where it is unset or empty."""
    return os.environ.get(name, "") or default


def env_bool(name: str, *, default: bool) -> bool:
    """Return True or False; stop on any other text."""
    return _read(name, default, {"True": True, "False": False}.__getitem__, "True or False")


def env_choice(name: str, default: str, choices: Sequence[str]) -> str:
    """Return one of `choices`."""
    return _read(name, default, dict(zip(choices, choices, strict=True)).__getitem__, f"one of {', '.join(choices)}")


def env_int(name: str, default: int, *, least: int, most: int) -> int:
    """Return a whole number between `least` and `most`, both included."""

    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError
        return number

    return _read(name, default, parse, f"a whole number from {least} to {most}")


def env_list(name: str, parse: Callable[[str], T], expected: str) -> list[T]:
    """Return the comma-separated items, each read by `parse` (which raises ValueError on nonsense)."""
    return _read(name, [], lambda text: [parse(item.strip()) for item in text.split(",") if item.strip()], expected)


def kept_secret(path: Path, *, bytes_of_chance: int = 50) -> str:
    """Return the secret kept in `path`, readable by its owner alone; made on first use."""
    if path.is_file():
        return path.read_text()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:  # whole before anyone can read it
            draft.write(secrets.token_urlsafe(bytes_of_chance))
            draft.flush()
            with suppress(FileExistsError):  # another process was first
                os.link(draft.name, path)
        return path.read_text()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise stop(f"{path} cannot be written: {why}. GATEBOOK_VAR must name a directory of yours.") from None
