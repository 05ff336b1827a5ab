"""A log scale for durations, fine enough that what is read from it is within 5 % of the exact value.

The scale of DDSketch (Masson, Rim, Lee: "DDSketch", VLDB 2019): bucket b holds the milliseconds from exp(b / 10) up to
exp((b + 1) / 10), and stands for their harmonic mean, which is at most tanh(0.05) = 4.996 % away from either end.
"""

from __future__ import annotations

from math import exp

from django.db.models import Func, SmallIntegerField

ZERO_BUCKET = -1
"""The bucket of durations below a millisecond."""

BUCKET_SQL = f"(CASE WHEN {{0}} > 0 THEN floor(10 * ln({{0}})) WHEN {{0}} = 0 THEN {ZERO_BUCKET} END)::smallint"


class DurationBucket(Func):
    """`DurationBucket("duration_ms")`: the bucket of a duration, null for none."""

    template = BUCKET_SQL.format("%(expressions)s")
    output_field = SmallIntegerField()


def typical_ms(bucket: int) -> float:
    """Return the milliseconds that `bucket` stands for."""
    if bucket == ZERO_BUCKET:
        return 0.0
    least, most = exp(bucket / 10), exp((bucket + 1) / 10)
    return 2 * least * most / (least + most)
