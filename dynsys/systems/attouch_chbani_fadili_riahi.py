"""Vanishing damping with time-dependent Hessian damping and gradient factor."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.schedules import PowerLaw, evaluate
from dynsys.systems.inertial_newton import AbstractInertialNewton, Coefficients
from dynsys.systems.parameters import check_number, check_schedule
from dynsys.systems.system import Constraint


class AttouchChbaniFadiliRiahi(AbstractInertialNewton):
    r"""Damping $\alpha/t$ with time-dependent Hessian damping and gradient factor.

    $$\ddot x + \frac\alpha t\dot x + \beta(t)\nabla^2 f(x)\dot x
    + b(t)\nabla f(x) = 0, \qquad t \ge t_0 > 0$$

    It is singular at $t = 0$: start it at a `t0` that is positive.

    Args:
        objective: Function $f$ to minimise, convex.
        alpha: Damping, at least 0. No unit.
        beta: Hessian-driven damping, at least 0; a number or a schedule. Unit: time.
        b: Factor of the gradient; a number or a schedule.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: A parameter is out of range.

    Example:
        >>> f = lambda x: 0.5 * x**2
        >>> system = AttouchChbaniFadiliRiahi(f, 3.0, 0.2, lambda t: 1 + 0.2 / t)

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536, theorem 1.
    """

    objective: Callable[[Any], Any]
    alpha: Float[Array, ""]
    beta: Callable[[Any], Any]
    b: Callable[[Any], Any]
    hessian_free: bool = eqx.field(static=True)

    def __init__(self, objective: Callable[[Any], Any], alpha: Any, beta: Any, b: Any):
        self.objective = as_objective(objective)
        self.alpha = check_number("alpha", alpha, "at least 0")
        self.beta = check_schedule("beta", beta, "at least 0")
        self.b = check_schedule("b", b, "finite")
        self.hessian_free = True

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        damping = self.alpha.astype(t.dtype) / t
        beta, b = evaluate(self.beta, t), evaluate(self.b, t)
        return Coefficients(jnp.ones_like(t), damping, beta, b)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("alpha / t", PowerLaw(self.alpha, 1.0, shift=0.0), "at least 0"),
            Constraint("beta", self.beta, "at least 0"),
            Constraint("b", self.b, "finite"),
        )
