"""Polyak's heavy ball with friction."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.schedules import evaluate
from dynsys.systems.inertial_newton import AbstractInertialNewton, Coefficients
from dynsys.systems.parameters import check_schedule
from dynsys.systems.system import Constraint


class HeavyBall(AbstractInertialNewton):
    r"""Heavy ball with friction.

    $$\ddot x + \alpha(t)\dot x + \nabla f(x) = 0$$

    Args:
        objective: Function $f$ to minimise, differentiable.
        alpha: Viscous damping, at least 0; a number or a schedule. Unit: 1 / time.

    Raises:
        TypeError: `objective` is not callable or `alpha` is not a number or schedule.
        ValueError: `alpha` is negative.

    Example:
        >>> system = HeavyBall(lambda x: 0.5 * x**2, alpha=3.0)

    Source:
        Polyak (1964), as cited in the talk.
    """

    objective: Callable[[Any], Any]
    alpha: Callable[[Any], Any]
    hessian_free: bool = eqx.field(static=True)

    def __init__(self, objective: Callable[[Any], Any], alpha: Any):
        self.objective = as_objective(objective)
        self.hessian_free = True
        self.alpha = check_schedule("alpha", alpha, "at least 0")

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        one, zero = jnp.ones_like(t), jnp.zeros_like(t)
        return Coefficients(one, evaluate(self.alpha, t), zero, one)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (Constraint("alpha", self.alpha, "at least 0"),)
