r"""OpenSSH's SFTP server (internal-sftp or sftp-server) as syslog writes it.

    2026-03-03T08:12:30.5+00:00 host internal-sftp[7]: open "/in/a.csv" flags WRITE,CREATE,TRUNCATE mode 0644

Only the line that opens a session names the user and the address; the others share its process id. A name stands in
quotes and may itself contain quotes, so it goes as far as the rest of the line allows; other odd bytes are escaped.

An operation's failure is a line of its own after it, `sent status …`. At level INFO, operations such as stat are not
logged but their failures are, so only in a session known to be logged at VERBOSE does it belong to the line before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from auditlog.intake.formats.lines import LineIdentity, line_format, whole
from auditlog.intake.formats.shape import Source, first_lines
from auditlog.intake.formats.times import moment_in_words, moment_of
from gatebook.entry import Entry, text_of

_LINE = re.compile(
    r"(?:<\d{1,3}>)?(?P<time>\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<host>\S+) "
    r"(?:internal-sftp|sftp-server|sshd|sshd-session)\[(?P<pid>\d{1,10})\]: (?P<text>.*)",
    re.DOTALL | re.ASCII,
)
_SESSION = re.compile(r"session (?P<what>opened|closed) for local user (?P<user>.*) from \[(?P<address>[^\]]*)\]")
_OPERATION = re.compile(
    r"(?P<forced>forced )?(?:"
    r"(?P<verb>open|close|opendir|closedir|remove|mkdir|rmdir|stat|lstat|realpath|readlink|statvfs|fsync|set)(?: name)?"
    r' "(?P<name>.*)"(?: flags (?P<flags>[A-Z,]+) mode 0\d+| mode 0?(?P<mode>\d+)'
    r"| bytes read (?P<read>\d+) written (?P<written>\d+)| (?P<attribute>(?:size|modtime|owner) [\w: -]+))?"
    r'|(?P<to_verb>rename|posix-rename|symlink|hardlink) old "(?P<old>.*?)" new "(?P<new>.*)")',
    re.DOTALL | re.ASCII,
)
_STATUS = re.compile(r"sent status (.{1,200})")
_AT_VERBOSE = re.compile(r"received client version \d+")
_METHODS_AT_VERBOSE = {"STAT", "LSTAT", "REALPATH", "READLINK", "FSYNC"}
_NO_FAILURE = ("Success", "End of file")
_METHODS = {"set": "SETSTAT", "posix-rename": "RENAME"}
_ESCAPE = re.compile(rb"\\(?:([0-3][0-7]{2})|([\\abfnrtv]))")
_ESCAPED = dict(zip(b"\\abfnrtv", b"\\\a\b\f\n\r\t\v", strict=True))


@dataclass
class _Session:
    """What is known of a server's process: whom it serves, and the operation whose status may follow."""

    user: str | None = None
    address: str | None = None
    opened_at: datetime | None = None
    is_verbose: bool = False
    waiting: Entry | None = None

    def end(self) -> list[Entry]:
        """Return the operation that waited: no status follows."""
        done, self.waiting = self.waiting, None
        return [done] if done else []


