"""Strong convexity: what Hessians at points show, which is a check and not a proof."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.report import Assumption, AssumptionError
from dynsys.cached_call import cached_call
from dynsys.checks import as_number
from dynsys.objectives.objective import Facts
from dynsys.trajectory import Trajectory
from dynsys.trees import as_vector, dimension, from_vector, norm

ENTRIES = 2**22
"""Numbers in the Hessians that are formed at once: 32 megabytes."""

ROUNDING = 1e-9
"""By how much, relatively, an eigenvalue may fall short of the constant."""


class Survey(NamedTuple):
    """A function at points, each field of shape `(points,)`.

    Args:
        f: Values.
        slope: Norms of the gradients.
        lowest: Smallest eigenvalues of the Hessians; not a number where one is not finite.
        highest: Largest eigenvalues.
    """

    f: np.ndarray
    slope: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray


def strong_convexity(objective: Callable[[Any], Any], points: Any) -> float:
    r"""The smallest eigenvalue of the Hessian $\nabla^2f$ over points.

    No constant of strong convexity on a set with these points can be larger; whether this
    one holds between the points, they do not show.

    Args:
        objective: Function $f$, twice differentiable.
        points: Positions with a leading axis, such as `trajectory.x`.

    Returns:
        The smallest eigenvalue.

    Example:
        >>> points = jnp.array([[0.0, 0.0], [1.0, 2.0]])
        >>> round(strong_convexity(lambda x: jnp.sum(jnp.cosh(x)), points), 9)
        1.0

    Source:
        Elementary: f is strongly convex with constant mu on a convex open set if and only
        if its Hessian is at least mu there.
    """
    return float(np.min(survey(objective, points).lowest))


def survey(objective: Callable[[Any], Any], points: Any) -> Survey:
    """Values, slopes and curvatures of a function at points.

    Args:
        objective: Function, twice differentiable.
        points: Positions with a leading axis.
    """
    parts = [
        np.stack([f, slope, *_extreme_eigenvalues(hessian)])
        for f, slope, hessian in _in_chunks(objective, points)
    ]
    return Survey(*np.concatenate(parts, axis=1).astype(float))


def hessians(objective: Callable[[Any], Any], points: Any) -> np.ndarray:
    """Hessians of a function at points, of shape `(points, dim, dim)`.

    Args:
        objective: Function, twice differentiable.
        points: Positions with a leading axis.
    """
    return np.concatenate([hessian for _, _, hessian in _in_chunks(objective, points)])


def _in_chunks(objective: Callable[[Any], Any], points: Any) -> Iterator[list[np.ndarray]]:
    """Values, norms of gradients, and Hessians, of some points after the other."""
    leaves = jax.tree.map(np.asarray, points)
    count = len(jax.tree.leaves(leaves)[0])
    size = dimension(jax.tree.map(lambda leaf: leaf[0], leaves))
    chunk = max(1, min(count, ENTRIES // size**2))
    for start in range(0, count, chunk):
        # All chunks are of one size, for one program: the last point is repeated.
        index = np.minimum(np.arange(start, start + chunk), count - 1)
        some = jax.tree.map(lambda leaf, at=index: leaf[at], leaves)
        found = _derivatives(objective, some)
        yield [np.asarray(one)[: count - start] for one in found]


@cached_call
def _derivatives(objective: Callable[[Any], Any], points: Any) -> Any:
    """Values, norms of gradients, and Hessians."""

    def at(x: Any) -> Any:
        of_vector = lambda vector: objective(from_vector(vector, x))
        value, gradient = jax.value_and_grad(of_vector)(as_vector(x))
        return value, norm(gradient), jax.hessian(of_vector)(as_vector(x))

    return jax.vmap(at)(points)


def _extreme_eigenvalues(hessians: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    finite = np.isfinite(np.sum(hessians, axis=(1, 2), keepdims=True))
    matrices = np.where(finite, hessians, 0.0)
    # That of a quadratic is one matrix.
    is_one = (matrices == matrices[:1]).all()
    values = np.linalg.eigvalsh(matrices[:1] if is_one else matrices)
    values = np.where(finite[:, 0], values, np.nan)
    return values[:, 0], values[:, -1]


def choose_constant(facts: Facts, mu: Any) -> tuple[float, str]:
    """The constant of strong convexity, and who says so.

    Args:
        facts: What is known of the objective.
        mu: The user's constant, or `None`.

    Raises:
        AssumptionError: Nobody knows one.
        ValueError: It is not positive.
    """
    if mu is not None:
        return float(as_number("mu", mu, "positive")), "passed as `mu`"
    if facts.mu is None:
        raise AssumptionError(
            "The theorem needs a constant of strong convexity, but the objective knows "
            "none. Pass `mu`; what the points of a trajectory show is "
            "`dynsys.analysis.strong_convexity(objective, trajectory.x)`."
        )
    return float(as_number("mu", facts.mu, "positive")), "of the objective"


def check_constant(mu: float, trajectory: Trajectory, found: Survey) -> None:
    """Refuse a constant of strong convexity that a Hessian on the path contradicts.

    Args:
        mu: The constant.
        trajectory: The path.
        found: The objective along the path.

    Raises:
        AssumptionError: An eigenvalue is below the constant.
    """
    precision = float(jnp.finfo(jax.tree.leaves(trajectory.x)[0].dtype).eps)
    size = dimension(jax.tree.map(lambda leaf: leaf[0], trajectory.x))
    slack = ROUNDING * mu + size * precision * np.abs(found.highest)
    fails = ~(found.lowest >= mu - slack)
    if fails.any():
        i = int(np.argmax(fails))
        raise AssumptionError(
            f"The objective is not strongly convex with mu = {mu:g}: at t = "
            f"{float(trajectory.t[i]):g} on the path of "
            f"{type(trajectory.system).__name__}, the smallest eigenvalue of its Hessian "
            f"is {found.lowest[i]:g}. Pass a smaller `mu`; where an eigenvalue is not "
            f"positive, the theorem says nothing."
        )


def convexity_assumptions(
    mu: float, source: str, found: tuple[Survey, ...]
) -> tuple[Assumption, Assumption]:
    """Strong convexity as it was trusted, and as it was checked."""
    lowest = np.concatenate([one.lowest for one in found])
    on_set = Assumption(
        "the Hessian of f is at least mu on the connected component of "
        "{f <= f(x0) + epsilon0 |v0|^2 / 2} that holds x0",
        f"mu = {mu:g}, {source}",
        checked=False,
    )
    at_points = Assumption(
        "the Hessian is at least mu at the points of both paths",
        f"the smallest of its eigenvalues there is {lowest.min():g}",
    )
    return on_set, at_points
