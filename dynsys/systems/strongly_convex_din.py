"""The inertial Newton system with the damping that suits strong convexity."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.systems.inertial_newton import AbstractInertialNewton, Coefficients
from dynsys.systems.parameters import check_number
from dynsys.systems.system import Constraint


class StronglyConvexDIN(AbstractInertialNewton):
    r"""DIN with the viscous damping $2\sqrt\mu$, for strongly convex functions.

    $$\ddot x + 2\sqrt\mu\,\dot x + \beta\nabla^2 f(x)\dot x + \nabla f(x) = 0$$

    Args:
        objective: Function $f$ to minimise, $\mu$-strongly convex.
        mu: The constant $\mu$, positive. Unit: 1 / time^2.
        beta: Hessian-driven damping, at least 0; the rate is proved up to
            $\frac1{2\sqrt\mu}$. Unit: time.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `mu` is not positive or `beta` is negative.

    Example:
        >>> system = StronglyConvexDIN(lambda x: 0.5 * x**2, mu=1.0, beta=0.5)

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536, theorem 7.
    """

    objective: Callable[[Any], Any]
    mu: Float[Array, ""]
    beta: Float[Array, ""]
    hessian_free: bool = eqx.field(static=True)

    def __init__(self, objective: Callable[[Any], Any], mu: Any, beta: Any):
        self.objective = as_objective(objective)
        self.mu = check_number("mu", mu, "positive")
        self.beta = check_number("beta", beta, "at least 0")
        self.hessian_free = True

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        one, damping = jnp.ones_like(t), 2 * jnp.sqrt(self.mu.astype(t.dtype))
        return Coefficients(one, damping, self.beta.astype(t.dtype), one)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("mu", self.mu, "positive"),
            Constraint("beta", self.beta, "at least 0"),
        )
