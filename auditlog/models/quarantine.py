"""The quarantine: lines that the ingest door could not take, kept for a while so that someone can see why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import models, transaction
from django.db.models import Case, Count, F, Func, Q, Value, When
from django.db.models.functions import Concat
from django.utils import timezone

from auditlog.models.keys import ApiKey
from auditlog.models.sites import Site

KEPT_DAYS = 30
"""Less where the site's retention is shorter."""

KEPT_LINES = 10_000
"""A site's lines beyond this many are only counted: a sender that is wrong is wrong about every line."""

LINE_LIMIT = 2_000
"""Characters of a line that are kept."""

_REASON = Case(
    When(field=None, then=F("error")),
    default=Concat("field", Value(": "), "error", output_field=models.TextField()),
)
"""A line's reason in one text, as `str` writes it."""
_ALIKE = Func(
    _REASON, Value(r"\m\d\S*"), Value("…"), Value("g"), function="regexp_replace", output_field=models.TextField()
)
"""The same without its numbers and times."""


class NotTaken(NamedTuple):
    """A line that was not taken: the field at fault (None: the line as a whole), why, and its text without secrets."""

    field: str | None
    error: str
    line: str


class QuarantineQuerySet(models.QuerySet["QuarantinedLine"]):
    """Lines in quarantine, as they come and go."""

    def room(self, site: Site) -> int:
        """Return how many more lines of `site` are kept."""
        return max(0, KEPT_LINES - self.filter(site=site).count())

    def keep(self, site: Site, key: ApiKey | None, lines: Sequence[NotTaken], *, dropped: int = 0) -> None:
        """Set lines of `site` aside as far as there is room, and count the others, also `dropped` ones not given."""
        with transaction.atomic():
            # One at a time for each site, or two that look at once would both find the same room.
            Site.objects.select_for_update(no_key=True).get(pk=site.pk)
            room = self.room(site)
            QuarantinedLine.objects.bulk_create(
                QuarantinedLine(site=site, api_key=key, field=field, error=error, line=line)
                for field, error, line in lines[:room]
            )
            if beyond := max(0, len(lines) - room) + dropped:
                today, _ = DroppedLines.objects.get_or_create(site=site, day=timezone.now().date())
                today.lines += beyond
                today.save()

    def in_sight(self, site: Site, now: datetime) -> QuarantineQuerySet:
        """Lines of `site` that are not past their time at `now`."""
        return self.filter(site=site, received_at__gte=_since(site, now))

    def with_reason(self, text: str) -> QuarantineQuerySet:
        """Lines with `text` in their reason, as it is or as `most_frequent_reasons` has it; in any case."""
        reasons = self.annotate(reason=_REASON, alike=_ALIKE)
        return reasons.filter(Q(reason__icontains=text) | Q(alike__icontains=text))

    def most_frequent_reasons(self, most: int) -> list[tuple[str, int]]:
        """Return the reasons with the number of these lines that have each, the most frequent first.

        Reasons that differ in numbers and times alone are one.
        """
        counted = self.order_by().annotate(alike=_ALIKE).values("alike").annotate(lines=Count("pk"))
        return list(counted.order_by("-lines", "alike").values_list("alike", "lines")[:most])

    def past_their_time(self, site: Site, now: datetime) -> QuarantineQuerySet:
        """Lines of `site` that have been here long enough at `now`."""
        return self.filter(site=site, received_at__lt=_since(site, now))


class DroppedLinesQuerySet(models.QuerySet["DroppedLines"]):
    """Counts of lines for which there was no room."""

    def in_sight(self, site: Site, now: datetime) -> DroppedLinesQuerySet:
        """Counts of `site` that are not past their time at `now`."""
        return self.filter(site=site, day__gte=_since(site, now).date())

    def past_their_time(self, site: Site, now: datetime) -> DroppedLinesQuerySet:
        """Counts of `site` whose lines would have been here long enough at `now`."""
        return self.filter(site=site, day__lt=_since(site, now).date())


class QuarantinedLine(models.Model):
    """A line that was sent to a site and is not in its log."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="quarantined_lines")
    api_key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True)
    received_at = models.DateTimeField(default=timezone.now)
    field = models.TextField(null=True)
    error = models.TextField()
    line = models.TextField()

    objects = QuarantineQuerySet.as_manager()

    class Meta:
        ordering = ("-received_at", "-pk")
        indexes = (models.Index(fields=["site", "received_at"], name="quarantine_of_a_site"),)

    def __str__(self) -> str:
        return f"{self.field}: {self.error}" if self.field else self.error

    @property
    def text(self) -> str:
        """The line without the line break that ended it."""
        return self.line.removesuffix("\n").removesuffix("\r")


class DroppedLines(models.Model):
    """How many lines of a site were only counted on one day (UTC), for lack of room in the quarantine."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="dropped_lines")
    day = models.DateField()
    lines = models.PositiveBigIntegerField(default=0)

    objects = DroppedLinesQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "dropped lines"
        ordering = ("-day", "site")
        constraints = (models.UniqueConstraint(fields=["site", "day"], name="one_count_per_site_and_day"),)

    def __str__(self) -> str:
        return f"{self.lines} of {self.site} on {self.day}"


def _since(site: Site, now: datetime) -> datetime:
    return now - timedelta(days=min(KEPT_DAYS, site.retention_days))
