r"""How far inertial Newton systems are from continuous Newton, measured and proved."""

from typing import Any

import numpy as np

from dynsys.analysis.newton.bounds import BOUNDS
from dynsys.analysis.newton.pair import newton_pair
from dynsys.analysis.report import Bound
from dynsys.trajectory import Trajectory


def newton_distance(
    trajectory: Trajectory,
    newton: Trajectory,
    *,
    bound: str = "theorem",
    mu: Any = None,
    minimum: Any = None,
    G: Any = None,
) -> Bound:
    r"""The distance to continuous Newton, beside what a theorem says of it.

    For VM-DIN-AVD, $\varepsilon(t)\ddot x + \alpha(t)\dot x + \beta\nabla^2f(x)\dot x
    + \nabla f(x) = 0$, and continuous Newton $x_N$ from the same point $x_0$, with
    $E_0 = \frac{\varepsilon_0}2\|\dot x_0\|^2 + f(x_0) - f^\star$, time counted from the
    start, and $\nabla^2f \ge \mu I$ on the connected component of
    $\{f \le f(x_0) + \frac{\varepsilon_0}2\|\dot x_0\|^2\}$ that holds $x_0$:

    `"theorem"`, for $\varepsilon' \le 0$, $|\varepsilon'| \le c_1\varepsilon$,
    $0 \le \alpha \le c_2\varepsilon$:

    $$\|x - x_N\| \le C_0e^{-t/\beta}\varepsilon_0\|\dot x_0\| + C_1\sqrt{\varepsilon(t)}
    + C_2\int_0^te^{(s-t)/\beta}\sqrt{\varepsilon(s)}\,ds,$$
    $$C_0 = \frac1{\mu\beta}, \quad C_1 = \frac{\sqrt{2E_0}}{\mu\beta}, \quad
    C_2 = C_1\max\big(c_1 + c_2, \tfrac1\beta\big)$$

    `"corollary"`, if also $c_1 < 2/\beta$:

    $$\|x - x_N\| \le C_0e^{-t/\beta}\varepsilon_0\|\dot x_0\| + C_3\sqrt{\varepsilon(t)},
    \qquad C_3 = C_1 + \frac{C_2}{1/\beta - c_1/2}$$

    `"any alpha"`, for any $\alpha \ge 0$ with a derivative, with $M = \sqrt{2E_0/\mu}$:

    $$\mu\beta\|x - x_N\| \le e^{-t/\beta}(\varepsilon_0\|\dot x_0\| + \alpha_0M)
    + \sqrt{2E_0\varepsilon(t)} + M\alpha(t)
    + \int_0^te^{(s-t)/\beta}\Big[\sqrt{2E_0}\big(c_1 + \tfrac1\beta\big)\sqrt\varepsilon
    + M\big|\tfrac\alpha\beta + \alpha'\big|\Big]ds$$

    `"linear"`, for $\varepsilon' \le 2\alpha$ only, with $\|\nabla f\| \le G$ on that
    component and $V = \max(\|\dot x_0\|, \frac G{\beta\mu})$; its constant is sharp:

    $$\mu\beta\|x - x_N\| \le e^{-t/\beta}\varepsilon_0\|\dot x_0\|
    + V\Big[\varepsilon(t) + \int_0^te^{(s-t)/\beta}
    \big|\varepsilon' - \alpha + \tfrac\varepsilon\beta\big|ds\Big]$$

    Args:
        trajectory: A run of `VMDINAVD`, of `DIN`, which has mass 1, or of any system of
            order 2 with constant $\beta$ and $b = 1$.
        newton: A run of `ContinuousNewton` with the same objective, $\beta$, start and
            times.
        bound: `"theorem"`, `"corollary"`, `"any alpha"` or `"linear"`.
        mu: The constant $\mu$; left out, that of the objective.
        minimum: The smallest value $f^\star$; left out, that of the objective. A lower
            bound of it will do.
        G: For `"linear"`, the bound $G$; left out, $\sqrt{2LE_0}$ with the Lipschitz
            constant $L$ that the objective knows.

    Returns:
        The distance and its bound along time, with constants and assumptions.

    Raises:
        TypeError: An argument is not a trajectory of such a system.
        ValueError: A trajectory is a batch or failed, the two differ in times, start,
            objective or beta, `b` is not 1, `newton` is regularised, or there is no such
            bound.
        AssumptionError: The theorem does not apply: a Hessian on a path is below `mu`, the
            mass increases, alpha / epsilon is not bounded, $c_1 \ge 2/\beta$ for the
            corollary, a gradient exceeds `G`; or nobody knows `mu`, the minimum or `G`.

    Example:
        >>> import dynsys as ds
        >>> f, start = ds.objectives.LogCosh([1.0, 5.0]), [2.0, 1.0]
        >>> flow = ds.ContinuousNewton(f, beta=1.0)
        >>> newton = ds.integrators.newton_path(flow, start, t1=5.0)
        >>> system = ds.VMDINAVD(f, ds.schedules.PowerLaw(0.1, 1.0), alpha=0.0, beta=1.0)
        >>> found = newton_distance(ds.simulate(system, start, t1=5.0), newton)
        >>> found.holds, round(found.tightness, 2)
        (True, 0.14)

    Source:
        The form of theorem and corollary: Castera, Attouch, Fadili, Ochs (2023), arXiv
        2301.08726, as stated in the talk, without constants. The constants, `"any alpha"`
        and `"linear"` are derived here: subtract
        $\beta\nabla f(x_N) = \beta e^{-t/\beta}\nabla f(x_0)$ from the integral of
        $\frac d{dt}(\varepsilon\dot x + \beta\nabla f)$, and bound the speed by
        $\sqrt{2E_0/\varepsilon}$ or by $V$. The component is convex, as a closed connected
        set that is locally convex.
    """
    if bound not in BOUNDS:
        raise ValueError(f"`bound` must be one of {list(BOUNDS)}, but is {bound!r}.")
    runs = newton_pair("newton_distance", trajectory, newton)
    proved = BOUNDS[bound](runs, mu, minimum, G)
    return Bound(
        t=np.asarray(trajectory.t),
        measured=runs.distance,
        bound=proved.bound,
        allowance=runs.allowance,
        constants=runs.constants | proved.constants,
        assumptions=proved.assumptions,
        source=proved.source,
    )
