"""Roll-ups: how many entries of a site began in one hour or minute, counted once instead of at every question.

A column of a roll-up has the name it has in the log, so that a search key asks either in the same words.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import models

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class RollUp(models.Model):
    """One group of entries: those that began within `grain` of `start` and are equal in the columns below.

    Unmanaged: `store/rollups.py` makes the tables and alone writes them.
    """

    grain = HOUR

    pk = models.CompositePrimaryKey("start", "site_id")  # for Django, which wants one; the groups have no key
    start = models.DateTimeField()
    site_id = models.IntegerField()
    success = models.BooleanField()
    requests = models.IntegerField()

    class Meta:
        abstract = True
        managed = False

    @classmethod
    def columns(cls) -> list[str]:
        """Return the columns it groups by, beside time, site and Status."""
        return [field.name for field in cls._meta.local_concrete_fields if field.name not in _SHARED]


_SHARED = ("start", "site_id", "success", "requests")


class MinuteByInterface(RollUp):
    """For charts of hours, and for the edges of longer ones."""

    grain = MINUTE
    interface = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_minutebyinterface"


class HourByInterface(RollUp):
    """For totals, charts of days, and the facets Interface and Status."""

    interface = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_hourbyinterface"


class HourByMethod(RollUp):
    """For the facet Request Method."""

    request_method = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_hourbymethod"


class HourByCode(RollUp):
    """For the facet Response Code."""

    response_code = models.SmallIntegerField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_hourbycode"


class HourByErrorType(RollUp):
    """For the facet Error Type."""

    error_type = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_hourbyerrortype"


class HourByApiName(RollUp):
    """For the facet API Name."""

    api_name = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_hourbyapiname"


class HourByDuration(RollUp):
    """For percentiles; `duration_bucket` is a step on a log scale (`models/durations.py`)."""

    duration_bucket = models.SmallIntegerField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_hourbyduration"


class HourByError(RollUp):
    """For the top error types by API name and interface; holds only entries with an Error Type."""

    error_type = models.TextField()
    api_name = models.TextField(null=True)
    interface = models.TextField(null=True)

    class Meta(RollUp.Meta):
        db_table = "gatebook_hourbyerror"


ROLL_UPS: tuple[type[RollUp], ...] = (
    MinuteByInterface,
    HourByInterface,
    HourByMethod,
    HourByCode,
    HourByErrorType,
    HourByApiName,
    HourByDuration,
)
"""Those that count every entry, the narrowest first: each answers whatever asks for its columns alone."""


class TouchedHour(models.Model):
    """A mark: rows of this hour were written or deleted after its roll-ups were made. Appended, never unique.

    Until the hour is rolled up again, it is answered from its rows.
    """

    hour = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} UTC"
