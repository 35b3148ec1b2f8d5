"""Whether the assumptions of a theorem are met on the trajectory at hand."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dynsys.analysis.objective_bounds.case import Case, Points
from dynsys.analysis.points import at_times, rows
from dynsys.analysis.report import Assumption, AssumptionError
from dynsys.nonsmooth import NotPiecewiseSmooth, kinks
from dynsys.objectives.objective import is_known_smooth
from dynsys.trajectory import Trajectory

GRID = 1025
"""Times at which conditions on coefficients are looked at, besides the outputs."""

OUTPUTS = "at the outputs and the minimiser"

SMOOTHED = "Put a smooth function in its place, such as Huber's for the absolute value."


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


def differentiable(trajectory: Trajectory) -> Assumption:
    """That the objective is differentiable, as it says of itself or its program shows.

    Raises:
        AssumptionError: It is not.
    """
    objective, needs = trajectory.system.objective, "a differentiable f"
    if int(trajectory.events.count):
        at = float(trajectory.events.t[0])
        found = f"the trajectory met a kink at t = {at:.6g}"
        return require(False, needs, found, SMOOTHED)
    said = is_known_smooth(objective)
    if said is not None:
        name = type(objective).__name__
        require(said, needs, f"{name} says of itself that it has kinks", SMOOTHED)
        return Assumption(needs, f"said by {name}", checked=False)
    try:
        found = kinks(objective, jax.tree.map(lambda leaf: leaf[0], trajectory.x))
    except NotPiecewiseSmooth:
        return Assumption(needs, "nobody says so", checked=False)
    pairs = zip(found.places, found.joints, strict=True)
    sharp = [place for place, is_joint in pairs if not is_joint]
    where = f"it has a kink: {sharp[0]}" if sharp else "its program has no kink"
    return require(not sharp, needs, where, SMOOTHED)


def minimum_is_one(points: Points) -> Assumption:
    """That the values stay above the minimum, and the minimiser attains it.

    Raises:
        AssumptionError: A value is smaller, or that at the minimiser is not the minimum,
            or its gradient is not 0.
    """
    needs = "the minimum of f, attained at the minimiser"
    lowest, last = int(np.argmin(points.gap)), float(points.gap[-1])
    found = f"f - f* is {points.gap[lowest]:.6g} {points.where(lowest)}"
    allowed = points.rounding + points.tolerance * float(np.abs(points.gap).max())
    fits = points.gap[lowest] >= -allowed and abs(last) <= allowed
    if abs(last) > allowed:
        found = f"f - f* is {last:.6g} at the minimiser"
    require(fits, needs, found, "Pass a `minimiser`, and the `minimum` there.")
    slopes = np.linalg.norm(points.gradient, axis=1)
    slope, steepest = float(slopes[-1]), float(slopes.max())
    # As far from 0 as that of a minimiser that is off like the points, or is rounded.
    near = points.steepness * points.position_error + points.tolerance**2 * steepest
    tilted = f"the gradient at the minimiser is {slope:.6g}"
    require(
        slope <= near,
        needs,
        f"{tilted}, where the errors of the run explain {near:.6g}",
        "Pass a `minimiser` that is more accurate.",
    )
    return Assumption(needs, f"{found}, and {tilted}")


def convex(case: Case, points: Points, mu: float = 0.0) -> tuple[Assumption, Assumption]:
    r"""That the objective is $\mu$-convex: who says so, and what the points show.

    Looked at are the inequality that the proofs use,

    $$f(x) - f^\star \le \langle\nabla f(x), x - x^\star\rangle
    - \tfrac\mu2\|x - x^\star\|^2,$$

    and up to 128 coordinates the smallest eigenvalue of the Hessian.

    Args:
        case: The case.
        points: The points.
        mu: The constant $\mu$ that the theorem needs.

    Raises:
        AssumptionError: It is not, or who knows a constant knows a smaller one.
    """
    needs = f"f to be strongly convex with mu = {mu:.6g}" if mu else "f to be convex"
    remedy = "Take a smaller `mu` for the system." if mu else ""
    source = "the `mu` of the system; nobody says so of f" if mu else "nobody says so"
    if case.mu is not None:
        source = f"mu = {case.mu.value:.6g}, {case.mu.source}"
        fits = mu <= case.mu.value * (1 + points.tolerance)
        other = f"{remedy} If f has a larger one than it knows, pass `mu=...`."
        require(fits, needs, f"what is known of f is {source}", other)
    trusted = Assumption(needs, source, checked=False)
    return trusted, _convex_at_points(points, mu, needs, remedy)


def _convex_at_points(points: Points, mu: float, needs: str, remedy: str) -> Assumption:
    slope = np.sum(points.gradient * points.offset, axis=1)
    square = 0.5 * mu * np.sum(points.offset**2, axis=1)
    spare = slope - square - points.gap
    scale = np.abs(slope) + square + np.abs(points.gap)
    broken = ~(spare >= -points.tolerance * scale - points.rounding)
    at = int(np.argmax(broken))
    found = f"its tangent {points.where(at)} passes above f* by {-spare[at]:.6g}"
    require(not broken.any(), needs, found, remedy)
    there = f"{needs} {OUTPUTS}"
    if points.curvature is None:
        return Assumption(there, f"no tangent at {len(points.t)} outputs passes above f*")
    smallest = points.curvature[:, 0]
    at = int(np.argmin(smallest))
    found = (
        f"the smallest eigenvalue of its Hessian {points.where(at)} is {smallest[at]:.6g}"
    )
    allowed = points.tolerance * points.steepness
    require(smallest[at] >= mu - allowed, needs, found, remedy)
    return Assumption(there, found)


def lipschitz(case: Case, points: Points) -> tuple[float, tuple[Assumption, Assumption]]:
    """A Lipschitz constant of the gradient: who says so, and what the points show.

    Looked at are the eigenvalues of the Hessian, and above 128 coordinates the gradient
    over the distance to the minimiser.

    Raises:
        ValueError: None is known.
        AssumptionError: The one that is said is too small.
    """
    if case.L is None:
        raise ValueError(
            "The theorem needs a Lipschitz constant of the gradient, which the objective "
            "does not know of itself. Pass `L=...`."
        )
    L = case.L.value
    needs, remedy = f"a gradient that is Lipschitz with L = {L:.6g}", "Pass a larger `L`."
    trusted = Assumption(needs, case.L.source, checked=False)
    allowed = L * (1 + points.tolerance)
    if points.curvature is None:
        slope = np.linalg.norm(points.gradient - points.gradient[-1], axis=1)
        way = np.linalg.norm(points.offset, axis=1)
        at = int(np.argmax(slope - L * way))
        found = (
            f"the gradient {points.where(at)} differs by {slope[at]:.6g} from that at the "
            f"minimiser, at the distance {way[at]:.6g}"
        )
        near = points.tolerance**2 * float(slope.max())
        require(slope[at] <= allowed * way[at] + near, needs, found, remedy)
    else:
        sizes = np.abs(points.curvature).max(axis=1)
        at = int(np.argmax(sizes))
        found = (
            f"the largest eigenvalue of the Hessian {points.where(at)} is {sizes[at]:.6g}"
        )
        require(sizes[at] <= allowed, needs, found, remedy)
    return L, (trusted, Assumption(f"{needs} {OUTPUTS}", found))


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
