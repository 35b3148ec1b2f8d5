"""The proven bound of the objective along a trajectory."""

from typing import Any

from dynsys.analysis.minimum import minimum_of
from dynsys.analysis.objective_bounds.case import Case, Constant
from dynsys.analysis.objective_bounds.catalogue import THEOREMS
from dynsys.analysis.objective_bounds.checks import differentiable
from dynsys.analysis.points import require_trajectory
from dynsys.analysis.report import Bound
from dynsys.checks import as_number
from dynsys.objectives.objective import AbstractObjective, Facts
from dynsys.trajectory import Trajectory


def objective_bound(
    trajectory: Trajectory,
    *,
    minimiser: Any = None,
    minimum: Any = None,
    mu: Any = None,
    L: Any = None,
) -> Bound:
    r"""How far the objective is above its minimum, next to what is proved of it.

    With the distance $d = \|x_0 - x^\star\|$ and the time $\tau$ since the first output,
    the energies $E$ of `energies_of`, and $t_1$ the first output from which on the
    conditions on the coefficients hold,

    | system | $f(x(t)) - f^\star \le$ | for $f$ |
    |---|---|---|
    | `AVD`, $\alpha \ge 3$ | $(\alpha-1)^2d^2/(2t^2)$ | convex |
    | `DINAVD`, `AttouchChbaniFadiliRiahi` | $E(t_1)/(t^2w(t))$ | convex |
    | `StronglyConvexDIN` | $Ce^{-\sqrt\mu\,\tau/2}$ | $\mu$-strongly convex |
    | `HighResolutionNAGSC` | $\frac2sd^2e^{-\sqrt\mu\,\tau/4}$ | $\mu$-strongly convex |
    | `HighResolutionHeavyBall` | $\frac7{2s}d^2e^{-\sqrt\mu\,\tau/4}$ | the same |
    | `HNAG` | $E(t_0)e^{-\tau}$ | $\mu$-convex |
    | `VMDINAVD`, $-\dot\varepsilon = \alpha = c\varepsilon$ | $E(t_0)e^{-c\tau}$ | convex |
    | `ISIHD`, ahead of the position | $E(t_1)/\delta(t)$ | convex |
    | `TikhonovDINAVD` | $(E(t_1) + \dots)/(t(t - \beta))$ | convex |

    and for `HighResolutionNAGC` the smallest squared norm of the gradient so far is
    measured and bounded. Assumptions on coefficients are checked at a grid of times, those
    on $f$ at the outputs and the minimiser, with its Hessian there up to 128 coordinates;
    that they are met elsewhere is taken on trust, and the report says of whom. The theorems
    are for differentiable $f$: a loss with kinks is refused, even if none was met.

    Args:
        trajectory: A trajectory.
        minimiser: A minimiser of the objective; left out, what it knows of itself.
        minimum: The smallest value; left out, that at the minimiser.
        mu: A constant of strong convexity that you vouch for; left out, what the objective
            knows of itself. The `mu` of the system must not be larger.
        L: A Lipschitz constant of the gradient, for theorems that need one; left out, what
            the objective knows of itself.

    Returns:
        What was measured and what is proved, with the assumptions and the source.

    Raises:
        TypeError: It is not a trajectory, or `mu` or `L` is not a number.
        ValueError: It is a batch or its run failed, no theorem on the system is known, or a
            minimiser or `L` is needed and not known.
        AssumptionError: An assumption of the theorem fails. The message says which, where.

    Example:
        >>> import dynsys as ds
        >>> f = ds.objectives.LogCosh([0.1, 1.0])
        >>> run = ds.simulate(ds.AVD(f, alpha=3.0), [2.0, 1.0], t1=20.0)
        >>> bound = objective_bound(run)
        >>> bound.source, bound.holds
        ('Su, Boyd, Candès, arXiv 1503.01243v2, theorem 3', True)

    Source:
        Each theorem names its own; see `dynsys/analysis/objective_bounds/`.
    """
    require_trajectory("objective_bound", trajectory)
    theorem = THEOREMS.get(type(trajectory.system))
    if theorem is None:
        names = ", ".join(kind.__name__ for kind in THEOREMS)
        raise ValueError(
            f"No bound of the objective is known for {type(trajectory.system).__name__}. "
            f"There is one for {names}."
        )
    known = minimum_of(trajectory, minimiser, minimum)
    if known.x is None:
        raise ValueError(
            "The bound needs a minimiser, which the objective does not know of itself. "
            "Pass `minimiser=...`."
        )
    smooth = differentiable(trajectory)
    case = Case(
        trajectory, known, _constant(trajectory, "mu", mu), _constant(trajectory, "L", L)
    )
    bound = theorem(case)
    return bound._replace(assumptions=(smooth, *bound.assumptions))


def _constant(trajectory: Trajectory, name: str, given: Any) -> Constant | None:
    if given is not None:
        return Constant(float(as_number(name, given, "positive")), f"passed as `{name}`")
    objective = trajectory.system.objective
    facts = objective.facts if isinstance(objective, AbstractObjective) else Facts()
    known = getattr(facts, name)
    return None if known is None else Constant(float(known), "of the objective")
