"""Log texts as a page may show them: everything visible, nothing that changes the page around it."""

from __future__ import annotations

import re

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""Control characters, and what makes text invisible or reverses its direction."""


def visible(text: str) -> str:
    """Return `text` with control and direction characters written out: ␊ for a line feed, ⟨U+202E⟩ for an override."""
    return _UNSEEN.sub(_written, text)


def visible_json(text: str) -> str:
    """Return a JSON text with what would not be seen as JSON escapes it, which means the same."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def middle(text: str, length: int) -> str:
    """Return `text` cut in the middle to `length` characters; its beginning and its end tell it apart."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
