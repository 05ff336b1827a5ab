"""Answers for the overview of a site: how its requests ended, who acted as whom, what is slow, what came last.

Like all answers they are exact, and asked inside `one_snapshot`, each within its budget.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

from django.db.models import Count, Max, Min

from auditlog.models import ApiRequestLog
from auditlog.models.log import OWN_ACCOUNT
from auditlog.search.answers import Counts, Grouping, Percentiles, counted, percentiles_of
from auditlog.search.keys import KEYS, alternatives
from auditlog.search.question import Question, site_retention
from auditlog.search.slices import slices
from auditlog.search.snapshot import part
from auditlog.search.sources import sources
from auditlog.search.timerange import TimeRange
from auditlog.store.writer import TOLERATED_AHEAD


@dataclass(frozen=True)
class Outcome:
    """How some requests ended: all of them, and the failures among them."""

    requests: int = 0
    failures: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.requests + other.requests, self.failures + other.failures)


def outcomes(question: Question, column: str) -> dict[Any, Outcome]:
    """Return how the matching requests ended, by the values of `column`, of which a roll-up knows some."""
    found: defaultdict[Any, Outcome] = defaultdict(Outcome)
    for source in sources(question, [column]):
        for value, success, requests in source.grouped(column, "success"):
            found[value] += Outcome(requests, 0 if success else requests)
    return dict(found)


IMPERSONATION = ("impersonator_username", "impersonator_user_id", "username", "user_id")


@dataclass(frozen=True)
class Impersonation:
    """What someone did as someone else: names, or where there are none, ids."""

    impersonator: str
    user: str | None
    requests: int
    first_at: datetime
    last_at: datetime
    is_shared: bool = False
    """One of both is also the id of somebody else who is among these pairs."""

    def joined(self, other: Impersonation) -> Impersonation:
        """Return this and what the same one did as the same user at another time."""
        return replace(
            self,
            requests=self.requests + other.requests,
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
        )


def impersonations(question: Question) -> list[Impersonation]:
    """Return who acted as whom among the matching requests, the latest first. Counts rows."""
    found: dict[tuple[str | None, str | None], Impersonation] = {}
    shared: set[tuple[str | None, str | None]] = set()
    for time in slices(question.reach):
        # The condition as the key `is` asks it: it is an index of closed days.
        acted = question.within(time).rows().filter(alternatives(KEYS["is"][1], "impersonated"))
        groups = acted.order_by().values_list(*IMPERSONATION)
        numbers = (Count("request_id"), Min("created_at"), Max("created_at"))
        with part():
            for by, by_id, user, user_id, *found_here in groups.annotate(*numbers):
                pair = (by_id if by is None else by, user_id if user is None else user)
                here = Impersonation(*pair, *found_here)
                found[pair] = found[pair].joined(here) if pair in found else here
                others = product({by, by_id} - {None}, {user, user_id} - {None} or {None})
                shared.update(other for other in others if other != pair)
    marked = [replace(each, is_shared=pair in shared) for pair, each in found.items()]
    return sorted(marked, key=lambda each: each.last_at, reverse=True)


def durations_by_api_name(question: Question) -> list[tuple[str, Percentiles]]:
    """Return how long the matching requests of each API Name took, the slowest 5 % longest first. Counts rows."""
    by_name: defaultdict[str, Counts] = defaultdict(Counter)
    for (name, bucket), requests in counted(question, Grouping(("api_name", "duration_bucket"))).items():
        if name is not None:
            by_name[name][bucket,] += requests
    found = [(name, durations) for name, counts in by_name.items() if (durations := percentiles_of(counts))]
    return sorted(found, key=lambda pair: (-pair[1].p95, pair[0]))


def last_received(question: Question) -> dict[int, ApiRequestLog]:
    """Return the newest entry that each site of the question still keeps, whatever time is asked for.

    What Gatebook's own readers did does not count: a silent site would be heard of each time somebody looks.
    """
    now = datetime.now(UTC)
    newest = {}
    for site in question.sites:
        kept = TimeRange(now - site_retention(site), now + TOLERATED_AHEAD)
        of_site = question.about([site], kept)
        for time in slices(of_site.reach):
            with part():
                rows = of_site.within(time).rows().exclude(user_id__startswith=OWN_ACCOUNT)
                entry = rows.order_by("-created_at", "-request_id").first()
            if entry:
                newest[site.pk] = entry
                break
    return newest
