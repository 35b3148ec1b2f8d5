"""Vanishing and Hessian-driven damping with vanishing Tikhonov regularization."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import as_time
from dynsys.objectives.objective import as_objective
from dynsys.schedules import PowerLaw, evaluate
from dynsys.systems.feedback import Feedback
from dynsys.systems.inertial_newton import MomentumState
from dynsys.systems.parameters import check_number, check_schedule
from dynsys.systems.system import AbstractSystem, Constraint
from dynsys.trees import Position, Time, combine


class TikhonovDINAVD(AbstractSystem):
    r"""DIN-AVD with vanishing Tikhonov regularization.

    $$\ddot x + \frac\alpha t\dot x + \beta\nabla^2 g(x)\dot x + \nabla g(x)
    + \epsilon(t)x = 0$$

    The regularization steers $x$ to the minimiser of smallest norm. Its momentum form is
    the one of the other systems, with a linear term:

    $$\dot x = p - \beta\nabla g(x), \qquad
    \dot p = -\frac\alpha t\dot x - \nabla g(x) - \epsilon(t)x$$

    It is singular at $t = 0$: start it at a `t0` that is positive.

    Args:
        objective: Function $g$ to minimise, without the regularization.
        alpha: Viscous damping, at least 0. No unit.
        beta: Hessian-driven damping, at least 0. Unit: time.
        epsilon: Regularization, at least 0; a number or a schedule. Unit: 1 / time^2.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: A parameter is negative.

    Example:
        >>> from dynsys.schedules import PowerLaw
        >>> fading = PowerLaw(1.0, exponent=1.5, shift=0.0)
        >>> system = TikhonovDINAVD(lambda x: 0.5 * x**2, 3.1, 0.2, fading)

    Source:
        Boţ, Csetnek, László (2021), arXiv 1911.12845. The momentum form is derived here.
    """

    objective: Callable[[Any], Any]
    alpha: Float[Array, ""]
    beta: Float[Array, ""]
    epsilon: Callable[[Any], Any]

    def __init__(
        self, objective: Callable[[Any], Any], alpha: Any, beta: Any, epsilon: Any
    ):
        self.objective = as_objective(objective)
        self.alpha = check_number("alpha", alpha, "at least 0")
        self.beta = check_number("beta", beta, "at least 0")
        self.epsilon = check_schedule("epsilon", epsilon, "at least 0")

    @property
    def order(self) -> int:
        return 2

    @property
    def state_type(self) -> type:
        return MomentumState

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("alpha / t", PowerLaw(self.alpha, 1.0, shift=0.0), "at least 0"),
            Constraint("beta", self.beta, "at least 0"),
            Constraint("epsilon", self.epsilon, "at least 0"),
        )

    def initial_state(self, t: Time, x: Position, v: Position | None) -> MomentumState:
        del t
        p = combine((self.beta, self.gradient(x)))
        return MomentumState(x, p if v is None else combine((1.0, v), (1.0, p)))

    def vector_field(self, t: Time, state: MomentumState) -> MomentumState:
        return MomentumState(*self.feedback(t).rates(state, self.gradient(state.x)))

    def feedback(self, t: Time) -> Feedback:
        t = as_time(t)
        zero, one = jnp.zeros_like(t), jnp.ones_like(t)
        linear = ((zero, one), (-evaluate(self.epsilon, t), zero))
        gradient = (-self.beta.astype(t.dtype), -one)
        return Feedback(linear, gradient, -self.alpha.astype(t.dtype) / t)

    def controlled(self, state: MomentumState) -> MomentumState:
        return state

    def position(self, state: MomentumState) -> Position:
        return state.x

    def velocity(self, t: Time, state: MomentumState) -> Position:
        del t
        return combine((1.0, state.p), (-self.beta, self.gradient(state.x)))
