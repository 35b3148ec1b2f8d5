r"""Motion under coefficients that jump or bend in time, one coordinate, with SciPy.

$$\varepsilon(t)\ddot y + \alpha(t)\dot y + \beta(t)\tfrac{d}{dt} g + b(t) g = 0,
\qquad g \in c\,y + s\sin y + a\,\partial|y - k| ,$$

integrated from jump to jump and from kink to kink. At a jump $y$, $\dot y$ and $g$ go on.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.integrate import solve_ivp

FINEST = 1e-12
"""Relative tolerance of an arc."""

ARCS = 40
"""At least so many steps from start to end, so that no return to a kink is passed."""


class Loss(NamedTuple):
    r"""The function $\tfrac c2 y^2 - s\cos y + a|y - k|$, with $a \ge 0$."""

    curvature: float
    wave: float
    weight: float
    knot: float

    def gradient(self, y: float, side: int) -> float:
        """The gradient on one side of the knot, -1 or 1."""
        return self.curvature * y + self.wave * np.sin(y) + side * self.weight


class Stretch(NamedTuple):
    """Coefficients that are linear in time between two times; rows: start, end."""

    start: float
    end: float
    values: np.ndarray

    def at(self, t: float) -> np.ndarray:
        """Mass, viscous damping, Hessian-driven damping and factor of the gradient."""
        part = (t - self.start) / (self.end - self.start)
        return (1 - part) * self.values[0] + part * self.values[1]

    def rates(self) -> np.ndarray:
        """Their derivatives."""
        return (self.values[1] - self.values[0]) / (self.end - self.start)


class Moment(NamedTuple):
    """Position, velocity and gradient; `side` of the knot, 0 where it is held there."""

    y: float
    v: float
    g: float
    side: int


def motion(
    loss: Loss, stretches: list[Stretch], y: float, v: float, times: np.ndarray
) -> np.ndarray:
    """Position and velocity at some times, which end with the last stretch."""
    side = 1 if y > loss.knot else -1
    now, rows = Moment(y, v, loss.gradient(y, side), side), []
    longest = (stretches[-1].end - stretches[0].start) / ARCS
    for stretch in stretches:
        last = stretch is stretches[-1]
        t = stretch.start
        while True:
            end, now, at = _arc(loss, stretch, t, now, longest)
            closed = last and end == stretch.end
            mine = times[(times >= t) & ((times < end) | closed)]
            rows += [at(time) for time in mine]
            t = end
            if t == stretch.end:
                break
    return np.array(rows)


def _arc(
    loss: Loss, stretch: Stretch, start: float, now: Moment, longest: float
) -> tuple[float, Moment, Callable[[float], tuple[float, float]]]:
    """The motion until it meets the knot, leaves it, or the stretch ends."""
    rates = stretch.rates()
    first = stretch.at(start)
    momentum = first[0] * now.v + first[2] * now.g

    def parts(t: float, state: np.ndarray) -> tuple[float, float]:
        epsilon, _, beta, _ = stretch.at(t)
        if now.side == 0:
            return 0.0, state[1] / beta
        g = loss.gradient(state[0], now.side)
        return (state[1] - beta * g) / epsilon, g

    def field(t: float, state: np.ndarray) -> list[float]:
        _, alpha, _, b = stretch.at(t)
        v, g = parts(t, state)
        return [v, (rates[0] - alpha) * v + (rates[2] - b) * g]

    events = []
    if loss.weight > 0 and now.side == 0:
        for side in (-1, 1):
            leave = lambda t, state, side=side: (
                side * (loss.gradient(loss.knot, side) - parts(t, state)[1])
            )
            events.append(_ending(leave))
    elif loss.weight > 0:
        events.append(_ending(lambda _, state: now.side * (state[0] - loss.knot)))
    solved = solve_ivp(
        field,
        (start, stretch.end),
        [now.y, momentum],
        method="DOP853",
        rtol=FINEST,
        atol=1e-3 * FINEST,
        dense_output=True,
        events=events or None,
        max_step=longest,
        first_step=min(1e-4 * longest, stretch.end - start),
    )
    at = lambda t: (float(solved.sol(t)[0]), parts(t, solved.sol(t))[0])
    end, last = float(solved.t[-1]), solved.y[:, -1]
    if solved.status == 0:
        v, g = parts(end, last)
        return stretch.end, Moment(float(last[0]), v, g, now.side), at
    return end, _turn(loss, stretch.at(end), now.side, float(last[1])), at


def _ending(function: Callable[..., float]) -> Callable[..., float]:
    """An event that ends an arc where it falls to 0."""
    function.terminal, function.direction = True, -1  # pyright: ignore
    return function


def _turn(loss: Loss, coefficients: np.ndarray, side: int, momentum: float) -> Moment:
    """What follows at the knot: the other side, or to be held, or to leave."""
    epsilon, _, beta, _ = coefficients
    held = momentum / beta
    if side == 0:  # The gradient has come to an end of its interval.
        ends = [loss.gradient(loss.knot, side) for side in (-1, 1)]
        side = -1 if abs(held - ends[0]) < abs(held - ends[1]) else 1
        return Moment(loss.knot, 0.0, loss.gradient(loss.knot, side), side)
    other = loss.gradient(loss.knot, -side)
    v = (momentum - beta * other) / epsilon
    if v * side < 0:
        return Moment(loss.knot, v, other, -side)
    return Moment(loss.knot, 0.0, held, 0)
