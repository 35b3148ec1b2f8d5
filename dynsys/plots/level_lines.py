"""Level lines of an objective, with trajectories."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dynsys.objectives.objective import AbstractObjective
from dynsys.plots.axes import add_legend, axes_or_new
from dynsys.plots.checks import coordinates, require_plane, require_trajectories
from dynsys.plots.landscape import (
    Limits,
    check_plane_objective,
    draw_level_lines,
    survey,
)
from dynsys.plots.objective_along_time import known_minimum
from dynsys.plots.style import Look, resolve_looks
from dynsys.trajectory import Trajectory

MARGIN = 0.08
"""Free space around what is drawn, as a part of its extent."""


def level_lines(
    objective: Callable[[Any], Any],
    *trajectories: Trajectory,
    levels: int | Sequence[float] = 14,
    limits: Limits | None = None,
    resolution: int = 400,
    minimum: float | None = None,
    mark_ends: bool = True,
    labels: Sequence[str] | None = None,
    looks: Sequence[Look] | None = None,
    legend: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw level lines of a function of two variables, with trajectories.

    Trajectories lead from the open circles to the dots. What a dynsys objective knows of
    itself is marked, too: minimisers by stars, saddles by crosses.

    Args:
        objective: Function of an array of shape `(2,)`.
        *trajectories: Trajectories with positions of shape `(times, 2)`.
        levels: Number of levels, evenly spaced on a log scale, or heights above the
            minimum.
        limits: Limits `((low, high), (low, high))` of both coordinates; left out, what
            the trajectories and the minimisers need.
        resolution: Smallest number of grid nodes in each coordinate.
        minimum: Smallest value of the objective. Left out, what the objective knows of
            itself, else the smallest value in sight.
        mark_ends: Whether a dot shows where each trajectory ends.
        labels: One label a trajectory, instead of the names of the systems.
        looks: One `dynsys.plots.Look` a trajectory.
        legend: Whether to draw a legend; left out, for more than one trajectory.
        ax: Axes to draw on; left out, those of a new figure.

    Returns:
        The axes.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The objective or a trajectory is not in two dimensions, a trajectory
            is a batch or has no finite position, there is neither a trajectory nor
            `limits`, the objective is constant or nowhere finite within them, or
            `levels`, `limits`, `labels` or `looks` does not fit.

    Example:
        >>> import dynsys as ds
        >>> from matplotlib.figure import Figure
        >>> f = ds.objectives.LogCosh([1.0, 10.0])
        >>> path = ds.simulate(ds.GradientFlow(f), [1.0, 1.0], t1=5.0)
        >>> level_lines(f, path, ax=Figure().subplots()).get_xlabel()
        '$x_1$'
    """
    check_plane_objective(objective)
    require_trajectories("level_lines", trajectories, least=0)
    require_plane("level_lines", trajectories)
    drawn = resolve_looks(trajectories, labels, looks)
    landscape = survey(
        objective,
        choose_limits(objective, trajectories) if limits is None else limits,
        levels=levels,
        resolution=resolution,
        minimum=known_minimum(objective, minimum),
    )
    ax = axes_or_new(ax)
    draw_level_lines(ax, landscape)
    draw_paths(ax, objective, trajectories, drawn, mark_ends)
    add_legend(ax, legend, len(trajectories))
    return ax


def draw_paths(
    ax: Axes,
    objective: Any,
    trajectories: Sequence[Trajectory],
    drawn: Sequence[Look],
    mark_ends: bool,
) -> None:
    """Draw trajectories, where they start, and what is known of the objective."""
    for trajectory, one in zip(trajectories, drawn, strict=True):
        path = coordinates(trajectory.x)
        ax.plot(*path.T, **one._asdict())
        # Above all else, so that an end at a minimiser shows as a dot in its star.
        if mark_ends:
            ax.plot(*path[-1], "o", color=one.color, markersize=3, zorder=4)
    starts = {tuple(coordinates(trajectory.x)[0]) for trajectory in trajectories}
    mark = {"color": "white", "markeredgecolor": "black", "markeredgewidth": 0.8}
    for start in sorted(starts):
        ax.plot(*start, "o", markersize=5, **mark)
    for name, marker, size in (("minimisers", "*", 10), ("saddles", "X", 6)):
        for point in _known_points(objective, name):
            ax.plot(*point, marker, markersize=size, zorder=3, **mark)


def choose_limits(objective: Any, trajectories: Sequence[Trajectory]) -> Limits:
    """Limits with room for the trajectories and for the minimisers.

    Raises:
        ValueError: There is no trajectory.
    """
    if not trajectories:
        raise ValueError(
            "`level_lines` got neither a trajectory nor limits, so it cannot know what "
            "part of the plane to draw. Pass a trajectory, or for example "
            "`limits=((-2, 2), (-1, 3))`."
        )
    points = [coordinates(trajectory.x) for trajectory in trajectories]
    points.append(_known_points(objective, "minimisers"))
    together = np.concatenate(points)
    low, high = np.nanmin(together, axis=0), np.nanmax(together, axis=0)
    # A path along an axis has no extent across it.
    extent = np.maximum(high - low, 0.2 * max(np.max(high - low), 1e-3))
    middle = (low + high) / 2
    half = (0.5 + MARGIN) * extent
    first, second = zip((middle - half).tolist(), (middle + half).tolist(), strict=True)
    return first, second


def _known_points(objective: Any, name: str) -> np.ndarray:
    """Minimisers or saddles that the objective knows, of shape `(count, 2)`."""
    facts = objective.facts if isinstance(objective, AbstractObjective) else None
    points = getattr(facts, name, None)
    return np.zeros((0, 2)) if points is None else np.asarray(points)
