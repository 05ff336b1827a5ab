"""Moments as the reader's clock says them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from auditlog.dashboard.reader import ago, at_words


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (timedelta(seconds=9), "just now"),
        (timedelta(seconds=-9), "just now"),
        (timedelta(minutes=1, seconds=9), "1 minute ago"),
        (timedelta(minutes=10, seconds=9), "10 minutes ago"),
        (timedelta(hours=3, minutes=40), "3 hours ago"),
    ],
)
def test_how_long_ago_a_moment_was(since, words):
    assert ago(timezone.now() - since).replace("\xa0", " ") == words


def test_a_moment_names_its_year_where_that_is_another():
    now = timezone.now().replace(month=6, day=3, hour=14, minute=5)
    assert at_words(now) == "3 Jun, 14:05"
    assert at_words(now.replace(year=2020)) == "3 Jun 2020, 14:05"
