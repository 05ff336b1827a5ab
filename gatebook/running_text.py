"""Names and their values in running text: messages, JSON, the `repr` of objects, headers, command lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gatebook.secret_names import is_header_line

HIDDEN = "[redacted]"

NO_VALUE = frozenset(["", "true", "false", "null", "none", "undefined"])
"""What is no secret under any name: `token=undefined` is worth seeing."""

# No pattern here may take more than linear time: what is open-ended takes all it can and never gives back, what may
# fail after a search is bounded.

# A name and what leads to its value: `name=`, `"name": `, `name[0] => `, `(name, other)=` as PostgreSQL writes,
# `('name', `, `--name `, `{"name": "…", "value": `.
_NAME = re.compile(
    r"(?<![\w-])(?:"
    r"(?<=[\"'])(?:key|name)[\"']\s{0,4}:\s{0,4}[\"'](?P<named>[^\"'\\]{1,100})[\"']"
    r",\s{0,4}[\"']value[\"']\s{0,4}:\s{0,4}"
    r"|(?P<option>--[\w-]++)[\"']?,?[\s+]{1,4}"
    r"|(?P<name>[\w-]++|\([\w\", ]{1,200}(?=\)=))(?P<end>[\"'\\\])\[\d]{0,8})(?:[\s+]{0,4}[=:]{1,3}>?[\s+]{0,4}"
    r"|(?P<comma>,[\s+]{0,4}))"
    r")"
)
_QUOTED = r"\"(?:[^\"\\]|\\[\s\S])*+\\?\"?|'(?:[^'\\]|\\[\s\S])*+\\?'?"
_ESCAPED = (  # JSON in a JSON text: \"name\": \"value\"
    r"(?<!\\)(?P<sign>\\++)\"(?:[^\"\\]|(?!(?P=sign)\")\\++\"?)*+(?:(?P=sign)\")?"
)
_BARE = (
    r"(?:[^\s,;&\"'<>()\[\]{}]|[,;&)\]}](?!(?:[,;&)\]}]{0,20}(?:[\s\"'<>]|$))|\s{0,4}[\w.-]{1,64}\s{0,4}[=:])|[(\[{])++"
)
_QUOTES = frozenset("\"'\\")
_TUPLE = re.compile(r"\([\"'][\w.\[\]-]*$")
_VALUE = re.compile(
    rf"\[redacted\]|(?:(?:bearer|basic|token)[\s+]+)?(?:[bru]?(?:{_QUOTED})|{_ESCAPED}|{_BARE})", re.IGNORECASE
)
_BRACKETED = re.compile(r"(?:[\w.]{1,40}(?=\())?[\[({]")
_BRACKET_OR_QUOTED = re.compile(rf"[\[({{\])}}]|{_ESCAPED}|{_QUOTED}")
_HEADER_LINE = re.compile(r"\[redacted\]|(?:(?:basic|bearer|token)[\s+]+)[^\s,;\"'&]+|[^\r\n]*", re.IGNORECASE)
_COMPLAINT = re.compile(r"This (?:field|password|value|token) |The (?:two )?passwords? |Ensure this |Token is ")


def secret_values(text: str, is_secret: Callable[[str, bool], bool]) -> Iterator[tuple[str, int, int]]:
    """Yield each secret name with where its value begins and ends. `is_secret` hears whether the name is in quotes."""
    position = 0
    while head := _NAME.search(text, position):
        position = head.end()
        name = head["named"] or head["option"] or head["name"]
        quoted = head["named"] is not None or not _QUOTES.isdisjoint(head["end"] or "")
        if not is_secret(name, quoted) or _is_in_arn(text, head):
            continue
        if head["comma"] and not (quoted and _TUPLE.search(text, max(0, head.start() - 60), head.start())):
            continue
        start, position = position, _end_of_value(text, position, name)
        value = text[start:position]
        if value != HIDDEN and value.strip("\"'\\[](){}").lower() not in NO_VALUE:
            yield name, start, position


def _is_in_arn(text: str, head: re.Match[str]) -> bool:
    """`arn:aws:secretsmanager:us-east-1:123:secret:name` names a secret."""
    start = head.start()
    return text[start - 1 : start] == ":" and "arn:" in text[max(0, start - 100) : start]


def _end_of_value(text: str, start: int, name: str) -> int:
    if text.startswith(HIDDEN, start):
        return start + len(HIDDEN)
    if is_header_line(name) and text[start : start + 1] not in "\"'[({\\":
        return _end(_HEADER_LINE, text, start)
    if _COMPLAINT.match(text, start):
        return start
    if opening := _BRACKETED.match(text, start):
        depth = 1
        for token in _BRACKET_OR_QUOTED.finditer(text, opening.end()):
            depth += (token[0] in "[({") - (token[0] in "])}")
            if depth == 0:
                return token.end()
        return len(text)
    return _end(_VALUE, text, start)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
