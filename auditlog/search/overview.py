"""Answers for the overview of a site: how its requests ended, who acted as whom, what is slow, what came last.

Like all answers they are exact, and asked inside `one_snapshot`, each within its budget.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Max, Min
from django.db.models.functions import Coalesce

from auditlog.models import ApiRequestLog
from auditlog.models.log import OWN_ACCOUNT
from auditlog.search.answers import Percentiles, percentiles_of
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


@dataclass(frozen=True)
class Impersonation:
    """What someone did as someone else: names, or where there are none, ids."""

    impersonator: str
    user: str | None
    requests: int
    first_at: datetime
    last_at: datetime

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
    found: dict[tuple[str, str | None], Impersonation] = {}
    for time in slices(question.reach):
        # The condition as the key `is` asks it: it is an index of closed days.
        acted = question.within(time).rows().filter(alternatives(KEYS["is"][1], "impersonated"))
        pairs = acted.order_by().values_list(
            Coalesce("impersonator_username", "impersonator_user_id"), Coalesce("username", "user_id")
        )
        with part():
            for pair in pairs.annotate(Count("request_id"), Min("created_at"), Max("created_at")):
                here = Impersonation(*pair)
                earlier = found.get(pair[:2])
                found[pair[:2]] = here.joined(earlier) if earlier else here
    return sorted(found.values(), key=lambda each: each.last_at, reverse=True)


def durations_by_api_name(question: Question) -> list[tuple[str, Percentiles]]:
    """Return how long the matching requests of each API Name took, the slowest 5 % longest first. Counts rows."""
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for source in sources(question, ["api_name", "duration_bucket"]):
        for name, bucket, requests in source.grouped("api_name", "duration_bucket"):
            if name is not None and bucket is not None:
                counts[name][bucket] += requests
    found = [(name, percentiles_of(buckets)) for name, buckets in counts.items()]
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
