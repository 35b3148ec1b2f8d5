r"""DIN on a logistic regression with 1,000 weights.

$f(x) = \frac1n\sum_i\log(1 + e^{-y_i\langle a_i, x\rangle}) + \frac12\|x\|^2$ with
$n = 2000$ samples, scaled so that the Hessian at the start, $x = 0$, has eigenvalues from
1 to $10^4$; $\alpha = 1$, $\beta = 0.1$, at rest, $T = 10$.
"""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.special

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
        return scipy.special.expit(self.rows @ x)


def contestants(rtol: float, atol: float) -> list[Contestant]:
    """`dynsys` as it is, and SciPy's stiff methods."""
    problem = Logistic()
    with_jacobian = {"jac": problem.jacobian}
    methods: list[tuple[str, str, dict[str, Any]]] = [
        ("SciPy RK45", "RK45", {}),
        ("SciPy DOP853", "DOP853", {}),
        ("SciPy LSODA", "LSODA", {}),
        ("SciPy BDF", "BDF", {}),
        ("SciPy LSODA with the Jacobian", "LSODA", with_jacobian),
        ("SciPy BDF with the Jacobian", "BDF", with_jacobian),
    ]
    others = [
        Contestant(name, functools.partial(_scipy, problem, method, rtol, atol, **options))
        for name, method, options in methods
    ]
    return [dynsys(problem, rtol, atol), *others]


def _scipy(
    problem: Logistic, method: str, rtol: float, atol: float, **options: Any
) -> np.ndarray:
    """Positions by a method of SciPy."""
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


def reference(problem: Logistic) -> np.ndarray:
    """Positions by SciPy's explicit method of order 8 at a tolerance of 1e-10."""
    return _scipy(problem, "DOP853", 1e-10, 1e-13)


def dynsys(problem: Logistic, rtol: float, atol: float) -> Contestant:
    """`dynsys.simulate` as it is."""
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
        )
        return np.asarray(run.x)

    return Contestant("dynsys", solve)
