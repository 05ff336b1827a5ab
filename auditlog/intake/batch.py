"""A batch of lines for the sites of an API key: the good ones go into the book, the others into quarantine."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter

from auditlog import api_keys
from auditlog.intake.formats.gatebook_jsonl import entry_and_site
from auditlog.intake.formats.shape import Rejected, reason_for
from auditlog.models import ApiKey, QuarantinedLine, Site
from auditlog.models.quarantine import LINE_LIMIT, NotTaken
from auditlog.store.writer import Rejection, write
from gatebook.conf import conf
from gatebook.entry import FIELDS, Entry, clean, stored_request_id, text_of
from gatebook.redact import HIDDEN, Redactor

ERROR_LIMIT = 300
"""Characters of a reason: some repeat what the sender wrote."""

_NAMED = {*FIELDS, "site", "success"}
_REQUEST_ID = re.compile(r'(?<="request_id")\s*+:\s*+"([^"\\]++)"')
_ESCAPE = re.compile(r"\\(?:u00([2-7][0-9a-fA-F])|(/)|.)", re.DOTALL)
_ESCAPE_IN_JSON_IN_JSON = re.compile(r"\\u00([2-7][0-9a-fA-F])|\\(/)")


@dataclass
class Taken:
    """What became of a batch: accepted + duplicates + rejected = sent."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)


def take(key: ApiKey, lines: Sequence[bytes | Rejected]) -> Taken:
    """Store what is on `lines` in the sites that they name, without its secrets; durable when this returns.

    Raises django.db.Error when the database is away: some of it may be stored then, and sending it all again is safe.
    """
    redactor = conf().redactor
    taken, rejected = _store(api_keys.sites_of_key(key), key.site, lines, redactor)
    for site, rejections in rejected:
        room = QuarantinedLine.objects.room(site)  # about: what will not be kept need not be made fit for it
        kept = [NotTaken(each.field, each.error, _shown(lines[each.index], redactor)) for each in rejections[:room]]
        QuarantinedLine.objects.keep(site, key, kept, dropped=len(rejections) - len(kept))
    return taken


def take_again(site: Site, lines: Sequence[bytes]) -> Taken:
    """Store lines from the quarantine of `site`, as a key of that site would; what is refused goes nowhere.

    Raises django.db.Error like `take`.
    """
    sites = {each.slug: each for each in (site, *site.children.all())}
    return _store(sites, site, lines, conf().redactor)[0]


def _store(
    sites: dict[str, Site], own: Site, lines: Sequence[bytes | Rejected], redactor: Redactor
) -> tuple[Taken, list[tuple[Site, list[Rejection]]]]:
    """Return what became of the lines, and what was refused by the site it is for: `own` where that is not known."""
    taken = Taken()
    entries: dict[str, list[tuple[int, Entry]]] = defaultdict(list)
    rejected: dict[str, list[Rejection]] = defaultdict(list)
    for index, line in enumerate(lines):
        try:
            entry, slug = _read(line, sites, own.slug)
        except (ValueError, TypeError) as error:
            rejected[own.slug].append(_rejection(index, reason_for(error), redactor))
        else:
            entries[slug].append((index, redactor.entry(entry)))
    for slug, numbered in entries.items():
        written = write(sites[slug], [entry for _, entry in numbered])
        taken.accepted += written.stored
        taken.duplicates += written.duplicates
        rejected[slug] += [Rejection(numbered[each.index][0], each.field, each.error) for each in written.rejected]
    taken.rejected = sorted(chain.from_iterable(rejected.values()), key=attrgetter("index"))
    return taken, [(sites[slug], rejections) for slug, rejections in rejected.items() if rejections]


def _read(line: bytes | Rejected, sites: dict[str, Site], own: str) -> tuple[Entry, str]:
    if isinstance(line, Rejected):
        raise ValueError(line.reason)
    entry, slug = entry_and_site(line)
    slug = slug or own
    if slug not in sites:
        raise ValueError(f"site: {slug[:100]!r} is neither the site of this API key nor a child site of it")
    return entry, slug


def _rejection(index: int, reason: str, redactor: Redactor) -> Rejection:
    place, colon, error = reason.partition(": ")
    name = place.partition("[")[0]  # of details[...]
    named, error = (name, error) if colon and name in _NAMED else (None, reason)
    return Rejection(index, named, redactor.text(clean(error[:ERROR_LIMIT])))


def _shown(line: bytes | Rejected, redactor: Redactor) -> str:
    """Return the beginning of a line without its secrets, whatever it is."""
    # More than is kept, or a secret that is cut in two would not be known for one.
    text = line.excerpt if isinstance(line, Rejected) else text_of(line[: 2 * LINE_LIMIT])
    line_as_sent = _ESCAPE.sub(_plain, text)
    text = _without_secrets(line_as_sent, redactor)
    undone = _ESCAPE_IN_JSON_IN_JSON.sub(_plain, line_as_sent)
    if undone != line_as_sent:  # is no longer what was sent, but a secret must not stay for that
        hidden = _without_secrets(undone, redactor)
        text = hidden if hidden.count(HIDDEN) > text.count(HIDDEN) else text
    sent = _REQUEST_ID.search(line_as_sent)
    if sent and (left := _REQUEST_ID.search(text)) and HIDDEN in left[1]:
        # As an entry holds it, so that it is told from others, and is the same, when the line is sent again.
        request_id = redactor.request_id(stored_request_id(sent[1]))
        text = text[: left.start(1)] + request_id + text[left.end(1) :]
    return text[:LINE_LIMIT]


def _without_secrets(text: str, redactor: Redactor) -> str:
    return '"'.join(redactor.path(part) for part in redactor.text(text).split('"'))


def _plain(escape: re.Match[str]) -> str:
    """Undo a JSON escape of a plain character, which an address may hold for its signs."""
    character = chr(int(escape[1], 16)) if escape[1] else escape[2]
    if character is None:
        return escape[0]
    return escape[0] if character in '"\\\x7f' else character
