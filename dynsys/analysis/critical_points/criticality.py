"""How far a point is from being critical, in Clarke's sense and in the talk's."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from dynsys.analysis.critical_points.linearisation import (
    LARGEST,
    gradient_vector,
    hessian_eigenvalues,
)
from dynsys.analysis.critical_points.onto_kinks import onto_kinks
from dynsys.analysis.points import allowance, require_trajectory
from dynsys.checks import as_number
from dynsys.nonsmooth import GradientSet, clarke_subdifferential, d_operator
from dynsys.objectives.mean import Mean
from dynsys.objectives.objective import as_objective, is_known_smooth
from dynsys.systems.gdin import GDIN
from dynsys.trajectory import Trajectory
from dynsys.trees import Position, as_position, combine, dimension
from dynsys.trees import norm as tree_norm

ROUNDING = 1e-12
"""Eigenvalues of the Hessian up to this size, relative to the largest, are 0."""


class Equilibrium(NamedTuple):
    r"""How far a state of g-DIN is from the equilibria $S$, in two parts.

    Args:
        gradient: Distance of 0 to $DJ(\theta)$.
        psi: The norm of $\psi - (1 - \alpha\beta)\theta$.
    """

    gradient: float
    psi: float


class Criticality(NamedTuple):
    """What a point is for an objective.

    Args:
        x: The point, on the kinks that it was moved onto.
        moved: How far it was moved.
        distance: Distance of 0 to Clarke's subdifferential.
        d_distance: Distance of 0 to the talk's D; `None` if the objective is no
            `objectives.Mean`, whose terms D needs.
        threshold: What counts as 0.
        pieces: Number of smooth pieces that meet at the point, 1 where there is no kink;
            `None` where many kinks meet and they were not counted.
        first_order: Whether a set is known to first order only, since kinks depend on each
            other; it may then be too large or too small.
        eigenvalue: Smallest eigenvalue of the Hessian; `None` where it is not formed.
        kind: `"not critical"` in Clarke's sense, or `"kink"`, where a critical point has
            no Hessian; else, by the Hessian, `"minimum"`, `"maximum"`, `"strict saddle"`
            or `"degenerate"`; or `"critical"` where the Hessian is too large or not finite.
        equilibrium: For a trajectory of g-DIN, how far its end is from the equilibria.
    """

    x: Position
    moved: float
    distance: float
    d_distance: float | None
    threshold: float
    pieces: int | None
    first_order: bool
    eigenvalue: float | None
    kind: str
    equilibrium: Equilibrium | None

    @property
    def critical(self) -> bool:
        """Whether 0 lies in Clarke's subdifferential."""
        return self.distance <= self.threshold

    @property
    def spurious(self) -> bool:
        """Whether 0 lies in D, and not in Clarke's subdifferential."""
        in_d = self.d_distance is not None and self.d_distance <= self.threshold
        return in_d and not self.critical

    def __str__(self) -> str:
        lines = [
            f"{self.kind}: distance of 0 to Clarke's subdifferential {self.distance:.3g}"
        ]
        if self.d_distance is not None:
            lines.append(f"  to the operator D {self.d_distance:.3g}")
        if self.spurious:
            lines.append("  spurious: critical for D, but not in Clarke's sense")
        if self.pieces != 1:
            lines.append(f"  {self.pieces or 'many'} smooth pieces meet here")
        if self.first_order:
            lines.append("  the kinks depend on each other: known to first order only")
        if self.moved > 0:
            lines.append(f"  the point was moved by {self.moved:.3g} onto its kinks")
        if self.eigenvalue is not None:
            lines.append(f"  smallest eigenvalue of the Hessian {self.eigenvalue:.6g}")
        if self.equilibrium is not None:
            parts = (
                f"{self.equilibrium.gradient:.3g} in D, {self.equilibrium.psi:.3g} in psi"
            )
            lines.append(f"  distance to the equilibria of g-DIN: {parts}")
        return "\n".join(lines)


