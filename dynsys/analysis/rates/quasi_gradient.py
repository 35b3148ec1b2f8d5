"""The inequality between speed and energy that the rates of g-DIN rest on."""

from typing import Any

import jax
import numpy as np

from dynsys.analysis.points import allowance, require_trajectory, rows
from dynsys.analysis.report import Assumption, AssumptionError, Bound
from dynsys.cached_call import cached_call
from dynsys.checks import as_number
from dynsys.systems.gdin import GDIN
from dynsys.trajectory import Trajectory
from dynsys.trees import Position, norm


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
