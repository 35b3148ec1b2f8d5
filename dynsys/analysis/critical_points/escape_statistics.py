"""Where the members of an ensemble end that start at a saddle."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dynsys.analysis.points import rows
from dynsys.checks import as_number
from dynsys.trees import as_position, as_vector

ARRIVED = 0.01
"""Part of the smallest distance between the given points within which one was reached."""


class EscapeStatistics(NamedTuple):
    """Where the members of an ensemble ended.

    Args:
        at_minimisers: Number at each of the given minimisers.
        stuck: Number at the saddle.
        elsewhere: Number at none of them.
        failed: Number of ends that are not finite.
        radius: Distance within which a point counts as reached.
        largest_distance: The largest distance of those that arrived at a minimiser from it;
            0 if none did.
    """

    at_minimisers: tuple[int, ...]
    stuck: int
    elsewhere: int
    failed: int
    radius: float
    largest_distance: float

    @property
    def total(self) -> int:
        """Number of members."""
        return sum(self.at_minimisers) + self.stuck + self.elsewhere + self.failed

    @property
    def escaped(self) -> float:
        """Share of all members that are not at the saddle, failed ones not counted."""
        return (sum(self.at_minimisers) + self.elsewhere) / self.total

    def __str__(self) -> str:
        each = ", ".join(map(str, self.at_minimisers))
        return (
            f"of {self.total} members {each} are at the minimisers, {self.stuck} at the "
            f"saddle, {self.elsewhere} elsewhere, {self.failed} failed (within "
            f"{self.radius:.3g}; the farthest is {self.largest_distance:.3g} from its "
            f"minimiser)"
        )


def escape_statistics(
    ends: Any, saddle: Any, minimisers: Sequence[Any], *, radius: Any = None
) -> EscapeStatistics:
    """Count where the members of an ensemble ended.

    Args:
        ends: Their last positions, with the members as first axis, such as what
            `simulate_ensemble` returns with `reduce=lambda path: path.x[-1]`.
        saddle: The saddle.
        minimisers: Minimisers, one or more, such as `DoubleWell().facts.minimisers`.
        radius: Distance within which a point counts as reached; left out, a hundredth of
            the smallest distance between the saddle and the minimisers.

    Returns:
        How many are at each minimiser, at the saddle, elsewhere, and failed.

    Raises:
        TypeError: A position is not a position, or `radius` is not a number.
        ValueError: There is no member or no minimiser, positions differ in shape, two
            points are the same, or `radius` is not positive or so large that an end may be
            near two points.

    Example:
        >>> ends = [[1.0, 0.0], [-1.0, 0.0], [1.0, 0.001], [0.0, 0.0], [0.5, 0.0]]
        >>> found = escape_statistics(ends, [0.0, 0.0], [[-1.0, 0.0], [1.0, 0.0]])
        >>> found.at_minimisers, found.stuck, found.elsewhere, found.escaped
        ((1, 2), 1, 1, 0.8)

    Source:
        Elementary; the counts are those of C. Castera's experiment
        `Count_ability_escaping` (camcastera/INNAavoidsSaddles).
    """
    if not len(minimisers):
        raise ValueError("`minimisers` is empty. Pass at least one minimiser.")
    targets = [as_position("saddle", saddle)]
    targets += [as_position("minimisers", point) for point in minimisers]
    points = np.stack(_as_rows(targets))
    members = _members(ends, targets[0])
    size = _reach(points, radius)
    distances = np.linalg.norm(members[:, None] - points, axis=2)
    finite = np.isfinite(distances).all(axis=1)
    nearest = np.argmin(np.where(finite[:, None], distances, 0.0), axis=1)
    arrived = finite & (np.min(distances, axis=1) <= size)
    counts = np.bincount(nearest[arrived], minlength=len(points)).tolist()
    at_minimiser = arrived & (nearest > 0)
    return EscapeStatistics(
        at_minimisers=tuple(counts[1:]),
        stuck=counts[0],
        elsewhere=int((finite & ~arrived).sum()),
        failed=int((~finite).sum()),
        radius=size,
        largest_distance=float(distances.min(axis=1)[at_minimiser].max(initial=0.0)),
    )


def _as_rows(targets: Sequence[Any]) -> list[np.ndarray]:
    """Positions of one shape, each in one vector."""
    shapes = [jax.tree.map(np.shape, target) for target in targets]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(
            f"`minimisers` must have the structure and shapes of `saddle`, {shapes[0]}, "
            f"but have {shapes[1:]}."
        )
    return [np.asarray(as_vector(target), float) for target in targets]


def _members(ends: Any, like: Any) -> np.ndarray:
    """The ends, one a row."""
    tree = ends if not isinstance(ends, list | tuple) else np.asarray(ends, float)
    shapes = jax.tree.map(lambda leaf: np.shape(leaf)[1:], tree)
    if shapes != jax.tree.map(np.shape, like) or not jax.tree.leaves(tree)[0].size:
        raise ValueError(
            f"`ends` must hold positions like `saddle`, {jax.tree.map(np.shape, like)}, "
            f"with the members as first axis, but has {jax.tree.map(np.shape, tree)}."
        )
    return np.asarray(rows(tree), float)


def _reach(points: np.ndarray, radius: Any) -> float:
    """The radius, so small that no two points are within it of one end."""
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    smallest = float(gaps[~np.eye(len(points), dtype=bool)].min())
    if smallest == 0:
        raise ValueError("The saddle and the minimisers must differ, but two are the same.")
    if radius is None:
        return ARRIVED * smallest
    size = float(as_number("radius", radius, "positive"))
    if 2 * size >= smallest:
        raise ValueError(
            f"`radius` must be below half the smallest distance between the points, "
            f"{smallest / 2:.3g}, but has value {size:.3g}: an end might be near two."
        )
    return size
