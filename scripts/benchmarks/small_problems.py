r"""The small problems, each written by hand for every contestant.

The stiff one is VM-DIN-AVD with $f(x) = (x_1^2 + 10x_2^2)/2 + \sum_i\log\cosh x_i$,
$\varepsilon(t) = \varepsilon_0(1+t)^{-4}$, $\alpha = \varepsilon/2$, $\beta = 1$ from
$x_0 = (1, 2)$, $v_0 = (1, -1)$; the other one is g-DIN with $\alpha = 2$, $\beta = 0.1$ on
the smooth Rosenbrock function from $(-1.5, 2)$ at rest. In higher dimension it is DIN,
$\alpha = 1$, $\beta = 0.1$, on $\frac12\sum_i\lambda_ix_i^2 + \sum_i\log\cosh x_i$ with
$\lambda_i$ from 1 to 1000, evenly in their logarithms. All run to $T = 20$.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numba
import numpy as np

import dynsys as ds

END = 20.0
OUTPUTS = 201
TIMES = np.linspace(0.0, END, OUTPUTS)


class Problem(NamedTuple):
    """A problem in the form that each contestant takes.

    Args:
        name: Its name.
        system: As a system.
        start: Position, and velocity or `None`.
        state: The initial state as one vector, the position first.
        jax_field: The field `(t, y, args)` in JAX, as a user of diffrax writes it.
        fast_field: The field `(t, y) -> array`, compiled by numba.
        fast_jacobian: Its Jacobian `(t, y) -> matrix`, compiled by numba.
    """

    name: str
    system: Any
    start: tuple[Any, Any]
    state: np.ndarray
    jax_field: Callable[..., Any]
    fast_field: Callable[..., np.ndarray]
    fast_jacobian: Callable[..., np.ndarray]

    @property
    def dimension(self) -> int:
        """Coordinates of the position, which come first in the state."""
        return self.state.size // 2


def log_cosh_bowl(x: Any) -> Any:
    """The objective of the stiff problem."""
    return 0.5 * (x[0] ** 2 + 10 * x[1] ** 2) + jnp.sum(jnp.log(jnp.cosh(x)))


def rosenbrock(x: Any) -> Any:
    """The objective of the other problem."""
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def variable_mass(mass: float) -> Problem:
    """VM-DIN-AVD with a given initial mass."""
    schedules = ds.schedules.PowerLaw(mass, 4.0), ds.schedules.PowerLaw(mass / 2, 4.0)
    gradient = jax.grad(log_cosh_bowl)

    def jax_field(t: Any, y: Any, _: Any) -> Any:
        x, p = y[:2], y[2:]
        epsilon = mass * (1 + t) ** -4
        rate = -4 * epsilon / (1 + t)
        g = gradient(x)
        v = (p - g) / epsilon
        return jnp.concatenate([v, (rate - epsilon / 2) * v - g])

    @numba.njit
    def fast_field(t: float, y: np.ndarray) -> np.ndarray:
        epsilon = mass * (1 + t) ** -4
        slip = -4 * epsilon / (1 + t) - epsilon / 2
        g0, g1 = y[0] + np.tanh(y[0]), 10 * y[1] + np.tanh(y[1])
        v0, v1 = (y[2] - g0) / epsilon, (y[3] - g1) / epsilon
        return np.array([v0, v1, slip * v0 - g0, slip * v1 - g1])

    @numba.njit
    def fast_jacobian(t: float, y: np.ndarray) -> np.ndarray:
        epsilon = mass * (1 + t) ** -4
        slip = -4 * epsilon / (1 + t) - epsilon / 2
        matrix = np.zeros((4, 4))
        for i, curvature in enumerate((1.0, 10.0)):
            h = curvature + 1 - np.tanh(y[i]) ** 2
            matrix[i, i], matrix[i, i + 2] = -h / epsilon, 1 / epsilon
            matrix[i + 2, i], matrix[i + 2, i + 2] = -slip * h / epsilon - h, slip / epsilon
        return matrix

    x0, v0 = np.array([1.0, 2.0]), np.array([1.0, -1.0])
    slope = np.array([1.0, 10.0]) * x0 + np.tanh(x0)
    return Problem(
        "VM-DIN-AVD, stiff",
        ds.VMDINAVD(log_cosh_bowl, *schedules, 1.0),
        (jnp.asarray(x0), jnp.asarray(v0)),
        np.concatenate([x0, mass * v0 + slope]),
        jax_field,
        fast_field,
        fast_jacobian,
    )


def rosenbrock_gdin() -> Problem:
    """g-DIN on the smooth Rosenbrock function."""
    alpha, beta = 2.0, 0.1
    gradient = jax.grad(rosenbrock)

    def jax_field(_: Any, y: Any, __: Any) -> Any:
        theta, psi = y[:2], y[2:]
        common = (1 / beta - alpha) * theta - psi / beta
        return jnp.concatenate([common - beta * gradient(theta), common])

    @numba.njit
    def fast_field(_: float, y: np.ndarray) -> np.ndarray:
        step = y[1] - y[0] ** 2
        g0, g1 = -2 * (1 - y[0]) - 400 * y[0] * step, 200 * step
        c0 = (1 / beta - alpha) * y[0] - y[2] / beta
        c1 = (1 / beta - alpha) * y[1] - y[3] / beta
        return np.array([c0 - beta * g0, c1 - beta * g1, c0, c1])

    @numba.njit
    def fast_jacobian(_: float, y: np.ndarray) -> np.ndarray:
        h00, h01, h11 = 2 - 400 * y[1] + 1200 * y[0] ** 2, -400 * y[0], 200.0
        c, d = 1 / beta - alpha, -1 / beta
        return np.array(
            [
                [c - beta * h00, -beta * h01, d, 0.0],
                [-beta * h01, c - beta * h11, 0.0, d],
                [c, 0.0, d, 0.0],
                [0.0, c, 0.0, d],
            ]
        )

    theta = np.array([-1.5, 2.0])
    slope = np.array([-2 * 2.5 + 600 * (2 - 2.25), 200 * (2 - 2.25)])
    psi = (1 - alpha * beta) * theta - beta**2 * slope
    return Problem(
        "g-DIN, Rosenbrock",
        ds.GDIN(rosenbrock, alpha, beta),
        (jnp.asarray(theta), None),
        np.concatenate([theta, psi]),
        jax_field,
        fast_field,
        fast_jacobian,
    )


def bowl(dimension: int, condition: float = 1000.0) -> Problem:
    """DIN on a convex function of any dimension and condition number."""
    alpha, beta = 1.0, 0.1
    curvatures = np.logspace(0.0, np.log10(condition), dimension)
    objective = lambda x: jnp.sum(0.5 * curvatures * x**2 + jnp.log(jnp.cosh(x)))
    gradient = jax.grad(objective)

    def jax_field(_: Any, y: Any, __: Any) -> Any:
        x, p = y[:dimension], y[dimension:]
        g = gradient(x)
        v = p - beta * g
        return jnp.concatenate([v, -alpha * v - g])

    @numba.njit
    def fast_field(_: float, y: np.ndarray) -> np.ndarray:
        x, p = y[:dimension], y[dimension:]
        g = curvatures * x + np.tanh(x)
        v = p - beta * g
        return np.concatenate((v, -alpha * v - g))

    @numba.njit
    def fast_jacobian(_: float, y: np.ndarray) -> np.ndarray:
        matrix = np.zeros((2 * dimension, 2 * dimension))
        for i in range(dimension):
            h = curvatures[i] + 1 - np.tanh(y[i]) ** 2
            matrix[i, i], matrix[i, i + dimension] = -beta * h, 1.0
            matrix[i + dimension, i] = (alpha * beta - 1) * h
            matrix[i + dimension, i + dimension] = -alpha
        return matrix

    x0 = np.ones(dimension)
    return Problem(
        f"DIN in dimension {dimension}",
        ds.DIN(objective, alpha, beta),
        (jnp.asarray(x0), None),
        np.concatenate([x0, beta * (curvatures * x0 + np.tanh(x0))]),
        jax_field,
        fast_field,
        fast_jacobian,
    )
