r"""Where a trajectory is when it meets a surface, between two times that numbers resolve.

A step that lands on a surface ends at a number, up to the resolution $\delta$ of time
after the event. In single precision at $t = 10^4$ this is 1e-3, in which the state changes
by far more than a tolerance. So the state is taken back to the event along the field before
it, and from there to the end of the step along the field after it, both to first order:
what is left of the error is of the order of $\delta^2$. It is estimated and summed up,
with kinks met within one resolution of time, of which only one is seen in time.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.integrators.inclusion.piece_system import REACH, PieceSystem
from dynsys.systems.system import State
from dynsys.trees import Position, Time, constant, largest

VISIBLE = 10.0
"""Tolerances that events may cost a run. Later the solution may amplify them ten times, and
about 100 tolerances are what one sees."""

LATEST = 4.0
"""Resolutions of time up to which a step may end after its event."""


SEEN = 1e-3
"""Part of a tolerance up to which it is not seen how late a step ended."""


class Arrival(NamedTuple):
    """How a trajectory arrives at a surface.

    Args:
        state: State at the event.
        late: How long after it the step ended.
        missed: How long before it other kinks were met, at most.
        field: Rate of the state at the end of the step, in the mode before.
        rates: Those of the guards.
    """

    state: State
    late: Time
    missed: Time
    field: State
    rates: Float[Array, " kinks"]


def arrival(
    system: PieceSystem,
    landed: Bool[Array, " kinks"],
    t: Time,
    state: State,
    tolerances: tuple[Time, Time],
) -> Arrival:
    """The event at the end of a step; its state has the derivative of that at the end.

    Args:
        system: The system in the mode before.
        landed: The surface that the step was to end on, if it is one.
        t: End of the step.
        state: State there, as the step left it.
        tolerances: Relative and absolute tolerance of the run.
    """
    fixed, t, here = constant((system, t, state))
    (field, guards), push = jax.linearize(fixed.field_and_guards, t, here)
    _, rates = push(jnp.ones_like(t), field)
    passed = landed & (guards < 0) & (rates < 0)
    late = jnp.max(jnp.where(passed, guards / jnp.where(passed, rates, 1), 0))
    late = jnp.minimum(late.astype(t.dtype), LATEST * resolution(t))
    # What is far below a tolerance is not worth passing another kink for.
    rtol, atol = tolerances
    least = SEEN * (atol + rtol * largest(here).astype(t.dtype))
    late = jnp.where(late * largest(field).astype(t.dtype) > least, late, 0)
    at_event = guards - late.astype(rates.dtype) * rates
    other = ~system.mode.held & ~landed & (rates < 0)
    other = other & (at_event < -REACH * fixed.slack(here))
    missed = jnp.max(jnp.where(other, at_event / jnp.where(other, rates, 1), 0))
    missed = jnp.minimum(missed.astype(t.dtype), LATEST * resolution(t))
    return Arrival(along_field(state, -late, field), late, missed, field, rates)


def nowhere(system: PieceSystem, t: Time, state: State) -> Arrival:
    """The end of a step that is no event."""
    zero = jnp.zeros_like(t)
    rates = jnp.zeros_like(system.mode.signature)
    return Arrival(state, zero, zero, jax.tree.map(jnp.zeros_like, state), rates)


class Blur(NamedTuple):
    """What the resolution of time has cost a run.

    Args:
        total: How far the state may have moved away at all events.
        largest: The largest position so far.
    """

    total: Time
    largest: Time

    def after(self, lost: Time, x: Position) -> "Blur":
        """What it has cost after a step to a position."""
        size = constant(largest(x)).astype(lost.dtype)
        return Blur(self.total + lost, jnp.maximum(self.largest, size))

    def shows(self, rtol: Time, atol: Time) -> Bool[Array, ""]:
        """Whether it is more than errors of steps make up for."""
        return self.total > VISIBLE * (atol + rtol * self.largest)


def along_field(state: State, time: Time, field: Any) -> State:
    """The state after a time too short to be resolved; its derivative stays.

    In no time it stays, too, where there is no field.
    """
    moves = time != 0

    def move(leaf: Array, rate: Array) -> Array:
        return leaf + time.astype(leaf.dtype) * jnp.where(moves, rate, 0)

    return jax.tree.map(move, state, field)


def resolution(t: Time) -> Time:
    """How well a time is resolved."""
    return float(jnp.finfo(t.dtype).eps) * jnp.abs(t)
