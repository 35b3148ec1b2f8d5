"""What the high-resolution equations for strongly convex functions share."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.systems.inertial_newton import AbstractInertialNewton
from dynsys.systems.parameters import check_number
from dynsys.systems.system import Constraint
from dynsys.trees import Position, as_position, combine


class AbstractHighResolutionStronglyConvex(AbstractInertialNewton):
    r"""A high-resolution equation with the constant $\mu$ and a step size $s$.

    Args:
        objective: Function $f$ to minimise, $\mu$-strongly convex.
        mu: The constant $\mu$, positive. Unit: 1 / time^2.
        s: Step size of the method, positive. Unit: time^2.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `mu` or `s` is not positive.

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907.
    """

    objective: Callable[[Any], Any]
    mu: Float[Array, ""]
    s: Float[Array, ""]
    hessian_free: bool = eqx.field(static=True)

    def __init__(self, objective: Callable[[Any], Any], mu: Any, s: Any):
        self.objective = as_objective(objective)
        self.mu = check_number("mu", mu, "positive")
        self.s = check_number("s", s, "positive")
        self.hessian_free = True

    def initial_velocity(self, x0: Any) -> Position:
        r"""The velocity with which the paper starts.

        $$\dot x(0) = -\frac{2\sqrt s}{1 + \sqrt{\mu s}}\nabla f(x_0)$$

        Args:
            x0: Position at the start.
        """
        scale = -2 * jnp.sqrt(self.s) / (1 + jnp.sqrt(self.mu * self.s))
        return combine((scale, self.gradient(as_position("x0", x0))))

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("mu", self.mu, "positive"),
            Constraint("s", self.s, "positive"),
        )
