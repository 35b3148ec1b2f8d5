r"""The Kurdyka-Łojasiewicz exponent along a trajectory, and the rates that it proves."""

from typing import Any, NamedTuple

import numpy as np

from dynsys.analysis.points import require_trajectory
from dynsys.analysis.rates.line_fit import fit_line
from dynsys.analysis.rates.measured_decay import measure, select
from dynsys.checks import as_number
from dynsys.systems.gdin import GDIN
from dynsys.systems.system import AbstractSystem
from dynsys.trajectory import Trajectory

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
        obstacle: Why no rate is proved of the trajectory; empty if one is.
    """

    exponent: float
    error: float
    log_factor: float
    window: tuple[float, float]
    points: int
    obstacle: str

    @property
    def rate(self) -> Rate | None:
        """The rate that is proved for this exponent; `None` where nothing is proved.

        It takes on trust that the exponent of the objective at the limit is not larger than
        along this path, and that the solution stays bounded.
        """
        if self.obstacle:
            return None
        certain = self.exponent > 0.5 + _margin(self.error)
        return gdin_rate(
            self.exponent if certain else float(np.clip(self.exponent, 0, 0.5))
        )

    def __str__(self) -> str:
        start, end = self.window
        found = (
            f"KL exponent {self.exponent:.6g} +- {self.error:.2g} (t from {start:.4g} to "
            f"{end:.4g}, {self.points} points); "
        )
        if self.obstacle:
            return f"{found}no rate is proved: {self.obstacle}"
        return (
            f"{found}proved of g-DIN: {self.rate}\n"
            f"  checked: g-DIN with alpha > 0\n"
            f"  trusted: the solution is bounded, and the objective has no larger exponent "
            f"at the limit than along this path"
        )


def _margin(error: float) -> float:
    """How far an exponent may be off."""
    return max(2 * error, RESOLUTION)


def _obstacle(system: AbstractSystem, exponent: float, error: float) -> str:
    """Which assumption of the proof is not met."""
    if not isinstance(system, GDIN):
        name = type(system).__name__
        return f"the proof is of g-DIN, and this is a run of {name}"
    if not float(system.alpha) > 0:
        return "the proof needs alpha > 0, and alpha is 0"
    if exponent + _margin(error) >= 1:
        return "the exponent may be 1, where nothing is proved"
    return ""


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
        The exponent, and with it the rate that is proved for g-DIN with $\alpha > 0$. Along
        another system the exponent is measured, and no rate is claimed.

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
    obstacle = _obstacle(trajectory.system, line.slope, line.error)
    count = int(inside.sum())
    return KLExponent(line.slope, line.error, line.intercept, span, count, obstacle)


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
