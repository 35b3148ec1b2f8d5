"""Velocity against position."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from dynsys.plots.axes import add_legend, axes_or_new
from dynsys.plots.checks import coordinates, require_trajectories
from dynsys.plots.style import Look, resolve_looks
from dynsys.trajectory import Trajectory


def phase_portrait(
    *trajectories: Trajectory,
    coordinate: int = 0,
    labels: Sequence[str] | None = None,
    looks: Sequence[Look] | None = None,
    legend: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw velocity against position, in one coordinate.

    Args:
        *trajectories: Trajectories, whose positions may have any structure.
        coordinate: Which coordinate, counted from 0 through all leaves of the position.
        labels: One label a trajectory, instead of the names of the systems.
        looks: One `dynsys.plots.Look` a trajectory.
        legend: Whether to draw a legend; left out, for more than one trajectory.
        ax: Axes to draw on; left out, those of a new figure.

    Returns:
        The axes.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no trajectory, one is a batch or has no finite position,
            `coordinate` is out of range, or `labels` or `looks` does not fit.

    Example:
        >>> import dynsys as ds
        >>> from matplotlib.figure import Figure
        >>> system = ds.HeavyBall(lambda x: 0.5 * x**2, alpha=0.2)
        >>> path = ds.simulate(system, 1.0, t1=20.0)
        >>> len(phase_portrait(path, ax=Figure().subplots()).lines)
        3
    """
    require_trajectories("phase_portrait", trajectories)
    _check_coordinate(trajectories, coordinate)
    drawn = resolve_looks(trajectories, labels, looks)
    ax = axes_or_new(ax)
    ax.axhline(0, color="0.7", linewidth=0.6, zorder=0.5)
    for trajectory, one in zip(trajectories, drawn, strict=True):
        x = coordinates(trajectory.x)[:, coordinate]
        v = coordinates(trajectory.v)[:, coordinate]
        ax.plot(x, v, **one._asdict())
        ax.plot(x[0], v[0], "o", color="white", markeredgecolor=one.color, markersize=4)
    ax.set_xlabel(f"$x_{{{coordinate + 1}}}$")
    ax.set_ylabel(rf"$\dot x_{{{coordinate + 1}}}$")
    add_legend(ax, legend, len(trajectories))
    return ax


def _check_coordinate(trajectories: Sequence[Trajectory], coordinate: int) -> None:
    size = min(coordinates(trajectory.x).shape[1] for trajectory in trajectories)
    if not 0 <= coordinate < size:
        raise ValueError(
            f"`coordinate` must lie between 0 and {size - 1}, since the position has "
            f"{size} coordinates, but is {coordinate}."
        )
