r"""The language of the search box, `status:failure -user:svc-* "not found"`, and the address that says the same.

Blanks part terms, and every term must hold. A term is `key:value` in the grammar of `terms`, or a bare word that is
found anywhere; `-` before either leaves out. In the address a key is a parameter of its own, and `q` holds what only
the text can say: `spread` turns text into parameters, `written` parameters into text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from django.db.models import Q
from django.http import QueryDict

from auditlog.search import terms
from auditlog.search.keys import KEYS, MOST_VALUES, alternatives, found_in

TIME_KEYS = ("last", "from", "to")
VIEW_KEYS = {
    "sort": "click the heading of a column",
    "after": "use from: and to: for a time",
    "before": "use from: and to: for a time",
    "columns": "choose them under Columns",
    "view": "open it under Views",
    "scope": "choose the sites above the search",
    "entry": "use request: for a Request-ID",
}
"""Keys of the address that are no conditions, and what to do instead."""
CONDITION_KEYS = tuple(name for key in KEYS for name in (key, f"-{key}"))

_ALLOWED = (*KEYS, *TIME_KEYS)

LONGEST = 8_000
"""Characters of a text; proxies refuse longer addresses."""
MOST_TERMS = 100
EXCERPT_LENGTH = 60

word = found_in("request_path", "api_name", "username", "error_type", "error_message")
"""What a bare word asks."""


@dataclass(frozen=True)
class Term:
    """One condition, at `start` to `end` of the text; a bare word has no `key`."""

    key: str
    value: str
    is_negated: bool
    start: int
    end: int

    @property
    def name(self) -> str:
        """The parameter that says the same."""
        return f"-{self.key}" if self.is_negated else self.key

    def condition(self) -> Q:
        """Return what the term asks. Raises ValueError with a sentence."""
        if self.key in TIME_KEYS:
            raise ValueError(f"{self.key} is no condition.")
        asked = alternatives(KEYS[self.key][1], self.value) if self.key else word(self.value.replace("\x00", "\ufffd"))
        return ~asked if self.is_negated else asked


@dataclass(frozen=True)
class Fault:
    """What is wrong at `start` to `end` of the text, in a sentence, and what was probably meant there."""

    sentence: str
    start: int
    end: int
    meant: str = ""


class NotUnderstood(ValueError):
    """A term that is none, in a sentence."""


class UnknownKey(NotUnderstood):
    """A term whose key is none; `key` is the one that looks most like it, if any does."""

    def __init__(self, sentence: str, key: str) -> None:
        super().__init__(sentence)
        self.key = key


@dataclass(frozen=True)
class Reading:
    """A text as it was understood: its terms, and what is wrong with the rest of it."""

    text: str
    terms: list[Term]
    faults: list[Fault]

    def source(self, term: Term) -> str:
        """Return the term as it is written."""
        return self.text[term.start : term.end]


def parse(text: str) -> Reading:
    """Read any text. Whether the value of a key makes sense is for `faults` to say."""
    if len(text) > LONGEST:
        sentence = f"The text is {len(text):,} characters long; at most {LONGEST:,} are read."
        return Reading(text, [], [Fault(sentence, 0, len(text))])
    found: list[Term] = []
    wrong: list[Fault] = []
    allowed = f" The keys are {', '.join(_ALLOWED)}."
    for start, end, colon, is_closed in tokens(text):
        if len(found) + len(wrong) == MOST_TERMS:
            wrong.append(Fault(f"The text has more than {MOST_TERMS} terms.", start, len(text)))
            break
        try:
            if not is_closed:
                said = _excerpt(text[start:end])
                raise NotUnderstood(rf"the quote in {said} is never closed; close it, or write \" for the character.")
            term = _term(text, start, end, colon)
            if term.key in TIME_KEYS and term.key in {other.key for other in found}:
                raise NotUnderstood(f"{term.key} is given more than once.")
        except UnknownKey as error:
            sign = "-" if text[start] == "-" else ""
            meant = f"{sign}{error.key}{text[colon:end]}" if error.key else ""
            wrong.append(Fault(f"{error}{allowed}", start, end, meant))
            allowed = ""  # once is enough
        except NotUnderstood as error:
            wrong.append(Fault(str(error), start, end))
        else:
            found.append(term)
    return Reading(text, found, wrong)


def faults(text: str) -> list[Fault]:
    """Return everything that is wrong with a text, values included, in its order."""
    reading = parse(text)
    wrong = list(reading.faults)
    if sum(1 + term.value.count(",") for term in reading.terms) > MOST_VALUES:
        return [*wrong, Fault(f"The text names more than {MOST_VALUES} values.", 0, len(text))]
    for term in reading.terms:
        try:
            if term.key not in TIME_KEYS:
                term.condition()
        except ValueError as error:
            wrong.append(Fault(f"{term.name}: {error}", term.start, term.end))
    return sorted(wrong, key=lambda fault: fault.start)


def mended(text: str) -> str:
    """Return the text with its mistyped keys as they were probably meant; nothing if that does not help."""
    wrong = faults(text)
    for fault in reversed(wrong):
        if not fault.meant:
            return ""
        text = text[: fault.start] + fault.meant + text[fault.end :]
    return text if wrong and not faults(text) else ""


def spread(query: QueryDict) -> QueryDict:
    """Return the address that says the same with as little as possible left in `q`.

    A key that the text names once becomes its parameter, unless that is set; negated ones join what is set, since
    "neither a nor b" is "not a, and not b". Times replace the times beside them. What cannot be read stays as it is.
    """
    params = query.copy()
    texts = [text for text in query.getlist("q") if text.strip()]
    _set(params, "q", texts)
    if len(texts) != 1 or (reading := parse(texts[0])).faults:
        return params
    _set(params, "q", [])  # what is left of it follows the parameters
    times = {term.key: terms.text(term.value).value for term in reading.terms if term.key in TIME_KEYS}
    if times:
        for key in TIME_KEYS:
            _set(params, key, [])
    often = Counter(term.name for term in reading.terms)
    kept = []
    for term in reading.terms:
        beside = [value for value in params.getlist(term.name) if value]
        if term.key in times:
            params[term.key] = times[term.key]
        elif term.key and (term.is_negated or (often[term.name] == 1 and not beside)):
            params[term.name] = terms.joined([*beside, terms.rewritten(term.value)])
        else:
            kept.append(reading.source(term))
    _set(params, "q", [" ".join(kept)] if kept else [])
    return params


def _set(params: QueryDict, key: str, values: list[str]) -> None:
    if values:
        params.setlist(key, values)
    else:
        params.pop(key, None)


def written(query: QueryDict) -> str:
    """Return the conditions of an address as the search box writes them; the time is not among them."""
    words = []
    for name, values in query.lists():
        values = [value for value in values if value]
        if name in CONDITION_KEYS and values:
            words.append(f"{name}:{as_word(terms.joined(values))}")
    return " ".join([*words, *(text for text in query.getlist("q") if text.strip())])


def in_words(query: QueryDict) -> str:
    """Write an address as one line for the search box, the time included."""
    times = [f"{key}:{value}" for key in TIME_KEYS if (value := query.get(key))]
    return " ".join(filter(None, [written(query), *times]))


def as_word(value: str) -> str:
    """Return the value of a key as it follows the colon."""
    try:
        return terms.rewritten(value, as_word=True) or ","
    except ValueError:  # a quote that is never closed would swallow what follows it
        literal = "".join(r"\"" if unit == terms.QUOTE else unit for unit, _ in terms.units(value))
        return terms.rewritten(literal, as_word=True) or ","


def tokens(text: str) -> Iterator[tuple[int, int, int, bool]]:
    """Yield start, end, the place of the first colon outside quotes (or -1), and whether all quotes are closed."""
    start, at, colon, quoted = -1, 0, -1, False
    for unit, quoted in terms.units(text):
        if unit.isspace() and not quoted:
            if start >= 0:
                yield start, at, colon, True
            start, colon = -1, -1
        else:
            start = at if start < 0 else start
            colon = at if colon < 0 and unit == ":" and not quoted else colon
        at += len(unit)
    if start >= 0:
        yield start, at, colon, not quoted


def _term(text: str, start: int, end: int, colon: int) -> Term:
    """Read one term. Raises NotUnderstood."""
    source = text[start:end]
    is_negated = source.startswith("-")
    begin = start + is_negated
    if text[begin:end].startswith("-") or source == "-":
        literal = _excerpt(terms.phrase(source))
        raise NotUnderstood(f"{_excerpt(source)} is no word to leave out; to find it as it is, quote it: {literal}.")
    if colon < 0:
        if not terms.text(text[begin:end]).value:
            raise NotUnderstood(f"{source} is an empty word, which would find everything.")
        return Term("", text[begin:end], is_negated, start, end)
    key, value = text[begin:colon].casefold(), text[colon + 1 : end]
    if key in VIEW_KEYS:
        raise NotUnderstood(f"{key} belongs to the address, not to the text; {VIEW_KEYS[key]}.")
    if key not in KEYS and key not in TIME_KEYS:
        raise _unknown(text[begin:colon], text[begin:end])
    if not value or (key in TIME_KEYS and not terms.text(value).value.strip()):
        raise NotUnderstood(f"{key}: is without a value; it follows the colon at once, without a blank.")
    if value.endswith(",") and list(terms.units(value))[-1] == (",", False):
        raise NotUnderstood(f"{_excerpt(source)} ends in a comma; alternatives follow each other without a blank: a,b.")
    if key in TIME_KEYS and is_negated:
        raise NotUnderstood(f"{key} cannot be left out; name the time that is meant.")
    return Term(key, value, is_negated, start, end)


def _unknown(key: str, token: str) -> UnknownKey:
    said = f"{_excerpt(key)} is not a search key" if key else f"{_excerpt(token)} has no search key before its colon"
    alike = next(iter(get_close_matches(key[:EXCERPT_LENGTH].casefold(), _ALLOWED, 1)), "")
    said = f"{said}; did you mean {alike}?" if alike else f"{said}."
    return UnknownKey(f"{said} To find the text itself, quote it: {_excerpt(terms.phrase(token))}.", alike)


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT_LENGTH else f"{text[:EXCERPT_LENGTH]}…"
