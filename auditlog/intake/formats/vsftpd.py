"""The log of vsftpd's own format: connections, sign-ins, transfers and changes, each with how it ended.

Tue Mar  3 08:12:30 2026 [pid 7] [bob] OK UPLOAD: Client "192.0.2.7", "/in/a.csv", 1048576 bytes, 512.00Kbyte/sec
"""

from __future__ import annotations

import re

from auditlog.intake.formats.lines import known, pattern_format
from auditlog.intake.formats.shape import Source
from auditlog.intake.formats.times import moment_in_words
from gatebook.entry import Entry

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


def _entry(match: re.Match[str], request_id: str, source: Source) -> Entry | None:
    rest = _REST.fullmatch(match["rest"])
    if rest is None or match["what"] not in _OPERATIONS:
        return None
    method, name = _OPERATIONS[match["what"]]
    failed = match["end"] == "FAIL"
    speed = rest["speed"] if rest["speed"] != "0.00" else None
    return Entry(
        created_at=moment_in_words(match["time"], source.zone, source.written()),
        request_id=request_id,
        username=match["user"],
        interface="ftp",
        api_name=f"ftp.{name}",
        request_method=method,
        request_path=rest["path"],
        request_ip=match["client"],
        error_type=("login-failed" if name == "login" else "failed") if failed else None,
        details=known({"pid": match["pid"], "bytes": rest["bytes"], "kbytes_per_second": speed}),
    )


FORMAT = pattern_format("vsftpd", "vsftpd's own log", _LINE, _entry)
