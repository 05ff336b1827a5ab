"""Sending lines from the quarantine again, after what had refused them was put right."""

from __future__ import annotations

import re
from dataclasses import dataclass

from auditlog.intake.batch import take_again
from auditlog.models import QuarantinedLine, Site
from auditlog.models.quarantine import QuarantineQuerySet
from gatebook.redact import HIDDEN

_BARE = re.compile(rf'"(?:[^"\\]|\\.)*"|{re.escape(HIDDEN)}')
"""The strings of a line, which stay as they are, and secrets that were hidden together with their quotes."""


@dataclass(frozen=True)
class SentAgain:
    """What became of the lines: all of them are accounted for."""

    accepted: int
    duplicates: int
    refused: int


def send_again(site: Site, lines: QuarantineQuerySet) -> SentAgain:
    """Send `lines` of the quarantine of `site` again; those refused stay, with the reason they have now.

    Safe to run twice and beside another run: what is in the book already is not stored twice.
    """
    held = list(lines.order_by("pk"))
    taken = take_again(site, [_BARE.sub(_in_quotes, line.line).encode() for line in held])
    refused = {rejection.index: rejection for rejection in taken.rejected}
    for index, rejection in refused.items():
        held[index].field, held[index].error = rejection.field, rejection.error
    QuarantinedLine.objects.bulk_update([held[index] for index in refused], ["field", "error"], batch_size=500)
    stored = [line.pk for index, line in enumerate(held) if index not in refused]
    QuarantinedLine.objects.filter(pk__in=stored).delete()  # after they are in the book
    return SentAgain(taken.accepted, taken.duplicates, len(refused))


def _in_quotes(match: re.Match[str]) -> str:
    return f'"{HIDDEN}"' if match[0] == HIDDEN else match[0]
