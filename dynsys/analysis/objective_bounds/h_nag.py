r"""The rate $e^{-t}$ of H-NAG, and of VM-DIN-AVD where it is the same system."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.energies.h_nag import h_nag as its_energy
from dynsys.analysis.energies.vm_din_avd import exponential_mass as energy_of_mass
from dynsys.analysis.objective_bounds.case import Case, as_bound, look
from dynsys.analysis.objective_bounds.checks import (
    GRID,
    convex,
    minimum_is_one,
    require,
)
from dynsys.analysis.points import at_times
from dynsys.analysis.report import Bound


def h_nag(case: Case) -> Bound:
    r"""The bound of H-NAG for $\mu$-convex $f$, with the first output as its start.

    $$f(x(t)) - f^\star \le e^{-(t - t_0)}E(t_0)$$

    Source:
        Derived here, for the flow of Chen and Luo, arXiv 1912.09276: its energy decays so.
    """
    points = look(case)
    assumptions = (
        minimum_is_one(points),
        *convex(case, points, float(case.system.mu)),
    )
    start = case.energy(its_energy)
    proved = start * np.exp(-case.elapsed)
    source = "energy of H-NAG, derived here for the flow of Chen and Luo, arXiv 1912.09276"
    return as_bound(points, proved, {"E": start}, assumptions, source)


def exponential_mass(case: Case) -> Bound:
    r"""The bound of VM-DIN-AVD where mass and damping decay exponentially, for convex $f$.

    $$f(x(t)) - f^\star \le e^{-c(t - t_0)}E(t_0) \quad\text{if}\quad
    \varepsilon = \varepsilon_0e^{-ct}, \quad \alpha = c\varepsilon, \quad \beta c < 1$$

    Source:
        Derived here: in another time it is H-NAG with $\mu = 0$.
    """
    points, beta = look(case), float(case.system.beta)
    grid = np.linspace(points.t[0], points.t[-1], GRID)
    damping, decay = at_times(_rates, grid, case.system)
    c = float(damping[0])
    off = np.maximum(np.abs(damping - c), np.abs(decay - c))
    at = int(np.argmax(off))
    found = (
        f"at t = {grid[at]:.6g} alpha is {damping[at]:.6g} and -epsilon' {decay[at]:.6g}"
    )
    fits = c > 0 and off[at] <= points.tolerance * c
    assumptions = (
        require(
            fits, "epsilon = e0 exp(-c t), alpha = c epsilon", f"{found} times epsilon"
        ),
        require(beta * c < 1, "beta c < 1", f"beta c is {beta * c:.6g}"),
        minimum_is_one(points),
        *convex(case, points),
    )
    start = case.energy(energy_of_mass)
    proved = start * np.exp(-c * case.elapsed)
    constants = {"E": start, "c": c}
    source = "H-NAG with mu = 0 in another time, derived here"
    return as_bound(points, proved, constants, assumptions, source)


def _rates(t: Any, system: Any) -> tuple[Any, Any]:
    r"""The numbers $\alpha/\varepsilon$ and $-\dot\varepsilon/\varepsilon$."""
    now, change = jax.jvp(system.coefficients, (t,), (jnp.ones_like(t),))
    return now.alpha / now.epsilon, -change.epsilon / now.epsilon
