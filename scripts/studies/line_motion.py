r"""Smooth pieces of motion in one variable, split where they turn.

In a cell, where the gradient is $c y + h$, the momentum form is

$$\dot y = v, \qquad
\varepsilon\dot v = -(\alpha + \beta c)\,v - (c y + h) .$$

Each arc is monotone, so that it meets a knot if and only if the knot is between its ends.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq

SAMPLES = 8
"""Looks for a sign of the velocity in one step of the solver."""

FINEST = 4 * np.finfo(float).eps
"""Relative tolerance of the times of events."""


class Power(NamedTuple):
    r"""The schedule $c (1 + t)^{-q}$."""

    value: float
    exponent: float = 0.0

    def __call__(self, t: float) -> float:
        return self.value * (1 + t) ** -self.exponent


class Coefficients(NamedTuple):
    r"""Mass, viscous damping and Hessian-driven damping."""

    epsilon: Power
    alpha: Power
    beta: float

    @property
    def steady(self) -> bool:
        """Whether none changes in time."""
        return self.epsilon.exponent == 0 and self.alpha.exponent == 0


class Arc(NamedTuple):
    """A monotone piece of the motion; `at` gives position and velocity at a time."""

    start: float
    end: float
    at: Callable[[float], tuple[float, float]]

    def reaches(self, y: float) -> bool:
        """Whether it comes to a point after its start."""
        first, last = self.at(self.start)[0], self.at(self.end)[0]
        return first < y <= last or last <= y < first

    def arrival(self, y: float) -> float:
        """When it does."""
        return root(lambda t: self.at(t)[0] - y, self.start, self.end)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function changes its sign."""
    return float(brentq(function, low, high, xtol=1e-300, rtol=FINEST))  # pyright: ignore


def arcs(
    coefficients: Coefficients,
    gradient: tuple[float, float],
    start: tuple[float, float, float],
    end: float,
) -> Iterator[Arc]:
    """The motion in one cell, as if it had no ends.

    Args:
        coefficients: The coefficients of the equation.
        gradient: Curvature and constant part of the gradient.
        start: Time, position and velocity.
        end: Until when.
    """
    make = _steady_arcs if coefficients.steady else _varying_arcs
    return make(coefficients, gradient, start, end)


def _steady_arcs(
    coefficients: Coefficients,
    gradient: tuple[float, float],
    start: tuple[float, float, float],
    end: float,
) -> Iterator[Arc]:
    epsilon, alpha = coefficients.epsilon.value, coefficients.alpha.value
    c, h = gradient
    damping = (alpha + coefficients.beta * c) / epsilon
    motion = Steady(damping, c / epsilon, h / epsilon, *start)
    since = start[0]
    for turn in motion.turns():
        if turn >= end:
            break
        yield Arc(since, turn, motion.at)
        since = turn
    yield Arc(since, end, motion.at)


class Steady(NamedTuple):
    r"""The solution of $\ddot y + b \dot y + k y + h = 0$, in closed form."""

    b: float
    k: float
    h: float
    t: float
    y: float
    v: float

    def at(self, t: float) -> tuple[float, float]:
        """Position and velocity at a time."""
        tau = t - self.t
        even, odd = self._basis(tau)
        position = self.y * (even + self.b / 2 * odd) + self.v * odd
        position -= self.h * self._integral(tau, even, odd)
        return position, self.v * even - self._pull * odd

    @property
    def _pull(self) -> float:
        return self.b / 2 * self.v + self.k * self.y + self.h

    @property
    def _square(self) -> float:
        return self.b**2 / 4 - self.k

    def _basis(self, tau: float) -> tuple[float, float]:
        r"""$e^{-b\tau/2}\cosh w\tau$ and $e^{-b\tau/2}\sinh(w\tau)/w$."""
        square = self._square
        w = math.sqrt(abs(square))
        if w * tau < 1e-4:  # Both are even in w: two terms of their series.
            small, decay = square * tau**2, math.exp(-self.b * tau / 2)
            even = 1 + small / 2 + small**2 / 24
            return decay * even, decay * tau * (1 + small / 6 + small**2 / 120)
        if square < 0:
            decay = math.exp(-self.b * tau / 2)
            return decay * math.cos(w * tau), decay * math.sin(w * tau) / w
        slow, fast = -self.k / (self.b / 2 + w), -self.b / 2 - w
        first, second = math.exp(slow * tau), math.exp(fast * tau)
        return (first + second) / 2, (first - second) / (2 * w)

    def _integral(self, tau: float, even: float, odd: float) -> float:
        """Integral of the odd one, from 0."""
        if self.k != 0:
            return (1 - even - self.b / 2 * odd) / self.k
        if self.b * tau < 1e-4:
            small = self.b * tau
            return tau**2 * (0.5 - small / 6 + small**2 / 24)
        return (tau + math.expm1(-self.b * tau) / self.b) / self.b

    def turns(self) -> Iterator[float]:
        """When the velocity is 0, after the start."""
        pull, square = self._pull, self._square
        w = math.sqrt(abs(square))
        if square < 0:
            first = math.atan2(w * self.v, pull) % math.pi
            number = 0 if first > 0 else 1
            while True:
                yield self.t + (first + number * math.pi) / w
                number += 1
        part = self.v / pull if pull != 0 else math.inf
        if 0 < part * w < 1:
            yield self.t + math.atanh(part * w) / w
        elif w == 0 and 0 < part < math.inf:
            yield self.t + part


def _varying_arcs(
    coefficients: Coefficients,
    gradient: tuple[float, float],
    start: tuple[float, float, float],
    end: float,
) -> Iterator[Arc]:
    epsilon, alpha, beta = coefficients
    c, h = gradient

    def field(t: float, state: np.ndarray) -> np.ndarray:
        y, v = state
        pull = (alpha(t) + beta * c) * v + c * y + h
        return np.array([v, -pull / epsilon(t)])

    solver = DOP853(field, start[0], np.array(start[1:]), end, rtol=1e-12, atol=1e-14)
    while solver.status == "running":
        problem = solver.step()
        if solver.status == "failed":
            raise ArithmeticError(problem)
        output = solver.dense_output()

        def at(t: float, output: Callable[[float], np.ndarray] = output) -> tuple:
            y, v = output(t)
            return float(y), float(v)

        times = np.linspace(float(solver.t_old or 0.0), float(solver.t), SAMPLES + 1)
        speeds = output(times)[1]
        since = float(times[0])
        for i in np.flatnonzero(speeds[:-1] * speeds[1:] < 0):
            turn = root(lambda t, at=at: at(t)[1], times[i], times[i + 1])
            yield Arc(since, turn, at)
            since = turn
        yield Arc(since, float(times[-1]), at)
