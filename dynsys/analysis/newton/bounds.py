r"""What is proved of the distance to continuous Newton: one function a theorem."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dynsys.analysis.newton.assumptions import (
    STEADY,
    Constants,
    constants_of,
    convexity_of,
    damping_share,
    energy_of,
)
from dynsys.analysis.newton.pair import EQUAL, Pair
from dynsys.analysis.report import Assumption, AssumptionError
from dynsys.checks import as_number

TALK = (
    "Castera, Attouch, Fadili and Ochs (2023), arXiv 2301.08726, distance to continuous "
    "Newton as stated in the talk; constants derived in dynsys"
)
HERE = "derived in dynsys: `dynsys.analysis.newton_distance`"


class Proved(NamedTuple):
    """A bound at the output times, and what it rests on."""

    bound: np.ndarray
    constants: dict[str, float]
    assumptions: tuple[Assumption, ...]
    source: str


def _theorem_constants(
    runs: Pair, mu: Any, minimum: Any
) -> tuple[Constants, dict[str, float], tuple[Assumption, ...]]:
    of = constants_of(runs, mu, minimum)
    c2, damping = damping_share(runs)
    C0 = 1 / (of.mu * runs.beta)
    C1 = C0 * np.sqrt(2 * of.energy)
    C2 = C1 * max(of.c1 + c2, 1 / runs.beta)
    named = {"mu": of.mu, "E0": of.energy, "c1": of.c1, "c2": c2}
    named |= {"C0": C0, "C1": float(C1), "C2": float(C2)}
    return of, named, (*of.assumptions, damping)


def _theorem(runs: Pair, mu: Any, minimum: Any, G: Any) -> Proved:
    del G
    _, named, assumptions = _theorem_constants(runs, mu, minimum)
    root = np.sqrt(runs.epsilon.value.edges)
    memory = runs.memory(np.sqrt(runs.epsilon.value.nodes)).edges
    bound = named["C0"] * runs.kick.edges + named["C1"] * root + named["C2"] * memory
    return Proved(runs.at_outputs(bound), named, assumptions, TALK)


def _corollary(runs: Pair, mu: Any, minimum: Any, G: Any) -> Proved:
    del G
    of, named, assumptions = _theorem_constants(runs, mu, minimum)
    slack = 1 / runs.beta - of.c1 / 2
    if slack <= 0:
        raise AssumptionError(
            f"The corollary needs c1 < 2 / beta = {2 / runs.beta:g}, but the mass decays "
            f"at the relative rate c1 = {of.c1:g}. Use `bound='theorem'`."
        )
    named["C3"] = named["C1"] + named["C2"] / slack
    root = np.sqrt(runs.epsilon.value.edges)
    bound = named["C0"] * runs.kick.edges + named["C3"] * root
    rate = Assumption("c1 < 2 / beta", f"c1 = {of.c1:g}, beta = {runs.beta:g}")
    return Proved(runs.at_outputs(bound), named, (*assumptions, rate), TALK)


def _any_alpha(runs: Pair, mu: Any, minimum: Any, G: Any) -> Proved:
    del G
    of = constants_of(runs, mu, minimum)
    root, M = np.sqrt(2 * of.energy), np.sqrt(2 * of.energy / of.mu)
    epsilon, alpha = runs.epsilon.value, runs.alpha
    drift = np.abs(alpha.value.nodes / runs.beta + alpha.rate.nodes)
    source = root * (of.c1 + 1 / runs.beta) * np.sqrt(epsilon.nodes) + M * drift
    edges = root * np.sqrt(epsilon.edges) + M * alpha.value.edges
    start = runs.kick.edges + M * alpha.value.edges[0] * runs.fade.edges
    total = runs.at_outputs(start + edges + runs.memory(source).edges)
    named = {"mu": of.mu, "E0": of.energy, "c1": of.c1, "M": float(M)}
    return Proved(total / (of.mu * runs.beta), named, of.assumptions, HERE)


def _linear(runs: Pair, mu: Any, minimum: Any, G: Any) -> Proved:
    mu, convexity = convexity_of(runs, mu)
    G, slopes = _largest_slope(runs, mu, minimum, G)
    V = max(runs.speed, G / (runs.beta * mu))
    epsilon, alpha = runs.epsilon, runs.alpha
    nodes = epsilon.rate.nodes - alpha.value.nodes + epsilon.value.nodes / runs.beta
    edges = epsilon.value.edges + runs.memory(np.abs(nodes)).edges
    total = runs.at_outputs(runs.kick.edges + V * edges)
    assumptions = (*convexity, *slopes, _mild_growth(runs))
    named = {"mu": mu, "G": G, "V": V}
    return Proved(total / (mu * runs.beta), named, assumptions, HERE)


def _largest_slope(
    runs: Pair, mu: float, minimum: Any, G: Any
) -> tuple[float, tuple[Assumption, ...]]:
    """The bound on the norm of the gradient, and what it rests on."""
    statement = "|grad f| <= G on that component"
    slope = np.concatenate([one.slope for one in runs.surveys]).max()
    if G is not None:
        G = float(as_number("G", G, "positive"))
        if slope > G * (1 + EQUAL):
            raise AssumptionError(
                f"The norm of the gradient must be at most G = {G:g}, but it is {slope:g} "
                f"on a path. Pass its largest value on the sublevel set."
            )
        found = f"G = {G:g}, passed as `G`; on the paths it is at most {slope:g}"
        return G, (Assumption(statement, found, checked=False),)
    L = runs.facts.L
    if L is None:
        raise AssumptionError(
            f"The linear bound needs the largest norm of the gradient on the sublevel set. "
            f"Pass it as `G`; on the paths it is {slope:g}."
        )
    energy, lowest = energy_of(runs, mu, minimum)
    G = float(np.sqrt(2 * float(L) * energy))
    found = f"G = sqrt(2 L E0) = {G:g}, with L = {float(L):g} of the objective"
    return G, (lowest, Assumption(statement, found, checked=False))


def _mild_growth(runs: Pair) -> Assumption:
    r"""The assumption $\varepsilon' \le 2\alpha$, under which the energy never grows."""
    parts = zip(runs.epsilon.rate, runs.alpha.value, runs.epsilon.value, strict=True)
    excess = [rate - 2 * alpha - STEADY * value / runs.beta for rate, alpha, value in parts]
    for times, values in zip(runs.panels.t, excess, strict=True):
        if (values > 0).any():
            at = times[values > 0][0]
            raise AssumptionError(
                f"The linear bound needs epsilon' <= 2 alpha, but at t = {at:g} the mass "
                f"grows faster. Raise alpha, or let the mass grow less."
            )
    count = sum(values.size for values in excess)
    return Assumption("epsilon' <= 2 alpha", f"so on a grid of {count:,} times")


BOUNDS: dict[str, Callable[[Pair, Any, Any, Any], Proved]] = {
    "theorem": _theorem,
    "corollary": _corollary,
    "any alpha": _any_alpha,
    "linear": _linear,
}
"""What can be proved, by name."""
