r"""The rate of DIN-AVD with vanishing Tikhonov regularization."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.energies.tikhonov_din_avd import tikhonov_din_avd as its_energy
from dynsys.analysis.energies.tikhonov_din_avd import weight
from dynsys.analysis.objective_bounds.case import Case, as_bound, look
from dynsys.analysis.objective_bounds.checks import (
    convex,
    lasts_from,
    minimum_is_one,
    require,
    since,
)
from dynsys.analysis.points import at_times
from dynsys.analysis.report import Bound
from dynsys.schedules import evaluate

GAUSS = 32
"""Points of the quadrature between two outputs, for a schedule that is smooth there."""


def tikhonov_din_avd(case: Case) -> Bound:
    r"""The bound of DIN-AVD with Tikhonov regularization, for convex $g$.

    $$g(x(t)) - g^\star \le \frac1{t(t - \beta)}\Big[E(t_1)
    + \tfrac{\alpha-1}2\|x^\star\|^2\int_{t_1}^ts\,\epsilon(s)\,ds\Big]$$

    with the energy of $q = \alpha - 1$. It needs $t > \beta$,
    $(\alpha-3)t \ge \beta(\alpha-2)$, and that the terms of the rate in $\nabla g(x)$ and
    $x$ have no positive part: with
    $K = \big(\frac{\alpha-1}2 - 1\big)t\epsilon - \frac{t^2\dot\epsilon}2$,
    $K \ge 0$ and $\beta t^3\epsilon^2 \le 4(t - \beta)K$. It holds from the first output
    $t_1$ on, after which they do.

    Source:
        Derived here. Boţ, Csetnek, László, arXiv 1911.12845v2, theorem 3.3, have the order
        $O(1/t^2)$ under $\int t\,\epsilon < \infty$, without constants.
    """
    points = look(case)
    alpha = float(case.system.alpha)
    remedy = "Take a larger `alpha`."
    damped = require(alpha >= 3, "alpha >= 3", f"alpha is {alpha:.6g}", remedy)
    first, lasting = lasts_from(case, points, _conditions)
    assumptions = (damped, lasting, minimum_is_one(points), *convex(case, points))
    start = case.energy(its_energy, first)
    delta = at_times(_weight, points.t, case.system)
    pulled = _integral(case, first)
    square = float(case.minimiser @ case.minimiser)
    with np.errstate(divide="ignore"):
        proved = (start + 0.5 * (alpha - 1) * square * pulled) / delta
    constants = {"E": start, "t1": float(points.t[first]), "minimiser": square**0.5}
    source = "energy of DIN-AVD with Tikhonov regularization, derived here"
    return as_bound(points, since(first, proved), constants, assumptions, source)


def _integral(case: Case, first: int) -> np.ndarray:
    r"""The integral of $s\,\epsilon(s)$ from an output on, at all outputs; 0 before it."""
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS)
    half = 0.5 * np.diff(case.t)[:, None]
    times = case.t[:-1, None] + half * (1 + nodes)
    values = at_times(_pull, times.reshape(-1), case.system).reshape(times.shape)
    steps = np.sum(half * weights * values, axis=1)
    steps[:first] = 0.0
    return np.concatenate([[0.0], np.cumsum(steps)])


def _pull(t: Any, system: Any) -> Any:
    return t * evaluate(system.epsilon, t)


def _weight(t: Any, system: Any) -> Any:
    return weight(system, t)


def _conditions(t: Any, system: Any) -> dict[str, tuple[Any, Any]]:
    alpha, beta = system.alpha.astype(t.dtype), system.beta.astype(t.dtype)
    schedule = lambda time: evaluate(system.epsilon, time)
    epsilon, fall = jax.jvp(schedule, (t,), (jnp.ones_like(t),))
    own = 0.5 * (alpha - 3) * t * epsilon - 0.5 * t**2 * fall
    mixed = 4 * (t - beta) * own
    size = t * epsilon + t**2 * jnp.abs(fall)
    return {
        "t >= beta": (t - beta, t),
        "(alpha - 3) t >= beta (alpha - 2)": (
            (alpha - 3) * t - beta * (alpha - 2),
            alpha * t,
        ),
        "K >= 0": (own, size),
        "beta t^3 epsilon^2 <= 4 (t - beta) K": (
            mixed - beta * t**3 * epsilon**2,
            t * size,
        ),
    }
