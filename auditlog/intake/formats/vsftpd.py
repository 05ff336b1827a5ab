"""The log of vsftpd's own format: connections, sign-ins, transfers and changes, each with how it ended.

Tue Mar  3 08:12:30 2026 [pid 7] [bob] OK UPLOAD: Client "192.0.2.7", "/in/a.csv", 1048576 bytes, 512.00Kbyte/sec
"""

from __future__ import annotations

import re

from auditlog.intake.formats.lines import LineIdentity, line_format, whole
from auditlog.intake.formats.shape import Source, first_lines
from auditlog.intake.formats.times import moment_in_words
from gatebook.entry import Entry, text_of

_LINE = re.compile(
    r"(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:0?\d\d \d{4}) \[pid (?P<pid>\d{1,10})\] "
    r"(?:\[(?P<user>.*?)\] )?(?:(?P<end>OK|FAIL) )?(?P<what>[A-Z]+(?: [a-z]+)?): Client \"(?P<client>[^\"]*)\""
    r"(?P<rest>.*)",
    re.DOTALL | re.ASCII,
)
# The name may hold quotes: it goes as far as the numbers behind it allow.
_REST = re.compile(
    r'(?:, anon password ".*"|, "(?P<path>.*)")?(?:, (?P<bytes>\d+) bytes)?(?:, (?P<speed>\d+\.\d+)Kbyte/sec)?',
    re.DOTALL | re.ASCII,
)
_OPERATIONS = {
    "CONNECT": (None, "connect"),
    "LOGIN": ("PASS", "login"),
    "LOGOUT": ("QUIT", "logout"),
    "UPLOAD": ("STOR", "store"),
    "APPEND": ("APPE", "append"),
    "DOWNLOAD": ("RETR", "retrieve"),
    "DELETE": ("DELE", "delete"),
    "MKDIR": ("MKD", "mkdir"),
    "RMDIR": ("RMD", "rmdir"),
    "RENAME": ("RNTO", "rename"),
    "CHMOD": ("SITE CHMOD", "chmod"),
}


class _Lines:
    """Reads one event a line."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._identity = LineIdentity()

    def take(self, line: bytes) -> list[Entry]:
        content = whole(line)
        match = _LINE.fullmatch(text_of(content))
        rest = _REST.fullmatch(match["rest"]) if match and match["what"] in _OPERATIONS else None
        if match is None or rest is None:
            raise ValueError("not an event of vsftpd's log")
        method, name = _OPERATIONS[match["what"]]
        failed = match["end"] == "FAIL"
        details = {
            "pid": match["pid"],
            "bytes": rest["bytes"],
            "kbytes_per_second": rest["speed"] if rest["speed"] != "0.00" else None,
        }
        return [
            Entry(
                created_at=moment_in_words(match["time"], self._source.zone, self._source.written()),
                request_id=self._identity.of(content),
                username=match["user"],
                interface="ftp",
                api_name=f"ftp.{name}",
                request_method=method,
                request_path=rest["path"],
                request_ip=match["client"],
                error_type=("login-failed" if name == "login" else "failed") if failed else None,
                details={key: value for key, value in details.items() if value},
            )
        ]

    def rest(self) -> list[Entry]:
        return []


def recognises(head: bytes) -> bool:
    """Whether one of the first lines is an event."""
    return any(_LINE.fullmatch(text_of(line)) for line in first_lines(head))


FORMAT = line_format("vsftpd", "vsftpd's own log", recognises, _Lines)