def criticality(
    objective: Callable[[Any], Any] | Trajectory,
    x: Any = None,
    *,
    tolerance: Any = None,
    threshold: Any = 1e-6,
) -> Criticality:
    r"""How far a point, or the end of a trajectory, is from being critical.

    $$\mathrm{dist}(0, \partial J(x)), \qquad \mathrm{dist}(0, DJ(x)), \quad
    DJ = \frac1N\sum_n\partial J_n \supseteq \partial J$$

    A limit that was found numerically lies next to its kinks, not on them, and there the
    gradient says nothing. So the point is first moved onto the kinks that are near.

    Args:
        objective: A scalar function of a position, or a trajectory.
        x: The point; for a trajectory its end.
        tolerance: The point is moved onto kinks that are, to first order, at most this
            far. Left out, 0 for a point, and for a trajectory ten times its tolerances.
        threshold: Distances and eigenvalues of the Hessian up to this size count as 0.

    Returns:
        The distances, and what kind of point it is.

    Raises:
        TypeError: `objective` is not callable, or a number is none.
        ValueError: A point is missing or one too many, the trajectory is a batch or
            failed, the objective is not scalar or its gradient there not finite,
            `tolerance` is negative or `threshold` is not positive.
        NotPiecewiseSmooth: The loss jumps, or has kinks that are not looked into.

    Example:
        A function without a critical point, whose terms invent one:

        >>> halves = [jax.nn.relu, lambda t: -jax.nn.relu(-t)]
        >>> found = criticality(Mean(halves), 0.0)
        >>> found.distance, found.d_distance, found.spurious
        (0.5, 0.0, True)

    Source:
        C. Castera, J. Bolte, C. Fevotte and E. Pauwels, JMLR 22(134), 2021, for D and the
        equilibria of g-DIN, as given in the talk; the example is derived here.
    """
    trajectory = objective if isinstance(objective, Trajectory) else None
    if trajectory is not None:
        point = _end(trajectory, x)
        loss: Any = trajectory.system.objective
        tolerance = allowance(trajectory) if tolerance is None else tolerance
    else:
        loss, point = as_objective(objective), _given(x)
    near = float(
        as_number("tolerance", 0.0 if tolerance is None else tolerance, "at least 0")
    )
    small = float(as_number("threshold", threshold, "positive"))
    _require_scalar(loss, point)
    at = onto_kinks(loss, point, near) if near > 0 else point
    clarke, d_set = _sets(loss, at, point)
    distance = _size(clarke)
    d_distance = None if d_set is None else _size(d_set)
    pieces = clarke.pieces
    eigenvalues = _eigenvalues(loss, at) if pieces == 1 and distance <= small else None
    return Criticality(
        x=at,
        moved=float(tree_norm(combine((1.0, at), (-1.0, point)))),
        distance=distance,
        d_distance=d_distance,
        threshold=small,
        pieces=pieces,
        first_order=clarke.first_order or (d_set is not None and d_set.first_order),
        eigenvalue=None if eigenvalues is None else float(eigenvalues[0]),
        kind=_kind(distance, pieces, eigenvalues, small),
        equilibrium=_equilibrium(trajectory, distance if d_set is None else _size(d_set)),
    )


def _end(trajectory: Trajectory, x: Any) -> Position:
    """The last position of a trajectory."""
    require_trajectory("criticality", trajectory)
    if x is not None:
        raise ValueError(
            "`criticality` looks at the end of a trajectory, so leave `x` out. For another "
            "point pass the objective: `criticality(trajectory.system.objective, x)`."
        )
    return trajectory.system.position(trajectory.final_state)


def _given(x: Any) -> Position:
    if x is None:
        raise ValueError(
            "`criticality` of an objective needs the point `x`. A trajectory has one."
        )
    return as_position("x", x)


def _require_scalar(loss: Callable[[Any], Any], x: Position) -> None:
    shape = getattr(jax.eval_shape(loss, x), "shape", None)
    if shape != ():
        raise ValueError(
            f"The objective must return a scalar, but at `x` it returned shape {shape}. "
            f"Take the sum or the mean of its entries."
        )


def _sets(
    loss: Any, x: Position, moved_from: Position
) -> tuple[GradientSet, GradientSet | None]:
    """Clarke's subdifferential, and D if the loss has terms."""
    if is_known_smooth(loss):
        clarke = GradientSet((gradient_vector(loss, x)[None],))
        d_set = clarke if isinstance(loss, Mean) else None
    else:
        clarke, d_set = clarke_subdifferential(loss, x, moved_from=moved_from), None
        if isinstance(loss, Mean):
            weight = 1 / len(loss.terms)
            d_set = d_operator(loss.terms, x, weight, moved_from=moved_from)
    for found in (clarke, d_set):
        if found is not None and not all(np.isfinite(term).all() for term in found.terms):
            raise ValueError(
                "The gradient of the objective is not finite at `x`, so nothing can be "
                "said. Look at `jax.grad(objective)(x)`: norms and square roots have none "
                "at 0."
            )
    return clarke, d_set


def _size(found: GradientSet) -> float:
    return float(np.linalg.norm(found.minimal_norm()))


def _eigenvalues(loss: Callable[[Any], Any], x: Position) -> np.ndarray | None:
    if dimension(x) > LARGEST:
        return None
    found = hessian_eigenvalues(loss, x)
    return found if np.isfinite(found).all() else None


def _kind(
    distance: float, pieces: int | None, eigenvalues: np.ndarray | None, threshold: float
) -> str:
    if distance > threshold:
        return "not critical"
    if pieces is None or pieces > 1:
        return "kink"
    if eigenvalues is None:
        return "critical"
    flat = max(threshold, ROUNDING * float(np.abs(eigenvalues).max()))
    if eigenvalues[0] < -flat:
        return "maximum" if eigenvalues[-1] < -flat else "strict saddle"
    return "minimum" if eigenvalues[0] > flat else "degenerate"


def _equilibrium(trajectory: Trajectory | None, gradient: float) -> Equilibrium | None:
    if trajectory is None or not isinstance(trajectory.system, GDIN):
        return None
    system, (theta, psi) = trajectory.system, trajectory.final_state
    gap = combine((1.0, psi), (system.alpha * system.beta - 1, theta))
    return Equilibrium(gradient, float(tree_norm(gap)))
