r"""A piecewise quadratic function of one variable, cell by cell.

$$f(y) = \tfrac c2 y^2 + \ell y + \sum_j a_j |y - k_j|$$

Its gradient is $c y + h_i$ in the cell between two neighbouring knots. At a knot it rises
by twice the sum of the weights that are there.
"""

from typing import NamedTuple

import numpy as np

CANCELLED = 1e-13
"""Weights at one knot whose sum is below this part of their sizes cancel."""


class Cells(NamedTuple):
    """The function between and at its knots.

    Args:
        curvature: Second derivative.
        knots: Places of the kinks, increasing.
        slopes: Constant part of the gradient in each cell, one more than knots.
    """

    curvature: float
    knots: list[float]
    slopes: list[float]

    def gradient(self, cell: int, y: float) -> float:
        """The gradient in a cell, or its limit at an end of it."""
        return self.curvature * y + self.slopes[cell]

    def sides(self, knot: int) -> tuple[float, float]:
        """The gradient left and right of a knot."""
        y = self.knots[knot]
        return self.gradient(knot, y), self.gradient(knot + 1, y)

    def knot_at(self, y: float, within: float) -> int | None:
        """The knot at a point, or the nearest one that is within a distance of it."""
        if not self.knots:
            return None
        distances = np.abs(np.asarray(self.knots) - y)
        nearest = int(np.argmin(distances))
        return nearest if distances[nearest] <= within else None

    def cell_of(self, y: float) -> int:
        """The cell that holds a point off the knots."""
        return int(np.searchsorted(self.knots, y))

    def smallest_gradient(self, y: float, within: float = 0.0) -> float:
        """The element of smallest norm of Clarke's subdifferential."""
        knot = self.knot_at(y, within)
        if knot is None:
            return self.gradient(self.cell_of(y), y)
        low, high = sorted(self.sides(knot))
        return min(max(0.0, low), high)


class Line(NamedTuple):
    """A piecewise quadratic function of one variable.

    Args:
        curvature: Second derivative between the kinks.
        slope: Slope of its linear term.
        weights: Weights of the kinks, negative where one is concave.
        knots: Their places, in any order, equal ones included.
    """

    curvature: float
    slope: float
    weights: np.ndarray
    knots: np.ndarray

    def __call__(self, y: float) -> float:
        kinks = self.weights @ np.abs(y - self.knots)
        return 0.5 * self.curvature * y**2 + self.slope * y + float(kinks)

    def cells(self) -> Cells:
        """The same function, cell by cell."""
        knots, jumps = [], []
        for knot in np.unique(self.knots):
            here = self.weights[self.knots == knot]
            if abs(here.sum()) > CANCELLED * np.abs(here).sum():
                knots.append(float(knot))
                jumps.append(2 * float(here.sum()))
        slopes = self.slope - self.weights.sum() + np.cumsum([0.0, *jumps])
        return Cells(float(self.curvature), knots, [float(slope) for slope in slopes])

    def clusters(self, gap: float) -> list[np.ndarray]:
        """Indices of kinks that are within a gap of the next one, in chains."""
        order = np.argsort(self.knots, kind="stable")
        breaks = np.flatnonzero(np.diff(self.knots[order]) > gap) + 1
        return np.split(order, breaks)

    def merged(self, gap: float) -> "Line":
        """The function with kinks that are within a gap of each other at one place."""
        knots = self.knots.copy()
        for cluster in self.clusters(gap):
            knots[cluster] = knots[cluster].mean()
        return self._replace(knots=knots)

    def reflected(self, gap: float) -> "Line":
        """The function with the order reversed of kinks that are within a gap."""
        knots = self.knots.copy()
        for cluster in self.clusters(gap):
            knots[cluster] = 2 * knots[cluster].mean() - knots[cluster]
        return self._replace(knots=knots)
