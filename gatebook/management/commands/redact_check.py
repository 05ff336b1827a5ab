"""`manage.py redact_check FILE`: show what redaction would hide in paths, log lines or entries."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from django.core.management.base import BaseCommand, CommandError

from gatebook.conf import conf
from gatebook.entry import FIELDS, TEXT_LIMITS, Entry, entry_from, text_of
from gatebook.redact import HIDDEN, Redactor

LONGEST_LINE = 65_536
"""Bytes of a line that are looked at; no text of an entry is as long."""

NAMES_SHOWN = 50
NAMES_TOLD_APART = 1000  # a hostile file has another name on each line
NAME_LIMIT = 80
OTHER_NAMES = "other names"


class Command(BaseCommand):
    """Reads line by line and only prints: nothing of it is kept."""

    requires_system_checks = ()
    help = "Show what redaction hides in FILE: a path, address, log line or Gatebook JSON line each line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare FILE."""
        parser.add_argument("file", metavar="FILE", help="the file to read; - is standard input")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        """Print each line that would change, and the sum."""
        if file == "-":
            self._check(sys.stdin.buffer)
            return
        try:
            with Path(file).open("rb") as stream:
                self._check(stream)
        except BrokenPipeError:  # who reads this has seen enough
            return
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None

    def _check(self, stream: BinaryIO) -> None:
        hidden: Counter[str] = Counter()

        def count(why: str) -> None:
            why = why[:NAME_LIMIT]
            hidden[why if why in hidden or len(hidden) < NAMES_TOLD_APART else OTHER_NAMES] += 1

        redactor = copy(conf().redactor)
        redactor.on_hidden = count
        read = changed = cut = 0
        for line, is_whole in _lines(stream):
            read += 1
            cut += not is_whole
            pairs = [(before, after) for before, after in _checked(line, redactor) if before != after]
            changed += bool(pairs)
            for before, after in pairs:
                self.stdout.write(f"{read:>6} - {self._marked(before, after)}\n       + {_printable(after)}")
        self.stdout.write(f"{read} lines read, {changed} with something hidden.")
        for why, times in hidden.most_common(NAMES_SHOWN):
            self.stdout.write(f"{times:>8}  {_printable(why)}")
        if cut:
            self.stdout.write(f"{cut} lines were looked at up to {LONGEST_LINE} bytes only.")

    def _marked(self, before: str, after: str) -> str:
        """Return the text with what is hidden between << and >>."""
        first, *rest = after.split(HIDDEN)
        parts = [_printable(first)]
        done = len(first)
        for place, piece in enumerate(rest):
            is_last = place == len(rest) - 1
            end = len(before) - len(piece) if is_last else before.find(piece, done)
            if not before.startswith(first) or end < done or not before.startswith(piece, end):
                return self.style.ERROR(f"<<{_printable(before)}>>")  # encoded anew: the parts do not line up
            parts += self.style.ERROR(f"<<{_printable(before[done:end])}>>"), _printable(piece)
            done = end + len(piece)
        return "".join(parts)


def _lines(stream: BinaryIO) -> Iterator[tuple[str, bool]]:
    """Yield lines and whether they are whole; a long one is cut, its rest skipped."""
    while line := stream.readline(LONGEST_LINE):
        is_whole = line.endswith(b"\n") or len(line) < LONGEST_LINE
        rest = b"" if is_whole else b"-"
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE)
        yield text_of(line).rstrip("\r\n"), is_whole


def _checked(line: str, redactor: Redactor) -> Iterator[tuple[str, str]]:
    """Yield the texts of a line and what becomes of them."""
    if entry := _entry(line):
        safe = redactor.entry(entry)
        for name in TEXT_LIMITS:
            yield f"{name}: {getattr(entry, name)}", f"{name}: {getattr(safe, name)}"
        yield f"details: {entry.details}", f"details: {safe.details}"
    elif " " not in line and (line.startswith("/") or "://" in line):
        yield line, redactor.path(line)
    else:
        yield line, redactor.text(line)


def _entry(line: str) -> Entry | None:
    """Return the entry of a Gatebook JSON line, also of one in a spool."""
    if not line.startswith("{") or '"created_at"' not in line:
        return None
    try:
        fields = msgspec.json.decode(line)
        fields = fields.get("entry", fields)
        return entry_from({name: value for name, value in fields.items() if name in FIELDS and value is not None})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)
