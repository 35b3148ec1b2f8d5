"""High-resolution equation of Nesterov's method for convex functions."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.schedules import PowerLaw
from dynsys.systems.inertial_newton import AbstractInertialNewton, Coefficients
from dynsys.systems.parameters import check_number
from dynsys.systems.system import Constraint
from dynsys.trees import Position, as_position, combine


class HighResolutionNAGC(AbstractInertialNewton):
    r"""High-resolution equation of Nesterov's method for convex functions.

    $$\ddot x + \frac3t\dot x + \sqrt s\,\nabla^2 f(x)\dot x
    + \Big(1 + \frac{3\sqrt s}{2t}\Big)\nabla f(x) = 0, \qquad
    t \ge t_0 = \tfrac32\sqrt s$$

    It is singular at $t = 0$: start it at `start_time`, as the paper does, or later.

    Args:
        objective: Function $f$ to minimise, convex.
        s: Step size of the method, positive. Unit: time^2.

    Raises:
        TypeError: `objective` is not callable or `s` is not a number.
        ValueError: `s` is not positive.

    Example:
        >>> system = HighResolutionNAGC(lambda x: 0.5 * x**2, s=0.04)
        >>> round(float(system.start_time), 6)
        0.3
        >>> round(float(system.initial_velocity(3.0)), 6)
        -0.6

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907, equation (1.12).
    """

    objective: Callable[[Any], Any]
    s: Float[Array, ""]
    hessian_free: bool = eqx.field(static=True)

    def __init__(self, objective: Callable[[Any], Any], s: Any):
        self.objective = as_objective(objective)
        self.s = check_number("s", s, "positive")
        self.hessian_free = True

    @property
    def start_time(self) -> Float[Array, ""]:
        r"""The time $t_0 = \frac32\sqrt s$ at which the paper starts."""
        return 1.5 * jnp.sqrt(self.s)

    def initial_velocity(self, x0: Any) -> Position:
        r"""The velocity with which the paper starts, $-\sqrt s\,\nabla f(x_0)$.

        Args:
            x0: Position at the start.
        """
        return combine((-jnp.sqrt(self.s), self.gradient(as_position("x0", x0))))

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        root = jnp.sqrt(self.s.astype(t.dtype))
        return Coefficients(jnp.ones_like(t), 3 / t, root, 1 + 1.5 * root / t)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("s", self.s, "positive"),
            Constraint("3 / t", PowerLaw(3.0, 1.0, shift=0.0), "at least 0"),
        )
