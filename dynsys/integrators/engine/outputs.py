"""The outputs of a solve, from what was written down while it ran."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from dynsys.in_chunks import in_chunks
from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Log
from dynsys.integrators.engine.problem import Problem
from dynsys.systems.system import State
from dynsys.trees import Time, constant, zeros_like


class Outputs(NamedTuple):
    """The solution at the output times.

    Args:
        states: States.
        slopes: Their time derivatives by the dense output, 0 up to the start; `None` if
            steps end at the outputs.
        rows: The steps that they lie in; `None` if steps end at them.
    """

    states: State
    slopes: State | None
    rows: Int[Array, " times"] | None


def outputs(
    problem: Problem, first: State, last: Carry, log: Log, dense: DenseOutput | None
) -> Outputs:
    """The solution at the output times, after its end as at its end.

    Args:
        problem: What was solved.
        first: State for times before the first step.
        last: Where the solve ended.
        log: What was written down.
        dense: The dense output, if there is one.
    """
    if log.landed is not None:
        beyond = (problem.times >= last.t) & (last.t > problem.t0)
        repeat = lambda leaf: jnp.broadcast_to(leaf, (len(problem.times), *leaf.shape))
        states = choose(beyond, jax.tree.map(repeat, last.state), log.landed)
        return Outputs(states, None, None)
    assert dense is not None
    still = zeros_like(first)

    def output(t: Time) -> Outputs:
        inside = (t > problem.t0) & (last.t > problem.t0)
        t = jnp.clip(t, problem.t0, last.t)
        row = constant(dense.row(t))
        fresh = dense.in_step(row, t)
        choose = lambda a, b: jax.tree.map(lambda *ab: jnp.where(inside, *ab), a, b)
        return Outputs(choose(fresh[0], first), choose(fresh[1], still), row)

    return in_chunks(output, problem.times)


def choose(mask: Bool[Array, " times"], new: Any, old: Any) -> Any:
    """Per output time, one of two pytrees of outputs."""

    def choose_leaf(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(choose_leaf, new, old)
