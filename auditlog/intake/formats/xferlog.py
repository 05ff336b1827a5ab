"""The transfer log that vsftpd, ProFTPD and others share (xferlog): one finished upload, download or deletion a line.

    Tue Mar  3 08:12:30 2026 1 192.0.2.7 1048576 /in/a.csv b _ i r bob ftp 0 * c

Only the file's name may hold spaces, whatever the server lets through: it is what the counted words leave over.
"""

from __future__ import annotations

import re

from auditlog.intake.formats.lines import known, pattern_format
from auditlog.intake.formats.shape import Source
from auditlog.intake.formats.times import moment_in_words
from gatebook.entry import Entry

_LINE = re.compile(
    r"(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d \d{4}) (?P<seconds>\d{1,10}) (?P<client>\S+) "
    r"(?P<bytes>\d{1,20}) (?P<path>.+) (?P<kind>[ab]) (?P<action>[CUT_]{1,3}) (?P<direction>[iod]) (?P<access>[arg]) "
    r"(?P<user>\S+) (?P<service>\S+) (?P<checked>[01]) (?P<account>\S+) (?P<end>[ci])",
    re.DOTALL | re.ASCII,
)
_OPERATIONS = {"i": ("STOR", "store"), "o": ("RETR", "retrieve"), "d": ("DELE", "delete")}
_ACCESS = {"a": "anonymous", "g": "guest"}


def _entry(match: re.Match[str], request_id: str, source: Source) -> Entry:
    method, name = _OPERATIONS[match["direction"]]
    service = match["service"].lower()
    details = {
        "bytes": match["bytes"],
        "kind": "ascii" if match["kind"] == "a" else None,
        "access": _ACCESS.get(match["access"]),
        "account": match["account"] if match["account"] != "*" else None,
    }
    return Entry(
        created_at=moment_in_words(match["time"], source.zone, source.written()),
        request_id=request_id,
        username=match["user"],
        interface=service,
        api_name=f"{service}.{name}",
        request_method=method,
        request_path=match["path"],
        request_ip=match["client"],
        error_type="incomplete" if match["end"] == "i" else None,
        duration_ms=int(match["seconds"]) * 1000,
        details=known(details),
    )


FORMAT = pattern_format("xferlog", "transfer log of vsftpd, ProFTPD and others (xferlog)", _LINE, _entry)
