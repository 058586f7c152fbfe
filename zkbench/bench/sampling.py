"""Repeated timing of one call."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

MAX_SAMPLES = 1000

Result = TypeVar("Result")
PartDone = Callable[[float], None]


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds that the call took, and its result."""
    start = perf_counter()
    result = call()
    return perf_counter() - start, result


def sample(
    seconds_of: Callable[[], float],
    repeats: int,
    min_seconds: float = 0.0,
    part_done: PartDone = lambda part: None,
) -> list[float]:
    """Call `seconds_of`, which times one run, at least `repeats` times and keep all it gives.

    Goes on until the runs add up to `min_seconds`, or to 1000 runs.
    """
    samples: list[float] = []
    while len(samples) < repeats or (sum(samples) < min_seconds and len(samples) < MAX_SAMPLES):
        samples.append(seconds_of())
        part_done(min(len(samples) / repeats, sum(samples) / min_seconds if min_seconds else 1.0))
    return samples
