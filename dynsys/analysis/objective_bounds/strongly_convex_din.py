"""The exponential rate of DIN with the damping that suits strong convexity."""

import numpy as np

from dynsys.analysis.objective_bounds.case import Case, as_bound, look
from dynsys.analysis.objective_bounds.checks import convex, minimum_is_one, require
from dynsys.analysis.report import Bound


def strongly_convex_din(case: Case) -> Bound:
    r"""The bound of DIN with damping $2\sqrt\mu$ for $\mu$-strongly convex $f$.

    $$f(x(t)) - f^\star \le Ce^{-\frac{\sqrt\mu}2(t - t_0)}, \qquad
    C = f(x_0) - f^\star + \mu\|x_0 - x^\star\|^2 + \|\dot x_0 + \beta\nabla f(x_0)\|^2$$

    if $\beta \le \frac1{2\sqrt\mu}$, with the first output as its start.

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 7.
    """
    points = look(case)
    mu, beta = float(case.system.mu), float(case.system.beta)
    limit = 1 / (2 * mu**0.5)
    found = f"beta is {beta:.6g} and that is {limit:.6g}"
    fits = beta <= limit * (1 + points.tolerance)
    assumptions = (
        require(fits, "beta <= 1 / (2 sqrt(mu))", found, "Take a smaller `beta`."),
        minimum_is_one(points),
        *convex(case, points, mu),
    )
    push = case.velocity + beta * points.gradient[0]
    offset = points.offset[0]
    constant = float(points.gap[0] + mu * (offset @ offset) + push @ push)
    proved = constant * np.exp(-(mu**0.5) / 2 * case.elapsed)
    source = "Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 7"
    return as_bound(points, proved, {"C": constant}, assumptions, source)
