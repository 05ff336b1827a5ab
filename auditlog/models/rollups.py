"""Roll-ups: how many entries of a site began in a day, an hour or a minute, counted once instead of at every question.

A column of a roll-up has the name it has in the log, so that a search key asks either in the same words.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import models

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class RollUp(models.Model):
    """One group of entries: those that began in the `minutes` from `start` on and are equal in the columns below.

    Unmanaged: `store/rollups.py` makes the tables and alone writes them.
    """

    grains: tuple[timedelta, ...] = (DAY, HOUR)
    """The lengths of time it counts, each on its own."""

    pk = models.CompositePrimaryKey("site_id", "start")  # for Django, which wants one; the groups have no key
    site_id = models.IntegerField()
    minutes = models.SmallIntegerField()
    start = models.DateTimeField()
    success = models.BooleanField()
    requests = models.IntegerField()

    class Meta:
        abstract = True
        managed = False

    @classmethod
    def columns(cls) -> list[str]:
        """Return the columns it groups by, beside time, site and Status."""
        return [field.name for field in cls._meta.local_concrete_fields if field.name not in _SHARED]


_SHARED = ("site_id", "minutes", "start", "success", "requests")


class ByInterface(RollUp):
    """For totals, charts, and the facets Interface and Status; the minutes for charts of hours and edges of days."""

    grains = (DAY, HOUR, MINUTE)
    interface = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_rollup_interface"


class ByMethod(RollUp):
    """For the facet Request Method."""

    request_method = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_rollup_method"


class ByCode(RollUp):
    """For the facet Response Code."""

    response_code = models.SmallIntegerField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_rollup_code"


class ByErrorType(RollUp):
    """For the facet Error Type."""

    error_type = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_rollup_error_type"


class ByApiName(RollUp):
    """For the facet API Name."""

    api_name = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_rollup_api_name"


class ByDuration(RollUp):
    """For percentiles; `duration_bucket` is a step on a log scale (`models/durations.py`)."""

    duration_bucket = models.SmallIntegerField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_rollup_duration"


class ByError(RollUp):
    """For the top error types by API name and interface; holds only entries with an Error Type."""

    error_type = models.TextField()
    api_name = models.TextField(null=True)
    interface = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_rollup_error"


ROLL_UPS: tuple[type[RollUp], ...] = (ByInterface, ByMethod, ByCode, ByErrorType, ByApiName, ByDuration)
"""Those that count every entry, the narrowest first: each answers whatever asks for its columns alone."""


class TouchedHour(models.Model):
    """A mark: rows of this hour were written or deleted after it was counted. Appended, never unique.

    Until it is counted again, the hour is answered from its rows.
    """

    hour = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} UTC"


class TouchedDay(models.Model):
    """A mark: hours of this UTC day were counted anew after it was summed up. Appended, never unique.

    Until it is summed up again, the day is answered from its hours.
    """

    day = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} UTC"
