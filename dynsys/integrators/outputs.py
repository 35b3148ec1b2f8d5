"""The outputs of a solve, from what was written down while it ran."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from dynsys.in_chunks import in_chunks
from dynsys.integrators.dense import DenseOutput
from dynsys.integrators.log import Carry, Log
from dynsys.integrators.problem import Problem
from dynsys.integrators.switching import at_start
from dynsys.systems.system import State


def outputs(
    problem: Problem, last: Carry, log: Log, dense: DenseOutput | None
) -> tuple[State, State | None]:
    """States and slopes at the output times.

    Times before the first step get the initial state, times after the end the last.
    """
    times = jnp.clip(problem.times, problem.t0, last.t)
    if log.landed is not None:
        beyond = (problem.times >= last.t) & (last.t > problem.t0)
        repeat = lambda leaf: jnp.broadcast_to(leaf, (len(times), *leaf.shape))
        return choose(beyond, jax.tree.map(repeat, last.state), log.landed), None
    assert dense is not None
    inside = (problem.times > problem.t0) & (last.t > problem.t0)
    fresh = in_chunks(dense.state_and_slope, times)
    return choose(inside, fresh, first_outputs(problem))


def first_outputs(problem: Problem) -> tuple[State, State]:
    """The initial state and its derivative, once an output time."""
    system = at_start(problem).system
    slope = system.vector_field(problem.t0, problem.state)
    repeat = lambda leaf: jnp.broadcast_to(leaf, (len(problem.times), *leaf.shape))
    return jax.tree.map(repeat, (problem.state, slope))


def choose(mask: Bool[Array, " times"], new: Any, old: Any) -> Any:
    """Per output time, one of two pytrees of outputs."""

    def choose_leaf(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(choose_leaf, new, old)
