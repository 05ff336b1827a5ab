"""The search box: what it holds, what it carries along, and how it shows a fault."""

from __future__ import annotations

from collections.abc import Collection

from django.http import QueryDict

from auditlog.dashboard.text import visible
from auditlog.search.keys import KEYS
from auditlog.search.language import TIME_KEYS, Fault, faults, mended, written
from auditlog.search.timerange import LAST

EXAMPLES = {
    "report q4.pdf": "both found in path, API name, user or error, in any case",
    "-draft": "leaves out what holds the word",
    '"not found"': "the phrase; quotes also keep colons",
    "status:failure interface:sftp,ftp": "failures through SFTP or FTP",
    "-user:svc-*": "not these users; * is any text",
    "code:400..499 duration:>2000": "client errors that took over two seconds",
    "path:/api/v1/files/* ip:10.0.0.0/8": "one part of the API, from one network",
    "is:impersonated last:7d": "who acted as someone else, in seven days",
}
"""What the help shows, each to be tried by a click."""
TIME_MEANINGS = {"last": ", ".join(LAST), "from": "a date or time", "to": "a date or time"}
"""What the keys of the time ask."""


def search_box(query: QueryDict, errors: Collection[str] = ()) -> dict[str, object]:
    """Return the box's part of a page: the conditions of `query` as text, and the parameters that are no conditions.

    What is at fault is marked in the text and not carried along.
    """
    text = written(query)
    beside = (*TIME_KEYS, "sort", "columns", "scope")
    return {
        "text": text,
        "marked": marked(text, faults(text)),
        "meant": meant(query) if list(errors) == ["q"] else None,
        "carried": [(key, query[key]) for key in beside if query.get(key) and key not in errors],
        "examples": EXAMPLES.items(),
        "keys": _explained().items(),
    }


def marked(text: str, wrong: list[Fault]) -> list[tuple[str, bool]]:
    """Return `text` in visible pieces, each with whether it is at fault; none where nothing is."""
    pieces, at = [], 0
    for fault in wrong:
        pieces += [(visible(text[at : fault.start]), False), (visible(text[fault.start : fault.end]), True)]
        at = fault.end
    return [*pieces, (visible(text[at:]), False)] if pieces else []


def meant(query: QueryDict) -> tuple[str, str] | None:
    """Return the text with its mistyped keys mended, and the query that asks so; None where that does not help."""
    texts = query.getlist("q")
    text = mended(texts[0]) if len(texts) == 1 else ""
    if not text:
        return None
    asked = query.copy()
    asked["q"] = text
    return visible(written(asked)), asked.urlencode()


def _explained() -> dict[str, str]:
    """Return what each key asks: its column, or what may follow where the key already says that."""
    keys = {key: example if label.casefold() == key else label for key, (label, _, example) in KEYS.items()}
    return keys | TIME_MEANINGS
