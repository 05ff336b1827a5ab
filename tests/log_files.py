"""Log files out of texts, for the tests of formats."""

from __future__ import annotations

import io
from datetime import UTC, datetime, tzinfo

from hypothesis import strategies as st

from auditlog.intake import formats
from auditlog.intake.formats.shape import Rejected, Source
from gatebook.entry import Entry

WRITTEN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""When a file is last written, unless a test says otherwise."""

ODD_VALUES = (
    st.text()
    | st.sampled_from([None, True, 0, -1, 3.5, 1e308, 10**30, "", "-", "200", "a\x00b", "\ud800", "=1", "x" * 9000])
    | st.sampled_from([[], [None], ["a", 7], {}, {"code": "x"}, {"uri": [], "headers": {"User-Agent": {}}}])
)
"""What a JSON field may hold that its format does not say."""


def read_bytes(name: str, data: bytes, *, zone: tzinfo = UTC, written: datetime = WRITTEN) -> list[Entry | Rejected]:
    """Read a file of the format `name`."""
    return list(formats.FORMATS[name].read(io.BytesIO(data), Source(zone, lambda: written)))


def read_lines(
    name: str, *lines: str | bytes, zone: tzinfo = UTC, written: datetime = WRITTEN
) -> list[Entry | Rejected]:
    """Read a file of those lines."""
    data = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
    return read_bytes(name, data, zone=zone, written=written)


def read_entry(name: str, *lines: str | bytes, zone: tzinfo = UTC, written: datetime = WRITTEN) -> Entry:
    """Read a file of those lines, which together are one entry."""
    (entry,) = read_lines(name, *lines, zone=zone, written=written)
    assert isinstance(entry, Entry), entry
    return entry


def read_reason(name: str, line: str | bytes) -> str:
    """Read a file of one line that is rejected; return why."""
    (rejected,) = read_lines(name, line)
    assert isinstance(rejected, Rejected), rejected
    return rejected.reason
