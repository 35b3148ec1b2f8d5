r"""How far inertial Newton systems are from the Levenberg-Marquardt flow."""

from typing import Any

import numpy as np

from dynsys.analysis.newton.assumptions import STEADY, constants_of, relative_rates
from dynsys.analysis.newton.known_schedules import damping_of
from dynsys.analysis.newton.pair import EQUAL, Pair, pair
from dynsys.analysis.newton.panels import OnPanels, fading_integral
from dynsys.analysis.points import at_times
from dynsys.analysis.report import Assumption, AssumptionError, Bound
from dynsys.systems.levenberg_marquardt import LevenbergMarquardt
from dynsys.trajectory import Trajectory

BOUNDS = ("decreasing alpha", "any alpha")


def levenberg_marquardt_distance(
    trajectory: Trajectory,
    levenberg_marquardt: Trajectory,
    *,
    bound: str = "decreasing alpha",
    mu: Any = None,
    minimum: Any = None,
) -> Bound:
    r"""The distance to the Levenberg-Marquardt flow, beside what is proved of it.

    For VM-DIN-AVD, $\varepsilon(t)\ddot x + \alpha(t)\dot x + \beta\nabla^2f(x)\dot x
    + \nabla f(x) = 0$, and the Levenberg-Marquardt flow $x_{LM}$ with the same $\alpha$
    from the same point, whatever the ratio of $\alpha$ and $\varepsilon$. With
    $\varepsilon$, $c_1$, $\mu$, $E_0$ as for the theorem of `newton_distance`, and

    $$R(t) = e^{-t/\beta}\varepsilon_0\|\dot x_0\| + \sqrt{2E_0\varepsilon(t)}
    + \sqrt{2E_0}\big(c_1 + \tfrac1\beta\big)
    \int_0^te^{(s-t)/\beta}\sqrt{\varepsilon(s)}\,ds:$$

    `"decreasing alpha"`, for $-\frac\alpha\beta \le \alpha' \le 0$:

    $$\|x - x_{LM}\| \le \frac1{\beta\mu + \alpha(t)}\Big[R(t)
    + \kappa\int_0^te^{-\frac\mu{\beta\mu + \alpha_0}(t-s)}R(s)\,ds\Big], \qquad
    \kappa = \frac{\alpha_0}{\beta(\beta\mu + \alpha_0)}$$

    `"any alpha"`, for any $\alpha \ge 0$ with a derivative, with
    $k = |\frac\alpha\beta + \alpha'| / (\beta\mu + \alpha)$:

    $$\|x - x_{LM}\| \le \frac1{\beta\mu + \alpha(t)}\Big[R(t)
    + \int_0^tk(s)\,e^{-(t-s)/\beta + \int_s^tk}R(s)\,ds\Big]$$

    Args:
        trajectory: A run of `VMDINAVD`, of `DIN`, which has mass 1, or of any system of
            order 2 with constant $\beta$ and $b = 1$.
        levenberg_marquardt: A run of `LevenbergMarquardt` with the same objective,
            $\alpha$, $\beta$, start and times.
        bound: `"decreasing alpha"` or `"any alpha"`.
        mu: The constant $\mu$; left out, that of the objective.
        minimum: The smallest value $f^\star$; left out, that of the objective. A lower
            bound of it will do.

    Returns:
        The distance and its bound along time, with constants and assumptions.

    Raises:
        TypeError: An argument is not a trajectory of such a system.
        ValueError: A trajectory is a batch or failed, the two differ in times, start,
            objective, alpha or beta, `b` is not 1, or there is no such bound.
        AssumptionError: The theorem does not apply: a Hessian on a path is below `mu`, the
            mass increases, or for `"decreasing alpha"` the damping increases or falls too
            fast; or nobody knows `mu` or the minimum.

    Example:
        >>> import dynsys as ds
        >>> f, start = ds.objectives.LogCosh([1.0, 5.0]), [2.0, 1.0]
        >>> flow = ds.simulate(ds.LevenbergMarquardt(f, alpha=0.5, beta=1.0), start, t1=5.0)
        >>> system = ds.VMDINAVD(f, ds.schedules.PowerLaw(0.1, 1.0), alpha=0.5, beta=1.0)
        >>> path = ds.simulate(system, start, t1=5.0)
        >>> levenberg_marquardt_distance(path, flow).holds
        True

    Source:
        Derived here: pair $\beta(\nabla f(x) - \nabla f(x_{LM})) + \alpha d$, which a
        memory of $d = x - x_{LM}$ and a rest of norm at most $R$ make up, with $d$, and
        apply Gronwall's lemma. The talk says only that the case is covered by Castera,
        Attouch, Fadili, Ochs (2023), arXiv 2301.08726, and more involved.
    """
    if bound not in BOUNDS:
        raise ValueError(f"`bound` must be one of {list(BOUNDS)}, but is {bound!r}.")
    runs = pair(
        "levenberg_marquardt_distance", trajectory, levenberg_marquardt, LevenbergMarquardt
    )
    _require_same_alpha(runs)
    of = constants_of(runs, mu, minimum)
    rest = _rest(runs, of.energy, of.c1)
    if bound == "decreasing alpha":
        assumptions = (*of.assumptions, _decreasing(runs))
        total, named = _with_decreasing_alpha(runs, of.mu, rest)
    else:
        assumptions = of.assumptions
        total, named = _with_any_alpha(runs, of.mu, rest), {}
    known = {"mu": of.mu, "E0": of.energy, "c1": of.c1}
    stiffness = runs.beta * of.mu + runs.at_outputs(runs.alpha.value.edges)
    return Bound(
        t=np.asarray(trajectory.t),
        measured=runs.distance,
        bound=total / stiffness,
        allowance=runs.allowance,
        constants=runs.constants | known | named,
        assumptions=assumptions,
        source="derived in dynsys: `dynsys.analysis.levenberg_marquardt_distance`",
    )


