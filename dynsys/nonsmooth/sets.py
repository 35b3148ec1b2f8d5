"""Sets of gradients: sums of convex hulls of finitely many points."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

MOST_VERTICES = 4096
"""Sums of vertices that are formed to list the vertices of a set."""

TOLERANCE = 1e-9
"""Relative to the size of the set, what is taken for equal."""


class GradientSet(NamedTuple):
    r"""A sum $\sum_k\mathrm{conv}\{v_{k1}, v_{k2}, \dots\}$ of convex hulls.

    Args:
        terms: The points of each hull, one a row, in the coordinates of the position in
            one vector.
        first_order: Whether the active kinks depend on each other, so that the set is that
            of the first-order approximation of the loss, not surely that of the loss.
    """

    terms: tuple[np.ndarray, ...]
    first_order: bool = False

    @property
    def pieces(self) -> int | None:
        """Number of gradients it is the hull of; `None` where they were not counted."""
        return len(self.terms[0]) if len(self.terms) == 1 else None

    @property
    def vertices(self) -> np.ndarray:
        """The vertices, one a row.

        Raises:
            ValueError: There are more than 4096 sums of vertices of the terms.
        """
        number = int(np.prod([len(term) for term in self.terms]))
        if number > MOST_VERTICES:
            raise ValueError(
                f"The set has up to {number} vertices, more than {MOST_VERTICES}. Use "
                f"`support`, `project`, `contains` and `minimal_norm`, which need no list."
            )
        sums = np.array([np.sum(rows, axis=0) for rows in itertools.product(*self.terms)])
        points = _distinct(sums, TOLERANCE * self._size())
        others = [np.delete(points, i, axis=0) for i in range(len(points))]
        keep = [
            not len(rest) or _distance(rest, point) > TOLERANCE * self._size()
            for rest, point in zip(others, points, strict=True)
        ]
        return points[keep]

    def support(self, direction: Any) -> float:
        r"""The support function $\max_{v}\langle v, d\rangle$ in a direction $d$."""
        d = np.asarray(direction, float).reshape(-1)
        return float(sum(np.max(term @ d) for term in self.terms))

    def project(self, point: Any) -> np.ndarray:
        """The nearest element of the set, in the shape of the point."""
        target = np.asarray(point, float)
        shifted = [term.copy() for term in self.terms]
        shifted[0] = shifted[0] - target.reshape(-1)
        return target + _smallest(shifted).reshape(target.shape)

    def distance(self, point: Any) -> float:
        """The distance of a point to the set."""
        target = np.asarray(point, float)
        return float(np.linalg.norm(self.project(target) - target))

    def contains(self, point: Any, tolerance: float = 1e-8) -> bool:
        """Whether a point lies in the set, up to a tolerance."""
        return self.distance(point) <= tolerance

    def minimal_norm(self) -> np.ndarray:
        """The element of smallest norm, in one vector."""
        return _smallest(self.terms)

    def _size(self) -> float:
        return sum(float(np.abs(term).max()) for term in self.terms)


def _distinct(points: np.ndarray, tolerance: float) -> np.ndarray:
    """The points without repetitions."""
    kept: list[np.ndarray] = []
    for point in points:
        if all(np.abs(point - other).max() > tolerance for other in kept):
            kept.append(point)
    return np.array(kept)


def _distance(points: np.ndarray, target: np.ndarray) -> float:
    return float(np.linalg.norm(_smallest([points - target])))


def _smallest(terms: Sequence[np.ndarray]) -> np.ndarray:
    """The element of smallest norm of a sum of hulls."""
    size = sum(float(np.abs(term).max()) for term in terms)
    if size == 0:
        return np.zeros(terms[0].shape[1])
    return size * _smallest_of_unit_size([term / size for term in terms])


def _smallest_of_unit_size(terms: Sequence[np.ndarray]) -> np.ndarray:
    """The same, of sets of size 1.

    Source:
        P. Wolfe, "Finding the nearest point in a polytope", Math. Program. 11 (1976).
    """

    def lowest(direction: np.ndarray) -> np.ndarray:
        return np.sum([term[np.argmin(term @ direction)] for term in terms], axis=0)

    corral = [np.sum([term[0] for term in terms], axis=0)]
    weights = np.ones(1)
    point = corral[0]
    for _ in range(1000):
        new = lowest(point)
        if point @ (point - new) <= 1e-15:
            return point
        corral.append(new)
        weights = np.append(weights, 0.0)
        while True:
            affine = _affine_minimum(np.array(corral))
            if (affine > 1e-12).all():
                weights = affine
                break
            falls = affine <= 1e-12
            steps = weights[falls] / np.maximum(weights[falls] - affine[falls], 1e-300)
            weights = weights + min(1.0, steps.min()) * (affine - weights)
            keep = weights > 1e-12
            if keep.all():
                keep[np.argmin(weights)] = False
            corral = [p for p, kept in zip(corral, keep, strict=True) if kept]
            weights = weights[keep] / weights[keep].sum()
        point = weights @ np.array(corral)
    return point


def _affine_minimum(points: np.ndarray) -> np.ndarray:
    """Weights, of sum 1, of the smallest element of the affine hull."""
    number = len(points)
    matrix = np.zeros((number + 1, number + 1))
    matrix[:number, :number] = points @ points.T
    matrix[number, :number] = matrix[:number, number] = 1.0
    right = np.zeros(number + 1)
    right[number] = 1.0
    return np.linalg.lstsq(matrix, right, rcond=None)[0][:number]
