"""The inertial Newton system with asymptotically vanishing damping."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.systems.inertial_newton import Coefficients
from dynsys.systems.parameters import check_number
from dynsys.systems.vanishing_damping import AbstractVanishingDamping, Damping


class DINAVD(AbstractVanishingDamping):
    r"""Inertial Newton system with asymptotically vanishing damping (DIN-AVD).

    $$\ddot x + \frac\alpha t\dot x + \beta\nabla^2 f(x)\dot x + \nabla f(x) = 0$$

    At $t = 0$ it starts from rest only, along its series.

    Args:
        objective: Function $f$ to minimise, twice differentiable.
        alpha: Viscous damping, at least 0; 3 is Nesterov's. No unit.
        beta: Hessian-driven damping, at least 0; with 0 it is AVD. Unit: time.
        hessian_free: Use the momentum form, without Hessian; otherwise the state is
            (x, v) and each evaluation costs a Hessian-vector product.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `alpha` or `beta` is negative.

    Example:
        >>> system = DINAVD(lambda x: 0.5 * x**2, alpha=3.1, beta=0.1)

    Source:
        Attouch, Peypouquet, Redont (2016), arXiv 1601.07113; the talk, (DIN-AVD).
    """

    objective: Callable[[Any], Any]
    alpha: Float[Array, ""]
    beta: Float[Array, ""]
    hessian_free: bool = eqx.field(static=True)

    def __init__(
        self,
        objective: Callable[[Any], Any],
        alpha: Any = 3.0,
        *,
        beta: Any,
        hessian_free: bool = True,
    ):
        self.objective = as_objective(objective)
        self.alpha = check_number("alpha", alpha, "at least 0")
        self.beta = check_number("beta", beta, "at least 0")
        self.hessian_free = hessian_free

    @property
    def damping(self) -> Damping:
        return Damping(self.alpha, self.beta)

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        one = jnp.ones_like(t)
        alpha, beta = self.alpha.astype(t.dtype), self.beta.astype(t.dtype)
        return Coefficients(one, alpha / t, beta, one)
