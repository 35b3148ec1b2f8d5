"""The variable-mass system of the second part of the talk."""

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


class VMDINAVD(AbstractInertialNewton):
    r"""Variable-mass dynamical inertial Newton system (VM-DIN-AVD).

    $$\varepsilon(t)\ddot x + \alpha(t)\dot x + \beta\nabla^2 f(x)\dot x
    + \nabla f(x) = 0$$

    As $\varepsilon$ and $\alpha$ vanish, its solutions approach continuous Newton or
    Levenberg-Marquardt, depending on their ratio.

    Args:
        objective: Function $f$ to minimise, twice differentiable.
        epsilon: Variable mass, positive; a number or a schedule. Unit: time^2.
        alpha: Viscous damping, at least 0; a number or a schedule. Unit: time.
        beta: Hessian-driven damping, at least 0. Unit: time.
        hessian_free: Use the momentum form, without Hessian; otherwise the state is
            (x, v) and each evaluation costs a Hessian-vector product.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: A parameter is out of range.

    Example:
        >>> from dynsys.schedules import PowerLaw
        >>> mass = PowerLaw(1.0, exponent=2.0)
        >>> system = VMDINAVD(lambda x: 0.5 * x**2, mass, alpha=0.0, beta=1.0)

    Source:
        Castera, Attouch, Fadili, Ochs (2023), arXiv 2301.08726, as given in the talk,
        equation (VM-DIN-AVD). The momentum form is derived here.
    """

    objective: Callable[[Any], Any]
    epsilon: Callable[[Any], Any]
    alpha: Callable[[Any], Any]
    beta: Float[Array, ""]
    hessian_free: bool = eqx.field(static=True)

    def __init__(
        self,
        objective: Callable[[Any], Any],
        epsilon: Any,
        alpha: Any,
        beta: Any,
        *,
        hessian_free: bool = True,
    ):
        self.objective = as_objective(objective)
        self.epsilon = check_schedule("epsilon", epsilon, "positive")
        self.alpha = check_schedule("alpha", alpha, "at least 0")
        self.beta = check_number("beta", beta, "at least 0")
        self.hessian_free = hessian_free

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        return Coefficients(
            evaluate(self.epsilon, t),
            evaluate(self.alpha, t),
            self.beta.astype(t.dtype),
            jnp.ones_like(t),
        )

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("epsilon", self.epsilon, "positive"),
            Constraint("alpha", self.alpha, "at least 0"),
            Constraint("beta", self.beta, "at least 0"),
        )
