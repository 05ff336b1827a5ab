"""Measuring: contestants take turns, so that a slow moment of the machine meets all of them; medians count."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

Contestant = Callable[[int], object]
"""Does the work once. It is told the number of its turn, so that it can ask something else each time."""

REPEATS = 7


def alternate(contestants: Mapping[str, Contestant], *, repeats: int = REPEATS) -> dict[str, float]:
    """Let the contestants take turns, after one turn each to warm up; the median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for name in order:
        contestants[name](0)
    gc.collect()
    for turn in range(repeats):
        for name in order:
            times[name].append(seconds(contestants[name], turn))
        order.reverse()  # nobody always comes second
    return {name: median(taken) for name, taken in times.items()}


def seconds(contestant: Contestant, turn: int = 0) -> float:
    """Return how long one turn takes."""
    begun = perf_counter()
    contestant(turn)
    return perf_counter() - begun
