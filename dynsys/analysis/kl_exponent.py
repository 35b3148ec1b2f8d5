r"""The Kurdyka-Łojasiewicz exponent along a trajectory, and the rates that it proves."""

from typing import Any, NamedTuple

import jax
import numpy as np

from dynsys.analysis.line_fit import fit_line
from dynsys.analysis.measured_decay import measure, select
from dynsys.analysis.points import allowance, require_trajectory, rows
from dynsys.analysis.report import Assumption, AssumptionError, Bound
from dynsys.cached_call import cached_call
from dynsys.checks import as_number
from dynsys.systems.gdin import GDIN
from dynsys.trajectory import Trajectory
from dynsys.trees import Position, norm

RESOLUTION = 0.01
"""Exponents closer to 1/2 than this give powers of time above 50, which nobody can tell
from exponentials."""


class Rate(NamedTuple):
    """A proved rate.

    Args:
        model: `"exponential"` or `"power law"`.
        energy: Exponent q of the bound t^-q of the energy; infinite for an exponential.
        position: The same for the distance to the limit.
    """

    model: str
    energy: float
    position: float

    def __str__(self) -> str:
        if self.model == "exponential":
            return "exponential"
        return f"energy O(t^-{self.energy:.4g}), position O(t^-{self.position:.4g})"


class KLExponent(NamedTuple):
    """The Kurdyka-Łojasiewicz exponent that a trajectory shows.

    Args:
        exponent: The exponent a.
        error: Its standard error.
        log_factor: Logarithm of the factor C.
        window: First and last time in use.
        points: Number of points in use.
    """

    exponent: float
    error: float
    log_factor: float
    window: tuple[float, float]
    points: int

    @property
    def rate(self) -> Rate:
        """The rate that is proved of g-DIN for this exponent, as far as it is known."""
        margin = max(2 * self.error, RESOLUTION)
        certain = self.exponent > 0.5 + margin
        return gdin_rate(
            self.exponent if certain else float(np.clip(self.exponent, 0, 0.5))
        )

    def __str__(self) -> str:
        start, end = self.window
        return (
            f"KL exponent {self.exponent:.6g} +- {self.error:.2g} (t from {start:.4g} to "
            f"{end:.4g}, {self.points} points); proved of g-DIN: {self.rate}"
        )


def kl_exponent(
    trajectory: Trajectory,
    *,
    minimum: Any = None,
    window: tuple[float, float] | None = None,
) -> KLExponent:
    r"""The Kurdyka-Łojasiewicz exponent of the objective at the limit of a trajectory.

    $$\|\nabla f(x)\| \approx C\,(f(x) - f^\star)^a$$

    A line through the logarithms, over the second half of the decay of $f - f^\star$. It is
    the exponent along this one path: of the objective it is a lower bound, since other
    paths to the same limit may be flatter.

    Args:
        trajectory: A trajectory that converges.
        minimum: Value of the objective at the limit; left out, the smallest value that the
            objective knows.
        window: First and last time to use.

    Returns:
        The exponent, and with it the proved rate.

    Raises:
        TypeError: It is not a trajectory.
        ValueError: The minimum is unknown, or there are too few points above what the
            tolerances of the run blur.

    Example:
        >>> import dynsys as ds
        >>> system = ds.GDIN(ds.objectives.PowerFunction(4), alpha=0.5, beta=0.5)
        >>> path = ds.simulate(system, [1.0], t1=100.0, rtol=1e-9, atol=1e-12)
        >>> print(round(kl_exponent(path).exponent, 6), kl_exponent(path).rate)
        0.75 energy O(t^-2), position O(t^-0.5)

    Source:
        Łojasiewicz (1963), Kurdyka (1998); the exponent as in Attouch, Bolte (2009).
    """
    require_trajectory("kl_exponent", trajectory)
    t = np.asarray(trajectory.t, float)
    gap, doubt = measure(trajectory, "objective gap", minimum)
    slope, blur = measure(trajectory, "gradient norm")
    trusted = (gap > 10 * doubt) & (slope > 10 * blur) & (slope > 0)
    times, _, _ = select(t[trusted], np.log(gap[trusted]), window)
    inside = trusted & (times[0] <= t) & (t <= times[-1])
    log_gap = np.log(gap[inside])
    # Beside (f - f*)^a the next powers, by a half and by 1.
    next_powers = [np.exp(power * (log_gap - log_gap.max())) for power in (0.5, 1.0)]
    line = fit_line(log_gap, np.log(slope[inside]), next_powers)
    span = (float(times[0]), float(times[-1]))
    return KLExponent(line.slope, line.error, line.intercept, span, int(inside.sum()))


def gdin_rate(exponent: Any) -> Rate:
    r"""The rate of bounded solutions of g-DIN, by the Kurdyka-Łojasiewicz exponent $a$.

    $$E - E_\infty = O\big(t^{-1/(2a - 1)}\big), \qquad
    \|\theta - \theta_\infty\| = O\big(t^{-(1 - a)/(2a - 1)}\big), \qquad
    \tfrac12 < a < 1$$

    and exponentially for $a \le \frac12$, for $\alpha > 0$ and an energy $E$ that has the
    exponent $a$ at the limit. The energy of g-DIN is quadratic in the velocity: it has the
    exponent of the objective where that is at least $\frac12$.

    Args:
        exponent: The exponent, at least 0 and below 1.

    Returns:
        The model and its exponents.

    Raises:
        TypeError: `exponent` is not a number.
        ValueError: It is out of range.

    Example:
        >>> gdin_rate(0.75)
        Rate(model='power law', energy=2.0, position=0.5)
        >>> gdin_rate(0.5).model
        'exponential'

    Source:
        Castera et al., JMLR 22(134), 2021, announce sublinear rates in their abstract; the
        exponents are derived here, from the quasi-gradient form of `quasi_gradient`.
    """
    a = float(as_number("exponent", exponent, "at least 0"))
    if a >= 1:
        raise ValueError(
            f"`exponent` must be below 1, but has value {a:g}: no rate is proved "
            f"for flatter functions."
        )
    if a <= 0.5:
        return Rate("exponential", np.inf, np.inf)
    return Rate("power law", 1 / (2 * a - 1), (1 - a) / (2 * a - 1))


