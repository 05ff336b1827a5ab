r"""The value of a search key: `a,b` is either, `"a,b"` is one, `*` is any text, `\*` the character; so is `\=`.

The same grammar serves the form, the URL and the search box; each function here raises ValueError with a sentence.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gatebook.addresses import normal_address

QUOTE = '"'
_UNIT = re.compile(r'\\[*,"\\=]|.', re.DOTALL)
_LIKE_SPECIAL = "\\%_"
_NEVER_SENT = re.compile(r'[^!-~]|["#<>\\^`{|}]')
"""What a request line holds percent-encoded only."""
_NEVER_SENT_IN_PATTERN = re.compile(r'[^!-~]|["#<>^`{|}]|\\\\')
"""The same in an SQL LIKE pattern, where `\\` stands for the character."""
_BOUND = re.compile(r"^(>=|<=|>|<)?(\d{1,12})$")
_BETWEEN = re.compile(r"^(\d{0,12})\.\.(\d{0,12})$")


@dataclass(frozen=True)
class Text:
    """A text to compare with: itself, or an SQL LIKE pattern where it holds a wildcard."""

    value: str
    pattern: str
    has_wildcard: bool
    has_equals: bool = False
    """It begins with `=`, which some keys take for a sign."""

    def without_equals(self) -> Text:
        """Return what follows the sign; the same where there is none."""
        if not self.has_equals:
            return self
        return replace(self, value=self.value[1:], pattern=self.pattern[1:], has_equals=False)

    def percent_encoded(self, case: Callable[[str], str] = str) -> Text:
        """Return it as a request line carries it, its encoded characters in a `case`; mostly that is the same text."""

        def encoded(match: re.Match[str], sign: str) -> str:
            return "".join(f"{sign}{byte:02X}" for byte in case(match[0][-1]).encode())

        value = _NEVER_SENT.sub(lambda match: encoded(match, "%"), self.value)
        pattern = _NEVER_SENT_IN_PATTERN.sub(lambda match: encoded(match, r"\%"), self.pattern)
        return replace(self, value=value, pattern=pattern)


@dataclass(frozen=True)
class Span:
    """Whole numbers from `least` to `most`, both included; None is unbounded."""

    least: int | None
    most: int | None


def units(value: str) -> Iterator[tuple[str, bool]]:
    r"""Yield the characters of `value`, `\` together with what it escapes, and whether each stands in quotes."""
    quoted = False
    for match in _UNIT.finditer(value):
        if match[0] == QUOTE:
            quoted = not quoted
        yield match[0], quoted


def split(value: str) -> list[str]:
    """Return the alternatives of `value`, still in this grammar, empty ones left out."""
    parts, quoted = [""], False
    for unit, quoted in units(value):
        if unit == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += unit
    if quoted:
        raise ValueError(f"the quote in {value} is never closed.")
    return [part.strip() for part in parts if part.strip()]


def text(part: str) -> Text:
    """Read one alternative as a text or a pattern."""
    value, pattern, has_wildcard, has_equals = "", "", False, False
    for unit, _ in units(part):
        if unit == QUOTE:
            continue
        has_equals = has_equals or (unit == "=" and not value)
        char = unit[-1]
        value += char
        if unit == "*":
            pattern += "%"
            has_wildcard = True
        else:
            pattern += f"\\{char}" if char in _LIKE_SPECIAL else char
    return Text(value, pattern, has_wildcard, has_equals)


def joined(values: Sequence[str]) -> str:
    """Return the value that holds the alternatives of all `values`."""
    return ",".join([*(_ended(value) for value in values[:-1]), *values[-1:]])


def rewritten(value: str, *, as_word: bool = False) -> str:
    """Return `value` with no more quotes than its meaning needs; `as_word` also keeps blanks in quotes."""
    return joined([_rewritten(part, as_word) for part in split(value)])


def _rewritten(part: str, as_word: bool) -> str:
    kept = [unit for unit, _ in units(part) if unit != QUOTE]
    bare = "".join(kept)
    if not bare or bare != bare.strip() or "," in kept or (as_word and any(char.isspace() for char in bare)):
        return phrase(bare)
    return bare


def phrase(value: str) -> str:
    """Return `value` in one pair of quotes, which keeps its colons, commas and blanks."""
    return f'"{_ended("".join(unit for unit, _ in units(value) if unit != QUOTE))}"'


def _ended(value: str) -> str:
    r"""Return `value` such that what follows it is not escaped by a `\` at its end."""
    return f"{value}\\" if (len(value) - len(value.rstrip("\\"))) % 2 else value


def exactly(value: str) -> str:
    """Return the alternative that means `value` and nothing else; `text` and `split` read it back."""
    return _quoted(value, _escaped(value))


def shown(value: str) -> str:
    """Return the alternative that means `value` as the one that pages show; see `keys.named`."""
    return _quoted(value, f"={_escaped(value)}")


def beginning(value: str) -> str:
    """Return the alternative that means every text that begins with `value`."""
    return _quoted(value, f"{_escaped(value)}*")


def _escaped(value: str) -> str:
    return re.sub(r'[*"\\]|^=', r"\\\g<0>", value)


def _quoted(value: str, part: str) -> str:
    return f'"{part}"' if "," in value or value != value.strip() else part


def span(part: str) -> Span:
    """Read `404`, `400..499`, `..99`, `>2000`, `>=500`, `<100` or `<=100`."""
    part = text(part).value
    if match := _BOUND.match(part):
        sign, number = match[1], int(match[2])
        least = {None: number, ">=": number, ">": number + 1}.get(sign)
        most = {None: number, "<=": number, "<": number - 1}.get(sign)
        return Span(least, most)
    if (match := _BETWEEN.match(part)) and (match[1] or match[2]):
        least, most = (int(side) if side else None for side in match.groups())
        if least is not None and most is not None and least > most:
            raise ValueError(f"{part} runs backwards, expected the smaller number first.")
        return Span(least, most)
    raise ValueError(f"{part} is not a number or range, expected one such as 404, 400..499 or >=500.")


def network(part: str) -> str:
    """Read an IP address or a network in CIDR notation."""
    address, slash, bits = text(part).value.partition("/")
    try:
        return str(ipaddress.ip_network(f"{normal_address(address) or address}{slash}{bits}", strict=False))
    except ValueError:
        raise ValueError(
            f"{part} is not an IP address or network, expected one such as 192.0.2.7 or 10.0.0.0/8."
        ) from None
