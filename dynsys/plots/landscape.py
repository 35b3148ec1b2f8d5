"""The values of a function of two variables on a grid, and its level lines."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from dynsys.checks import default_float
from dynsys.objectives.objective import AbstractObjective

Limits = tuple[tuple[float, float], tuple[float, float]]


class Landscape(NamedTuple):
    """A function of two variables above its minimum, on a grid.

    Args:
        x1: First coordinates, of shape `(columns,)`.
        x2: Second coordinates, of shape `(rows,)`.
        heights: Values above the minimum, of shape `(rows, columns)`.
        levels: Increasing heights of the level lines, of shape `(levels,)`.
        limits: Limits of the first and of the second coordinate.
    """

    x1: np.ndarray
    x2: np.ndarray
    heights: np.ndarray
    levels: np.ndarray
    limits: Limits


def check_plane_objective(objective: Any) -> None:
    """Refuse what is not a function of two variables.

    Raises:
        TypeError: `objective` is not callable.
        ValueError: It is not a scalar function of an array of shape `(2,)`.
    """
    if not callable(objective):
        raise TypeError(
            f"`objective` must be a function of x, but has type "
            f"{type(objective).__name__}. It comes first: level_lines(f, trajectory)."
        )
    remedy = "Level lines exist for functions of an array of shape (2,) only."
    if isinstance(objective, AbstractObjective):
        minimisers = objective.facts.minimisers
        if minimisers is not None and minimisers.shape[1:] != (2,):
            raise ValueError(
                f"`objective` must be a function of 2 variables, but its minimiser has "
                f"shape {minimisers.shape[1:]}. {remedy}"
            )
    point = jax.ShapeDtypeStruct((2,), default_float())
    try:
        value = jax.eval_shape(objective, point)
    except Exception as error:
        raise ValueError(
            f"`objective` must be a function of 2 variables, but failed on an array of "
            f"shape (2,): {error} {remedy}"
        ) from error
    if getattr(value, "shape", None) != ():
        raise ValueError(
            f"`objective` must return a scalar, but for x of shape (2,) it returned "
            f"{value}. {remedy}"
        )


def survey(
    objective: Callable[[Any], Any],
    limits: Limits,
    *,
    levels: int | Sequence[float],
    resolution: int,
    minimum: float | None,
) -> Landscape:
    """Evaluate a function on a grid that has a node at every round number.

    Kinks tend to lie at round numbers. With nodes on them the level lines bend sharply
    there, as they should, instead of being cut off.

    Args:
        objective: Function of an array of shape `(2,)`.
        limits: Limits of the first and of the second coordinate.
        levels: Number of levels, or heights above the minimum.
        resolution: Smallest number of nodes in each coordinate.
        minimum: Smallest value; `None` for the smallest on the grid.

    Raises:
        ValueError: `limits` is not two increasing pairs of numbers, `levels` is not
            positive, or the function is constant or nowhere finite.
    """
    check_limits(limits)
    x1, x2 = (_nodes(*pair, resolution) for pair in limits)
    points = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    values = jax.jit(jax.vmap(objective))(jnp.asarray(points, default_float()))
    values = np.asarray(values).reshape(len(x2), len(x1))
    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.min() == finite.max():
        raise ValueError(
            f"`objective` has no level lines within limits={limits}: it is "
            f"{'constant' if finite.size else 'nowhere finite'} there. Pass other `limits`."
        )
    heights = values - (finite.min() if minimum is None else minimum)
    if isinstance(levels, int | np.integer):
        levels = _levels_between(heights, int(levels)).tolist()
    return Landscape(x1, x2, heights, np.sort(levels), limits)


def check_limits(limits: Any) -> None:
    """Refuse limits that are not two increasing pairs of numbers.

    Raises:
        ValueError: `limits` has another shape, or a pair does not increase.
    """
    array = np.asarray(limits, float)
    if array.shape != (2, 2) or not (array[:, 0] < array[:, 1]).all():
        raise ValueError(
            f"`limits` must be two increasing pairs ((low, high), (low, high)), but is "
            f"{limits}."
        )


def _nodes(low: float, high: float, resolution: int) -> np.ndarray:
    """Multiples of 1, 2 or 5 times a power of ten that cover the interval."""
    wanted = (high - low) / (resolution - 1)
    power = 10.0 ** np.floor(np.log10(wanted))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= wanted)
    count = np.arange(np.floor(low / step), np.ceil(high / step) + 1)
    # A quotient of integers is the double nearest to the round number; a product is not.
    return count / round(1 / step) if step < 1 else count * step


def _levels_between(heights: np.ndarray, count: int) -> np.ndarray:
    """Levels with a constant ratio, from near the smallest height to near the largest."""
    if count < 1:
        raise ValueError(f"`levels` must be at least 1, but is {count}.")
    seen = heights[np.isfinite(heights) & (heights > 0)]
    # The outermost values would put levels on single points: keep off by a thousandth
    # of the area below and by a fiftieth above.
    low, high = np.quantile(seen, (0.001, 0.98))
    return np.geomspace(low, high, count)


def draw_level_lines(ax: Axes, landscape: Landscape) -> None:
    """Draw the level lines, dark where the function is low."""
    x1, x2, heights, levels, limits = landscape
    shades = [str(shade) for shade in np.linspace(0.55, 0.85, len(levels))]
    ax.contour(x1, x2, heights, levels, colors=shades, linewidths=0.6, zorder=0.8)
    ax.set(xlim=limits[0], ylim=limits[1], xlabel="$x_1$", ylabel="$x_2$")
