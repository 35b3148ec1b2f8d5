"""The outputs of a solve, from what was written down while it ran."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.in_chunks import in_chunks
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Carry, Log
from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.engine.switching import at_start
from dynsys.systems.system import State

Time = Float[Array, ""]


def outputs(
    problem: Problem,
    first: tuple[State, State],
    last: Carry,
    log: Log,
    dense: DenseOutput | None,
) -> tuple[State, State | None]:
    """States and slopes at the output times.

    Times after the end get the last state.

    Args:
        problem: What was solved.
        first: State and slope for times before the first step.
        last: Where the solve ended.
        log: What was written down.
        dense: The dense output, if there is one.
    """
    if log.landed is not None:
        beyond = (problem.times >= last.t) & (last.t > problem.t0)
        repeat = lambda leaf: jnp.broadcast_to(leaf, (len(problem.times), *leaf.shape))
        return choose(beyond, jax.tree.map(repeat, last.state), log.landed), None
    assert dense is not None

    def output(t: Time) -> tuple[State, State]:
        inside = (t > problem.t0) & (last.t > problem.t0)
        fresh = dense.state_and_slope(jnp.clip(t, problem.t0, last.t))
        return jax.tree.map(lambda a, b: jnp.where(inside, a, b), fresh, first)

    return in_chunks(output, problem.times)


def first_output(problem: Problem) -> tuple[State, State]:
    """The initial state and its derivative."""
    system = at_start(problem).system
    return problem.state, system.vector_field(problem.t0, problem.state)


def choose(mask: Bool[Array, " times"], new: Any, old: Any) -> Any:
    """Per output time, one of two pytrees of outputs."""

    def choose_leaf(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(choose_leaf, new, old)
