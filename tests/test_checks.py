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


def test_a_project_that_names_no_book_is_told(settings, monkeypatch):
    monkeypatch.setattr("gatebook.checks._is_server", lambda: False)
    ((code, hint),) = said(settings, GATEBOOK={"SPOOL": settings.GATEBOOK["SPOOL"]})
    assert (code, hint) == ("gatebook.E002", "Name the Gatebook that keeps them: BOOK_URL and BOOK_KEY.")
    named = {"BOOK_URL": "https://book.example.org", "BOOK_KEY": "Ab3" * 13}
    assert said(settings, GATEBOOK={"SPOOL": settings.GATEBOOK["SPOOL"], **named}) == []


def test_a_spool_that_cannot_be_written_is_named(settings, tmp_path):
    (tmp_path / "file").write_text("")
    ((code, hint),) = said(settings, GATEBOOK={**settings.GATEBOOK, "SPOOL": tmp_path / "file" / "spool"})
    assert (code, hint) == ("gatebook.W003", "Make it, and give it to the user that runs the server.")
