r"""Exact solutions in one variable, event by event: gradient flow and the momentum form.

At a knot with gradients $g_-$ and $g_+$ on its sides, gradient flow is held where
$g_- \le 0 \le g_+$. The momentum $p = \varepsilon v + \beta g$ is continuous, and the
velocity left and right of a knot is $(p - \beta g_\mp)/\varepsilon$: it is held where
$g_- \le p/\beta \le g_+$. There $v = 0$, so $\dot p = -p/\beta$: it leaves when
$p/\beta$ comes to an end of $[g_-, g_+]$. At a concave knot nothing is held. Where both
sides lead away from it, the solution branches.
"""

import math
from typing import NamedTuple

import numpy as np

from scripts.studies.kinked_line import Cells
from scripts.studies.line_motion import Arc, Coefficients, arcs

MOST_EVENTS = 10_000
"""Events after which a solution is taken for one without end."""

EQUAL = 1e-14
"""Relative difference below which a momentum is that of an end of the interval."""


class Path(NamedTuple):
    """Positions at the times that were asked for, and whether the solution branched."""

    y: np.ndarray
    branched: bool


class Place(NamedTuple):
    """Where the motion is: in a cell, or held at the knot that is its left end."""

    cell: int
    held: bool
    branched: bool = False


class Record:
    """Positions at given times, filled in from left to right."""

    def __init__(self, times: np.ndarray):
        self.times = times
        self.y = np.full(len(times), np.nan)
        self.next = 0

    def fill(self, arc: Arc, end: float) -> None:
        """Take the positions of an arc, up to a time."""
        while self.next < len(self.times) and self.times[self.next] <= end:
            self.y[self.next] = arc.at(float(self.times[self.next]))[0]
            self.next += 1


def still(y: float) -> Arc:
    """A point at rest."""
    return Arc(-math.inf, math.inf, lambda _: (y, 0.0))


def gradient_flow(
    cells: Cells, y: float, times: np.ndarray, *, side: int = 1, within: float = 0.0
) -> Path:
    """The solution of gradient flow.

    Args:
        cells: The function.
        y: The start.
        times: Output times, increasing from 0.
        side: To which side it goes where it branches: -1 or 1.
        within: A start that is this close to a knot is on it.
    """
    record, t, end, branched = Record(times), 0.0, float(times[-1]), False
    knot = cells.knot_at(y, within)
    for _ in range(MOST_EVENTS):
        if knot is not None:
            y = cells.knots[knot]
            place = _side_of_flow(cells, knot, side)
            branched |= place.branched
            if place.held:
                break
        else:
            place = Place(cells.cell_of(y), held=False)
        arc = _decay(cells, place.cell, t, y, end)
        knot = _knot_ahead(cells, place.cell, arc)
        stop = end if knot is None else arc.arrival(cells.knots[knot])
        record.fill(arc, stop)
        t = stop
        if knot is None:
            return Path(record.y, branched)
    record.fill(still(y), end)
    return Path(record.y, branched)


def _side_of_flow(cells: Cells, knot: int, side: int) -> Place:
    left, right = cells.sides(knot)
    if left <= 0 <= right:
        return Place(knot + 1, held=True)
    if right <= 0 <= left:
        return Place(knot + (side > 0), held=False, branched=True)
    return Place(knot + (right < 0), held=False)


def _decay(cells: Cells, cell: int, t: float, y: float, end: float) -> Arc:
    """Gradient flow in a cell."""
    c, h = cells.curvature, cells.slopes[cell]

    def at(s: float) -> tuple[float, float]:
        v = -(c * y + h)
        grown = -math.expm1(-c * (s - t)) / c if c else s - t
        return y + v * grown, v * math.exp(-c * (s - t))

    return Arc(t, end, at)


def _knot_ahead(cells: Cells, cell: int, arc: Arc) -> int | None:
    """The end of its cell that an arc comes to."""
    ends = [knot for knot in (cell - 1, cell) if 0 <= knot < len(cells.knots)]
    return next((knot for knot in ends if arc.reaches(cells.knots[knot])), None)


def momentum_flow(
    cells: Cells,
    coefficients: Coefficients,
    start: tuple[float, float],
    times: np.ndarray,
    *,
    side: int = 1,
    within: float = 0.0,
) -> Path:
    """The solution of the momentum form.

    Args:
        cells: The function.
        coefficients: The coefficients of the equation.
        start: Position and velocity; the momentum is that of the smallest gradient.
        times: Output times, increasing from 0.
        side: To which side it goes where it branches: -1 or 1.
        within: A start that is this close to a knot is on it.
    """
    epsilon, _, beta = coefficients
    record, t, end, branched = Record(times), 0.0, float(times[-1]), False
    y = start[0]
    p = epsilon(0.0) * start[1] + beta * cells.smallest_gradient(y, within)
    knot = cells.knot_at(y, within)
    for _ in range(MOST_EVENTS):
        if knot is None:
            place = Place(cells.cell_of(y), held=False)
        else:
            y = cells.knots[knot]
            place = _side_of_momentum(cells, knot, p / beta, side)
            branched |= place.branched
        if place.held and knot is not None:
            held, place = _hold(cells, knot, p / beta, beta)
            stop = min(t + held, end)
            record.fill(still(y), stop)
            if t + held >= end:
                return Path(record.y, branched)
            t, p = stop, beta * cells.gradient(place.cell, y)
        v = (p - beta * cells.gradient(place.cell, y)) / epsilon(t)
        t, p, knot = _run(cells, coefficients, place.cell, (t, y, v), record)
        if knot is None:
            return Path(record.y, branched)
    raise ArithmeticError(f"more than {MOST_EVENTS} events")


def _side_of_momentum(cells: Cells, knot: int, u: float, side: int) -> Place:
    """Where a gradient-like momentum u = p / beta leads to at a knot."""
    left, right = cells.sides(knot)
    u = _snapped(u, left, right)
    if left <= u <= right:
        return Place(knot + 1, held=True)
    goes_left = u < left or (u == left and left > 0)
    goes_right = u > right or (u == right and right < 0)
    if goes_left and goes_right:
        return Place(knot + (side > 0), held=False, branched=True)
    return Place(knot + goes_right, held=False)


def _snapped(u: float, *ends: float) -> float:
    close = EQUAL * (abs(u) + max(map(abs, ends)))
    return next((end for end in ends if abs(u - end) <= close), u)


def _hold(cells: Cells, knot: int, u: float, beta: float) -> tuple[float, Place]:
    """For how long it is held, and where it goes then."""
    left, right = cells.sides(knot)
    if left <= 0 <= right:
        return math.inf, Place(knot + 1, held=True)
    bound, cell = (left, knot) if left > 0 else (right, knot + 1)
    return max(beta * math.log(u / bound), 0.0), Place(cell, held=False)


def _run(
    cells: Cells,
    coefficients: Coefficients,
    cell: int,
    start: tuple[float, float, float],
    record: Record,
) -> tuple[float, float, int | None]:
    """Move through a cell: time and momentum at its end, and the knot that is there."""
    gradient, end = (cells.curvature, cells.slopes[cell]), float(record.times[-1])
    for arc in arcs(coefficients, gradient, start, end):
        knot = _knot_ahead(cells, cell, arc)
        if knot is None:
            record.fill(arc, arc.end)
            continue
        y = cells.knots[knot]
        t = arc.arrival(y)
        record.fill(arc, t)
        v = arc.at(t)[1]
        mass = coefficients.epsilon(t)
        return t, mass * v + coefficients.beta * cells.gradient(cell, y), knot
    return end, math.nan, None
