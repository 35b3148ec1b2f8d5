"""The inertial system with implicit Hessian damping."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from dynsys.checks import as_time
from dynsys.objectives.objective import as_objective
from dynsys.schedules import PowerLaw
from dynsys.systems.inertial_newton import VelocityState
from dynsys.systems.parameters import check_number
from dynsys.systems.system import AbstractSystem, Constraint
from dynsys.trees import Position, Time, combine, zeros_like


class ISIHD(AbstractSystem):
    r"""Inertial system with implicit Hessian damping (ISIHD).

    $$\ddot x + \frac\alpha t\dot x
    + \nabla f\Big(x + \Big(\gamma + \frac\beta t\Big)\dot x\Big) = 0$$

    The gradient is taken ahead of the position, which to first order is Hessian-driven
    damping: on a quadratic function it is `DINAVD` with damping $(\alpha + \beta\lambda)/t$
    and $\gamma$ for each eigenvalue $\lambda$. It is singular at $t = 0$: start it at a
    `t0` that is positive.

    Args:
        objective: Function $f$ to minimise, differentiable.
        alpha: Viscous damping, at least 0. No unit.
        gamma: How far ahead the gradient is taken, at least 0. Unit: time.
        beta: Vanishing part of it, of any sign. Unit: time^2.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `alpha` or `gamma` is negative.

    Example:
        >>> system = ISIHD(lambda x: 0.5 * x**2, alpha=3.1, gamma=0.5, beta=0.1)

    Source:
        Alecsa, László, Pinţa (2021), arXiv 1908.02574.
    """

    objective: Callable[[Any], Any]
    alpha: Float[Array, ""]
    gamma: Float[Array, ""]
    beta: Float[Array, ""]

    def __init__(self, objective: Callable[[Any], Any], alpha: Any, gamma: Any, beta: Any):
        self.objective = as_objective(objective)
        self.alpha = check_number("alpha", alpha, "at least 0")
        self.gamma = check_number("gamma", gamma, "at least 0")
        self.beta = check_number("beta", beta, "finite")

    @property
    def order(self) -> int:
        return 2

    @property
    def state_type(self) -> type:
        return VelocityState

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("alpha / t", PowerLaw(self.alpha, 1.0, shift=0.0), "at least 0"),
            Constraint("gamma", self.gamma, "at least 0"),
            Constraint("beta", self.beta, "finite"),
        )

    def reach(self, t: Time) -> Time:
        r"""How far ahead the gradient is taken at time `t`, $\gamma + \beta/t$."""
        return self.gamma.astype(t.dtype) + self.beta.astype(t.dtype) / t

    def ahead(self, t: Time, state: VelocityState) -> Position:
        r"""The point $x + (\gamma + \beta/t)\dot x$ at which the gradient is taken."""
        return combine((1.0, state.x), (self.reach(as_time(t)), state.v))

    def force(self, t: Time, state: VelocityState) -> Position:
        """The gradient that moves the system: the one ahead of the position."""
        return self.gradient(self.ahead(t, state))

    def initial_state(self, t: Time, x: Position, v: Position | None) -> VelocityState:
        del t
        return VelocityState(x, zeros_like(x) if v is None else v)

    def vector_field(self, t: Time, state: VelocityState) -> VelocityState:
        t = as_time(t)
        damping = self.alpha.astype(t.dtype) / t
        acceleration = combine((-damping, state.v), (-1.0, self.force(t, state)))
        return VelocityState(state.v, acceleration)

    def feedback(self, t: Time) -> None:
        """`None`: the gradient is not taken at a component of the state."""
        del t

    def controlled(self, state: VelocityState) -> VelocityState:
        return state

    def position(self, state: VelocityState) -> Position:
        return state.x

    def velocity(self, t: Time, state: VelocityState) -> Position:
        del t
        return state.v
