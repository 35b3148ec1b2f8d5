r"""The inverse problem: a mass and a damping for a decay that is asked for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.analysis.newton.acceleration import positive_numbers
from dynsys.analysis.points import at_times
from dynsys.checks import as_number, as_time
from dynsys.schedules import (
    AbstractSchedule,
    Constant,
    Exponential,
    PowerLaw,
    evaluate,
)
from dynsys.systems.parameters import check_schedule

Time = Float[Array, "..."]
Schedule = Callable[[Any], Any]


class Design(NamedTuple):
    r"""Mass and damping that reach a target, and the start that follows it at once.

    Args:
        epsilon: The mass.
        alpha: The viscous damping.
        start_rate: With $\dot x_0 = -\rho\,(x_0 - x^\star)$ for this $\rho$ the path is
            on the target from the start; any other start comes to it.
    """

    epsilon: "DesignedMass"
    alpha: "DesignedDamping"
    start_rate: float


class Plan(NamedTuple):
    r"""What a design is made of, as data: $\delta$, $m$, $\beta$ and $\lambda$."""

    target: Schedule
    mass: Schedule
    beta: Float[Array, ""]
    eigenvalue: Float[Array, ""]


class DesignedMass(AbstractSchedule):
    """The mass of `design_damping`."""

    plan: Plan
    exact: bool = eqx.field(static=True)

    def __call__(self, t: Any) -> Time:
        return _design(self.plan, self.exact, as_time(t)).epsilon


class DesignedDamping(AbstractSchedule):
    """The viscous damping of `design_damping`."""

    plan: Plan
    exact: bool = eqx.field(static=True)

    def __call__(self, t: Any) -> Time:
        return _design(self.plan, self.exact, as_time(t)).alpha


def design_damping(
    target: Any,
    beta: Any,
    eigenvalue: Any,
    *,
    t1: Any,
    t0: Any = 0.0,
    mass: Any = None,
    exact: bool = True,
) -> Design:
    r"""Mass and damping with which VM-DIN-AVD decays as asked, on a quadratic.

    $$x(t) \simeq C\,\delta(t)\,e^{-t/\beta}, \qquad \varphi = -\ln\delta, \quad
    \rho = \tfrac1\beta + \varphi', \quad w = \rho^2 - \varphi''$$
    $$\varepsilon = \frac{\lambda\beta\max(\varphi', 0)}w + m, \qquad
    \alpha = \frac{\lambda\beta\max(-\varphi', 0) + mw}\rho$$

    Where the target is ahead of Newton, mass drives it; where it is behind, damping. The
    free mass $m$ costs damping and changes nothing else. This solves the Riccati equation
    of $\dot x/x$ exactly; with `exact=False` the first order of it,
    $\varepsilon = \beta^3\lambda\max(\varphi', 0) + m$ and
    $\alpha = \beta^2\lambda\max(-\varphi', 0) + m/\beta$.

    Other eigenvalues $\mu$ get about the power $\lambda/\mu$ of $\delta$: design for the
    largest one of those that must be faster.

    Args:
        target: The factor $\delta > 0$: a schedule, such as `PowerLaw(1.0, k)` or
            `Exponential(1.0, r)`, or any function of $t$ that JAX can differentiate four
            times.
        beta: Hessian-driven damping, positive.
        eigenvalue: Eigenvalue $\lambda$ to design for, positive.
        t1: End of the time in which the design is checked, at 1001 places.
        t0: Its start.
        mass: The free mass $m$, a number or a schedule. Left out, 0 where the target is
            always ahead of Newton, else $\beta^2\lambda(1 + t/\beta)^{-2}/100$.
        exact: Whether to solve exactly, or to first order.

    Returns:
        Schedules for `VMDINAVD(f, design.epsilon, design.alpha, beta)`.

    Raises:
        TypeError: An argument is no number or schedule.
        ValueError: One is out of range; the target is not positive, or cannot be reached:
            it does not decay ($\rho \le 0$), turns too fast ($w \le 0$), or is not the
            slow solution, $2\varepsilon\rho < b$ failing: others would decay more slowly,
            and with $\alpha = 0$ none decays at the rate $2/\beta$ or faster.

    Example:
        >>> design = design_damping(PowerLaw(1.0, 0.5), beta=1.0, eigenvalue=2.0, t1=50.0)
        >>> float(design.epsilon(0.0)), float(design.alpha(0.0))
        (0.36363636363636365, 0.0)

    Source:
        Derived here, from $\varepsilon(\dot r + r^2) + br + \lambda = 0$ with
        $r = \dot x/x = -\rho$.
    """
    beta, eigenvalue = positive_numbers(beta, eigenvalue)
    t0, t1 = (float(as_number(name, t)) for name, t in (("t0", t0), ("t1", t1)))
    if not t0 < t1:
        raise ValueError(f"`t1` must come after t0 = {t0:g}, but is {t1:g}.")
    times = np.linspace(t0, t1, 1001)
    free = Constant(0.0) if mass is None else check_schedule("mass", mass, "at least 0")
    target = check_schedule("target", target, "positive")
    plan = Plan(target, free, jnp.asarray(beta), jnp.asarray(eigenvalue))
    if mass is None and not (at_times(_lead, times, plan)[0] > 0).all():
        free = PowerLaw(beta**4 * eigenvalue / 100, 2.0, shift=beta)
        plan = plan._replace(mass=free)
    values = at_times(_values, times, DesignedMass(plan, exact))
    _check_design(times, values, beta, eigenvalue, exact)
    epsilon, alpha = DesignedMass(plan, exact), DesignedDamping(plan, exact)
    return Design(epsilon, alpha, float(values.rho[0]))


class _Values(NamedTuple):
    """A design at one time."""

    epsilon: Time
    alpha: Time
    delta: Time
    rho: Time
    w: Time


def _lead(t: Time, plan: Plan) -> tuple[Time, Time]:
    r"""The first two derivatives of $\varphi$, the lead over Newton."""
    match plan.target:
        # As they are, since the values themselves soon underflow.
        case PowerLaw(exponent=q, shift=shift):
            rate = 1 / (t + shift.astype(t.dtype))
            return q.astype(t.dtype) * rate, -q.astype(t.dtype) * rate**2
        case Exponential(rate=rate):
            return jnp.broadcast_to(rate.astype(t.dtype), t.shape), jnp.zeros_like(t)

    def rate_of(s: Time) -> Time:
        of = lambda time: evaluate(plan.target, time)
        value, slope = jax.jvp(of, (s,), (jnp.ones_like(s),))
        return -slope / value

    return jax.jvp(rate_of, (t,), (jnp.ones_like(t),))


def _design(plan: Plan, exact: bool, t: Time) -> _Values:
    beta, lam = plan.beta.astype(t.dtype), plan.eigenvalue.astype(t.dtype)
    lead, change = _lead(t, plan)
    free, rho = evaluate(plan.mass, t), 1 / beta + lead
    w = rho**2 - change
    ahead, behind = lam * beta * jnp.maximum(lead, 0), lam * beta * jnp.maximum(-lead, 0)
    delta = evaluate(plan.target, t)
    if exact:
        return _Values(ahead / w + free, (behind + free * w) / rho, delta, rho, w)
    return _Values(ahead * beta**2 + free, behind * beta + free / beta, delta, rho, w)


def _values(t: Time, schedule: DesignedMass) -> _Values:
    return _design(schedule.plan, schedule.exact, t)


def _check_design(
    times: np.ndarray, at: _Values, beta: float, eigenvalue: float, exact: bool
) -> None:
    """Refuse what cannot be reached, and say where."""
    slow = at.alpha + beta * eigenvalue - 2 * at.epsilon * at.rho
    rules = (
        (at.delta, "`target` must be positive, but is {:g}", "It is a factor of decay."),
        (
            at.rho,
            "`target` must leave a decay: 1/beta - target'/target must be positive, but is "
            "{:g}",
            "Ask for less.",
        ),
        (
            at.w if exact else np.ones_like(at.w),
            "`target` turns too fast: rho^2 - phi'' must be positive, but is {:g}",
            "Ask for a smoother one, or design to first order, with `exact=False`.",
        ),
        (
            at.epsilon,
            "The mass must be positive, but is {:g}",
            "Pass a positive `mass`.",
        ),
        (
            slow,
            "`target` is too fast: b - 2 epsilon rho must be positive, but is {:g}",
            "Other solutions would decay more slowly, and at 2/beta or faster none decays "
            "with alpha = 0. Ask for less, or later: `PowerLaw(1, k, shift=...)`.",
        ),
    )
    for values, problem, remedy in rules:
        # Written so that what is not a number fails, too.
        bad = ~(values >= 0 if values is at.delta else values > 0)
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(f"{problem.format(values[i])} at t = {times[i]:g}. {remedy}")
