r"""The control perspective: who is faster than Newton, by how much, and how to get there.

On a quadratic, VM-DIN-AVD acts on each eigen-coordinate alone, with eigenvalue $\lambda$:

$$\varepsilon\ddot x + b\dot x + \lambda x = 0, \qquad b = \alpha + \beta\lambda$$

and continuous Newton gives $x_N = x_0e^{-t/\beta}$ there, whatever $\lambda$ is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.analysis.newton.integrals import integrals
from dynsys.analysis.points import at_times, require_trajectory, rows
from dynsys.checks import as_number, as_time
from dynsys.objectives.quadratic import Quadratic
from dynsys.schedules import (
    AbstractSchedule,
    evaluate,
)
from dynsys.systems.inertial_newton import InertialNewton
from dynsys.systems.parameters import check_schedule
from dynsys.systems.vm_din_avd import VMDINAVD
from dynsys.trajectory import Trajectory

Time = Float[Array, "..."]
Schedule = Callable[[Any], Any]


class LogAmplitude(NamedTuple):
    r"""How $\ln(x(t)/x_N(t))$ changes from the first time on, where x is slow.

    Args:
        t: Times.
        slow: By the exact exponent of the slow solution.
        first_order: To first order in $\varepsilon$ and $\alpha$.
    """

    t: np.ndarray
    slow: np.ndarray
    first_order: np.ndarray


def constant_rate(epsilon: Any, alpha: Any, beta: Any, eigenvalue: Any) -> np.ndarray:
    r"""The rate r at which $x = O(e^{-rt})$ for constant coefficients.

    $$r = \mathrm{Re}\,\frac{2\lambda}{b + \sqrt{b^2 - 4\varepsilon\lambda}}$$

    Newton has $1/\beta$. It is exceeded if and only if
    $\alpha\beta < \varepsilon < \beta(\alpha + \beta\lambda)/2$, most by
    $\varepsilon = \beta^2\lambda/4$ with $\alpha = 0$, where the rate is $2/\beta$.

    Args:
        epsilon: Mass, at least 0; with 0 it is the rate of Levenberg-Marquardt.
        alpha: Viscous damping, at least 0.
        beta: Hessian-driven damping, positive.
        eigenvalue: Eigenvalue $\lambda$ of the Hessian, positive.

    Returns:
        The rates, in the shape that the arguments broadcast to.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> float(constant_rate(epsilon=0.25, alpha=0.0, beta=1.0, eigenvalue=1.0))
        2.0

    Source:
        The characteristic equation; the statement about Newton is derived here.
    """
    arguments = epsilon, alpha, beta, eigenvalue
    epsilon, alpha, beta, eigenvalue = (np.asarray(one, float) for one in arguments)
    ranges = {
        "epsilon": (epsilon >= 0, "at least 0"),
        "alpha": (alpha >= 0, "at least 0"),
        "beta": (beta > 0, "positive"),
        "eigenvalue": (eigenvalue > 0, "positive"),
    }
    for name, (fine, kind) in ranges.items():
        if not fine.all():
            raise ValueError(f"`{name}` must be {kind}, but is not everywhere.")
    return 1 / beta + _excess(epsilon, alpha, beta, eigenvalue)


def log_amplitude(
    epsilon: Any, alpha: Any, beta: Any, eigenvalue: Any, times: Any
) -> LogAmplitude:
    r"""How far VM-DIN-AVD gets ahead of continuous Newton on a quadratic.

    $$\ln\frac{x(t)}{x_N(t)} \simeq \mathrm{const} - \int_{t_0}^t\Big(
    \frac{2\lambda}{b + \sqrt{b^2 - 4\varepsilon\lambda}} - \frac1\beta\Big)ds
    \simeq \mathrm{const} - \frac1{\beta^2\lambda}
    \int_{t_0}^t\Big(\frac\varepsilon\beta - \alpha\Big)ds$$

    as $\varepsilon \to 0$, with monotone $\alpha$; the second form needs
    $\int\varepsilon^2 < \infty$ and $\int\alpha^2 < \infty$, too. Where the root is
    complex, its real part counts. The constant depends on the start.

    Args:
        epsilon: Mass, a number or a schedule.
        alpha: Viscous damping, a number or a schedule.
        beta: Hessian-driven damping, positive.
        eigenvalue: Eigenvalue $\lambda$ of the Hessian, positive.
        times: Increasing times $t_0, t_1, \dots$

    Returns:
        Both integrals at the times, 0 at the first.

    Raises:
        TypeError: An argument is no number or schedule.
        ValueError: One is out of range, times do not increase, or a schedule varies too
            fast between the times for its integral.

    Example:
        >>> from dynsys.schedules import PowerLaw
        >>> found = log_amplitude(PowerLaw(0.3, 1.0), 0.0, 0.7, 1.3, [0.0, 10.0, 100.0])
        >>> found.first_order.round(3)
        array([ 0.   , -1.613, -3.105])

    Source:
        Liouville-Green asymptotics, derived here; that the variable mass controls the
        rate is in the abstract of Castera, Attouch, Fadili, Ochs, arXiv 2301.08726.
    """
    schedules = _schedules(epsilon, alpha)
    beta, eigenvalue = positive_numbers(beta, eigenvalue)
    times = np.asarray(times, float)
    if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError(
            "`times` must be two or more increasing times, such as "
            "`numpy.linspace(0, 10, 100)`."
        )

    def rates(nodes: np.ndarray) -> np.ndarray:
        mass, damping = at_times(_pair, nodes.reshape(-1), schedules)
        if not ((mass >= 0).all() and (damping >= 0).all()):
            raise ValueError(
                f"`epsilon` and `alpha` must be at least 0 (and finite), but are "
                f"{mass.min():g} and {damping.min():g} somewhere."
            )
        slow = _excess(mass, damping, beta, eigenvalue)
        first_order = (mass / beta - damping) / (beta**2 * eigenvalue)
        return -np.stack([slow, first_order], axis=-1).reshape(*nodes.shape, 2)

    slow, first_order = integrals(rates, times).T
    return LogAmplitude(times, slow, first_order)


def measured_log_amplitude(trajectory: Trajectory) -> np.ndarray:
    r"""How $\ln|x(t)/x_N(t)|$ changes along a trajectory, in each eigen-coordinate.

    Args:
        trajectory: A trajectory of VM-DIN-AVD on `Quadratic`, from its start.

    Returns:
        The logarithms, 0 at the first time, of shape `(times, dim)`, for the eigenvalues of
        the matrix in increasing order.

    Raises:
        TypeError: It is not a trajectory.
        ValueError: It is not one of VM-DIN-AVD on a `Quadratic` with positive definite
            matrix, or a coordinate is 0 at some time.

    Example:
        >>> import dynsys as ds
        >>> system = ds.VMDINAVD(ds.objectives.Quadratic([[2.0]]), 0.1, 0.0, 1.0)
        >>> path = ds.simulate(system, [1.0], t1=5.0)
        >>> bool(measured_log_amplitude(path)[-1, 0] < 0)
        True

    Source:
        The closed form of continuous Newton on quadratics.
    """
    require_trajectory("measured_log_amplitude", trajectory)
    system = trajectory.system
    if not isinstance(system, VMDINAVD) or not isinstance(system.objective, Quadratic):
        raise ValueError(
            f"`measured_log_amplitude` needs a trajectory of VMDINAVD on a Quadratic, but "
            f"got {type(system).__name__} on {type(system.objective).__name__}."
        )
    minimiser = system.objective.minimiser
    if minimiser is None:
        raise ValueError("The matrix of the quadratic must be positive definite.")
    _, vectors = np.linalg.eigh(np.asarray(system.objective.matrix))
    coordinates = (rows(trajectory.x) - np.asarray(minimiser)) @ vectors
    if (coordinates == 0).any():
        raise ValueError(
            "A coordinate is 0 at some time, where its logarithm does not exist. Take "
            "fewer times, or a start with no zero eigen-coordinate."
        )
    t = np.asarray(trajectory.t)
    ahead = np.log(np.abs(coordinates)) + (t / float(system.beta))[:, None]
    return ahead - ahead[0]


class _Friction(AbstractSchedule):
    epsilon: Schedule
    alpha: Schedule
    beta: Float[Array, ""]
    eigenvalue: Float[Array, ""]

    def __call__(self, t: Any) -> Time:
        t = as_time(t)
        beta, lam = self.beta.astype(t.dtype), self.eigenvalue.astype(t.dtype)
        return evaluate(self.alpha, t) + beta * lam - 2 * evaluate(self.epsilon, t) / beta


class _Pull(AbstractSchedule):
    epsilon: Schedule
    alpha: Schedule
    beta: Float[Array, ""]

    def __call__(self, t: Any) -> Time:
        t = as_time(t)
        beta = self.beta.astype(t.dtype)
        return (evaluate(self.epsilon, t) / beta - evaluate(self.alpha, t)) / beta


def relative_to_newton(
    epsilon: Any, alpha: Any, beta: Any, eigenvalue: Any
) -> InertialNewton:
    r"""The system that $u = x/e^{-t/\beta}$ obeys, to simulate for long times.

    $$\varepsilon\ddot u + \big(b - \tfrac{2\varepsilon}\beta\big)\dot u
    + \tfrac1\beta\big(\tfrac\varepsilon\beta - \alpha\big)u = 0$$

    x itself soon falls below any tolerance. A start $(x_0, \dot x_0)$ is
    $u_0 = x_0$, $\dot u_0 = \dot x_0 + x_0/\beta$. The friction must stay at least 0,
    which is so for $2\varepsilon \le \beta b$.

    Args:
        epsilon: Mass, a number or a schedule.
        alpha: Viscous damping, a number or a schedule.
        beta: Hessian-driven damping, positive.
        eigenvalue: Eigenvalue $\lambda$ of the Hessian, positive.

    Returns:
        The system, for positions of shape `(1,)`.

    Raises:
        TypeError: An argument is no number or schedule.
        ValueError: One is out of range.

    Example:
        >>> system = relative_to_newton(0.25, 0.5, beta=1.0, eigenvalue=2.0)
        >>> float(system.alpha(0.0)), float(system.b(0.0))
        (2.0, -0.25)

    Source:
        Derived here: insert $x = ue^{-t/\beta}$.
    """
    schedules = _schedules(epsilon, alpha)
    beta, eigenvalue = positive_numbers(beta, eigenvalue)
    one = Quadratic(np.ones((1, 1)))
    beta, eigenvalue = jnp.asarray(beta), jnp.asarray(eigenvalue)
    friction = _Friction(*schedules, beta, eigenvalue)
    return InertialNewton(one, schedules[0], friction, 0.0, _Pull(*schedules, beta))


def _excess(epsilon: Any, alpha: Any, beta: Any, eigenvalue: Any) -> np.ndarray:
    """The rate of the slow root above that of Newton, without cancellation.

    It is the smaller root h of epsilon h^2 - friction h + pull = 0, or its real part.
    """
    pull = (epsilon / beta - alpha) / beta
    friction = alpha + beta * eigenvalue - 2 * epsilon / beta
    square = (alpha + beta * eigenvalue) ** 2 - 4 * epsilon * eigenvalue
    root = np.sqrt(np.maximum(square, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        crawling, other = 2 * pull / (friction + root), (friction - root) / (2 * epsilon)
    return np.where((friction > 0) & (square >= 0), crawling, other)


def _pair(t: Time, schedules: tuple[Schedule, Schedule]) -> tuple[Time, Time]:
    return evaluate(schedules[0], t), evaluate(schedules[1], t)


def _schedules(epsilon: Any, alpha: Any) -> tuple[Schedule, Schedule]:
    mass = check_schedule("epsilon", epsilon, "positive")
    return mass, check_schedule("alpha", alpha, "at least 0")


def positive_numbers(beta: Any, eigenvalue: Any) -> tuple[float, float]:
    """Both as numbers, or a word on what is wrong with one."""
    beta = float(as_number("beta", beta, "positive"))
    return beta, float(as_number("eigenvalue", eigenvalue, "positive"))
