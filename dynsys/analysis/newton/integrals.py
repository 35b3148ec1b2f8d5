"""Integrals from the first to every later time, as accurate as rounding allows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dynsys.analysis.newton.panels import PLACES, WEIGHTS

DYADIC = 40
"""Times over powers of two up to this one are edges of panels, so that a schedule may
vary on any scale down to 1e-12 of the interval from its start on."""

HALVINGS = 40
"""How often a panel is halved before the integral is given up: enough for a kink, where a
root turns complex, and not for a pole."""


def integrals(function: Callable[[np.ndarray], np.ndarray], times: np.ndarray) -> Any:
    """Integrals from the first time to each: panels are halved until they settle."""
    span = times[-1] - times[0]
    edges = np.union1d(times, times[0] + span * 0.5 ** np.arange(1, DYADIC))
    left, right = edges[:-1], edges[1:]
    whole = _gauss(function, left, right)
    near = 1e-12 * (1 + np.abs(whole.sum(axis=0)))
    starts, values = [], []
    for _ in range(HALVINGS):
        middle = 0.5 * (left + right)
        lefts, rights = np.append(left, middle), np.append(middle, right)
        halves = _gauss(function, lefts, rights)
        both = halves[: len(left)] + halves[len(left) :]
        settled = (np.abs(both - whole) <= near).all(axis=1)
        starts.append(left[settled])
        values.append(both[settled])
        left, right, whole = (x[~np.tile(settled, 2)] for x in (lefts, rights, halves))
        if settled.all():
            starts, values = np.concatenate(starts), np.concatenate(values)
            order = np.argsort(starts)
            sums = np.concatenate([np.zeros((1, 2)), np.cumsum(values[order], axis=0)])
            return sums[np.searchsorted(starts[order], times)]
    raise ValueError(
        "The integrals of the schedules do not settle: they vary too fast, or grow without "
        "bound at the first time. Pass more `times`, or begin later."
    )


def _gauss(function: Callable[[np.ndarray], np.ndarray], left: Any, right: Any) -> Any:
    lengths = (right - left)[:, None]
    return np.einsum(
        "pnk,n,pq->pk", function(left[:, None] + lengths * PLACES), WEIGHTS, lengths
    )
