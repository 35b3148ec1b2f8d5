r"""Exact flows of polyhedral functions: gradient flow and g-DIN, event by event.

$$f(x) = \max_i\,(A x + b)_i + \sum_j w_j |x_j - k_j|, \qquad w \ge 0$$

Clarke's set at a point is the hull of finitely many corners. In the momentum form
$p = v + \beta g$ the velocity is $v = p - \beta g$, with $g$ the point of the hull that is
nearest to $p/\beta$; gradient flow is $p = 0$, $\beta = 1$ at all times. What stays active
is the face of the hull on which $v$ is largest. Along it $\dot v = -\alpha v - g$ with a
constant $g$. Across it, $g = p/\beta$ decays as $e^{-t/\beta}$: it moves straight towards
0, and when that line leaves the hull, the motion leaves the face.

Both are flows of a monotone operator plus a Lipschitz map, so that errors grow by a bounded
factor only.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

from scripts.studies.line_motion import root

ACTIVE = 1e-9
"""Gap below which a row or a coordinate is at its kink."""

BELOW = 1e-12
"""A gap has closed when it is this far below 0: rounding does not close one."""

LARGEST = 1e-10
"""Difference from the largest product with the velocity that counts as none."""

AHEAD = 1e-8
"""Part of the way of the gradient to 0 that tells which corners it moves away from."""

MOST_EVENTS = 1_000


class Polyhedral(NamedTuple):
    """The arrays A, b, w and k of a function."""

    slopes: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray
    knots: np.ndarray

    def __call__(self, x: np.ndarray) -> float:
        rows = self.slopes @ x + self.offsets
        return float(rows.max() + self.weights @ np.abs(x - self.knots))

    def corners(self, x: np.ndarray) -> "Corners":
        """What Clarke's set at a point is the hull of."""
        rows = self.slopes @ x + self.offsets
        active = np.flatnonzero(rows >= rows.max() - ACTIVE)
        z = x - self.knots
        free = (np.abs(z) > ACTIVE) | (self.weights == 0)
        choices = [
            [float(np.sign(side))] if off else [-1.0, 1.0]
            for side, off in zip(z, free, strict=True)
        ]
        pairs = list(itertools.product(active, itertools.product(*choices)))
        of_row = np.array([row for row, _ in pairs])
        signs = np.array([sign for _, sign in pairs])
        return Corners(of_row, signs, self.slopes[of_row] + self.weights * signs)


class Corners(NamedTuple):
    """Corners of a hull, each with its row and the signs of its coordinates."""

    rows: np.ndarray
    signs: np.ndarray
    points: np.ndarray

    def nearest(self, u: np.ndarray) -> np.ndarray:
        """The point of the hull that is nearest to a point, by Wolfe's method."""
        shifted = self.points - u
        size = np.abs(shifted).max()
        corral, weights = [int(np.argmin((shifted**2).sum(1)))], np.ones(1)
        last = np.inf
        while True:
            point = weights @ shifted[corral]
            # Each round brings it nearer; if not, that is rounding.
            if not point @ point < last:
                return point + u
            last = point @ point
            products = shifted @ point
            new = int(np.argmin(products))
            rounding = 1e-13 * size * (np.linalg.norm(point) + 1e-15 * size)
            if products[new] >= point @ point - rounding or new in corral:
                return point + u
            corral, weights = [*corral, new], np.append(weights, 0.0)
            while True:
                inside = _in_affine_hull(shifted[corral])
                if (inside > -1e-14).all():
                    weights = inside
                    break
                falls = inside <= -1e-14
                part = np.min(weights[falls] / (weights[falls] - inside[falls]))
                weights = np.maximum(weights + part * (inside - weights), 0)
                kept = weights > 1e-14
                kept[np.argmin(np.where(falls, weights, np.inf))] = False
                corral = [i for i, keep in zip(corral, kept, strict=True) if keep]
                weights = weights[kept] / weights[kept].sum()

    def face(self, direction: np.ndarray, tolerance: float) -> "Corners":
        """The corners whose product with a direction is largest."""
        products = self.points @ direction
        keep = products >= products.max() - tolerance
        return Corners(self.rows[keep], self.signs[keep], self.points[keep])

    def across(self) -> np.ndarray:
        """The projection onto the span of their differences."""
        differences = self.points[1:] - self.points[0]
        if not len(differences):
            return np.zeros((self.points.shape[1],) * 2)
        _, sizes, basis = np.linalg.svd(differences, full_matrices=False)
        basis = basis[sizes > 1e-9 * max(1.0, sizes[0])]
        return basis.T @ basis

    def exit(self, still: np.ndarray, moving: np.ndarray) -> float:
        """The smallest s in [0, 1] for which still + s moving is in the hull."""
        count = len(self.points)
        matrix = np.vstack([np.column_stack([self.points.T, -moving]), np.ones(count + 1)])
        matrix[-1, -1] = 0.0
        cost = np.eye(count + 1)[-1]
        bounds = [(0, None)] * count + [(0, 1)]
        found = linprog(cost, A_eq=matrix, b_eq=[*still, 1.0], bounds=bounds)
        return float(found.x[-1]) if found.status == 0 else 1.0


def _in_affine_hull(points: np.ndarray) -> np.ndarray:
    """Weights, of sum 1, of the smallest point of an affine hull."""
    edges = (points[1:] - points[0]).T
    rest = np.linalg.lstsq(edges, -points[0], rcond=None)[0] if len(points) > 1 else []
    return np.array([1 - np.sum(rest), *rest])


