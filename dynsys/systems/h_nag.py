"""The Hessian-driven Nesterov accelerated gradient flow, a system of variable mass."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.schedules import evaluate
from dynsys.systems.inertial_newton import AbstractInertialNewton, Coefficients
from dynsys.systems.parameters import check_number, check_schedule
from dynsys.systems.system import Constraint
from dynsys.trees import Time


class HNAG(AbstractInertialNewton):
    r"""Hessian-driven Nesterov accelerated gradient flow (H-NAG).

    $$\gamma\ddot x + (\gamma + \mu)\dot x + \gamma\beta\nabla^2 f(x)\dot x
    + (1 + \mu\beta + \gamma\dot\beta)\nabla f(x) = 0, \qquad
    \gamma(t) = \mu + (\gamma_0 - \mu)e^{-t}$$

    Chen and Luo write it as a system of first order, with another velocity $w$:

    $$\dot x = w - x - \beta\nabla f(x), \qquad
    \gamma\dot w = \mu(x - w) - \nabla f(x), \qquad \dot\gamma = \mu - \gamma$$

    Args:
        objective: Function $f$ to minimise, $\mu$-convex.
        mu: The constant $\mu$, at least 0.
        gamma0: The mass $\gamma_0$ at $t = 0$, positive.
        beta: Hessian-driven damping, at least 0; a number or a schedule.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: A parameter is out of range.

    Example:
        >>> system = HNAG(lambda x: 0.5 * x**2, mu=1.0, gamma0=2.0, beta=0.1)

    Source:
        Chen and Luo, arXiv 1912.09276; their flow is given from memory where $\gamma$ and
        $\beta$ vary, and the second-order form is derived here.
    """

    objective: Callable[[Any], Any]
    mu: Float[Array, ""]
    gamma0: Float[Array, ""]
    beta: Callable[[Any], Any]
    hessian_free: bool = eqx.field(static=True)

    def __init__(self, objective: Callable[[Any], Any], mu: Any, gamma0: Any, *, beta: Any):
        self.objective = as_objective(objective)
        self.mu = check_number("mu", mu, "at least 0")
        self.gamma0 = check_number("gamma0", gamma0, "positive")
        self.beta = check_schedule("beta", beta, "at least 0")
        self.hessian_free = True

    def gamma(self, t: Time) -> Time:
        r"""The mass $\gamma(t)$."""
        mu, gamma0 = self.mu.astype(t.dtype), self.gamma0.astype(t.dtype)
        return mu + (gamma0 - mu) * jnp.exp(-t)

    def coefficients(self, t: Time) -> Coefficients:
        mu, gamma = self.mu.astype(t.dtype), self.gamma(t)
        schedule = lambda time: evaluate(self.beta, time)
        beta, rate = jax.jvp(schedule, (t,), (jnp.ones_like(t),))
        factor = 1 + mu * beta + gamma * rate
        return Coefficients(gamma, gamma + mu, gamma * beta, factor)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("mu", self.mu, "at least 0"),
            Constraint("gamma0", self.gamma0, "positive"),
            Constraint("beta", self.beta, "at least 0"),
        )
