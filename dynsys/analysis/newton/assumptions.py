r"""What the theorems on the distance to Newton-like flows need of mass, damping, objective.

Of a constant, power-law or exponential schedule everything is known by its formula. Of any
other one, what is said holds on the grid of the quadrature, of 2,816 times or more.
"""

from typing import Any, NamedTuple

import numpy as np

from dynsys.analysis.convexity import (
    check_constant,
    choose_constant,
    convexity_assumptions,
)
from dynsys.analysis.minimum import minimum_of
from dynsys.analysis.newton.known_schedules import (
    KnownSchedule,
    damping_of,
    largest_ratio,
    mass_of,
    stays_bounded,
)
from dynsys.analysis.newton.pair import EQUAL, Course, Pair
from dynsys.analysis.report import Assumption, AssumptionError
from dynsys.checks import as_number

STEADY = 1e-12
r"""An increase of a coefficient by less than this part of it in the time $\beta$ is
rounding."""


class Constants(NamedTuple):
    r"""The constants of the theorems, and what they rest on.

    Args:
        mu: Constant of strong convexity.
        energy: The energy $E_0 = \frac{\varepsilon_0}2\|\dot x_0\|^2 + f(x_0) - f^\star$.
        c1: The smallest constant with $|\varepsilon'| \le c_1\varepsilon$.
        assumptions: What they rest on.
    """

    mu: float
    energy: float
    c1: float
    assumptions: tuple[Assumption, ...]


def constants_of(pair: Pair, mu: Any, minimum: Any) -> Constants:
    """The constants that all theorems of the variable mass share.

    Args:
        pair: The two runs.
        mu: The user's constant of strong convexity, or `None`.
        minimum: The user's smallest value of the objective, or `None`.

    Raises:
        AssumptionError: An assumption is not met, or nobody knows a constant.
        ValueError: A constant is out of range.
    """
    mu, convexity = convexity_of(pair, mu)
    energy, lowest = energy_of(pair, mu, minimum)
    c1, mass = mass_rate(pair)
    return Constants(mu, energy, c1, (*convexity, lowest, mass))


def convexity_of(pair: Pair, mu: Any) -> tuple[float, tuple[Assumption, Assumption]]:
    """The constant of strong convexity, checked on both paths.

    Raises:
        AssumptionError: Nobody knows one, or a Hessian on a path contradicts it.
        ValueError: It is not positive.
    """
    mu, source = choose_constant(pair.facts, mu)
    runs = pair.trajectory, pair.reference
    for run, found in zip(runs, pair.surveys, strict=True):
        check_constant(mu, run, found)
    return mu, convexity_assumptions(mu, source, pair.surveys)


def energy_of(pair: Pair, mu: float, minimum: Any) -> tuple[float, Assumption]:
    r"""The energy $E_0 = \frac{\varepsilon_0}2\|\dot x_0\|^2 + f(x_0) - f^\star$.

    Raises:
        AssumptionError: Nobody knows the smallest value, or it is not the smallest.
        ValueError: The minimum is not a finite number.
    """
    first = pair.surveys[0]
    smallest, source = _smallest_value(pair, mu, minimum)
    values = np.concatenate([one.f for one in pair.surveys])
    if values.min() < smallest - EQUAL * np.abs(values).max():
        raise AssumptionError(
            f"The smallest value of the objective is taken as {smallest:g}, {source}, but "
            f"it is {values.min():g} on a path. Pass its minimum as `minimum`."
        )
    kinetic = 0.5 * pair.epsilon.value.edges[0] * pair.speed**2
    energy = float(kinetic + max(first.f[0] - smallest, 0.0))
    statement = "f is at least f* on that component"
    return energy, Assumption(statement, f"f* = {smallest:g}, {source}", checked=False)


def _smallest_value(pair: Pair, mu: float, minimum: Any) -> tuple[float, str]:
    if minimum is not None:
        return float(as_number("minimum", minimum)), "passed as `minimum`"
    if pair.facts.minimum is not None:
        return float(pair.facts.minimum), "of the objective"
    minimisers = pair.facts.minimisers
    if minimisers is not None and len(minimisers) == 1:
        return float(minimum_of(pair.trajectory).f), "at the minimiser of the objective"
    first = pair.surveys[0]
    below = first.f[0] - first.slope[0] ** 2 / (2 * mu)
    raise AssumptionError(
        f"The theorem needs the smallest value of the objective, but the objective does "
        f"not know it. Pass it as `minimum`, or a lower bound of it: by strong convexity, "
        f"f(x0) - |grad f(x0)|^2 / (2 mu) = {below:.6g} is one."
    )


def mass_rate(pair: Pair) -> tuple[float, Assumption]:
    r"""The smallest $c_1$ with $-c_1\varepsilon \le \varepsilon' \le 0$.

    Raises:
        AssumptionError: The mass increases.
    """
    times, rates, how = relative_rates(pair, pair.epsilon, mass_of(pair.trajectory.system))
    grows = rates > STEADY / pair.beta
    if grows.any():
        i = int(np.argmax(grows))
        raise AssumptionError(
            f"The theorem needs a mass epsilon that never increases, but at t = "
            f"{times[i]:g} it grows at the relative rate {rates[i]:g}."
        )
    c1 = float(max(-rates.min(), 0.0))
    statement = "epsilon > 0 never increases, and |epsilon'| <= c1 epsilon"
    return c1, Assumption(statement, f"c1 = {c1:g}, {how}")


def damping_share(pair: Pair) -> tuple[float, Assumption]:
    r"""The smallest $c_2$ with $\alpha \le c_2\varepsilon$ on the interval.

    Raises:
        AssumptionError: There is none for all times.
    """
    system = pair.trajectory.system
    mass, damping = mass_of(system), damping_of(system)
    start, end = pair.panels.t.edges[[0, -1]]
    if mass is None or damping is None:
        ratios = [a / e for a, e in zip(pair.alpha.value, pair.epsilon.value, strict=True)]
        c2, how = max(float(ratio.max()) for ratio in ratios), _on_grid(pair)
    elif not stays_bounded(damping, mass):
        ratio = float(damping(end) / mass(end))
        raise AssumptionError(
            f"The theorem needs alpha <= c2 epsilon at all times, but alpha / epsilon "
            f"grows without bound: it is {ratio:g} at t = {end:g}. Use "
            f"`bound='any alpha'`, or compare with the Levenberg-Marquardt flow."
        )
    else:
        c2, how = largest_ratio(damping, mass, start, end), "by their formulas"
    statement = "0 <= alpha <= c2 epsilon"
    return c2, Assumption(statement, f"c2 = {c2:g}, {how}")


def relative_rates(
    pair: Pair, course: Course, known: KnownSchedule | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """The derivative of a coefficient over its value: times, rates, and how they are known.

    Args:
        pair: The two runs.
        course: The coefficient along time.
        known: Its formula, whose rate is largest and smallest at the ends.
    """
    if known is not None:
        ends = pair.panels.t.edges[[0, -1]]
        return ends, known.relative_rate(ends), "by its formula"
    flat = lambda two: np.concatenate([two.edges, two.nodes.reshape(-1)])
    times, values, rates = map(flat, (pair.panels.t, course.value, course.rate))
    order = np.argsort(times)
    # Where a coefficient is 0, its rate would have to be 0, too.
    relative = np.divide(rates, values, out=rates.copy(), where=values > 0)
    return times[order], relative[order], _on_grid(pair)


def _on_grid(pair: Pair) -> str:
    edges, nodes = pair.panels.t
    return f"on a grid of {edges.size + nodes.size:,} times"
