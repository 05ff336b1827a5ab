"""The shipper: a thread of each recording process that moves lines from the spool to the sink."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import multiprocessing.util
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec
from django.core.signals import setting_changed
from django.db import DataError, IntegrityError, connections

from gatebook.conf import conf
from gatebook.entry import Entry
from gatebook.lines import Line, decode_line
from gatebook.segments import Segment
from gatebook.sinks import Rejection, Sink, SinkUnavailable
from gatebook.spool import Spool
from gatebook.spool import current as current_spool
from gatebook.streams import cut_off

logger = logging.getLogger("gatebook")

BATCH = 5_000
GATHER_SECONDS = 0.5
"""From the first line to its shipping: short enough to be found within 2 s, long enough to ship in batches."""

ADOPT_SECONDS = 30
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15
EXIT_SECONDS = 5
_SECONDS_BETWEEN_COMPLAINTS = 60
_REFUSALS_THAT_MEAN_BROKEN = 10


@dataclass
class Shipped:
    """What a round has moved."""

    segments: int = 0
    entries: int = 0
    rejected: int = 0


class _Unproven(SinkUnavailable):
    """Entries fail while nothing shows that the sink takes any: it may be the sink's fault."""


class Shipper:
    """Empties a spool into a sink. `start()` does so in a thread, `ship()` and `adopt()` in the caller's."""

    def __init__(self, spool: Spool, sink: Sink) -> None:
        self.spool = spool
        self.sink = sink
        self._sealed: Segment | None = None  # what a failed round has left; it comes first in the next
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._proof: tuple[str | None, Entry] | None = None  # the last entry stored; harmless to send again
        self._orphans_wait = False
        self._adopt_at = time.monotonic()
        self._pause_seconds = 0.0
        self._complained_at: float | None = None

    def start(self) -> None:
        """Start the thread, once."""
        thread = threading.Thread(target=self._run, name="gatebook-shipper", daemon=True)
        thread.start()
        self._thread = thread

    def notice(self) -> None:
        """Tell the thread that something was recorded; starts it where needed."""
        if self._thread is None:
            with _starting:
                if self._thread is None:
                    with contextlib.suppress(RuntimeError):  # the process is ending: another one will ship it
                        self.start()
        if not self._wake.is_set():
            self._wake.set()

    def stop(self, timeout_seconds: float = EXIT_SECONDS) -> None:
        """Ship what is there, if that goes quickly, and end the thread. What is left stays in the spool."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def ship(self) -> Shipped:
        """Ship this process's own segment. Raises SinkUnavailable or OSError; then nothing is lost."""
        shipped = Shipped()
        for _ in range(2):  # what an earlier round has left, then what was recorded since
            if self._sealed is None:
                self._sealed = self.spool.seal()
            if self._sealed is None:
                break
            self._empty(self._sealed, shipped)
            self._sealed = None
        return shipped

    def adopt(self) -> Shipped:
        """Ship the segments nobody holds: of processes that died, or let go when full."""
        shipped = Shipped()
        failure = self._adopt(shipped)
        if isinstance(failure, _Unproven) and self._proof is not None:  # later segments have proved the sink sound
            failure = self._adopt(shipped)
        if failure is not None:
            raise failure
        for notes in self.spool.orphaned_streams():
            self._empty_streams(notes, shipped)
        return shipped

    def _adopt(self, shipped: Shipped) -> OSError | _Unproven | None:
        failure: OSError | _Unproven | None = None
        unproven = 0
        for segment in self.spool.orphans():
            try:
                self._empty(segment, shipped)
            except (OSError, _Unproven) as error:  # a bad file does not keep the others waiting
                failure = error
                unproven += isinstance(error, _Unproven)
            finally:
                segment.close()
            if unproven >= _REFUSALS_THAT_MEAN_BROKEN:
                break
        return failure

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(max(0.0, self._adopt_at - time.monotonic()))
            self._stopping.wait(self._pause_seconds or GATHER_SECONDS)
            self._wake.clear()
            self._round()
        self._round()  # for what was recorded while the last one ran
        if self._sealed is not None:
            self._sealed.close()

    def _round(self) -> None:
        """Ship once; after a failure note how long to pause."""
        try:
            failure = self._attempt(self.ship)
            is_due = bool(self._pause_seconds) or time.monotonic() >= self._adopt_at
            if is_due and (failure is None or isinstance(failure, _Unproven)):
                self._adopt_at = time.monotonic() + ADOPT_SECONDS
                # Its failure is no reason to pause: this process's own entries go through.
                self._orphans_wait = self._attempt(self.adopt) is not None
            if failure is not None:
                self._wake.set()
                self._pause_seconds = min(self._pause_seconds * 2 or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
                return
            self._pause_seconds = 0.0
            if self._complained_at is not None and not self._orphans_wait:
                logger.warning("Entries are being shipped again.")
                self._complained_at = None
        finally:
            with contextlib.suppress(Exception):  # one that cannot even be closed is made anew
                connections.close_all()

    def _attempt(self, action: Callable[[], Shipped]) -> Exception | None:
        """Return what went wrong, logged now and then: the thread outlives whatever its sink does."""
        try:
            action()
        except Exception as error:
            now = time.monotonic()
            if self._complained_at is None or now - self._complained_at > _SECONDS_BETWEEN_COMPLAINTS:
                self._complained_at = now
                expected = isinstance(error, SinkUnavailable | OSError)
                logger.error(
                    "Entries wait in %s: %s", self.spool.directory, error, exc_info=None if expected else error
                )
            return error
        return None

    def _empty(self, segment: Segment, shipped: Shipped) -> None:
        """Ship all lines of a segment and delete it."""
        position = segment.position
        lines = segment.lines(position)
        while batch := list(itertools.islice(lines, BATCH)):
            self._ship_batch([line for line, _ in batch if line], shipped)
            position = batch[-1][1]
            if len(batch) == BATCH:
                with contextlib.suppress(OSError):  # it only spares sending again, and a full disk is to be emptied
                    segment.keep_position(position)
        segment.delete()
        shipped.segments += 1

    def _empty_streams(self, notes: Segment, shipped: Shipped) -> None:
        """Ship the answers that a dead process had not ended, and delete its notes."""
        try:
            lines = cut_off(notes)
            while batch := list(itertools.islice(lines, BATCH)):
                self._ship_batch(batch, shipped)
            notes.delete()
        finally:
            notes.close()

    def _ship_batch(self, lines: Iterable[bytes], shipped: Shipped) -> None:
        by_site: dict[str | None, list[tuple[Entry, bytes]]] = defaultdict(list)
        unreadable: list[tuple[bytes, str]] = []
        for line in lines:
            try:
                read: Line = decode_line(line)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                unreadable.append((line, str(error)))
            else:
                by_site[read.site].append((read.entry, line))
        refused: list[tuple[bytes, str]] = []
        for site, pairs in by_site.items():
            for rejection in self._write(site, [entry for entry, _ in pairs]):
                reason = f"{rejection.field}: {rejection.error}" if rejection.field else rejection.error
                refused.append((pairs[rejection.place][1], reason))
        # Set aside only when the whole batch is through: a batch that is sent again is not set aside twice.
        for line, reason in unreadable + refused:
            self.spool.reject(line, reason)
        shipped.rejected += len(unreadable) + len(refused)
        shipped.entries += sum(map(len, by_site.values())) - len(refused)

    def _write(self, site: str | None, entries: Sequence[Entry]) -> Sequence[Rejection]:
        try:
            return self._send(site, entries)
        except (SinkUnavailable, OSError):
            raise
        except Exception:  # noqa: BLE001 - one bad entry must not hold up the rest
            return self._write_around_the_bad(site, entries)

    def _send(self, site: str | None, entries: Sequence[Entry]) -> Sequence[Rejection]:
        rejections = self.sink.write(site, entries)
        if len(rejections) < len(entries):
            refused = {each.place for each in rejections}
            self._proof = site, next(entry for place, entry in enumerate(entries) if place not in refused)
        return rejections

    def _write_around_the_bad(self, site: str | None, entries: Sequence[Entry]) -> list[Rejection]:
        """Halve a batch that fails until the entries that fail alone are found.

        Those are set aside where the data is named as the cause, or where the sink takes others. Raises
        SinkUnavailable where neither is so.
        """
        rejections: list[Rejection] = []
        stored = blamed = 0
        waiting = [(0, entries)]
        suspects: list[tuple[int, Sequence[Entry]]] = []
        while waiting or (suspects and stored):
            if not waiting:  # the sink has taken others since: ask once more
                waiting, suspects = suspects, []
            start, part = waiting.pop()
            try:
                rejections += [each._replace(place=start + each.place) for each in self._send(site, part)]
                stored += 1
            except (SinkUnavailable, OSError):
                raise
            except Exception as error:
                if len(part) > 1:
                    half = len(part) // 2
                    waiting += [(start + half, part[half:]), (start, part[:half])]
                    continue
                if isinstance(error, DataError | IntegrityError) or stored or self._takes_its_proof():
                    rejections.append(Rejection(start, None, f"{type(error).__name__}: {error}"))
                    blamed += 1
                else:
                    suspects.append((start, part))
                is_last = not waiting and bool(suspects)
                is_broken = blamed + len(suspects) >= _REFUSALS_THAT_MEAN_BROKEN and not self._takes_its_proof()
                if not stored and (is_last or is_broken):
                    raise _Unproven(f"it fails whatever it is sent ({type(error).__name__}: {error})") from error
        return sorted(rejections)

    def _takes_its_proof(self) -> bool:
        """Whether the sink still takes an entry that it has taken before."""
        if self._proof is None:
            return False
        site, entry = self._proof
        try:
            self.sink.write(site, [entry])
        except (SinkUnavailable, OSError):
            raise
        except Exception:  # noqa: BLE001 - the answer
            return False
        return True


class _SinkAtNeed:
    """Makes the sink when there is something to write, in the thread that writes: not on a request's time."""

    def __init__(self, make_sink: Callable[[], Sink]) -> None:
        self._make_sink = make_sink
        self._sink: Sink | None = None

    def write(self, site: str | None, entries: Sequence[Entry]) -> Sequence[Rejection]:
        """Write to the sink."""
        if self._sink is None:
            self._sink = self._make_sink()
        return self._sink.write(site, entries)


_starting = threading.RLock()  # a signal's handler may record, too


@cache
def current() -> Shipper | None:
    """Return this process's shipper, or None where the settings say that others ship."""
    with _starting:
        return _shipper_of(current_spool()) if conf().ship else None


@cache
def _shipper_of(spool: Spool) -> Shipper:
    shipper = Shipper(spool, _SinkAtNeed(conf().make_sink))
    atexit.register(_at_exit, shipper)
    if multiprocessing.parent_process() is not None:  # as granian's workers: atexit is not for them
        multiprocessing.util.Finalize(None, _at_exit, args=(shipper,), exitpriority=0)
    return shipper


def adopt() -> Shipped:
    """Ship orphaned segments now. Raises SinkUnavailable."""
    return Shipper(current_spool(), conf().make_sink()).adopt()


def _at_exit(shipper: Shipper) -> None:
    shipper.stop()
    shipper.spool.close()


def _after_fork() -> None:
    # The thread stayed with the parent. So did its locks and events, in whatever state they were.
    global _starting
    _starting = threading.RLock()
    atexit.unregister(_at_exit)
    current.cache_clear()
    _shipper_of.cache_clear()


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "GATEBOOK" and current.cache_info().currsize:
        if shipper := current():
            shipper.stop()
        current.cache_clear()
        _shipper_of.cache_clear()


os.register_at_fork(after_in_child=_after_fork)
setting_changed.connect(_forget, dispatch_uid="gatebook.shipper")
