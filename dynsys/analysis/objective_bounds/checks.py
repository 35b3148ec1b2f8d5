"""Whether the assumptions of a theorem are met on the trajectory at hand."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dynsys.analysis.objective_bounds.case import Case, Points
from dynsys.analysis.points import at_times, rows
from dynsys.analysis.report import Assumption, AssumptionError

GRID = 1025
"""Times at which conditions on coefficients are looked at, besides the outputs."""


def require(holds: bool, needs: str, found: str, remedy: str = "") -> Assumption:
    """An assumption that holds, or the error that it does not.

    Args:
        holds: Whether it does.
        needs: What the theorem needs.
        found: What was found.
        remedy: What to do about it.

    Raises:
        AssumptionError: It does not hold.
    """
    if not holds:
        raise AssumptionError(f"The theorem needs {needs}, but {found}. {remedy}".rstrip())
    return Assumption(needs, found)


def minimum_is_one(points: Points) -> Assumption:
    """That the values stay above the minimum, and the minimiser attains it.

    Raises:
        AssumptionError: A value is smaller, or that at the minimiser is not the minimum.
    """
    lowest, last = int(np.argmin(points.gap)), float(points.gap[-1])
    found = f"f - f* is {points.gap[lowest]:.6g} {points.where(lowest)}"
    allowed = points.value_error + points.tolerance * np.abs(points.gap).max()
    fits = points.gap[lowest] >= -allowed and abs(last) <= allowed
    if abs(last) > allowed:
        found = f"f - f* is {last:.6g} at the minimiser"
    remedy = "Pass a `minimiser`, and the `minimum` there."
    return require(fits, "the minimum of f, attained at the minimiser", found, remedy)


def convex(points: Points, mu: float = 0.0, claimed: float | None = None) -> Assumption:
    r"""That the objective is $\mu$-convex, as far as the points show.

    Looked at are the inequality that the proofs use,

    $$f(x) - f^\star \le \langle\nabla f(x), x - x^\star\rangle
    - \tfrac\mu2\|x - x^\star\|^2,$$

    and up to 128 coordinates the smallest eigenvalue of the Hessian.

    Args:
        points: The points.
        mu: The constant $\mu$ that the theorem needs.
        claimed: The constant that the user vouches for, if any.

    Raises:
        AssumptionError: It is not.
    """
    needs = f"f to be strongly convex with mu = {mu:.6g}" if mu else "f to be convex"
    remedy = "Take a smaller `mu` for the system." if mu else ""
    if mu and claimed is not None:
        found = f"`mu` = {claimed:.6g} was passed for f"
        require(mu <= claimed * (1 + points.tolerance), needs, found, remedy)
    slope = np.sum(points.gradient * points.offset, axis=1)
    square = 0.5 * mu * np.sum(points.offset**2, axis=1)
    spare = slope - square - points.gap
    scale = np.abs(slope) + square + np.abs(points.gap)
    broken = ~(spare >= -points.tolerance * scale - points.rounding)
    at = int(np.argmax(broken))
    found = f"its tangent {points.where(at)} passes above f* by {-spare[at]:.6g}"
    require(not broken.any(), needs, found, remedy)
    if points.curvature is None:
        return Assumption(needs, f"no tangent at {len(points.t)} outputs passes above f*")
    smallest = points.curvature[:, 0]
    at = int(np.argmin(smallest))
    found = (
        f"the smallest eigenvalue of its Hessian {points.where(at)} is {smallest[at]:.6g}"
    )
    allowed = points.tolerance * np.abs(points.curvature).max()
    return require(smallest[at] >= mu - allowed, needs, found, remedy)


def lipschitz(case: Case, points: Points) -> tuple[float, Assumption]:
    """A Lipschitz constant of the gradient, as far as the points show.

    Raises:
        ValueError: None is known.
        AssumptionError: The one that is said is too small.
    """
    if case.L is None:
        raise ValueError(
            "The theorem needs a Lipschitz constant of the gradient, which the objective "
            "does not know of itself. Pass `L=...`."
        )
    needs = f"a gradient that is Lipschitz with L = {case.L:.6g}"
    if points.curvature is None:
        return case.L, Assumption(needs, "said of f, not looked at", checked=False)
    sizes = np.abs(points.curvature).max(axis=1)
    at = int(np.argmax(sizes))
    found = f"the largest eigenvalue of the Hessian {points.where(at)} is {sizes[at]:.6g}"
    fits = sizes[at] <= case.L * (1 + points.tolerance)
    return case.L, require(fits, needs, found, "Pass a larger `L`.")


def starts_with(case: Case, points: Points, velocity: Any) -> Assumption:
    """That the first output is the start, with the velocity of the theorem.

    Args:
        case: The case.
        points: The points.
        velocity: The velocity that the theorem starts with, at the first position.

    Raises:
        AssumptionError: The velocity is another.
    """
    wanted = rows(jax.tree.map(lambda leaf: leaf[None], velocity))[0]
    off = float(np.linalg.norm(case.velocity - wanted))
    size = float(np.linalg.norm(wanted)) + points.position_error
    return require(
        off <= 10 * points.tolerance * size,
        "the start of its paper, at the first output",
        f"the velocity there is {off:.6g} away from it",
        "Pass `v0=system.initial_velocity(x0)` to `simulate`, with an output at the start.",
    )


def lasts_from(
    case: Case, points: Points, conditions: Callable[..., dict[str, Any]]
) -> tuple[int, Assumption]:
    """The first output from which on conditions on the coefficients hold.

    Args:
        case: The case.
        points: The points.
        conditions: A function of a module, from a time and the system to pairs of a number
            that must be at least 0, and its scale for rounding, by what they say.

    Raises:
        AssumptionError: They do not hold at the end.
    """
    t = case.t
    grid = np.union1d(np.linspace(t[0], t[-1], GRID), t)
    found = at_times(conditions, grid, case.system)
    first, needs = 0, ", ".join(found)
    for name, (value, scale) in found.items():
        broken = ~(value >= -points.tolerance * scale)
        if not broken.any():
            continue
        last = int(np.flatnonzero(broken)[-1])
        first = max(first, int(np.searchsorted(t, grid[last], side="right")))
        failed = f"at t = {grid[last]:.6g} the difference is {value[last]:.6g}"
        require(first < len(t), name, failed, "Change the coefficients, or run longer.")
    return first, Assumption(needs, f"from t = {t[first]:.6g} on, at {len(grid)} times")


def since(index: int, proved: np.ndarray) -> np.ndarray:
    """A bound from an output on, infinite before it."""
    return np.where(np.arange(len(proved)) < index, np.inf, proved)
