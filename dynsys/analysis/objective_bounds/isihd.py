r"""The rate $O(1/t^2)$ of implicit Hessian damping."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.energies.isihd import isihd as its_energy
from dynsys.analysis.energies.isihd import kappa, weight
from dynsys.analysis.objective_bounds.case import Case, as_bound, look
from dynsys.analysis.objective_bounds.checks import (
    convex,
    lasts_from,
    minimum_is_one,
    since,
)
from dynsys.analysis.points import at_times
from dynsys.analysis.report import Bound


def isihd(case: Case) -> Bound:
    r"""The bound of ISIHD for convex $f$, where its gradient is taken.

    $$f(y(t)) - f^\star \le \frac{E(t_1)}{\delta(t)}, \qquad y = x + h\dot x, \quad
    h = \gamma + \tfrac\beta t, \quad \delta = \frac{t(t - (\alpha-1)h)}\kappa, \quad
    \kappa = 1 + \dot h - \tfrac{\alpha h}t$$

    from the first output $t_1$ on, after which $\kappa > 0$, $\delta, h \ge 0$ and
    $\dot\delta \le (\alpha-1)t$.

    Source:
        Derived here; that $f - f^\star = O(1/t^2)$ is in Alecsa, László, Pinţa,
        arXiv 1908.02574.
    """
    now = case.trajectory
    points = look(case, jax.vmap(case.system.ahead)(now.t, now.state))
    first, lasting = lasts_from(case, points, _conditions)
    assumptions = (lasting, minimum_is_one(points), *convex(case, points))
    start = case.energy(its_energy, first)
    delta = at_times(_weight, points.t, case.system)
    with np.errstate(divide="ignore"):
        proved = since(first, start / delta)
    constants = {"E": start, "t1": float(points.t[first])}
    source = "energy of ISIHD, derived here; f is taken at x + (gamma + beta / t) v"
    return as_bound(points, proved, constants, assumptions, source)


def _weight(t: Any, system: Any) -> Any:
    return weight(system, t)


def _conditions(t: Any, system: Any) -> dict[str, tuple[Any, Any]]:
    lag = system.alpha.astype(t.dtype) - 1
    grow = lambda time: weight(system, time)
    delta, growth = jax.jvp(grow, (t,), (jnp.ones_like(t),))
    turn, reach = kappa(system, t), system.reach(t)
    one = jnp.ones_like(t)
    return {
        "kappa > 0": (jnp.where(turn > 0, turn, -jnp.inf), one),
        "delta >= 0": (delta, t**2),
        "h >= 0": (reach, one),
        "delta' <= (alpha - 1) t": (lag * t - growth, (lag + 2) * t),
    }
