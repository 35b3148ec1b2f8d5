r"""Who is faster than Newton in the end, by mass and damping alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from dynsys.analysis.newton.known_schedules import KnownSchedule, known_schedule
from dynsys.checks import Kind, as_number
from dynsys.systems.parameters import check_schedule

Time = Float[Array, "..."]
Schedule = Callable[[Any], Any]


def compare_with_newton(epsilon: Any, alpha: Any, beta: Any, eigenvalue: Any = None) -> str:
    r"""Whether VM-DIN-AVD ends up faster than continuous Newton on quadratics.

    Where mass and damping vanish, the slow root differs from $-1/\beta$ by
    $\varepsilon/\beta - \alpha$ times a factor that tends to $1/(\beta^2\lambda)$. So the
    integral of $\varepsilon/\beta - \alpha$ decides: if it converges, $x/x_N$ has a limit;
    if it diverges to $+\infty$, x is faster than Newton by an unbounded factor, and slower
    if to $-\infty$. Where the mass stays, the eigenvalue matters: see `constant_rate`.

    This is about almost every start. One whose slow part is 0 may be much faster: with
    $\alpha = \varepsilon' + \varepsilon/\beta$ and
    $\dot x_0 = -\frac\beta{\varepsilon_0}\nabla f(x_0)$ it is gradient flow in the time
    $\int\beta/\varepsilon$.

    Args:
        epsilon: Mass: a number, or `Constant`, `PowerLaw` or `Exponential`.
        alpha: Viscous damping, in the same form.
        beta: Hessian-driven damping, positive.
        eigenvalue: Eigenvalue of the Hessian, needed where the mass does not vanish.

    Returns:
        `"faster"`, `"same rate"` or `"slower"`.

    Raises:
        TypeError: A schedule is another function.
        ValueError: A coefficient is out of range or grows, or the eigenvalue is needed.

    Example:
        >>> from dynsys.schedules import Exponential, PowerLaw
        >>> compare_with_newton(PowerLaw(0.3, 1.0), 0.0, beta=1.0)
        'faster'
        >>> compare_with_newton(Exponential(0.3, 1.0), Exponential(0.3, 2.0), beta=1.0)
        'same rate'

    Source:
        Derived here, from the asymptotics of `log_amplitude`.
    """
    beta = float(as_number("beta", beta, "positive"))
    mass = _known("epsilon", epsilon, "positive")
    damping = _known("alpha", alpha, "at least 0")
    if _tail(mass) == 0:
        return _compare_constants(mass, damping, beta, eigenvalue)
    return _compare_vanishing(mass, damping, beta)


def _known(name: str, value: Any, kind: Kind) -> KnownSchedule:
    """A coefficient as a known schedule that does not grow."""
    known = known_schedule(check_schedule(name, value, kind))
    if known is None:
        raise TypeError(
            f"`{name}` must be a number, Constant, PowerLaw or Exponential, whose tails "
            f"are known, but is {value!r}. For others look at `log_amplitude`."
        )
    as_number(name, known.value, kind)
    if known.exponent < 0 or known.rate < 0:
        raise ValueError(
            f"`{name}` must not grow, but is {value!r}: the asymptotics need coefficients "
            f"that vanish or stay."
        )
    return known


def _tail(schedule: KnownSchedule) -> float:
    """The exponent of a power of time that a schedule ends like."""
    return np.inf if schedule.rate > 0 or schedule.value == 0 else schedule.exponent


def _sign(first: float, second: float) -> int:
    """The sign of a difference, 0 where it is rounding."""
    near = abs(first - second) <= 1e-12 * (abs(first) + abs(second))
    return 0 if near else int(np.sign(first - second))


def _compare_constants(
    mass: KnownSchedule, damping: KnownSchedule, beta: float, eigenvalue: Any
) -> str:
    """Where the mass stays; theory of constant coefficients at the limit of alpha."""
    if eigenvalue is None:
        raise ValueError(
            "Where the mass does not vanish the answer depends on the `eigenvalue` of the "
            "Hessian. Pass it."
        )
    lam = float(as_number("eigenvalue", eigenvalue, "positive"))
    alpha = damping.value if _tail(damping) == 0 else 0.0
    pull = _sign(mass.value, alpha * beta)
    friction = _sign(alpha + beta * lam, 2 * mass.value / beta)
    if friction == 0 and 0 < _tail(damping) <= 1:
        # What is left of the damping pulls the swings in, and is not integrable.
        friction = 1
    if pull == friction == 0:
        # A double root: t exp(-t/beta) is a solution, too.
        return "slower"
    return ("slower", "same rate", "faster")[min(pull, friction) + 1]


def _compare_vanishing(mass: KnownSchedule, damping: KnownSchedule, beta: float) -> str:
    """Where the mass vanishes: the tail of epsilon/beta - alpha decides."""
    gain, loss = _tail(mass), _tail(damping)
    if min(gain, loss) > 1:
        return "same rate"
    if gain == loss:
        # With equal limits the difference of two powers of one exponent is integrable.
        lead = _sign(mass.value, damping.value * beta)
    else:
        lead = 1 if gain < loss else -1
    return ("slower", "same rate", "faster")[lead + 1]