def quasi_gradient_constant(alpha: Any, beta: Any) -> float:
    r"""How much of the squared speed the energy of g-DIN loses at least.

    $$c = \tfrac12\big(\alpha + \tfrac2\beta - \sqrt{\alpha^2 + 4/\beta^2}\big), \qquad
    -\dot E \ge c\,(\|\dot\theta\|^2 + \|\dot\psi\|^2)$$

    It is the smaller eigenvalue of the form
    $\alpha\|\dot\theta\|^2 + \frac1\beta\|\dot\theta - \dot\psi\|^2$, so no larger one will
    do. It vanishes with $\alpha$.

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, positive.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    Example:
        >>> round(quasi_gradient_constant(alpha=1.5, beta=1.0), 12)
        0.5

    Source:
        Derived here; the exact dissipation is the talk's.
    """
    alpha = float(as_number("alpha", alpha, "at least 0"))
    beta = float(as_number("beta", beta, "positive"))
    # As written above, but without the difference of two close numbers.
    return 2 * alpha / beta / (alpha + 2 / beta + float(np.hypot(alpha, 2 / beta)))


def quasi_gradient(trajectory: Trajectory) -> Bound:
    r"""That g-DIN loses energy as fast as its quasi-gradient form says.

    $$c\,(\|\dot\theta\|^2 + \|\dot\psi\|^2) \le -\dot E$$

    in the mean over each time between two outputs, where by Cauchy and Schwarz it follows
    for what the outputs say, without any derivative and across kinks:

    $$c\,\frac{\|\Delta\theta\|^2 + \|\Delta\psi\|^2}{\Delta t^2} \le
    -\frac{\Delta E}{\Delta t}$$

    Args:
        trajectory: A trajectory of g-DIN.

    Returns:
        The bound, at the middle of each time between two outputs.

    Raises:
        TypeError: It is not a trajectory.
        ValueError: Its system is not g-DIN.
        AssumptionError: `alpha` is 0.

    Example:
        >>> import dynsys as ds
        >>> system = ds.GDIN(ds.objectives.PowerFunction(4), alpha=0.5, beta=0.5)
        >>> path = ds.simulate(system, [1.0], t1=5.0, rtol=1e-9, atol=1e-12)
        >>> bound = quasi_gradient(path)
        >>> bound.holds, bound.tightness > 0.9
        (True, True)

    Source:
        Derived here, from the talk's energy of g-DIN and its dissipation.
    """
    require_trajectory("quasi_gradient", trajectory)
    system = trajectory.system
    if not isinstance(system, GDIN):
        raise ValueError(
            f"`quasi_gradient` needs a trajectory of GDIN, but got one of "
            f"{type(system).__name__}. DIN with a smooth objective is "
            f"GDIN(objective, alpha, beta)."
        )
    alpha, beta = float(system.alpha), float(system.beta)
    c = quasi_gradient_constant(alpha, beta)
    if c == 0:
        raise AssumptionError(
            "The bound needs alpha > 0, but alpha = 0: then the constant is 0, and no rate "
            "follows."
        )
    energy, error = _energy(trajectory, system)
    t = np.asarray(trajectory.t, float)
    step = np.diff(t)
    moved = sum((np.diff(rows(one), axis=0) ** 2).sum(axis=1) for one in trajectory.state)
    return Bound(
        t=0.5 * (t[1:] + t[:-1]),
        measured=c * moved / step**2,
        bound=-np.diff(energy) / step,
        allowance=(error[1:] + error[:-1]) / step,
        constants={"c": c, "alpha": alpha, "beta": beta},
        assumptions=(Assumption("alpha > 0, beta > 0", f"{alpha:g}, {beta:g}"),),
        source="quasi-gradient form of g-DIN, derived here",
    )


def _energy(trajectory: Trajectory, system: GDIN) -> tuple[np.ndarray, np.ndarray]:
    """The energy along g-DIN, and how much the tolerances of the run may change it."""
    alpha, beta = float(system.alpha), float(system.beta)
    theta, psi = (rows(one) for one in trajectory.state)
    value, slope = (np.asarray(one) for one in _objective(system, trajectory.x))
    p = (1 / beta - alpha) * theta - psi / beta
    energy = (1 + alpha * beta) * value + 0.5 * (p**2).sum(axis=1)
    steepness = (1 + alpha * beta) * slope + np.linalg.norm(p, axis=1)
    return energy, steepness * allowance(trajectory)


@cached_call
def _objective(system: GDIN, x: Position) -> tuple[Any, Any]:
    """The objective at all times, and the norm of its gradient."""
    value, slope = jax.vmap(jax.value_and_grad(system.objective))(x)
    return value, jax.vmap(norm)(slope)
