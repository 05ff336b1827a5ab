"""The form over the search keys, by which the URL is read too."""

from __future__ import annotations

from copy import copy
from typing import Any, Self, TypeVar

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.datastructures import MultiValueDict

from auditlog.models import ApiRequestLog
from auditlog.search import language, terms
from auditlog.search.keys import KEYS, Condition, all_of, alternatives

Rows = QuerySet[ApiRequestLog]
AnyRows = TypeVar("AnyRows", bound=QuerySet[Any])
"""Rows of the log, or of a roll-up, which has some of its columns."""


class TermsInput(forms.TextInput):
    """One text field for all the values a key has in the URL."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        """Join repeated parameters as alternatives."""
        values = data.getlist(name) if isinstance(data, MultiValueDict) else [data.get(name, "")]
        return terms.joined([value for value in values if value])


class TermsField(forms.CharField):
    """A value in the grammar of `terms`, cleaned to a condition."""

    widget = TermsInput

    def __init__(self, *, condition: Condition, **kwargs: Any) -> None:
        self.condition = condition
        super().__init__(**kwargs)

    def clean(self, value: Any) -> Q | None:
        """Return the alternatives joined by OR, or None for an absent value."""
        if not value:
            return None
        try:
            return alternatives(self.condition, value)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class TextField(forms.CharField):
    """A text of the search box, cleaned to the condition that all its terms hold."""

    def clean(self, value: Any) -> Q | None:
        """Return the terms joined by AND, or None for an absent text."""
        if not value or not value.strip():
            return None
        if wrong := language.faults(value):
            raise forms.ValidationError([fault.sentence for fault in wrong])
        try:
            return all_of(term.condition() for term in language.parse(value).terms)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class KeyFilter(django_filters.Filter):
    """One search key."""

    field_class: type[forms.Field] = TermsField

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.field  # noqa: B018  # made once, here

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Share the field, which each form copies: to make all of them took most of a question's time."""
        return copy(self)

    def filter(self, qs: AnyRows, value: Q | None) -> AnyRows:
        """Keep the rows that meet the condition, or with `exclude` those that do not."""
        if value is None:
            return qs
        return qs.exclude(value) if self.exclude else qs.filter(value)


class TextFilter(KeyFilter):
    """What is left in the text of the search box."""

    field_class = TextField


def _key_filters() -> dict[str, KeyFilter]:
    filters = {}
    for key, (label, condition, example) in KEYS.items():
        for name, exclude in ((key, False), (f"-{key}", True)):
            filters[name] = KeyFilter(
                label=f"not {label}" if exclude else label,
                exclude=exclude,
                condition=condition,
                required=False,
                widget=TermsInput(attrs={"placeholder": example, "autocomplete": "off", "spellcheck": "false"}),
            )
    return filters


class LogFilter(django_filters.FilterSet):
    """The form over all keys, and `q`. Ask `is_valid()` before `qs`: an invalid key would be left out in silence."""

    @classmethod
    def get_filters(cls) -> dict[str, KeyFilter]:
        """Return the keys and their negations; `-key` is no Python name, so they cannot be declared as attributes."""
        return {**_key_filters(), "q": TextFilter(label="Search", required=False)}
