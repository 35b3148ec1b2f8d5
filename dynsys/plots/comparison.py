"""Trajectories side by side."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.figure import FigureBase

from dynsys.plots.checks import require_plane, require_trajectories
from dynsys.plots.landscape import (
    Limits,
    check_plane_objective,
    draw_level_lines,
    survey,
)
from dynsys.plots.level_lines import choose_limits, draw_paths
from dynsys.plots.objective_along_time import known_minimum, objective_along_time
from dynsys.plots.style import look
from dynsys.trajectory import Trajectory


def comparison(
    objective: Callable[[Any], Any],
    *trajectories: Trajectory,
    levels: int | Sequence[float] = 14,
    limits: Limits | None = None,
    resolution: int = 400,
    minimum: float | None = None,
    scale: Literal["log", "linear"] | None = None,
    labels: Sequence[str] | None = None,
    figure: FigureBase | None = None,
) -> np.ndarray:
    """Draw trajectories side by side: level lines above, the objective along time below.

    All panels of a row have the same limits, and all level lines the same levels.

    Args:
        objective: Function of an array of shape `(2,)`.
        *trajectories: Trajectories with positions of shape `(times, 2)`, one a column.
        levels: As for `level_lines`.
        limits: As for `level_lines`.
        resolution: As for `level_lines`.
        minimum: As for `level_lines`.
        scale: As for `objective_along_time`.
        labels: One title a column, instead of the names of the systems.
        figure: Figure or subfigure to draw in; left out, a new one.

    Returns:
        The axes, an array of shape `(2, columns)`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no trajectory, or what `level_lines` and
            `objective_along_time` refuse.

    Example:
        >>> import dynsys as ds
        >>> from matplotlib.figure import Figure
        >>> f = ds.objectives.LogCosh([1.0, 10.0])
        >>> systems = ds.GradientFlow(f), ds.ContinuousNewton(f)
        >>> paths = [ds.simulate(system, [2.0, 1.0], t1=5.0) for system in systems]
        >>> comparison(f, *paths, figure=Figure()).shape
        (2, 2)
    """
    check_plane_objective(objective)
    require_trajectories("comparison", trajectories)
    require_plane("comparison", trajectories)
    titles = _titles(trajectories, labels)
    landscape = survey(
        objective,
        choose_limits(objective, trajectories) if limits is None else limits,
        levels=levels,
        resolution=resolution,
        minimum=known_minimum(objective, minimum),
    )
    axes = _new_axes(figure, len(trajectories))
    for above, below, path, title in zip(*axes, trajectories, titles, strict=True):
        one = look(path.system)
        draw_level_lines(above, landscape)
        draw_paths(above, objective, [path], [one], mark_ends=True)
        above.set_title(title)
        objective_along_time(path, minimum=minimum, scale=scale, looks=[one], ax=below)
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    return axes


def _titles(trajectories: Sequence[Trajectory], labels: Sequence[str] | None) -> list[str]:
    if labels is None:
        return [look(trajectory.system).label for trajectory in trajectories]
    if len(labels) != len(trajectories):
        raise ValueError(
            f"`labels` must have one entry a trajectory, but has {len(labels)} for "
            f"{len(trajectories)}."
        )
    return list(labels)


def _new_axes(figure: FigureBase | None, columns: int) -> np.ndarray:
    if figure is None:
        # Only here: pyplot picks a graphical backend, which a script may not have.
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(2.5 * columns, 4.5), layout="constrained")
    return figure.subplots(2, columns, squeeze=False, sharex="row", sharey="row")
