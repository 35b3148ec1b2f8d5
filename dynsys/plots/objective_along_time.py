"""The objective along time."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from dynsys.objectives.objective import AbstractObjective
from dynsys.plots.axes import add_legend, axes_or_new
from dynsys.plots.checks import require_trajectories
from dynsys.plots.style import Look, resolve_looks
from dynsys.trajectory import Trajectory


def objective_along_time(
    *trajectories: Trajectory,
    minimum: float | None = None,
    scale: Literal["log", "linear"] | None = None,
    labels: Sequence[str] | None = None,
    looks: Sequence[Look] | None = None,
    legend: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the objective along time, as its distance to the minimum where it is known.

    Args:
        *trajectories: Trajectories, each with its own `t` of shape `(times,)`.
        minimum: Value to subtract. Left out, what the objective knows of itself; where
            none is known, $f$ itself is drawn.
        scale: Scale of the vertical axis; left out, logarithmic for $f - \min f$ and
            linear for $f$.
        labels: One label a trajectory, instead of the names of the systems.
        looks: One `dynsys.plots.Look` a trajectory.
        legend: Whether to draw a legend; left out, for more than one trajectory.
        ax: Axes to draw on; left out, those of a new figure.

    Returns:
        The axes.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no trajectory, one is a batch or has no finite position, or
            `labels`, `looks` or `scale` does not fit.

    Example:
        >>> import dynsys as ds
        >>> from matplotlib.figure import Figure
        >>> f = ds.objectives.LogCosh([1.0, 10.0])
        >>> path = ds.simulate(ds.GradientFlow(f), [1.0, 1.0], t1=5.0)
        >>> objective_along_time(path, ax=Figure().subplots()).get_yscale()
        'log'
    """
    require_trajectories("objective_along_time", trajectories)
    if scale not in (None, "log", "linear"):
        raise ValueError(f"`scale` must be 'log' or 'linear', but is {scale!r}.")
    drawn = resolve_looks(trajectories, labels, looks)
    minima = [known_minimum(one.system.objective, minimum) for one in trajectories]
    relative = all(known is not None for known in minima)
    scale = scale or ("log" if relative else "linear")
    ax = axes_or_new(ax)
    for trajectory, known, one in zip(trajectories, minima, drawn, strict=True):
        gap = np.asarray(trajectory.objective) - (known if relative and known else 0.0)
        positive = np.where(gap > 0, gap, np.nan) if scale == "log" else gap
        ax.plot(np.asarray(trajectory.t), positive, **one._asdict())
    ax.set_yscale(scale)
    ax.set_xlabel("$t$")
    ax.set_ylabel(r"$f(x(t)) - \min f$" if relative else "$f(x(t))$")
    add_legend(ax, legend, len(trajectories))
    return ax


def known_minimum(objective: Any, given: float | None) -> float | None:
    """The smallest value: as given, as the objective knows it, or `None`."""
    if given is not None:
        return float(given)
    minimum = objective.minimum if isinstance(objective, AbstractObjective) else None
    return None if minimum is None else float(minimum)
