"""Gradient flow, the continuous limit of gradient descent."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import as_time
from dynsys.objectives.objective import as_objective
from dynsys.systems.feedback import Feedback
from dynsys.systems.system import AbstractSystem, Constraint
from dynsys.trees import Position, combine


class PositionState(NamedTuple):
    """The state of a system of order 1: its position $x$."""

    x: Position


class GradientFlow(AbstractSystem):
    r"""Gradient flow, or steepest descent.

    $$\dot x + \nabla f(x) = 0$$

    Args:
        objective: Function $f$ to minimise.

    Raises:
        TypeError: `objective` is not callable.

    Example:
        >>> system = GradientFlow(lambda x: 0.5 * x**2)

    Source:
        The talk, "The ODE paradigm".
    """

    objective: Callable[[Any], Any]

    velocity_has_gradient: ClassVar[bool] = True

    def __init__(self, objective: Callable[[Any], Any]):
        self.objective = as_objective(objective)

    @property
    def order(self) -> int:
        return 1

    @property
    def state_type(self) -> type:
        return PositionState

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return ()

    def initial_state(
        self, t: Float[Array, ""], x: Position, v: Position | None
    ) -> PositionState:
        del t, v
        return PositionState(x)

    def vector_field(self, t: Float[Array, ""], state: PositionState) -> PositionState:
        return PositionState(self.velocity(t, state))

    def feedback(self, t: Float[Array, ""]) -> Feedback:
        t = as_time(t)
        zero = jnp.zeros_like(t)
        return Feedback(((zero,),), (-jnp.ones_like(t),), zero)

    def controlled(self, state: PositionState) -> PositionState:
        return state

    def position(self, state: PositionState) -> Position:
        return state.x

    def velocity(self, t: Float[Array, ""], state: PositionState) -> Position:
        del t
        return combine((-1.0, self.gradient(state.x)))
