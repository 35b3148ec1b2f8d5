r"""The rate $O(1/(t^2w))$ of vanishing damping with Hessian-driven damping."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.energies.attouch_chbani_fadili_riahi import (
    attouch_chbani_fadili_riahi as its_energy,
)
from dynsys.analysis.energies.attouch_chbani_fadili_riahi import pace, weight
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


def attouch_chbani_fadili_riahi(case: Case) -> Bound:
    r"""The bound of DIN-AVD, and of the system with $\beta(t)$ and $b(t)$, for convex $f$.

    $$f(x(t)) - f^\star \le \frac{E(t_1)}{\delta(t)}, \qquad \delta = t^2w, \quad
    w = b - \dot\beta - \tfrac\beta t$$

    from the first output $t_1$ on, after which $w \ge 0$ and $t\dot w \le (\alpha-3)w$.

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 1 and its proof.
    """
    points = look(case)
    alpha = float(case.system.alpha)
    remedy = "Take a larger `alpha`."
    damped = require(alpha >= 1, "alpha >= 1", f"alpha is {alpha:.6g}", remedy)
    first, lasting = lasts_from(case, points, _conditions)
    assumptions = (damped, lasting, minimum_is_one(points), *convex(case, points))
    start = case.energy(its_energy, first)
    delta = at_times(_weight, points.t, case.system)
    with np.errstate(divide="ignore"):
        proved = since(first, start / delta)
    constants = {"E": start, "t1": float(points.t[first])}
    source = "Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 1"
    return as_bound(points, proved, constants, assumptions, source)


def _weight(t: Any, system: Any) -> Any:
    return weight(system, t)


def _conditions(t: Any, system: Any) -> dict[str, tuple[Any, Any]]:
    """Both conditions, times t and t^2: they are finite at t = 0."""
    alpha = system.alpha.astype(t.dtype)
    step = pace(system, t)
    _, growth = jax.jvp(lambda time: weight(system, time), (t,), (jnp.ones_like(t),))
    now = system.coefficients(t)
    scale = t * jnp.abs(now.b) + now.beta
    return {
        "w >= 0": (step, scale),
        "t w' <= (alpha - 3) w": ((alpha - 1) * step - growth, (alpha + 1) * scale),
    }
