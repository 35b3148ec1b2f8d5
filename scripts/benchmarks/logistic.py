r"""DIN on a logistic regression with 1,000 weights.

$f(x) = \frac1n\sum_i\log(1 + e^{-y_i\langle a_i, x\rangle}) + \frac12\|x\|^2$ with
$n = 2000$ samples, scaled so that the Hessian at the start, $x = 0$, has eigenvalues from
1 to $10^4$; $\alpha = 1$, $\beta = 0.1$, at rest, $T = 10$.
"""

from typing import Any

import diffrax
import jax.numpy as jnp
import numpy as np
import scipy.integrate

import dynsys as ds
from scripts.benchmarks.timing import Contestant

NAME = "DIN, logistic regression"
SAMPLES, DIMENSION = 2000, 1000
ALPHA, BETA = 1.0, 0.1
TIMES = np.linspace(0.0, 10.0, 21)


def signed_samples() -> np.ndarray:
    """The rows $-y_ia_i$, with labels that noise has blurred."""
    random = np.random.default_rng(0)
    left = np.linalg.qr(random.standard_normal((SAMPLES, DIMENSION)))[0]
    right = np.linalg.qr(random.standard_normal((DIMENSION, DIMENSION)))[0]
    curvatures = np.logspace(-2.0, 4.0, DIMENSION)
    samples = (left * np.sqrt(4 * SAMPLES * curvatures)) @ right.T
    truth = random.standard_normal(DIMENSION) / np.sqrt(DIMENSION)
    labels = np.sign(0.05 * samples @ truth + random.standard_normal(SAMPLES))
    return np.ascontiguousarray(-labels[:, None] * samples)


class Logistic:
    """The problem in NumPy."""

    def __init__(self) -> None:
        self.rows = signed_samples()

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Gradient of the objective."""
        return self.rows.T @ self._probabilities(x) / SAMPLES + x

    def field(self, _: float, state: np.ndarray) -> np.ndarray:
        r"""Position and momentum $p = v + \beta\nabla f(x)$."""
        x, p = state[:DIMENSION], state[DIMENSION:]
        g = self.gradient(x)
        v = p - BETA * g
        return np.concatenate([v, -ALPHA * v - g])

    def jacobian(self, _: float, state: np.ndarray) -> np.ndarray:
        """The Jacobian of the field."""
        s = self._probabilities(state[:DIMENSION])
        identity = np.eye(DIMENSION)
        hessian = (self.rows.T * (s * (1 - s))) @ self.rows / SAMPLES + identity
        return np.block(
            [
                [-BETA * hessian, identity],
                [(ALPHA * BETA - 1) * hessian, -ALPHA * identity],
            ]
        )

    def start(self) -> np.ndarray:
        """At rest at 0."""
        x = np.zeros(DIMENSION)
        return np.concatenate([x, BETA * self.gradient(x)])

    def _probabilities(self, x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(self.rows @ x)))


def contestants(rtol: float, atol: float) -> list[Contestant]:
    """`dynsys` as it is, and SciPy's stiff methods."""
    problem = Logistic()

    def scipy_solve(method: str, **options: Any) -> np.ndarray:
        solution = scipy.integrate.solve_ivp(
            problem.field,
            (0, TIMES[-1]),
            problem.start(),
            method,
            TIMES,
            rtol=rtol,
            atol=atol,
            **options,
        )
        return solution.y[:DIMENSION].T

    return [
        dynsys(problem, rtol, atol),
        Contestant("SciPy LSODA", lambda: scipy_solve("LSODA")),
        Contestant("SciPy BDF", lambda: scipy_solve("BDF")),
        Contestant(
            "SciPy BDF with the Jacobian", lambda: scipy_solve("BDF", jac=problem.jacobian)
        ),
    ]


def reference(problem: Logistic) -> np.ndarray:
    """Positions by an explicit method of order 8 at a tolerance of 1e-10."""
    return dynsys(problem, 1e-10, 1e-13, diffrax.Dopri8()).solve()


def dynsys(
    problem: Logistic,
    rtol: float,
    atol: float,
    solver: diffrax.AbstractSolver | None = None,
) -> Contestant:
    """`dynsys.simulate`, by default with the solver that it picks."""
    rows = jnp.asarray(problem.rows)
    loss = lambda x: jnp.mean(jnp.logaddexp(0.0, rows @ x)) + 0.5 * jnp.sum(x**2)
    system = ds.DIN(loss, ALPHA, BETA)

    def solve() -> np.ndarray:
        run = ds.simulate(
            system,
            jnp.zeros(DIMENSION),
            t1=TIMES[-1],
            times=TIMES,
            rtol=rtol,
            atol=atol,
            solver=solver,
        )
        return np.asarray(run.x)

    return Contestant("dynsys", solve)
