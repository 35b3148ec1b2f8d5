"""g-DIN on the function of the talk, event by event with SciPy: an independent solution.

Written for this one function, J = 100 (theta2 - |theta1|)^2 + |1 - theta1|: on each side of
the kinks theta1 = 0 and theta1 = 1 the field is smooth, and on them theta1 is constant with
the subgradient that keeps it so. Nothing of the code under test is used.
"""

from typing import NamedTuple

import numpy as np
from scipy.integrate import solve_ivp

KINKS = (0.0, 1.0)


class Piece(NamedTuple):
    """The sign of theta1, that of 1 - theta1, and the kink that is slid along, or -1."""

    first: float
    second: float
    held: int


class Problem(NamedTuple):
    alpha: float
    beta: float

    def drift(self, y):
        """What the velocity is without the gradient."""
        return (1 / self.beta - self.alpha) * y[:2] - y[2:] / self.beta

    def gradient(self, y, piece):
        """The gradient of a piece, or the subgradient that keeps theta1 where it is."""
        d = y[1] - (abs(y[0]) if piece.held == 0 else piece.first * y[0])
        if piece.held >= 0:
            return np.array([self.drift(y)[0] / self.beta, 200 * d])
        return np.array([-200 * d * piece.first - piece.second, 200 * d])

    def field(self, y, piece):
        drift = self.drift(y)
        return np.concatenate([drift - self.beta * self.gradient(y, piece), drift])

    def sides(self, y, kink):
        """Velocities of theta1 on both sides of a kink, the lower one first."""
        if kink == 0:
            pieces = (Piece(-1, 1, -1), Piece(1, 1, -1))
        else:
            pieces = (Piece(1, 1, -1), Piece(1, -1, -1))
        return [self.field(y, piece)[0] for piece in pieces], pieces


def solve(alpha, beta, theta, psi, times):
    """Positions at the times, and the list of events (time, kink, kind)."""
    problem = Problem(alpha, beta)
    y, t, end = np.array([*theta, *psi], float), 0.0, float(times[-1])
    piece = Piece(np.sign(y[0]), np.sign(1 - y[0]), -1)
    paths, events = [], []
    while t < end:
        field = lambda _, y, piece=piece: problem.field(y, piece)
        if piece.held >= 0:
            guards = [
                lambda _, y, i=i, k=piece.held: problem.sides(y, k)[0][i] for i in (0, 1)
            ]
        else:
            guards = [lambda _, y, k=k: y[0] - k for k in KINKS]
        for guard in guards:
            guard.terminal = True
        # A short step off the surface, so that its own guard does not fire at once.
        off = min(1e-4 if events and events[-1][2] == "leave" else 1e-6, end - t)
        start = solve_ivp(field, (t, t + off), y, "Radau", rtol=1e-12, atol=1e-14)
        run = solve_ivp(
            field,
            (t + off, end),
            start.y[:, -1],
            "Radau",
            dense_output=True,
            events=guards,
            rtol=1e-12,
            atol=1e-14,
        )
        paths.append((t, run.t[-1], run.sol))
        t, y = run.t[-1], run.y[:, -1]
        if run.status != 1:
            break
        fired = next(i for i, found in enumerate(run.t_events) if len(found))
        piece, line = _turn(problem, y, piece, fired)
        if piece.held >= 0:
            y[0] = KINKS[piece.held]
        events.append((t, *line))
    return np.array([_at(paths, time)[:2] for time in times]), events


def _turn(problem, y, piece, fired):
    """The piece after an event, with its kink and what happened there."""
    if piece.held >= 0:
        kink = piece.held
        # The side whose velocity has turned away from the kink is the one that is left to.
        return problem.sides(y, kink)[1][fired], (kink, "leave")
    kink = fired
    (low, high), pieces = problem.sides(y, kink)
    if low > 0 > high:
        return Piece(piece.first, piece.second, kink), (kink, "slide")
    return pieces[1] if low > 0 else pieces[0], (kink, "cross")


def _at(paths, time):
    for start, end, path in paths:
        if start <= time <= end:
            return path(max(time, path.t_min))
    return paths[-1][2](paths[-1][1])
