"""The dynamical inertial Newton system."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.schedules import evaluate
from dynsys.systems.inertial_newton import AbstractInertialNewton, Coefficients
from dynsys.systems.parameters import check_number, check_schedule
from dynsys.systems.system import Constraint


class DIN(AbstractInertialNewton):
    r"""Dynamical inertial Newton system.

    $$\ddot x + \alpha(t)\dot x + \beta\nabla^2 f(x)\dot x + \nabla f(x) = 0$$

    Args:
        objective: Function $f$ to minimise, twice differentiable.
        alpha: Viscous damping, at least 0; a number or a schedule. Unit: 1 / time.
        beta: Hessian-driven damping, at least 0; with 0 it is the heavy ball.
            Unit: time.
        hessian_free: Use the momentum form, without Hessian; otherwise the state is
            (x, v) and each evaluation costs a Hessian-vector product.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `alpha` or `beta` is negative.

    Example:
        >>> system = DIN(lambda x: 0.5 * x**2, alpha=3.0, beta=0.1)

    Source:
        Alvarez, Attouch, Bolte, Redont (2002), as cited in the talk, equation (DIN).
    """

    objective: Callable[[Any], Any]
    alpha: Callable[[Any], Any]
    beta: Float[Array, ""]
    hessian_free: bool = eqx.field(static=True)

    def __init__(
        self,
        objective: Callable[[Any], Any],
        alpha: Any,
        beta: Any,
        *,
        hessian_free: bool = True,
    ):
        self.objective = as_objective(objective)
        self.alpha = check_schedule("alpha", alpha, "at least 0")
        self.beta = check_number("beta", beta, "at least 0")
        self.hessian_free = hessian_free

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        one = jnp.ones_like(t)
        return Coefficients(one, evaluate(self.alpha, t), self.beta.astype(t.dtype), one)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("alpha", self.alpha, "at least 0"),
            Constraint("beta", self.beta, "at least 0"),
        )