def _shift_at(t: Any, system: LevenbergMarquardt) -> Any:
    return system.shift(t)


def _require_same_alpha(runs: Pair) -> None:
    system: Any = runs.reference.system
    times, values = runs.panels.t.edges, runs.alpha.value.edges
    others = at_times(_shift_at, times, system)
    wrong = ~(np.abs(values - others) <= EQUAL * values)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"The two systems must have the same `alpha`, but at t = {times[i]:g} theirs "
            f"are {values[i]:g} and {others[i]:g}."
        )


def _rest(runs: Pair, energy: float, c1: float) -> OnPanels:
    """The bound R on what mass and first velocity add."""
    root = np.sqrt(2 * energy)
    memory = runs.memory(np.sqrt(runs.epsilon.value.nodes))
    rate = c1 + 1 / runs.beta
    parts = zip(runs.kick, runs.epsilon.value, memory, strict=True)
    return OnPanels(*(kick + root * (np.sqrt(e) + rate * m) for kick, e, m in parts))


def _with_decreasing_alpha(
    runs: Pair, mu: float, rest: OnPanels
) -> tuple[np.ndarray, dict[str, float]]:
    alpha0 = float(runs.alpha.value.edges[0])
    stiffness = runs.beta * mu + alpha0
    kappa = alpha0 / (runs.beta * stiffness)
    memory = fading_integral(runs.panels, mu / stiffness, rest.nodes)
    total = runs.at_outputs(rest.edges + kappa * memory.edges)
    return total, {"alpha0": alpha0, "kappa": kappa}


def _with_any_alpha(runs: Pair, mu: float, rest: OnPanels) -> np.ndarray:
    alpha, rate = runs.alpha.value.nodes, runs.alpha.rate.nodes
    k = np.abs(alpha / runs.beta + rate) / (runs.beta * mu + alpha)
    memory = fading_integral(runs.panels, 1 / runs.beta - k, k * rest.nodes)
    return runs.at_outputs(rest.edges + memory.edges)


def _decreasing(runs: Pair) -> Assumption:
    r"""The assumption $-\frac\alpha\beta \le \alpha' \le 0$."""
    known = damping_of(runs.trajectory.system)
    times, rates, how = relative_rates(runs, runs.alpha, known)
    slack = STEADY / runs.beta
    wrong = (rates > slack) | (rates < -1 / runs.beta - slack)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise AssumptionError(
            f"The theorem needs -alpha / beta <= alpha' <= 0, but at t = {times[i]:g} "
            f"alpha' / alpha is {rates[i]:g}, where 1 / beta is {1 / runs.beta:g}. Use "
            f"`bound='any alpha'`."
        )
    statement = "-alpha / beta <= alpha' <= 0"
    found = f"alpha' / alpha between {rates.min():g} and {rates.max():g}, {how}"
    return Assumption(statement, found)
