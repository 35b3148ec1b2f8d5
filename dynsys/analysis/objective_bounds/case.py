"""A trajectory with what a theorem asks of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.energies.energy import Energy, Minimum, moment
from dynsys.analysis.points import allowance, at_times, rows
from dynsys.analysis.report import Assumption, Bound
from dynsys.cached_call import cached_call
from dynsys.trajectory import Trajectory
from dynsys.trees import Position, as_vector, dimension, from_vector

LARGEST_HESSIAN = 128
"""Coordinates up to which Hessians are formed, for some hundred outputs at a time."""

ROUNDING = 64
"""Rounding errors of one evaluation of the objective, in units of its last digit."""


class Case(NamedTuple):
    """A trajectory, and what is known of its objective.

    Args:
        trajectory: The trajectory.
        minimum: The minimum of the objective, with a minimiser.
        mu: A constant of strong convexity that the user vouches for.
        L: A Lipschitz constant of the gradient, if one is known.
    """

    trajectory: Trajectory
    minimum: Minimum
    mu: float | None
    L: float | None

    @property
    def system(self) -> Any:
        return self.trajectory.system

    @property
    def t(self) -> np.ndarray:
        return np.asarray(self.trajectory.t)

    @property
    def elapsed(self) -> np.ndarray:
        """The time since the first output."""
        return self.t - self.t[0]

    @property
    def start(self) -> Position:
        """The first position."""
        return jax.tree.map(lambda leaf: leaf[0], self.trajectory.x)

    @property
    def velocity(self) -> np.ndarray:
        """The velocity at the first output, as a vector."""
        return rows(jax.tree.map(lambda leaf: leaf[:1], self.trajectory.v))[0]

    @property
    def minimiser(self) -> np.ndarray:
        """The minimiser, as a vector."""
        return np.asarray(as_vector(self.minimum.x))

    def energy(self, make: Callable[[Any], Energy], index: int = 0) -> float:
        """An energy at an output."""
        pick = lambda tree: jax.tree.map(lambda leaf: leaf[index], tree)
        now = self.trajectory
        minimum = Minimum(self.minimum.x, jnp.asarray(self.minimum.f))
        found = _energy(
            make, self.system, minimum, now.t[index], *map(pick, (now.state, now.v))
        )
        return float(found)


class Points(NamedTuple):
    """The objective at some points, one a time, and at the minimiser behind them.

    Args:
        t: Times, of shape `(times,)`.
        gap: Values less the minimum, of shape `(times + 1,)`.
        gradient: Gradients, of shape `(times + 1, dim)`.
        offset: Points less the minimiser, of shape `(times + 1, dim)`.
        curvature: Smallest and largest eigenvalue of the Hessian, of shape
            `(times + 1, 2)`; `None` above `LARGEST_HESSIAN` coordinates.
        tolerance: Relative rounding error that is allowed for.
        position_error: How far the points may be off.
        value_error: How far the values may be off.
        rounding: Which part of it is rounding.
    """

    t: np.ndarray
    gap: np.ndarray
    gradient: np.ndarray
    offset: np.ndarray
    curvature: np.ndarray | None
    tolerance: float
    position_error: float
    value_error: float
    rounding: float

    def where(self, index: int) -> str:
        """A point in words."""
        return f"at t = {self.t[index]:.6g}" if index < len(self.t) else "at the minimiser"


def look(case: Case, positions: Position | None = None) -> Points:
    """The objective along the trajectory.

    Args:
        case: The case.
        positions: Points along time to look at, instead of the positions.
    """
    positions = case.trajectory.x if positions is None else positions
    like = jax.tree.map(lambda leaf: leaf[0], positions)
    x = np.vstack([rows(positions), case.minimiser])
    value, gradient, hessian = at_times(_look, x, case.system.objective, like)
    eigenvalues = None if hessian is None else np.linalg.eigvalsh(hessian)
    eps = float(np.finfo(x.dtype).eps)
    position_error = x.shape[1] ** 0.5 * allowance(case.trajectory)
    steepest = float(np.linalg.norm(gradient, axis=1).max())
    rounding = ROUNDING * eps * float(np.abs(value).max())
    return Points(
        t=case.t,
        gap=value - float(case.minimum.f),
        gradient=gradient,
        offset=x - case.minimiser,
        curvature=None if eigenvalues is None else eigenvalues[:, [0, -1]],
        tolerance=eps**0.5,
        position_error=position_error,
        # A convex function is above its tangent: what is measured is too large by this.
        value_error=position_error * steepest + rounding,
        rounding=rounding,
    )


def as_bound(
    points: Points,
    proved: np.ndarray,
    constants: dict[str, float],
    assumptions: tuple[Assumption, ...],
    source: str,
) -> Bound:
    """The bound of the objective, next to what was measured."""
    measured, error = points.gap[:-1], points.value_error
    return Bound(points.t, measured, proved, error, constants, assumptions, source)


def _look(row: Any, objective: Any, like: Position) -> tuple[Any, Any, Any]:
    """Value, gradient and Hessian at a point."""
    f = lambda vector: objective(from_vector(vector, like))
    value, gradient = jax.value_and_grad(f)(row)
    small = dimension(like) <= LARGEST_HESSIAN
    return value, gradient, jax.hessian(f)(row) if small else None


@cached_call
def _energy(make: Any, system: Any, minimum: Minimum, t: Any, state: Any, v: Any) -> Any:
    return make(system).value(moment(system, minimum, t, state, v))
