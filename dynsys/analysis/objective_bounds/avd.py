r"""The rate $O(1/t^2)$ of asymptotically vanishing damping."""

import numpy as np

from dynsys.analysis.energies.avd import su_boyd_candes
from dynsys.analysis.objective_bounds.case import Case, as_bound, look
from dynsys.analysis.objective_bounds.checks import convex, minimum_is_one, require
from dynsys.analysis.report import Bound


def avd(case: Case) -> Bound:
    r"""The bound of AVD for convex $f$ and $\alpha \ge 3$.

    $$f(x(t)) - f^\star \le \frac{(\alpha-1)E(t_0)}{2t^2}
    = \frac{(\alpha-1)^2\|x_0 - x^\star\|^2}{2t^2} \quad\text{from rest at } t_0 = 0$$

    Source:
        Su, Boyd, Candès, arXiv 1503.01243v2, theorems 3 ($\alpha = 3$) and 5; a start at
        $t_0 > 0$ by the same energy $E$.
    """
    points = look(case)
    alpha = float(case.system.alpha)
    assumptions = (
        require(
            alpha >= 3,
            "alpha >= 3",
            f"alpha is {alpha:.6g}",
            f"Below 3 the rate is not t^-2 but t^(-2 alpha / 3), here "
            f"t^-{2 * alpha / 3:.4g}, and no constant is known here: take a larger "
            f"`alpha`, or measure the rate with `dynsys.analysis.decay_rate`.",
        ),
        minimum_is_one(points),
        *convex(case, points),
    )
    start = case.energy(su_boyd_candes)
    with np.errstate(divide="ignore"):
        proved = (alpha - 1) * start / (2 * points.t**2)
    theorem = "theorem 3" if alpha == 3 else "theorem 5"
    source = f"Su, Boyd, Candès, arXiv 1503.01243v2, {theorem}"
    return as_bound(points, proved, {"E": start}, assumptions, source)
