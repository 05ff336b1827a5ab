"""SFTPGo's JSON log: transfers, commands, HTTP requests and sign-ins that failed; its other lines are no requests."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from auditlog.intake.formats.lines import LineIdentity, Objects, first_objects, known, line_format, text_from
from auditlog.intake.formats.shape import Source
from auditlog.intake.formats.times import milliseconds, moment_of
from gatebook.entry import Entry

_SENDERS = frozenset(
    """Upload Download Rename Rmdir Mkdir Symlink Remove Chmod Chown Chtimes Truncate Copy SSHCommand
    httpd connection_failed""".split()  # noqa: SIM905
)
_INTERFACES = {"ssh": "sftp", "http": "web", "httpshare": "web", "oidc": "web"}
_ADDRESS = re.compile(r"https?://([^/?#]*)")


def recognises(head: bytes) -> bool:
    """Whether one of the first lines has what SFTPGo writes in each."""
    for line in first_objects(head):
        if "sender" in line and "level" in line and "time" in line:
            return line["sender"] in _SENDERS or "message" in line
    return False


def _entry(identity: LineIdentity, source: Source, fields: dict[str, Any], line: bytes) -> Entry:
    sender = text_from(fields.get("sender"))
    if sender not in _SENDERS:
        raise ValueError("not a transfer, command, HTTP request or failed connection")
    created_at = moment_of(fields.get("time"), source.zone)
    elapsed = milliseconds(fields.get("elapsed_ms", fields.get("elapsed")))
    if sender == "httpd":
        given = text_from(fields.get("request_id"))
        uri = text_from(fields.get("uri")) or ""
        address = _ADDRESS.match(uri)
        path = (uri[address.end() :] or "/") if address else uri
        return Entry(
            created_at=created_at,
            request_id=identity.given(given, created_at) if given else identity.of(line),
            interface="restapi" if path.startswith("/api/") else "web",
            request_method=text_from(fields.get("method")),
            request_path=path or None,
            request_host=address[1] if address else None,
            request_ip=text_from(fields.get("remote_addr")),
            response_code=fields.get("resp_status") or None,
            user_agent=text_from(fields.get("user_agent")),
            duration_ms=elapsed,
            details=known({"bytes": fields.get("resp_size"), "protocol": fields.get("proto")}),
        )
    protocol = (text_from(fields.get("protocol")) or "").lower()
    interface = _INTERFACES.get(protocol, protocol) or None
    failed_sign_in = sender == "connection_failed"
    error = text_from(fields.get("error"))
    return Entry(
        created_at=created_at,
        request_id=identity.of(line),
        username=text_from(fields.get("username")),
        interface=interface,
        api_name=f"{interface or 'sftpgo'}.{'login' if failed_sign_in else sender.lower()}",
        request_method="AUTH" if failed_sign_in else sender.upper(),
        request_path=text_from(fields.get("file_path")),
        request_ip=text_from(fields.get("client_ip") or fields.get("remote_addr")),
        error_type="login-failed" if failed_sign_in else "failed" if error else None,
        error_message=error,
        duration_ms=elapsed,
        details=known(
            {
                "bytes": fields.get("size_bytes"),
                "target_path": fields.get("target_path"),
                "connection_id": fields.get("connection_id"),
                "login_type": fields.get("login_type"),
                "ssh_command": fields.get("ssh_command"),
                "mode": fields.get("filemode"),
                "ftp_mode": fields.get("ftp_mode"),
                **{name: fields.get(name) for name in ("size", "uid", "gid") if fields.get(name) != -1},
                "modification_time": fields.get("modification_time"),
            }
        ),
    )


def _reader(source: Source) -> Objects:
    return Objects(partial(_entry, LineIdentity(), source))


FORMAT = line_format("sftpgo", "SFTPGo log (JSON)", recognises, _reader)
