"""The search keys: what each is called, which columns it asks, which values it takes.

One declaration for the form, the URL and the search box; `-key` is the same key negated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import and_, or_

from django.db.models import Q

from auditlog.models import Site
from auditlog.search import terms
from auditlog.search.request_ids import sent_as
from gatebook.entry import FIRST_FAILURE, MAX_CODE, MAX_MILLISECONDS
from gatebook.interfaces import value_of

MOST_VALUES = 500
"""Values of one key, and of a whole text: as many as anyone writes, and the server plans at once."""

Condition = Callable[[str], Q]
"""Turns one alternative of a value into a condition. Raises ValueError with a sentence."""


def one_of(*columns: str) -> Condition:
    """Equal to, or like, one of `columns`; case-sensitive."""

    def condition(part: str) -> Q:
        text = terms.text(part)
        return any_of(compared(column, spelling) for column in columns for spelling in spellings(column, text))

    return condition


def spellings(column: str, text: terms.Text, *cases: Callable[[str], str]) -> Iterable[terms.Text]:
    """Return the text, and of a path also what request lines carry for it: `/price%20list` for `/price list`."""
    if column != "request_path":
        return [text]
    return dict.fromkeys([text, *(text.percent_encoded(case) for case in cases or [str])])


def named(column: str, standing_in: str) -> Condition:
    """One of both; after `=` what pages show, which is `column`, and `standing_in` only where it is empty."""
    either = one_of(column, standing_in)

    def condition(part: str) -> Q:
        text = terms.text(part)
        if not text.has_equals:
            return either(part)
        text = text.without_equals()
        return compared(column, text) | (Q(**{f"{column}__isnull": True}) & compared(standing_in, text))

    return condition


def compared(column: str, text: terms.Text) -> Q:
    """Equal to `text`, or like it."""
    return Q(**{f"{column}__like": text.pattern}) if text.has_wildcard else Q(**{column: text.value})


def found_in(*columns: str) -> Condition:
    """Found anywhere in one of `columns`, in any case."""

    def condition(part: str) -> Q:
        text = terms.text(part)
        return any_of(
            Q(**{f"{column}__ilike": f"%{spelling.pattern}%"})
            for column in columns
            # "É" is %C3%89 and "é" %C3%A9, which no comparison takes for the same.
            for spelling in spellings(column, text, str, str.lower, str.upper)
        )

    return condition


def within(column: str, largest: int) -> Condition:
    """A number in a range, or `*` for any; no entry has more than `largest`."""

    def condition(part: str) -> Q:
        if part == "*":
            return Q(**{f"{column}__isnull": False})
        span = terms.span(part)
        if span.least == span.most:
            return Q(**{column: span.least})
        least = Q() if span.least is None else Q(**{f"{column}__gte": span.least})
        if span.most is None:
            return least
        # Django leaves a bound out that the column cannot hold, and with it that there is a number at all.
        most = {f"{column}__lte": span.most} if span.most < largest else {f"{column}__isnull": False}
        return least & Q(**most)

    return condition


def code(part: str) -> Q:
    """A Response Code, or a range; of failures alone they are asked by the index that closed days have of these."""
    asked = within("response_code", MAX_CODE)(part)
    least = None if part == "*" else terms.span(part).least
    return asked if least is None or least < FIRST_FAILURE else asked & Q(success=False)


def address(part: str) -> Q:
    """The Request IP, a network that holds it, or `*` for any."""
    if part == "*":
        return Q(request_ip__isnull=False)
    network = terms.network(part)
    return Q(request_ip__within=network)


def interface(part: str) -> Q:
    """The interface, by its stored value or its label."""
    text = terms.text(part)
    if text.has_wildcard:
        return Q(interface__like=text.pattern)
    return Q(interface__in=sorted({text.value, value_of(text.value)}))


def request_id(part: str) -> Q:
    """The Request-ID, as it was sent or is shown."""
    text = terms.text(part)
    return Q(request_id__like=text.pattern) if text.has_wildcard else sent_as(text.value)


def site(part: str) -> Q:
    """The site, by its slug; of the sites that the question is about anyway."""
    text = terms.text(part)
    named = Q(slug__like=text.pattern) if text.has_wildcard else Q(slug=text.value)
    return Q(site_id__in=Site.objects.filter(named).values("pk"))


def choice(**choices: Q) -> Condition:
    """One of a few words."""

    def condition(part: str) -> Q:
        word = terms.text(part).value.casefold()
        if word not in choices:
            raise ValueError(f"{part} is not known, expected {' or '.join(choices)}.")
        return choices[word]

    return condition


def any_of(conditions: Iterable[Q]) -> Q:
    """Return the conditions joined by OR."""
    return reduce(or_, conditions)


def all_of(conditions: Iterable[Q]) -> Q:
    """Return the conditions joined by AND."""
    return reduce(and_, conditions)


def alternatives(condition: Condition, value: str) -> Q:
    """Return what a whole value asks: each of its alternatives, joined by OR. Raises ValueError with a sentence."""
    parts = terms.split(value.replace("\x00", "�"))
    if not parts:
        raise ValueError(f"{value} names no value.")
    if len(parts) > MOST_VALUES:
        raise ValueError(f"names {len(parts):,} values, expected at most {MOST_VALUES}.")
    return any_of(condition(part) for part in parts)


KEYS: dict[str, tuple[str, Condition, str]] = {
    "user": ("User", named("username", "user_id"), "alice or svc-*"),
    "impersonator": ("Impersonator User", named("impersonator_username", "impersonator_user_id"), "h.weber"),
    "is": (
        "Is",
        choice(
            impersonated=Q(impersonator_username__isnull=False) | Q(impersonator_user_id__isnull=False),
            parent=Q(user_is_from_parent_site=True),
        ),
        "impersonated or parent",
    ),
    "interface": ("Interface", interface, "sftp,ftp"),
    "key": ("API Key", named("api_key_id", "api_key_prefix"), "ID or prefix"),
    "api": ("API Name", one_of("api_name"), "files.*"),
    "method": ("Request Method", one_of("request_method"), "POST,PUT"),
    "path": ("Path", one_of("request_path"), "/api/v1/files/*"),
    "ip": ("Request IP", address, "192.0.2.7 or 10.0.0.0/8"),
    "request": ("Request-ID", request_id, ""),
    "host": ("Request Host", one_of("request_host"), "*.example.com"),
    "code": ("Response Code", code, "404, 400..499 or >=500"),
    "agent": ("User Agent", one_of("user_agent"), "*curl*"),
    "type": ("Error Type", one_of("error_type"), "not-found/*"),
    "error": ("Error", found_in("error_type", "error_message"), "type or message"),
    "status": ("Status", choice(success=Q(success=True), failure=Q(success=False)), "success or failure"),
    "duration": ("Duration", within("duration_ms", MAX_MILLISECONDS), ">2000 (milliseconds)"),
    "site": ("Site", site, "acme-eu"),
}
"""Key → (its label, what it asks, an example)."""

COLUMN_KEYS = {
    "site_id": "site",
    "username": "user",
    "impersonator_username": "impersonator",
    "user_is_from_parent_site": "is",
    "interface": "interface",
    "api_key_id": "key",
    "api_key_prefix": "key",
    "api_name": "api",
    "request_method": "method",
    "request_path": "path",
    "request_ip": "ip",
    "request_id": "request",
    "request_host": "host",
    "response_code": "code",
    "user_agent": "agent",
    "error_type": "type",
    "success": "status",
    "duration_ms": "duration",
}
"""Columns of the log → the key that asks for exactly one of their values."""