class _Lines:
    """Reads one operation a line, and its failure from the next."""

    SESSIONS = 10_000
    """Processes that are remembered; beyond, the one that began first is forgotten."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._identity = LineIdentity()
        self._sessions: dict[tuple[str, str], _Session] = {}

    def take(self, line: bytes) -> list[Entry]:
        """Return what this line completes: the session's operation before it, or an entry of its own."""
        done = self._take(line)
        while len(self._sessions) > self.SESSIONS:
            done += self._sessions.pop(next(iter(self._sessions))).end()
        return done

    def _take(self, line: bytes) -> list[Entry]:
        content = whole(line)
        match = _LINE.fullmatch(text_of(content))
        if match is None:
            raise ValueError("not a line of OpenSSH's SFTP server")
        text = match["text"].removesuffix(" [postauth]")
        process, moment = (match["host"], match["pid"]), self._moment(match["time"])
        if change := _SESSION.fullmatch(text):
            return self._change(process, moment, change, content)
        operation, status = _OPERATION.fullmatch(text), _STATUS.fullmatch(text)
        if not (operation or status or _AT_VERBOSE.fullmatch(text)):
            raise ValueError("not an operation of SFTP")
        session = self._sessions.get(process) or self._begin(process, _Session())
        if status and session.is_verbose and session.waiting:
            session.waiting = _with_status(session.waiting, status[1])
            return session.end()
        done = session.end()
        if operation:
            session.waiting = self._operation(session, process, moment, operation, content)
            session.is_verbose = session.is_verbose or session.waiting.request_method in _METHODS_AT_VERBOSE
        elif status:
            done.append(_with_status(self._entry(session, process, moment, "STATUS", content), status[1]))
        else:
            session.is_verbose = True
        return done

    def rest(self) -> list[Entry]:
        """Return the operations that wait."""
        return [entry for session in self._sessions.values() for entry in session.end()]

    def _begin(self, process: tuple[str, str], session: _Session) -> _Session:
        self._sessions[process] = session
        return session

    def _change(self, process: tuple[str, str], moment: datetime, change: re.Match[str], content: bytes) -> list[Entry]:
        """A session begins or ends; process ids come again, so what was known of this one is over."""
        before = self._sessions.pop(process, None)
        done = before.end() if before else []
        session = _Session(change["user"], change["address"], moment)
        if change["what"] == "opened":
            self._begin(process, session)
            done.append(self._entry(session, process, moment, "AUTH", content, "login"))
            return done
        entry = self._entry(session, process, moment, "EXIT", content, "logout")
        if before and before.opened_at:
            entry = replace(entry, duration_ms=max(0, (moment - before.opened_at) // timedelta(milliseconds=1)))
        return [*done, entry]

    def _operation(
        self, session: _Session, process: tuple[str, str], moment: datetime, operation: re.Match[str], content: bytes
    ) -> Entry:
        verb = operation["verb"] or operation["to_verb"]
        entry = self._entry(session, process, moment, _METHODS.get(verb, verb.upper()), content)
        details = {
            "target_path": operation["new"] and _unescape(operation["new"]),
            "flags": operation["flags"],
            "mode": operation["mode"],
            "attribute": operation["attribute"],
            "bytes_read": operation["read"],
            "bytes_written": operation["written"],
        }
        return replace(
            entry,
            request_path=_unescape(operation["name"] if operation["verb"] else operation["old"]),
            error_type="connection-closed" if operation["forced"] else None,
            details={**entry.details, **{key: value for key, value in details.items() if value}},
        )

    def _entry(
        self,
        session: _Session,
        process: tuple[str, str],
        moment: datetime,
        method: str,
        content: bytes,
        name: str | None = None,
    ) -> Entry:
        host, pid = process
        return Entry(
            created_at=moment,
            request_id=self._identity.of(content),
            username=session.user,
            interface="sftp",
            api_name=f"sftp.{name or method.lower()}",
            request_method=method,
            request_ip=session.address,
            request_host=host,
            details={"pid": pid},
        )

    def _moment(self, text: str) -> datetime:
        if text[:1].isdigit():
            return moment_of(text, self._source.zone)
        return moment_in_words(text, self._source.zone, self._source.written())


def recognises(head: bytes) -> bool:
    """Whether one of the first lines is one of SFTP; other lines of the SSH server may come before."""
    for line in head.splitlines()[:1000]:
        match = _LINE.fullmatch(text_of(line))
        text = match["text"].removesuffix(" [postauth]") if match else ""
        if _SESSION.fullmatch(text) or _OPERATION.fullmatch(text):
            return True
    return any(b" internal-sftp[" in line or b" sftp-server[" in line for line in first_lines(head))


def _with_status(entry: Entry, status: str) -> Entry:
    """Return the operation as it ended; a failure's type is `permission-denied` for `Permission denied`."""
    if status in _NO_FAILURE:
        return entry
    return replace(entry, error_type=status.lower().replace(" ", "-"), error_message=status)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return text_of(_ESCAPE.sub(_unescaped, text.encode()))


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8) if match[1] else _ESCAPED[match[2][0]]])


FORMAT = line_format("openssh", "OpenSSH's SFTP server (syslog)", recognises, _Lines)
