"""Distance to another trajectory along time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from dynsys.plots.axes import add_legend, axes_or_new
from dynsys.plots.checks import coordinates, require_trajectories
from dynsys.plots.style import Look, resolve_looks
from dynsys.trajectory import Trajectory


def distance_along_time(
    *trajectories: Trajectory,
    reference: Trajectory,
    labels: Sequence[str] | None = None,
    looks: Sequence[Look] | None = None,
    legend: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the Euclidean distance $\|x(t) - x_\mathrm{ref}(t)\|$, on a log scale.

    Args:
        *trajectories: Trajectories.
        reference: What the distance is to, such as continuous Newton: known at the same
            times, or simulated with `dense=True`.
        labels: One label a trajectory, instead of the names of the systems.
        looks: One `dynsys.plots.Look` a trajectory.
        legend: Whether to draw a legend; left out, for more than one trajectory.
        ax: Axes to draw on; left out, those of a new figure.

    Returns:
        The axes.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no trajectory, one is a batch or has no finite position,
            the positions differ in dimension, the reference is not known at the times
            of a trajectory, or `labels` or `looks` does not fit.

    Example:
        >>> import dynsys as ds
        >>> from matplotlib.figure import Figure
        >>> f = ds.objectives.LogCosh([1.0, 10.0])
        >>> newton = ds.simulate(ds.ContinuousNewton(f), [1.0, 1.0], t1=5.0)
        >>> path = ds.simulate(ds.GradientFlow(f), [1.0, 1.0], t1=5.0)
        >>> ax = distance_along_time(path, reference=newton, ax=Figure().subplots())
        >>> ax.get_yscale()
        'log'
    """
    require_trajectories("distance_along_time", trajectories)
    require_trajectories("distance_along_time", (reference,))
    drawn = resolve_looks(trajectories, labels, looks)
    distances = [_distance(trajectory, reference) for trajectory in trajectories]
    ax = axes_or_new(ax)
    for trajectory, distance, one in zip(trajectories, distances, drawn, strict=True):
        # At the common start the distance is 0, which a log scale cannot show.
        positive = np.where(distance > 0, distance, np.nan)
        ax.plot(np.asarray(trajectory.t), positive, **one._asdict())
    ax.set_yscale("log")
    ax.set_xlabel("$t$")
    ax.set_ylabel(r"$\|x(t) - x_{\mathrm{ref}}(t)\|$")
    add_legend(ax, legend, len(trajectories))
    return ax


def _distance(trajectory: Trajectory, reference: Trajectory) -> np.ndarray:
    x, other = coordinates(trajectory.x), _positions_at(reference, trajectory.t)
    if x.shape != other.shape:
        raise ValueError(
            f"A trajectory and `reference` must have positions of one dimension, but "
            f"they have {x.shape[1]} and {other.shape[1]} coordinates."
        )
    return np.linalg.norm(x - other, axis=1)


def _positions_at(reference: Trajectory, times: object) -> np.ndarray:
    if np.array_equal(np.asarray(reference.t), np.asarray(times)):
        return coordinates(reference.x)
    if reference.dense is None:
        raise ValueError(
            "`reference` is not known at the times of the trajectory. Simulate both with "
            "the same `times`, or `reference` with `dense=True`."
        )
    return coordinates(reference(times))
