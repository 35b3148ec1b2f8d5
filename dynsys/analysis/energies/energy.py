"""What an energy is: a function along a trajectory, with its exact rate."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Position, Time, combine


class Minimum(NamedTuple):
    """What is known of the minimum of an objective.

    Args:
        x: A minimiser, or `None`.
        f: The smallest value; 0 where it is not known.
    """

    x: Position | None
    f: Any


class Moment(NamedTuple):
    r"""A system at one time.

    Args:
        t: The time.
        x: The position.
        v: The velocity.
        f: The objective there, less its minimum where that is known.
        g: Its gradient; at a kink the element of the set that moves the system.
        g_rate: The time derivative of `g`, for a smooth objective $\nabla^2f(x)\,v$.
        offset: The position less the minimiser; `None` where that is not known.
    """

    t: Time
    x: Position
    v: Position
    f: Float[Array, ""]
    g: Position
    g_rate: Position
    offset: Position | None


class Energy(NamedTuple):
    """A function of time, position and velocity, and its exact derivative in time.

    Args:
        name: What it is called.
        value: The energy at a moment.
        rate: Its derivative along a solution, as the equation gives it.
        decreases: When it is known not to increase.
        source: Paper and equation.
        needs_minimiser: Whether a minimiser must be known.
    """

    name: str
    value: Callable[[Moment], Float[Array, ""]]
    rate: Callable[[Moment], Float[Array, ""]]
    decreases: str
    source: str
    needs_minimiser: bool = False


def moment(
    system: AbstractSystem,
    minimum: Minimum,
    t: Time,
    state: State,
    velocity: Position | None = None,
) -> Moment:
    """A system at a time and state.

    Args:
        system: The system; between events of an inclusion, that of its mode.
        minimum: What is known of the minimum.
        t: Time.
        state: State.
        velocity: The velocity; left out, the one that the equation gives.
    """
    x = system.position(state)
    slope = system.vector_field(t, state)
    v = system.position(slope) if velocity is None else velocity
    slope = eqx.tree_at(system.position, slope, v)
    g, g_rate = jax.jvp(system.force, (t, state), (jnp.ones_like(t), slope))
    offset = None if minimum.x is None else combine((1.0, x), (-1.0, minimum.x))
    f = system.objective(x)
    return Moment(t, x, v, f - jnp.asarray(minimum.f, f.dtype), g, g_rate, offset)
