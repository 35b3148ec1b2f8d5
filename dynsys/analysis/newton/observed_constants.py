"""What constants and orders a family of runs shows, beside those that are proved."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dynsys.analysis.report import Bound


class CorollaryFit(NamedTuple):
    r"""Constants of the corollary, uniform over a family of runs.

    Args:
        C0: The largest proved constant $C_0$.
        C3: The largest proved constant $C_3$.
        smallest_C3: The smallest constant with which the corollary holds for all runs,
            beside the proved $C_0$.
        smallest_pair: The pair $(C_0, C_3)$ with which it holds for all runs and whose
            shares of the proved ones have the smallest sum.
    """

    C0: float
    C3: float
    smallest_C3: float
    smallest_pair: tuple[float, float]


def fit_corollary(distances: Sequence[Bound]) -> CorollaryFit:
    r"""The smallest constants of the corollary that hold for all runs of a family.

    $$\|x(t) - x_N(t)\| \le C_0e^{-t/\beta}\varepsilon_0\|\dot x_0\|
    + C_3\sqrt{\varepsilon(t)}$$

    They are a lower bound of what any proof can give for a class with these runs. What the
    errors of the simulations may explain is left out.

    Args:
        distances: Results of `newton_distance` with `bound="corollary"`, for example for
            masses from 1 to 1e-8.

    Returns:
        The proved constants and the fitted ones. The pair is the solution of a linear
        program.

    Raises:
        ValueError: There is none, or one is not of the corollary.

    Example:
        >>> import dynsys as ds
        >>> from dynsys.analysis.newton.distance import newton_distance
        >>> f, start = ds.objectives.LogCosh([1.0, 5.0]), [2.0, 1.0]
        >>> flow = ds.ContinuousNewton(f, beta=1.0)
        >>> newton = ds.integrators.newton_path(flow, start, t1=5.0)
        >>> masses = [ds.schedules.PowerLaw(epsilon, 1.0) for epsilon in (1.0, 0.01)]
        >>> systems = [ds.VMDINAVD(f, mass, alpha=0.0, beta=1.0) for mass in masses]
        >>> runs = [ds.simulate(system, start, t1=5.0) for system in systems]
        >>> found = [newton_distance(run, newton, bound="corollary") for run in runs]
        >>> fit = fit_corollary(found)
        >>> fit.smallest_C3 < fit.C3
        True

    Source:
        The corollary: Castera, Attouch, Fadili, Ochs (2023), arXiv 2301.08726, as stated
        in the talk. Its form is linear in the constants.
    """
    kicks, roots, needed = _rows(distances)
    C0, C3 = (max(one.constants[name] for one in distances) for name in ("C0", "C3"))
    left = needed - C0 * kicks
    counts = left > 0
    smallest = float(np.max(left[counts] / roots[counts], initial=0.0))
    return CorollaryFit(C0, C3, smallest, _smallest_pair(kicks, roots, needed, C0, C3))


def _rows(distances: Sequence[Bound]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At all times of all runs: what C0 and C3 are the factors of, and what is needed."""
    if not distances:
        raise ValueError("`distances` is empty. Pass results of `newton_distance`.")
    parts = []
    for one in distances:
        of = one.constants
        if "C3" not in of:
            raise ValueError(
                f"`fit_corollary` takes results of `newton_distance` with "
                f"`bound='corollary'`, but one has the constants {sorted(of)}."
            )
        if of["C3"] == 0:
            # Such a run starts and stays at the minimiser.
            continue
        kick = np.exp((one.t[0] - one.t) / of["beta"]) * of["epsilon0"] * of["speed0"]
        root = (one.bound - of["C0"] * kick) / of["C3"]
        parts.append(np.stack([kick, root, np.maximum(one.measured - one.allowance, 0.0)]))
    kicks, roots, needed = np.concatenate([np.zeros((3, 1)), *parts], axis=1)
    return kicks, roots, needed


def _smallest_pair(
    kicks: np.ndarray, roots: np.ndarray, needed: np.ndarray, C0: float, C3: float
) -> tuple[float, float]:
    """Minimise the sum of the shares u of C0 and w of C3, both at least 0."""
    from scipy.optimize import linprog

    binding = needed > 0
    if not binding.any():
        return 0.0, 0.0
    shares = np.stack([C0 * kicks, C3 * roots], axis=1)[binding] / needed[binding, None]
    # Only what no other row implies: a few rows, all of size 1.
    shares = shares[np.argsort(shares[:, 0], kind="stable")]
    shares = shares[shares[:, 1] <= np.minimum.accumulate(shares[:, 1])]
    found = linprog([1.0, 1.0], A_ub=-shares, b_ub=-np.ones(len(shares)))
    return float(C0 * found.x[0]), float(C3 * found.x[1])


def observed_order(parameters: Any, distances: Any) -> float:
    r"""The exponent $q$ of a power law $d \approx c\,p^q$, by least squares of logarithms.

    Args:
        parameters: Positive numbers $p$, such as masses, at least two different ones.
        distances: Positive numbers $d$, one a parameter.

    Raises:
        ValueError: The lengths differ, a number is not positive, or there are fewer than
            two parameters.

    Example:
        >>> round(observed_order([1e-2, 1e-3, 1e-4], [3e-2, 3e-3, 3e-4]), 12)
        1.0
    """
    p, d = np.asarray(parameters, dtype=float), np.asarray(distances, dtype=float)
    if p.ndim != 1 or p.shape != d.shape or np.unique(p).size < 2:
        raise ValueError(
            f"`parameters` must be two or more different numbers, and `distances` one for "
            f"each, but they have shapes {p.shape} and {d.shape}."
        )
    if not ((p > 0).all() and (d > 0).all()):
        raise ValueError(
            f"An order is read off logarithms, so all numbers must be positive, but the "
            f"smallest parameter is {p.min():g} and the smallest distance {d.min():g}."
        )
    return float(np.polyfit(np.log(p), np.log(d), 1)[0])
