"""The formats a log file can have: one module each, listed here."""

from __future__ import annotations

from auditlog.intake.formats import (
    cloudtrail,
    combined,
    filescom_csv,
    gatebook_jsonl,
    kubernetes,
    openssh,
    sftpgo,
    vsftpd,
    web_servers,
    xferlog,
)
from auditlog.intake.formats.shape import Format

_LISTED = (
    gatebook_jsonl.FORMAT,
    cloudtrail.FORMAT,
    filescom_csv.FORMAT,
    kubernetes.FORMAT,
    sftpgo.FORMAT,
    *web_servers.FORMATS,
    combined.FORMAT,
    openssh.FORMAT,
    xferlog.FORMAT,
    vsftpd.FORMAT,
)
FORMATS: dict[str, Format] = {each.name: each for each in _LISTED}
"""Every format by its name for `--format`, in the order in which they are tried."""


def detect(head: bytes) -> Format | None:
    """Return the format whose files begin like `head`, or None."""
    return next((each for each in FORMATS.values() if each.recognises(head)), None)
