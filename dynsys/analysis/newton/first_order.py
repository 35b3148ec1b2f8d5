r"""The distance to continuous Newton to first order in mass and damping."""

from typing import NamedTuple

import numpy as np

from dynsys.analysis.convexity import hessians
from dynsys.analysis.newton.pair import Pair, newton_pair
from dynsys.analysis.newton.panels import integral
from dynsys.analysis.points import rows
from dynsys.analysis.report import AssumptionError
from dynsys.trajectory import Trajectory


class Expansion(NamedTuple):
    """The way from continuous Newton to another system, measured and predicted.

    Args:
        t: Times, of shape `(times,)`.
        measured: Differences of the positions, of shape `(times, dim)`.
        predicted: The same to first order.
    """

    t: np.ndarray
    measured: np.ndarray
    predicted: np.ndarray


def first_order(trajectory: Trajectory, newton: Trajectory) -> Expansion:
    r"""The way from continuous Newton, to first order in mass and damping.

    $$x - x_N \approx \frac{e^{-t/\beta}}\beta H(x_N)^{-1}\Big\{\varepsilon_0\dot x_0
    + \frac1\beta\Big[\varepsilon H(x_N)^{-1}
    - \int_0^t\big(\varepsilon' - \alpha + \tfrac\varepsilon\beta\big)
    H(x_N(s))^{-1}ds\Big]\nabla f(x_0)\Big\}$$

    with the Hessian $H$ and time counted from the start. The error is of second order in
    $(\varepsilon, \alpha)$ once the fast part of the velocity has decayed, at the rate
    $\beta\mu/\varepsilon$. Between output times $H(x_N)^{-1}\nabla f(x_0)$ is interpolated
    by a cubic spline.

    Args:
        trajectory: As for `newton_distance`.
        newton: As for `newton_distance`.

    Returns:
        The differences $x - x_N$, measured and predicted.

    Raises:
        TypeError: As for `newton_distance`.
        ValueError: As for `newton_distance`.
        AssumptionError: The Hessian is not positive definite somewhere on the path of
            `newton`, or a coefficient is out of range.

    Example:
        >>> import dynsys as ds
        >>> f, start = ds.objectives.LogCosh([1.0, 5.0]), [2.0, 1.0]
        >>> flow = ds.ContinuousNewton(f, beta=1.0)
        >>> newton = ds.integrators.newton_path(flow, start, t1=5.0)
        >>> system = ds.VMDINAVD(f, ds.schedules.PowerLaw(1e-3, 1.0), alpha=0.0, beta=1.0)
        >>> found = first_order(ds.simulate(system, start, t1=5.0), newton)
        >>> size, left = abs(found.measured), abs(found.measured - found.predicted)
        >>> bool(left[20:].max() < 0.01 * size[20:].max())
        True

    Source:
        Derived here: insert $\dot x_N = -\frac1\beta H^{-1}\nabla f(x_N)$ for the velocity
        in the integral of $\frac d{dt}(\varepsilon\dot x + \beta\nabla f)$.
    """
    runs = newton_pair("first_order", trajectory, newton)
    lowest = runs.surveys[1].lowest
    if not (lowest > 0).all():
        i = int(np.argmax(~(lowest > 0)))
        raise AssumptionError(
            f"The expansion needs a positive definite Hessian on the path of `newton`, but "
            f"its smallest eigenvalue is {lowest[i]:g} at t = {float(newton.t[i]):g}."
        )
    hessian = hessians(newton.system.objective, newton.x)
    gradient = -runs.beta * hessian[0] @ rows(newton.v)[0]
    solve = lambda right: np.linalg.solve(hessian, right[:, :, None])[:, :, 0]
    turned = solve(np.broadcast_to(gradient, (len(hessian), len(gradient))))
    push = runs.epsilon.value.edges[0] * rows(trajectory.v)[0]
    inside = push + _response(runs, turned) / runs.beta
    factor = runs.at_outputs(runs.fade.edges)[:, None] / runs.beta
    measured = rows(trajectory.x) - rows(newton.x)
    return Expansion(np.asarray(trajectory.t), measured, factor * solve(inside))


def _response(runs: Pair, turned: np.ndarray) -> np.ndarray:
    r"""The square bracket, times $\nabla f(x_0)$, at the output times.

    Args:
        runs: The two runs.
        turned: The vectors $H(x_N)^{-1}\nabla f(x_0)$ at the output times.
    """
    from scipy.interpolate import CubicSpline

    epsilon, alpha = runs.epsilon, runs.alpha
    weight = epsilon.rate.nodes - alpha.value.nodes + epsilon.value.nodes / runs.beta
    between = CubicSpline(np.asarray(runs.trajectory.t), turned)(runs.panels.t.nodes)
    past = integral(runs.panels, weight[:, :, None] * between)
    now = runs.at_outputs(epsilon.value.edges)[:, None] * turned
    return now - runs.at_outputs(past)