class Damping(NamedTuple):
    """The parameters of g-DIN."""

    alpha: float
    beta: float


class Piece(NamedTuple):
    """Motion between two events, from time 0 on.

    Args:
        corners: What stays active.
        gradient: The gradient at its start.
        velocity: The velocity at its start.
        across: The projection onto the directions in which it is held.
        alpha: Rate at which the velocity decays; `None` where it is constant.
    """

    corners: Corners
    gradient: np.ndarray
    velocity: np.ndarray
    across: np.ndarray
    alpha: float | None

    @property
    def pull(self) -> np.ndarray:
        """The gradient along the face, which is constant."""
        return self.gradient - self.across @ self.gradient

    def velocity_at(self, t: float) -> np.ndarray:
        if self.alpha is None:
            return self.velocity
        return self.velocity * math.exp(-self.alpha * t) - self.pull * self._integral(t)

    def displacement(self, t: float) -> np.ndarray:
        if self.alpha is None:
            return t * self.velocity
        once = self._integral(t)
        twice = (t - once) / self.alpha if self.alpha else t**2 / 2
        return self.velocity * once - self.pull * twice

    def _integral(self, t: float) -> float:
        return -math.expm1(-self.alpha * t) / self.alpha if self.alpha else t

    def turn(self, direction: np.ndarray) -> float:
        """When the velocity in a direction is 0, after the start; infinite if never."""
        speed, force = float(direction @ self.velocity), float(direction @ self.pull)
        if self.alpha is None or force == 0 or speed / force <= 0:
            return math.inf
        return (
            math.log1p(self.alpha * speed / force) / self.alpha
            if self.alpha
            else speed / force
        )

    def closes(self, gap: float, direction: np.ndarray, end: float) -> float:
        """When a gap that grows in a direction has closed; infinite if not by the end."""
        left = lambda t: gap + float(direction @ self.displacement(t)) + BELOW
        turn = self.turn(direction)
        times = [0.0, *([turn] if turn < end else []), end]
        for low, high in itertools.pairwise(times):
            if left(low) > 0 >= left(high):
                return root(left, low, high)
        return math.inf


def flow(
    function: Polyhedral,
    x: np.ndarray,
    times: np.ndarray,
    damping: Damping | None = None,
    velocity: np.ndarray | None = None,
) -> np.ndarray:
    """Positions of gradient flow, or of g-DIN, at some times.

    Args:
        function: The function.
        x: The start.
        times: Output times, increasing from 0.
        damping: Parameters of g-DIN; left out, it is gradient flow.
        velocity: Velocity at the start; left out, it is released at rest.
    """
    x, t, end = np.array(x, float), 0.0, float(times[-1])
    p = np.zeros_like(x)
    if damping is not None:
        p = damping.beta * function.corners(x).nearest(p)
        p = p if velocity is None else p + velocity
    found, filled = np.empty((len(times), len(x))), 0
    for _ in range(MOST_EVENTS):
        piece = next_piece(function, x, p, damping)
        length = min([end - t, *_events(function, x, piece, damping, end - t)])
        while filled < len(times) and times[filled] <= t + length:
            found[filled] = x + piece.displacement(times[filled] - t)
            filled += 1
        if t + length >= end:
            return found
        x, t = x + piece.displacement(length), t + length
        if damping is not None:
            decayed = math.exp(-length / damping.beta) * (piece.across @ p)
            p = piece.velocity_at(length) + damping.beta * piece.pull + decayed
    raise ArithmeticError(f"more than {MOST_EVENTS} events")


def next_piece(
    function: Polyhedral, x: np.ndarray, p: np.ndarray, damping: Damping | None
) -> Piece:
    """How it moves on from a point."""
    corners = function.corners(x)
    beta = 1.0 if damping is None else damping.beta
    g = corners.nearest(p / beta)
    v = p - beta * g
    face = corners.face(v, LARGEST)
    if damping is not None:
        ahead = (1 - AHEAD) * g  # Across the face; along it all corners are equal.
        pushed = (ahead - face.nearest(ahead)) / AHEAD
        face = face.face(pushed, 1e-6)
    across = face.across()
    alpha = None if damping is None else damping.alpha
    return Piece(face, g, v - across @ v, across, alpha)


def _events(
    function: Polyhedral, x: np.ndarray, piece: Piece, damping: Damping | None, end: float
) -> Iterator[float]:
    """Times at which a gap closes, or the gradient leaves the hull."""
    for gap, direction in _gaps(function, x, piece.corners):
        yield piece.closes(max(gap, 0.0), direction, end)
    moving = piece.across @ piece.gradient
    if damping is not None and np.abs(moving).max() > 1e-13:
        s = piece.corners.exit(piece.pull, moving)
        yield -damping.beta * math.log(s) if s > 1e-13 else math.inf


def _gaps(
    function: Polyhedral, x: np.ndarray, corners: Corners
) -> Iterator[tuple[float, np.ndarray]]:
    """How far rows and coordinates that are not held are from their kinks."""
    rows = function.slopes @ x + function.offsets
    leader = corners.rows[0]
    for i in set(range(len(rows))) - set(corners.rows.tolist()):
        direction = function.slopes[leader] - function.slopes[i]
        yield float(rows[leader] - rows[i]), direction
    for j, signs in enumerate(corners.signs.T):
        if function.weights[j] > 0 and (signs == signs[0]).all():
            direction = signs[0] * np.eye(len(x))[j]
            yield float(direction @ (x - function.knots)), direction
