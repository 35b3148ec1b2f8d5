"""The points of a trajectory, as arrays of NumPy with one row a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.cached_call import cached_call
from dynsys.trajectory import Trajectory
from dynsys.trees import as_vector

CHUNK = 256
"""Times that are evaluated at once: always as many, so that one program serves all."""

GAUSS = 4
"""Points of the quadrature in each step, of order 8: above that of any dense output."""


def require_trajectory(caller: str, trajectory: Any) -> None:
    """Refuse what is not one trajectory that reached its end.

    Raises:
        TypeError: It is not a trajectory.
        ValueError: It is a batch, or its run failed.
    """
    if not isinstance(trajectory, Trajectory):
        raise TypeError(
            f"`{caller}` takes a trajectory that `dynsys.simulate` returned, but got a "
            f"{type(trajectory).__name__}."
        )
    if trajectory.t.ndim != 1:
        raise ValueError(
            f"`{caller}` takes one trajectory, but got a batch of shape "
            f"{trajectory.t.shape[:-1]}. Pick a member, such as `batch[0]`."
        )
    if not bool(trajectory.result.ok):
        raise ValueError(
            f"`{caller}` got a trajectory that did not reach its end: "
            f"{trajectory.result.message}"
        )


def require_steps(trajectory: Trajectory) -> tuple[float, float]:
    """Start and end of a dense trajectory.

    Raises:
        ValueError: It ended where it started.
    """
    assert trajectory.dense is not None
    t0, t1 = float(trajectory.dense.t0), float(trajectory.result.t)
    if not t0 < t1:
        raise ValueError(
            f"The trajectory has no step to look into: it ended where it started, at "
            f"t = {t0:g}. Change what stops it, or start elsewhere."
        )
    return t0, t1


def rows(tree: Any) -> np.ndarray:
    """Positions along time, each in one vector, of shape `(times, dim)`."""
    return np.asarray(jax.vmap(as_vector)(tree))


def along(function: Callable[..., Any], *trees: Any) -> Any:
    """A function of one time, at all times: each result has a leading axis of them."""
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(function))(*trees))


def at_times(function: Callable[..., Any], times: np.ndarray, *args: Any) -> Any:
    """A function of a time and some arguments, at any number of times.

    Args:
        function: A function of a module, `function(t, *args)`: it is compiled once for all
            calls whose arguments differ in numbers only.
        times: Times, of shape `(times,)`, or rows that begin with one.
        *args: Pytrees.
    """
    count = len(times)
    padded = np.concatenate([times, np.repeat(times[-1:], -count % CHUNK, axis=0)])
    chunks = padded.reshape(-1, CHUNK, *times.shape[1:])
    parts = [_on_chunk(function, chunk, args) for chunk in chunks]
    join = lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves])[:count]
    return jax.tree.map(join, *parts)


@cached_call
def _on_chunk(function: Callable[..., Any], times: Any, args: tuple[Any, ...]) -> Any:
    return jax.vmap(lambda t: function(t, *args))(jnp.asarray(times))


def quadrature(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss points in each step of a dense trajectory, cut at its outputs.

    Args:
        trajectory: A trajectory with dense output.

    Returns:
        Times of shape `(pieces, points)`, their weights in the same form, and the end of
        each piece, of shape `(pieces,)`.

    Raises:
        ValueError: It ended where it started.
    """
    dense = trajectory.dense
    assert dense is not None
    t0, t1 = require_steps(trajectory)
    marks = np.concatenate([np.asarray(dense.joints), np.asarray(trajectory.t)])
    marks = np.unique(marks[(marks > t0) & (marks < t1)])
    edges = np.concatenate([[t0], marks, [t1]])
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS)
    half = 0.5 * np.diff(edges)[:, None]
    return edges[:-1, None] + half * (1 + nodes), half * weights, edges[1:]


def allowance(*trajectories: Trajectory) -> float:
    """About how far positions may be off: ten times the tolerances of the runs.

    Tolerances are those of a step; what a few steps add up to may be ten times as large.
    """
    of = lambda one: float(one.atol) + float(one.rtol) * float(np.abs(rows(one.x)).max())
    return 10 * sum(map(of, trajectories))
