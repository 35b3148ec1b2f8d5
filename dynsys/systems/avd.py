"""Asymptotically vanishing damping: Nesterov's method in continuous time."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.systems.inertial_newton import Coefficients
from dynsys.systems.parameters import check_number
from dynsys.systems.vanishing_damping import AbstractVanishingDamping, Damping


class AVD(AbstractVanishingDamping):
    r"""Asymptotically vanishing damping.

    $$\ddot x + \frac\alpha t\dot x + \nabla f(x) = 0$$

    At $t = 0$ it starts from rest only, along its series.

    Args:
        objective: Function $f$ to minimise, differentiable.
        alpha: Damping, at least 0; 3 is Nesterov's. No unit.

    Raises:
        TypeError: `objective` is not callable or `alpha` is not a number.
        ValueError: `alpha` is negative.

    Example:
        >>> system = AVD(lambda x: 0.5 * x**2)

    Source:
        Su, Boyd, Candès, arXiv 1503.01243; the talk, "Typically alpha(t) = 3/t".
    """

    objective: Callable[[Any], Any]
    alpha: Float[Array, ""]
    hessian_free: bool = eqx.field(static=True)

    def __init__(self, objective: Callable[[Any], Any], alpha: Any = 3.0):
        self.objective = as_objective(objective)
        self.hessian_free = True
        self.alpha = check_number("alpha", alpha, "at least 0")

    @property
    def damping(self) -> Damping:
        return Damping(self.alpha, jnp.zeros_like(self.alpha))

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        one = jnp.ones_like(t)
        return Coefficients(one, self.alpha.astype(t.dtype) / t, jnp.zeros_like(t), one)
