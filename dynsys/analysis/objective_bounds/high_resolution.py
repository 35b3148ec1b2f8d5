"""The rates of the high-resolution equations of accelerated methods."""

import numpy as np

from dynsys.analysis.objective_bounds.case import Case, as_bound, look
from dynsys.analysis.objective_bounds.checks import (
    convex,
    lipschitz,
    minimum_is_one,
    require,
    starts_with,
)
from dynsys.analysis.report import Bound

SOURCE = "Shi, Du, Jordan, Su, arXiv 1810.08907v3"


def nag_sc(case: Case) -> Bound:
    r"""The bound of Nesterov's method for $\mu$-strongly convex $f$ and $s \le 1/L$.

    $$f(x(t)) - f^\star \le \frac{2\|x_0 - x^\star\|^2}se^{-\frac{\sqrt\mu}4(t - t_0)}$$

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907v3, theorem 1.
    """
    return _strongly_convex(case, 2.0, f"{SOURCE}, theorem 1")


def heavy_ball(case: Case) -> Bound:
    r"""The bound of the heavy-ball method for $\mu$-strongly convex $f$ and $s \le 1/L$.

    $$f(x(t)) - f^\star \le \frac{7\|x_0 - x^\star\|^2}{2s}e^{-\frac{\sqrt\mu}4(t - t_0)}$$

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907v3, theorem 2.
    """
    return _strongly_convex(case, 3.5, f"{SOURCE}, theorem 2")


def nag_c(case: Case) -> Bound:
    r"""The bound of the smallest gradient of Nesterov's method for convex $f$, any $s$.

    $$\inf_{t_0\le u\le t}\|\nabla f(x(u))\|^2
    \le \frac{(12 + 9sL)\|x_0 - x^\star\|^2}{2\sqrt s\,(t^3 - t_0^3)}$$

    What is measured is the smallest one at the outputs so far: the more there are, the
    closer it is to the infimum.

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907v3, theorem 5.
    """
    points = look(case)
    s, start = float(case.system.s), float(case.system.start_time)
    late = abs(float(points.t[0]) - start)
    L, smooth = lipschitz(case, points)
    assumptions = (
        require(
            late <= points.tolerance * (start + abs(points.t[0])),
            "the start time of its paper, at the first output",
            f"the first output is at {points.t[0]:.6g} instead of {start:.6g}",
            "Pass `t0=system.start_time` to `simulate`.",
        ),
        starts_with(case, points, case.system.initial_velocity(case.start)),
        *smooth,
        minimum_is_one(points),
        *convex(case, points),
    )
    distance = float(points.offset[0] @ points.offset[0])
    # A number and an array have powers that may differ in the last place.
    cubes = points.t**3
    with np.errstate(divide="ignore"):
        proved = (12 + 9 * s * L) * distance / (2 * s**0.5 * (cubes - cubes[0]))
    sizes = np.sum(points.gradient[:-1] ** 2, axis=1)
    measured = np.minimum.accumulate(sizes)
    error = 2 * float(sizes.max()) ** 0.5 * L * points.position_error
    constants = {"L": L, "distance": distance**0.5}
    source = f"{SOURCE}, theorem 5, for the smallest squared gradient norm"
    return Bound(points.t, measured, proved, error, constants, assumptions, source)


def _strongly_convex(case: Case, factor: float, source: str) -> Bound:
    points = look(case)
    mu, s = float(case.system.mu), float(case.system.s)
    L, smooth = lipschitz(case, points)
    fits = s * L <= 1 + points.tolerance
    assumptions = (
        starts_with(case, points, case.system.initial_velocity(case.start)),
        *smooth,
        require(fits, "s <= 1 / L", f"s L is {s * L:.6g}", "Take a smaller `s`."),
        minimum_is_one(points),
        *convex(case, points, mu),
    )
    distance = float(points.offset[0] @ points.offset[0])
    proved = factor * distance / s * np.exp(-(mu**0.5) / 4 * case.elapsed)
    constants = {"L": L, "distance": distance**0.5}
    return as_bound(points, proved, constants, assumptions, source)
