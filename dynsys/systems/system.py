"""What a system is: a state, a vector field, and the position and velocity in it."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import Kind
from dynsys.objectives.traced_once import TracedOnce
from dynsys.schedules import Constant, Exponential, PowerLaw, evaluate
from dynsys.systems.feedback import Feedback
from dynsys.trees import Position, as_position

State = Any
"""A `NamedTuple` of pytrees that have the structure of the position."""


class Constraint(NamedTuple):
    """A condition on a coefficient that must hold on the whole time interval.

    Args:
        name: Name of the coefficient in messages.
        value: The coefficient: a constant, or a function of time.
        kind: What it must be.
    """

    name: str
    value: Float[Array, ""] | Callable[[Any], Any]
    kind: Kind

    def at(self, t: Float[Array, ""]) -> Float[Array, ""]:
        """The value at time `t`."""
        if callable(self.value):
            return evaluate(self.value, t)
        return self.value.astype(t.dtype)

    @property
    def is_constant(self) -> bool:
        """Whether one look is enough."""
        return isinstance(self.value, Constant) or not callable(self.value)

    @property
    def is_monotone(self) -> bool:
        """Whether the ends of an interval tell everything."""
        return self.is_constant or isinstance(self.value, PowerLaw | Exponential)


class AbstractSystem(eqx.Module):
    """A dynamical system of optimisation, as a first-order system in its own state.

    To add one, write a final subclass in a file of its own, export it, and add a line
    to the table in `tests/systems/catalogue.py`.
    """

    objective: eqx.AbstractVar[Callable[[Any], Any]]

    velocity_has_gradient: ClassVar[bool] = False
    """Whether, whatever its parameters, a larger gradient means a smaller velocity: then
    kinks cannot be crossed ever faster."""

    hessians_a_field: ClassVar[int] = 0
    """Hessians that one evaluation of the field takes."""

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """Order in time, 1 or 2. A system of order 1 has no initial velocity."""

    @property
    @abc.abstractmethod
    def state_type(self) -> type:
        """The `NamedTuple` that holds a state."""

    @property
    @abc.abstractmethod
    def constraints(self) -> tuple[Constraint, ...]:
        """What must hold of the coefficients while the system runs."""

    @abc.abstractmethod
    def initial_state(self, t: Float[Array, ""], x: Position, v: Position | None) -> State:
        """The state at time `t` with position `x` and velocity `v` (`None`: at rest)."""

    @abc.abstractmethod
    def vector_field(self, t: Float[Array, ""], state: State) -> State:
        """Time derivative of the state."""

    @abc.abstractmethod
    def position(self, state: State) -> Position:
        """The position in a state."""

    @abc.abstractmethod
    def velocity(self, t: Float[Array, ""], state: State) -> Position:
        """The time derivative of the position, as the equation gives it at a state."""

    @abc.abstractmethod
    def feedback(self, t: Float[Array, ""]) -> Feedback | None:
        """The system as a linear one in feedback with the gradient, if it is one.

        Then implicit steps solve systems of the size of the position with the Hessian of
        the objective; where it is `None`, systems of the size of the state with a
        Jacobian that is formed.
        """

    @property
    def has_feedback(self) -> bool:
        """Whether the system is a linear one in feedback with the gradient."""
        time = jax.ShapeDtypeStruct((), jnp.result_type(float))
        return jax.eval_shape(self.feedback, time) is not None

    @abc.abstractmethod
    def controlled(self, state: State) -> Any:
        """The linear image of a state in which the error of a step is measured."""

    def gradient(self, x: Position) -> Position:
        """Gradient of the objective; where it has a kink, what JAX returns there."""
        if isinstance(self.objective, TracedOnce):
            return self.objective.gradient(x)
        return jax.grad(self.objective)(x)

    def force(self, t: Float[Array, ""], state: State) -> Position:
        """The gradient that moves the system: in an inclusion, one element of a set."""
        del t
        return self.gradient(self.position(state))

    def restarted(
        self, after: "AbstractSystem", t: Float[Array, ""], state: State
    ) -> State:
        """The state of a system with other coefficients, with this position and velocity.

        Args:
            after: That system.
            t: Time.
            state: A state of this system.
        """
        if self.order == 1:
            return state
        return after.initial_state(t, self.position(state), self.velocity(t, state))

    def violation(
        self, t: Float[Array, ""], state: State, unit: Float[Array, ""]
    ) -> Float[Array, ""]:
        """How far a state is from where this system is the one that moves it.

        It is 0 but for the modes of an inclusion: by how many units the state would have to
        move to bring back a sign or a multiplier that is beyond its bound.

        Args:
            t: Time.
            state: The state.
            unit: How far counts as 1, such as the tolerance of a step.
        """
        del state, unit
        return jnp.zeros_like(t)

    def state(self, *components: Any) -> State:
        """A state from its components, to start from any of them.

        Args:
            *components: One position-like pytree for each field of `state_type`.

        Raises:
            TypeError: The number of components is wrong.
            ValueError: The components differ in structure or shapes.
        """
        names = self.state_type._fields
        if len(components) != len(names):
            raise TypeError(
                f"A state of {type(self).__name__} has the components {names}, but "
                f"{len(components)} were passed."
            )
        trees = [
            as_position(name, value) for name, value in zip(names, components, strict=True)
        ]
        shapes = [jax.tree.map(lambda leaf: leaf.shape, tree) for tree in trees]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                f"The components {names} of a state must have the same structure and "
                f"shapes, but have {shapes}."
            )
        cast = lambda leaf, like: leaf.astype(like.dtype)
        return self.state_type(*(jax.tree.map(cast, tree, trees[0]) for tree in trees))
