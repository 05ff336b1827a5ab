"""The transfer log that vsftpd, ProFTPD and others share (xferlog): one finished upload, download or deletion a line.

    Tue Mar  3 08:12:30 2026 1 192.0.2.7 1048576 /in/a.csv b _ i r bob ftp 0 * c

Only the file's name may hold spaces, whatever the server lets through: it is what the counted words leave over.
"""

from __future__ import annotations

import re

from auditlog.intake.formats.lines import LineIdentity, line_format, whole
from auditlog.intake.formats.shape import Source, first_lines
from auditlog.intake.formats.times import moment_in_words
from gatebook.entry import Entry, text_of

_LINE = re.compile(
    r"(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d \d{4}) (?P<seconds>\d{1,10}) (?P<client>\S+) "
    r"(?P<bytes>\d{1,20}) (?P<path>.+) (?P<kind>[ab]) (?P<action>[CUT_]{1,3}) (?P<direction>[iod]) (?P<access>[arg]) "
    r"(?P<user>\S+) (?P<service>\S+) (?P<checked>[01]) (?P<account>\S+) (?P<end>[ci])",
    re.DOTALL | re.ASCII,
)
_OPERATIONS = {"i": ("STOR", "store"), "o": ("RETR", "retrieve"), "d": ("DELE", "delete")}
_ACCESS = {"a": "anonymous", "g": "guest"}


class _Lines:
    """Reads one transfer a line."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._identity = LineIdentity()

    def take(self, line: bytes) -> list[Entry]:
        content = whole(line)
        match = _LINE.fullmatch(text_of(content))
        if match is None:
            raise ValueError("not a line of a transfer log")
        method, name = _OPERATIONS[match["direction"]]
        service = match["service"].lower()
        details = {
            "bytes": match["bytes"],
            "kind": "ascii" if match["kind"] == "a" else None,
            "access": _ACCESS.get(match["access"]),
            "account": match["account"] if match["account"] != "*" else None,
        }
        return [
            Entry(
                created_at=moment_in_words(match["time"], self._source.zone, self._source.written()),
                request_id=self._identity.of(content),
                username=match["user"],
                interface=service,
                api_name=f"{service}.{name}",
                request_method=method,
                request_path=match["path"],
                request_ip=match["client"],
                error_type="incomplete" if match["end"] == "i" else None,
                duration_ms=int(match["seconds"]) * 1000,
                details={key: value for key, value in details.items() if value},
            )
        ]

    def rest(self) -> list[Entry]:
        return []


def recognises(head: bytes) -> bool:
    """Whether one of the first lines is a transfer."""
    return any(_LINE.fullmatch(text_of(line)) for line in first_lines(head))


FORMAT = line_format("xferlog", "transfer log of vsftpd, ProFTPD and others (xferlog)", recognises, _Lines)
