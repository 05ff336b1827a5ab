"""What a download is called: acme-api-logs-failure-sftp-2026-11-01-to-2026-11-24.csv."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, timedelta

from auditlog.models import Site
from auditlog.search.question import Question

LONGEST = 60
"""Characters that say what was asked."""

_PLAIN = re.compile(r"[^a-z0-9]+")
"""What no system, shell or header minds, whoever wrote the values."""


def file_name(site: Site, question: Question, extension: str) -> str:
    """Return a name that says the site or its scope, what was asked and the UTC days."""
    scope = "" if question.sites == (site,) else _plain(question.filters.data.get("scope", ""))
    return f"{'-'.join(filter(None, [site.slug, scope, 'api-logs', _asked(question), _days(question)]))}.{extension}"


def _asked(question: Question) -> str:
    said = ""
    values = [(key, " ".join(found)) for key, found in question.conditions().items()]
    values += [(f"-{term.key}" if term.is_negated else term.key, term.value) for term in question.words()]
    for key, value in sorted(values, key=lambda each: each[0] != "status"):  # "failure-sftp", as one says it
        word = _plain(value) or _plain(key)
        longer = "-".join(filter(None, [said, "not" if key.startswith("-") else "", word]))
        if len(longer) > LONGEST:
            break
        said = longer
    return said


def _plain(text: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", text[:500].casefold()).encode("ascii", "ignore").decode()
    return _PLAIN.sub("-", ascii_only).strip("-")


def _days(question: Question) -> str:
    first, last = (
        moment.astimezone(UTC) for moment in (question.time.start, question.time.end - timedelta(microseconds=1))
    )
    if first.date() != last.date():
        return f"{first:%Y-%m-%d}-to-{last:%Y-%m-%d}"
    if question.time.end - question.time.start == timedelta(days=1):
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m-%dT%H%MZ}-to-{question.time.end:%Y-%m-%dT%H%MZ}"
