"""Timing of contestants side by side, so that a noisy machine is noisy for all."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Contestant(NamedTuple):
    """A way to solve a problem.

    Args:
        name: The name in the table.
        solve: Solves it and returns the positions at the output times, on the host.
    """

    name: str
    solve: Callable[[], np.ndarray]


class Timing(NamedTuple):
    """What was measured of a contestant.

    Args:
        name: The name in the table.
        seconds: Median time of a warm call.
        ratio: Median over the rounds of its time over that of the first contestant.
        error: Largest error of the positions at the output times.
    """

    name: str
    seconds: float
    ratio: float
    error: float


def race(contestants: list[Contestant], reference: np.ndarray, rounds: int) -> list[Timing]:
    """Time warm calls in turn, one each a round, and measure each one's error.

    Each round starts with another contestant, so that none always runs after the same one.
    """
    errors = [float(np.abs(c.solve() - reference).max()) for c in contestants]
    number = len(contestants)
    table = np.empty((rounds, number))
    for i in range(rounds):
        for k in range(i, i + number):
            table[i, k % number] = _seconds(contestants[k % number].solve)
    ratios = table / table[:, :1]
    return [
        Timing(
            contestant.name,
            statistics.median(table[:, k]),
            statistics.median(ratios[:, k]),
            errors[k],
        )
        for k, contestant in enumerate(contestants)
    ]


def _seconds(solve: Callable[[], Any]) -> float:
    start = time.perf_counter()
    solve()
    return time.perf_counter() - start
