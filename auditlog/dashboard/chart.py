"""The chart of requests over time: a Volume as bars, labels and words, drawn by `templates/_chart.html`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from auditlog.search.answers import Bucket, Volume
from auditlog.search.buckets import STEPS
from auditlog.search.timerange import TimeRange

PLOT_HEIGHT = 64
"""Pixels of the tallest bar."""
LEAST_FAILURES = 2.5
LEAST_SUCCESSES = 1.5
"""Pixels of a bar that counts at all, so that one failure among thousands is seen; failures stand out a little more."""
GAP = 1
"""Pixels between failures and the successes above them, so that the two are told apart without colour."""
BASELINE = PLOT_HEIGHT + 4
"""Where the bars stand: the least heights and the gap may add this much to the tallest."""
MOST_LABELS = 8
"""Labels that have room side by side; a narrow page leaves out every second one."""
EDGE = 4
NARROW_EDGE = 9
"""Percent from either end within which a label would be cut off if it were centred on its moment; on a phone."""

_DAY = timedelta(days=1)
_UNITS = (
    (_DAY, "day", "a day"),
    (timedelta(hours=1), "hour", "an hour"),
    (timedelta(minutes=1), "minute", "a minute"),
    (timedelta(seconds=1), "second", "a second"),
    (timedelta(milliseconds=1), "millisecond", "a millisecond"),
)


@dataclass(frozen=True)
class Part:
    """The failures or the successes of a bar, in pixels from the top."""

    y: str
    height: str


@dataclass(frozen=True)
class Bar:
    """One bucket: where it stands, in percent of the width, what it counts, and the query of exactly its requests."""

    x: str
    width: str
    failures: Part | None
    successes: Part | None
    time: str
    requests: str
    failed: str
    said: str
    """All of it in one line."""
    utc: str
    """The time in UTC; empty for readers there."""
    counts: Bucket
    query: str


@dataclass(frozen=True)
class Label:
    """A moment on the time axis; `anchor` is the SVG attribute that keeps it within the chart, `narrow` on a phone."""

    x: str
    words: str
    anchor: str
    narrow: str
    is_date: bool


@dataclass(frozen=True)
class Chart:
    """What there is to draw."""

    bars: tuple[Bar, ...]
    labels: tuple[Label, ...]
    most: str
    """Requests of the tallest bar; empty where there are none."""
    step_words: str
    """How long a bar is, "30 minutes"; the two at the ends may be shorter."""
    zoom_out: str | None
    """The query of the question over twice the time; None where there is no more to see."""
    height: int = BASELINE


def draw(volume: Volume, zone: tzinfo, query: Callable[[TimeRange], str], sight: TimeRange | None = None) -> Chart:
    """Turn a volume into shapes and words of `zone`; `query` makes the query string of the question in a range.

    `sight` is all that could be asked for; without it, there is no way to zoom out.
    """
    whole = TimeRange(volume.buckets[0].time.start, volume.buckets[-1].time.end)
    most = max(bucket.count for bucket in volume.buckets)
    more = sight and wider(whole, sight)
    (step, _), *_ = Counter(bucket.time.end - bucket.time.start for bucket in volume.buckets).most_common(1)
    return Chart(
        bars=tuple(_bar(bucket, whole, most, zone, query(bucket.time)) for bucket in volume.buckets),
        labels=tuple(_labels(whole, zone)),
        most=f"{most:,}" if most else "",
        step_words=span_words(step),
        zoom_out=query(more) if more else None,
    )


def wider(time: TimeRange, sight: TimeRange) -> TimeRange | None:
    """Return twice the range around its middle, moved and cut to lie in `sight`; None where that is no more."""
    length = time.end - time.start
    if time.end <= sight.start or (time.start <= sight.start and time.end >= sight.end):
        return None
    end = time.end + min(length / 2, max(sight.end - time.end, timedelta()))
    start = end - min(2 * length, end - sight.start)
    return TimeRange(min(start, time.start), end)


def _bar(bucket: Bucket, whole: TimeRange, most: int, zone: tzinfo, query: str) -> Bar:
    failures = successes = None
    top = float(BASELINE)
    if bucket.failures:
        height = max(LEAST_FAILURES, PLOT_HEIGHT * bucket.failures / most)
        top -= height
        failures = Part(f"{top:.1f}", f"{height:.1f}")
    if bucket.successes:
        height = max(LEAST_SUCCESSES, PLOT_HEIGHT * bucket.successes / most)
        if failures:
            top -= GAP
            height = max(LEAST_SUCCESSES, height - GAP)
        top -= height
        successes = Part(f"{top:.1f}", f"{height:.1f}")
    words, utc = (range_words(bucket.time, each, with_year=_crosses_years(whole, zone)) for each in (zone, UTC))
    requests, failed = counted(bucket.count, "request"), counted(bucket.failures, "failure")
    return Bar(
        x=_place(bucket.time.start, whole),
        width=f"{100 * ((bucket.time.end - bucket.time.start) / (whole.end - whole.start)):.3f}",
        failures=failures,
        successes=successes,
        time=words,
        requests=requests,
        failed=failed,
        said=f"{words}: {requests}, {failed}",
        utc="" if utc == words else f"{utc} UTC",
        counts=bucket,
        query=query,
    )


def _place(moment: datetime, whole: TimeRange) -> str:
    return f"{100 * ((moment - whole.start) / (whole.end - whole.start)):.3f}"


def _labels(whole: TimeRange, zone: tzinfo) -> Iterator[Label]:
    step = label_step(whole.end - whole.start)
    has_dates = whole.start.astimezone(zone).date() != whole.end.astimezone(zone).date()
    previous = None
    for moment in _round_moments(whole, step, zone):
        local = moment.astimezone(zone)
        is_new_day = previous != local.date()
        previous = local.date()
        if step >= _DAY:
            words = f"{local:%-d %b %Y}" if _crosses_years(whole, zone) else f"{local:%-d %b}"
        else:
            words = clock_words(local, step)
            if has_dates and is_new_day:
                words = f"{local:%a %-d %b}" if local.time() == time() else f"{local:%a} {words}"
        x = _place(moment, whole)
        yield Label(x, words, _anchor(x, EDGE), _anchor(x, NARROW_EDGE), is_date=has_dates and is_new_day)


def _anchor(x: str, edge: int) -> str:
    """Return the SVG attribute that keeps a label within the chart."""
    return "start" if float(x) < edge else "end" if float(x) > 100 - edge else "middle"


def label_step(length: timedelta) -> timedelta:
    """Return the time between two labels of an axis that is `length` long."""
    step = next((step for step in STEPS if length / step <= MOST_LABELS), STEPS[-1])
    while length / step > MOST_LABELS:
        step *= 2
    return step


def _round_moments(whole: TimeRange, step: timedelta, zone: tzinfo) -> Iterator[datetime]:
    """Yield the moments within a range at which the clock of `zone` shows multiples of `step`."""
    start, end = whole.start.astimezone(zone), whole.end.astimezone(zone)
    if step >= _DAY:
        first = -(-start.toordinal() // step.days) * step.days
        shown = (datetime.fromordinal(day) for day in range(first, end.toordinal() + 1, step.days))
    else:
        midnight = datetime.combine(start.date(), time())
        first = (start.replace(tzinfo=None) - midnight) // step
        last = (end.replace(tzinfo=None) - midnight) // step
        shown = (midnight + number * step for number in range(first, last + 1))
    for local in shown:
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        exists = moment.astimezone(zone).replace(tzinfo=None) == local  # not in the hour a clock skips
        if exists and whole.start <= moment < whole.end:
            yield moment


def _crosses_years(whole: TimeRange, zone: tzinfo) -> bool:
    return whole.start.astimezone(zone).year != whole.end.astimezone(zone).year


def clock_words(local: datetime, step: timedelta = timedelta(minutes=1)) -> str:
    """Return a time of day with seconds, or their fractions, where it has any or `step` is that fine."""
    if step < timedelta(seconds=1):
        return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"
    if step < timedelta(minutes=1) or local.second or local.microsecond:
        return f"{local:%H:%M:%S}"
    return f"{local:%H:%M}"


def range_words(span: TimeRange, zone: tzinfo, *, with_year: bool = False) -> str:
    """Say a range in `zone`: "24 Nov", "24 Nov to 26 Nov" for whole days, "24 Nov 14:30 to 15:00" for parts of one."""
    start, end = span.start.astimezone(zone), span.end.astimezone(zone)
    day = "%-d %b %Y" if with_year else "%-d %b"
    if start.time() == end.time() == time():
        last = end - _DAY
        return f"{start:{day}}" if last.date() == start.date() else f"{start:{day}} to {last:{day}}"
    since, until = (clock_words(moment, span.end - span.start) for moment in (start, end))
    if start.date() == end.date():
        return f"{start:{day}} {since} to {until}"
    return f"{start:{day}} {since} to {end:{day}} {until}"


def span_words(span: timedelta) -> str:
    """Say a whole number of the largest unit: "30 minutes", "an hour"; what is no whole number is "one bar"."""
    for unit, word, one in _UNITS:
        if span >= unit and not span % unit:
            return one if span == unit else f"{span // unit} {word}s"
    return "one bar"


def counted(number: int, word: str) -> str:
    """Say a number of things: "1 failure", "1,204 failures"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def share_words(part: int, whole: int) -> str:
    """Say a share in percent, never "0 %" of something nor "100 %" of less than all."""
    percent = 100 * part / whole
    if part == whole:
        return "100 %"
    if percent < 0.1:
        return "under 0.1 %"
    if percent > 99.9:
        return "over 99.9 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"
