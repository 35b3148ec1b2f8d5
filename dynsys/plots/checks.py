"""What can be drawn, and what is wrong with what cannot."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dynsys.trajectory import Trajectory


def require_trajectories(caller: str, trajectories: Sequence[Any], least: int = 1) -> None:
    """Refuse what is not a trajectory, a batch of them, or one without any value.

    Args:
        caller: Name of the function in messages.
        trajectories: What the user passed.
        least: Smallest number of trajectories.

    Raises:
        TypeError: An argument is not a trajectory.
        ValueError: There are too few, one is a batch, or one has no finite position.
    """
    if len(trajectories) < least:
        raise ValueError(
            f"`{caller}` got no trajectory. Pass one or more that `dynsys.simulate` "
            f"returned."
        )
    for trajectory in trajectories:
        _require_trajectory(caller, trajectory)


def _require_trajectory(caller: str, trajectory: Any) -> None:
    if not isinstance(trajectory, Trajectory):
        raise TypeError(
            f"`{caller}` draws trajectories that `dynsys.simulate` returned, but got an "
            f"argument of type {type(trajectory).__name__}."
        )
    if trajectory.t.ndim != 1:
        raise ValueError(
            f"`{caller}` draws single trajectories, but got a batch of shape "
            f"{trajectory.t.shape[:-1]}. Pick a member, such as "
            f"`batch[0]`."
        )
    if not np.isfinite(coordinates(trajectory.x)).any():
        raise ValueError(
            f"`{caller}` got a trajectory without any finite position: "
            f"{trajectory.result.message}"
        )


def coordinates(tree: Any) -> np.ndarray:
    """All coordinates of positions along time, of shape `(times, coordinates)`."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def require_plane(caller: str, trajectories: Sequence[Trajectory]) -> None:
    """Refuse trajectories whose positions are not arrays of two numbers.

    Raises:
        ValueError: A position is not of shape `(2,)`.
    """
    for trajectory in trajectories:
        shapes = jax.tree.map(lambda leaf: leaf.shape[1:], trajectory.x)
        if shapes != (2,):
            raise ValueError(
                f"`{caller}` needs positions of shape (2,), but got {shapes}. For other "
                f"dimensions use `objective_along_time` or `phase_portrait`."
            )


def require_reports(caller: str, reports: Sequence[Any], kind: type, labels: Any) -> None:
    """Refuse what is not a report of some kind, or labels that do not fit.

    Args:
        caller: Name of the function in messages.
        reports: What the user passed.
        kind: The class of a report.
        labels: Labels, or `None`.

    Raises:
        TypeError: An argument is no such report.
        ValueError: There is none, or the labels do not fit.
    """
    if not reports:
        raise ValueError(f"`{caller}` got nothing to draw. Pass one or more reports.")
    for report in reports:
        if not isinstance(report, kind):
            raise TypeError(
                f"`{caller}` draws a `dynsys.analysis.{kind.__name__}`, but got an "
                f"argument of type {type(report).__name__}."
            )
    if labels is not None and len(labels) != len(reports):
        raise ValueError(
            f"`labels` must have one entry a report, but has {len(labels)} for "
            f"{len(reports)}."
        )
