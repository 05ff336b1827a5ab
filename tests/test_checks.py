"""`manage.py check` tells a project what is wrong with its capture."""

from __future__ import annotations

import pytest

from gatebook.checks import MIDDLEWARE, check


def said(settings, **given):
    for name, value in given.items():
        setattr(settings, name, value)
    return [(message.id, message.hint or message.msg) for message in check()]


def test_a_project_that_is_right_hears_nothing(settings):
    assert said(settings) == []


def test_a_missing_middleware_is_named(settings):
    ((code, hint),) = said(settings, MIDDLEWARE=[])
    assert (code, hint) == ("gatebook.W001", f"Put {MIDDLEWARE!r} first in MIDDLEWARE.")


def test_a_middleware_before_ours_is_named(settings):
    ((code, hint),) = said(settings, MIDDLEWARE=["a.Middleware", MIDDLEWARE])
    assert (code, hint) == ("gatebook.W002", f"Put {MIDDLEWARE!r} before 'a.Middleware'.")


@pytest.mark.parametrize("given", [{}, {"SPOOL": "spool"}, {"SPOOL": "/tmp/spool", "SITE": "A B"}])
def test_settings_that_make_no_sense_are_an_error(settings, given):
    ((code, message),) = said(settings, GATEBOOK=given)
    assert code == "gatebook.E001"
    assert "expected" in message
