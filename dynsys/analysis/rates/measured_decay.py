"""What decays along a trajectory, and the part of it that a rate is read off."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from dynsys.analysis.minimum import minimum_of
from dynsys.analysis.points import rows
from dynsys.cached_call import cached_call
from dynsys.objectives.objective import AbstractObjective
from dynsys.systems.system import AbstractSystem
from dynsys.trajectory import Trajectory
from dynsys.trees import Position, combine, norm

FEWEST_POINTS = 8


FEWEST_PEAKS = 5


def measure(
    trajectory: Trajectory, quantity: str, minimum: Any = None, minimiser: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """A quantity along a trajectory, and how much tolerances and rounding may change it.

    Args:
        trajectory: The trajectory.
        quantity: `"objective gap"`, `"gradient norm"` or `"distance"`.
        minimum: Smallest value of the objective; left out, what the objective knows.
        minimiser: Minimiser; left out, what the objective knows.

    Raises:
        ValueError: The minimum or minimiser is unknown or wrong, or there is no such
            quantity.
    """
    target = _target(trajectory, quantity, minimum, minimiser)
    values = _values(quantity, trajectory.system, trajectory.x, target)
    y, slope = (np.asarray(one) for one in values)
    largest = np.abs(rows(trajectory.x)).max(axis=1)
    error = 10 * (float(trajectory.atol) + float(trajectory.rtol) * largest)
    offset = float(target) if quantity == "objective gap" else 0.0
    doubt = slope * error + 10 * float(np.finfo(y.dtype).eps) * abs(offset)
    if (y < -10 * doubt).any():
        at = int(np.argmin(y))
        raise ValueError(
            f"The objective falls below its minimum {offset:g}, by {-y[at]:g} at "
            f"t = {trajectory.t[at]:g}. Pass the smallest value as `minimum`."
        )
    return y.astype(float), doubt.astype(float)


def select(
    t: np.ndarray, log_y: np.ndarray, window: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """The points to fit, and whether they are peaks.

    Args:
        t: Times.
        log_y: Logarithm of the quantity at them.
        window: First and last time; left out, the second half of the decay.

    Raises:
        ValueError: The window is empty, or there are too few points or peaks.
    """
    if window is not None:
        first, last = window
        inside = (first <= t) & (t <= last)
        t, log_y = t[inside], log_y[inside]
    swings = _swings(log_y if window is not None else log_y[len(log_y) // 2 :])
    if swings:
        t, log_y = _peaks(t, log_y)
    if window is None and len(t):
        later = np.maximum.accumulate(log_y[::-1])[::-1]
        start = int(np.argmax(later <= 0.5 * (later[0] + later[-1])))
        t, log_y = t[start:], log_y[start:]
    least, what = (FEWEST_PEAKS, "peaks") if swings else (FEWEST_POINTS, "points")
    if len(t) < least:
        raise ValueError(
            f"A fit needs {least} {what} above the floor in the window, but there are "
            f"{len(t)}. Pass a wider `window`, simulate longer or with more `times`, or "
            f"lower `rtol` and `atol`."
        )
    return t, log_y, swings


def _swings(log_y: np.ndarray) -> bool:
    """Whether rises and falls are at least a tenth of each other."""
    steps = np.diff(log_y)
    rises, falls = steps[steps > 0].sum(), -steps[steps < 0].sum()
    return bool(min(rises, falls) > 0.1 * max(rises, falls))


def _peaks(t: np.ndarray, log_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The local maxima that no later one exceeds, on parabolas through three points."""
    left, right = np.diff(t)[:-1], np.diff(t)[1:]
    up, down = np.diff(log_y)[:-1] / left, np.diff(log_y)[1:] / right
    at = np.flatnonzero((up > 0) & (down <= 0))
    left, right, up, down = left[at], right[at], up[at], down[at]
    curvature = (down - up) / (left + right)
    slope = (up * right + down * left) / (left + right)
    tops = t[at + 1] - slope / (2 * curvature)
    values = log_y[at + 1] - slope**2 / (4 * curvature)
    later = np.maximum.accumulate(values[::-1])[::-1]
    return tops[values >= later], values[values >= later]


@cached_call
def _values(quantity: str, system: AbstractSystem, x: Position, target: Any) -> Any:
    """A quantity at all times, and the norm of its gradient there."""

    def function(x: Position) -> Float[Array, ""]:
        if quantity == "gradient norm":
            return norm(system.gradient(x))
        if quantity == "distance":
            return norm(combine((1.0, x), (-1.0, target)))
        value = system.objective(x)
        return value - target.astype(value.dtype)

    y, slope = jax.vmap(jax.value_and_grad(function))(x)
    return y, jax.vmap(norm)(slope)


def _target(trajectory: Trajectory, quantity: str, minimum: Any, minimiser: Any) -> Any:
    """What a quantity is measured from: a value, a point or nothing."""
    if quantity == "gradient norm":
        return None
    if quantity == "objective gap":
        return np.asarray(_minimum(trajectory, minimum, minimiser))
    if quantity != "distance":
        raise ValueError(
            f"`quantity` must be 'objective gap', 'gradient norm' or 'distance', but is "
            f"{quantity!r}."
        )
    target = minimum_of(trajectory, minimiser).x
    if target is None:
        raise ValueError(
            "The minimiser of the objective is not known. Pass it as `minimiser`, or use "
            "`quantity='gradient norm'`."
        )
    return target


def _minimum(trajectory: Trajectory, minimum: Any, minimiser: Any) -> float:
    objective = trajectory.system.objective
    if minimum is None and minimiser is not None:
        minimum = minimum_of(trajectory, minimiser).f
    if minimum is None and isinstance(objective, AbstractObjective):
        minimum = objective.minimum
    if minimum is None:
        raise ValueError(
            "The smallest value of the objective is not known. Pass it as `minimum`, or "
            "use `quantity='gradient norm'`."
        )
    return float(minimum)
