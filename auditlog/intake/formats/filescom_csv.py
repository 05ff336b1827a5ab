"""CSV by the headings of the 19 columns: what Files.com exports, and what our own log page does.

What a file does not hold an entry does not get: no user's id, and where there is no Request-ID one of the row's text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import Any, BinaryIO

from auditlog.intake.formats.lines import LineIdentity
from auditlog.intake.formats.shape import (
    LINE_LIMIT,
    Format,
    Rejected,
    Source,
    excerpt,
    first_lines,
    reason_for,
    with_status,
)
from auditlog.intake.formats.times import milliseconds, moment_of
from auditlog.models.log import COLUMNS
from gatebook.entry import TEXT_LIMITS, Entry, text_of
from gatebook.interfaces import value_of

SITE = "site"
"""The first column of a download of several sites; entries go to --site all the same."""

_HEADINGS = {
    **{heading.casefold(): name for name, heading in COLUMNS.items()},
    "user id": "user_id",
    "impersonator user id": "impersonator_user_id",
    "site": SITE,
}
_FEWEST = 3
"""Known headings by which a file is recognised: any other CSV may have one of them."""
_ZONE = re.compile(r"date \(.*\)")
_FORMULA = re.compile(r"'(?=[=+\-@\t\r\n])")
"""What is put before a cell so that a spreadsheet does not run it."""
_WORDS = {"": None, "yes": True, "no": False, "true": True, "false": False, "success": True, "failure": False}


def recognises(head: bytes) -> bool:
    """Whether the first line has headings of ours."""
    for line in first_lines(head)[:1]:
        try:
            names = [_name(heading) for heading in next(csv.reader([text_of(line)]), [])]
        except csv.Error:
            return False
        return sum(name is not None for name in names) >= _FEWEST
    return False


def read(stream: BinaryIO, source: Source) -> Iterator[Entry | Rejected]:
    """Read row by row; a file whose headings are not known is rejected as a whole, with the reason."""
    rows = csv.reader(_lines(stream), strict=True)
    identity = LineIdentity()
    names: list[str] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Rejected(rows.line_num, f"not CSV: {error}", "")
            continue
        if row is None:
            return
        if not row:
            continue
        text = excerpt(",".join(row).encode())
        try:
            if names is None:
                names = _names(row)
                continue
            yield _entry(names, row, identity, source.zone)
        except (ValueError, TypeError) as error:
            yield Rejected(rows.line_num, reason_for(error), text)
            if names is None:
                return


def _lines(stream: BinaryIO) -> Iterator[str]:
    line = stream.readline(LINE_LIMIT).removeprefix(b"\xef\xbb\xbf")
    while line:
        yield text_of(line)
        line = stream.readline(LINE_LIMIT)


def _name(heading: str) -> str | None:
    folded = heading.strip().casefold()
    return "created_at" if _ZONE.fullmatch(folded) else _HEADINGS.get(folded)


def _names(row: list[str]) -> list[str]:
    """Return the fields of the columns. Raises ValueError."""
    names = []
    for heading in row:
        name = _name(heading)
        if name is None:
            raise ValueError(f"heading {heading[:50]!r} is not known, expected {', '.join(COLUMNS.values())}")
        if name in names:
            raise ValueError(f"heading {heading[:50]!r} is there twice")
        names.append(name)
    if "created_at" not in names:
        raise ValueError("heading 'Date' is missing")
    return names


def _entry(names: list[str], row: list[str], identity: LineIdentity, zone: tzinfo) -> Entry:
    if len(row) != len(names):
        raise ValueError(f"the row has {len(row)} cells, expected {len(names)}")
    cells = dict(zip(names, row, strict=True))
    status = _word("success", cells.pop("success", ""))
    cells.pop(SITE, None)
    fields: dict[str, Any] = {name: _value(name, cell, zone) for name, cell in cells.items()}
    fields["user_is_from_parent_site"] = fields.get("user_is_from_parent_site") or False
    if not fields.get("request_id"):
        fields["request_id"] = identity.of("\0".join(row).encode())
    return with_status(Entry(**fields), status)


def _value(name: str, cell: str, zone: tzinfo) -> Any:
    if name in TEXT_LIMITS:
        text = _FORMULA.sub("", cell, count=1) if cell[:1] == "'" else cell
        if name == "interface" and (known := value_of(text)) != text.strip():
            text = known
        return text or None
    cell = cell.strip()
    if name == "created_at":
        of_utc = cell.removesuffix(" UTC")
        return moment_of(of_utc or None, zone if of_utc == cell else UTC)
    if name == "duration_ms":
        return milliseconds(cell.replace(" ", "").replace(",", ""))
    if name == "response_code":
        if not re.fullmatch(r"(\d{1,9})?", cell, re.ASCII):
            raise ValueError(f"response_code: {cell[:50]!r}, expected a whole number")
        return int(cell) if cell else None
    return _word(name, cell)


def _word(name: str, cell: str) -> bool | None:
    try:
        return _WORDS[cell.strip().casefold()]
    except KeyError:
        expected = "Success or Failure" if name == "success" else "Yes or No"
        raise ValueError(f"{name}: {cell[:50]!r}, expected {expected}") from None


FORMAT = Format("filescom", "CSV with the 19 headings: of Files.com, or of the log page", recognises, read)
