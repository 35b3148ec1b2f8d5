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


class Constant(NamedTuple):
    """A constant of the objective, and who says so."""

    value: float
    source: str


class Case(NamedTuple):
    """A trajectory, and what is known of its objective.

    Args:
        trajectory: The trajectory.
        minimum: The minimum of the objective, with a minimiser.
        mu: A constant of strong convexity, if one is known.
        L: A Lipschitz constant of the gradient, if one is known.
    """

    trajectory: Trajectory
    minimum: Minimum
    mu: Constant | None
    L: Constant | None

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
        value_error: How far the values may be off, of shape `(times + 1,)`.
        rounding: Rounding error of a value that is a sum of terms that cancel.
        steepness: How fast the gradient changes: the largest curvature there is to see.
    """

    t: np.ndarray
    gap: np.ndarray
    gradient: np.ndarray
    offset: np.ndarray
    curvature: np.ndarray | None
    tolerance: float
    position_error: float
    value_error: np.ndarray
    rounding: float
    steepness: float

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
    curvature = None if hessian is None else np.linalg.eigvalsh(hessian)[:, [0, -1]]
    offset = x - case.minimiser
    unit = ROUNDING * float(np.finfo(x.dtype).eps)
    position_error = x.shape[1] ** 0.5 * allowance(case.trajectory)
    slope, size = np.linalg.norm(gradient, axis=1), np.linalg.norm(x, axis=1)
    steepness = _steepness(gradient, offset, curvature)
    largest = float(np.abs(value).max())
    terms = largest + float((slope * size + steepness * size**2).max())
    return Points(
        t=case.t,
        gap=value - float(case.minimum.f),
        gradient=gradient,
        offset=offset,
        curvature=curvature,
        tolerance=float(np.finfo(x.dtype).eps) ** 0.5,
        position_error=position_error,
        # A convex function is above its tangent: what is measured is too large by this.
        value_error=position_error * slope + unit * largest,
        rounding=unit * terms,
        steepness=steepness,
    )


def _steepness(
    gradient: np.ndarray, offset: np.ndarray, curvature: np.ndarray | None
) -> float:
    """The largest eigenvalue of a Hessian, or change of the gradient over the way."""
    far = float(np.linalg.norm(offset, axis=1).max())
    change = float(np.linalg.norm(gradient - gradient[-1], axis=1).max())
    seen = change / far if far > 0 else 0.0
    return seen if curvature is None else max(seen, float(np.abs(curvature).max()))


def as_bound(
    points: Points,
    proved: np.ndarray,
    constants: dict[str, float],
    assumptions: tuple[Assumption, ...],
    source: str,
) -> Bound:
    """The bound of the objective, next to what was measured."""
    measured, error = points.gap[:-1], points.value_error[:-1]
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
