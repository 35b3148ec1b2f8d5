"""The reverse-mode derivative of a solve: replay its steps, piece by piece, backwards.

The accepted steps are taken again with their sizes held fixed, so the result is the
exact derivative of the numbers that the solve returned, as in discretise-then-optimise.
Only the state at the start of each piece is stored, and one piece is replayed at a time.
"""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsys.integrators.dense import DenseOutput
from dynsys.integrators.segment import Method, Problem, vector_field
from dynsys.integrators.stop import locates_stop, stop_value
from dynsys.systems.system import State

Time = Float[Array, ""]


class Record(NamedTuple):
    """What is kept of a solve.

    Args:
        pieces: Number of pieces.
        starts: State at the start of each piece.
        steps: Ends of the steps of each piece; constant after its last step.
        end: Where the solve ended, which is inside the last step if it was stopped.
    """

    pieces: Int[Array, ""]
    starts: State
    steps: Float[Array, "pieces ends"]
    end: Time

    @classmethod
    def empty(cls, problem: Problem, pieces: int, chunk: int) -> "Record":
        """A record without a piece."""
        room = lambda leaf: jnp.zeros((pieces, *leaf.shape), leaf.dtype)
        steps = jnp.zeros((pieces, chunk + 1), problem.t0.dtype)
        starts = jax.tree.map(room, problem.state)
        return cls(jnp.asarray(0), starts, steps, problem.t0)

    def append(self, state: State, ends: Float[Array, " ends"], t: Time) -> "Record":
        """The record with one more piece, from its first state and ends of steps."""
        known = jnp.isfinite(ends)
        last = jnp.max(jnp.where(known, ends, -jnp.inf))
        put = lambda room, leaf: room.at[self.pieces].set(leaf)
        return Record(
            self.pieces + 1,
            jax.tree.map(put, self.starts, state),
            self.steps.at[self.pieces].set(jnp.where(known, ends, last)),
            t,
        )


class Replayed(NamedTuple):
    """What a piece contributes to the outputs of a solve."""

    final: State
    final_t: Time
    states: State
    slopes: State


def pull_back(
    problem: Problem,
    method: Method,
    record: Record,
    *,
    states: Any,
    slopes: Any,
    final: Any,
    final_t: Any,
) -> Any:
    """The cotangent of a problem from the cotangents of its outputs.

    Args:
        problem: The problem that was solved.
        method: With what.
        record: The record of the solve.
        states: Cotangent of the states at the output times; `None` leaves are zero.
        slopes: Cotangent of their slopes.
        final: Cotangent of the last state.
        final_t: Cotangent of the time of the end.
    """
    variables, constants = eqx.partition(problem, eqx.is_inexact_array)
    start = lambda v: _first_outputs(eqx.combine(v, constants))
    first, pull_first = jax.vjp(start, variables)
    states, slopes = _fill(first, (states, slopes))
    final = _fill(problem.state, final)
    final_t = _fill(problem.t0, final_t)
    early = problem.times <= problem.t0
    (gradient,) = pull_first(_mask(early, (states, slopes)))

    def piece(i: Any, loop: tuple[Any, Any]) -> tuple[Any, Any]:
        index = record.pieces - 1 - i
        gradient, rate = loop
        is_last = i == 0
        steps = record.steps[index]
        begin = jax.tree.map(lambda leaf: leaf[index], record.starts)

        def run(variables: Any, state: State) -> Replayed:
            combined = eqx.combine(variables, constants)
            return _replay(combined, method, record, state, steps, is_last)

        _, pull = jax.vjp(run, variables, begin)
        mine = (problem.times > steps[0]) & (is_last | (problem.times <= steps[-1]))
        outputs = _mask(mine, (states, slopes))
        change, rate = pull(Replayed(rate, jnp.where(is_last, final_t, 0), *outputs))
        return jax.tree.map(jnp.add, gradient, change), rate

    gradient, rate = jax.lax.fori_loop(0, record.pieces, piece, (gradient, final))
    add_start = jax.tree.map(jnp.add, gradient.state, rate)
    return eqx.tree_at(lambda tree: tree.state, gradient, add_start)


def _first_outputs(problem: Problem) -> tuple[State, State]:
    """State and slope at the first time, once an output time."""
    slope = problem.system.vector_field(problem.t0, problem.state)
    repeat = lambda leaf: jnp.broadcast_to(leaf, (len(problem.times), *leaf.shape))
    return jax.tree.map(repeat, (problem.state, slope))


def _replay(
    problem: Problem,
    method: Method,
    record: Record,
    state: State,
    steps: Float[Array, " ends"],
    is_last: Any,
) -> Replayed:
    """Take the steps of one piece again and evaluate the outputs in it."""
    solver = method.solver
    # The first and the last end are the ends of the interval, which are variables.
    steps = jnp.where(steps == jax.lax.stop_gradient(problem.t0), problem.t0, steps)
    steps = jnp.where(steps == jax.lax.stop_gradient(problem.t1), problem.t1, steps)
    last, infos = _take_steps(problem, solver, state, steps)

    dense = DenseOutput(steps[0], steps[-1], steps, infos, solver.interpolation_cls)
    output = dense.state_and_slope
    stopped = is_last & (record.end < steps[-1])
    stop_t = _stop_time(problem, method, record.end, output)
    end = jnp.where(stopped, stop_t, steps[-1])
    times = jnp.clip(problem.times, steps[0], end)
    states, slopes = jax.vmap(output)(times)
    at_stop, _ = output(stop_t)
    final = jax.tree.map(lambda a, b: jnp.where(stopped, a, b), at_stop, last)
    return Replayed(final, end, states, slopes)


def _take_steps(
    problem: Problem,
    solver: diffrax.AbstractSolver,
    state: State,
    steps: Float[Array, " ends"],
) -> tuple[State, Any]:
    """The steps with the given ends; a step of length 0 is the identity."""
    term = diffrax.ODETerm(vector_field)
    system = problem.system
    # What a step of length 0 computes is thrown away, but must be finite.
    spare = jnp.sqrt(jnp.finfo(steps.dtype).eps) * (steps[-1] - steps[0])
    solver_state = solver.init(term, steps[0], steps[1], state, system)
    solver_state = jax.tree.map(jnp.asarray, solver_state)

    @jax.checkpoint
    def step(carry: tuple[State, Any], ends: tuple[Time, Time]) -> Any:
        a, b = ends
        active = b > a
        b = jnp.where(active, b, a + spare)
        state, hidden = carry
        new, _, info, new_hidden, _ = solver.step(term, a, b, state, system, hidden, False)
        keep = lambda x, y: jnp.where(active, x, y)
        return jax.tree.map(keep, (new, new_hidden), carry), info

    (last, _), infos = jax.lax.scan(step, (state, solver_state), (steps[:-1], steps[1:]))
    return last, infos


def _stop_time(problem: Problem, method: Method, end: Time, output: Any) -> Time:
    """The time of a stop as a function of the problem, by the implicit function theorem.

    One Newton step from the root that was found moves it by rounding only, and has the
    derivative of the root.
    """
    if not locates_stop(problem, method):
        return end
    value = lambda t: stop_value(problem, method, t, output(t)[0])
    height, rate = jax.jvp(value, (end,), (jnp.ones_like(end),))
    rate = jax.lax.stop_gradient(rate)
    shift = height / jnp.where(rate == 0, 1, rate)
    return end - (shift - jax.lax.stop_gradient(shift))


def _fill(values: Any, cotangent: Any) -> Any:
    """A cotangent with zeros for the values that nobody differentiates."""
    zeros = jax.tree.map(jnp.zeros_like, values)
    return eqx.combine(eqx.filter(cotangent, eqx.is_inexact_array), zeros)


def _mask(mask: Any, outputs: Any) -> Any:
    def keep(leaf: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (leaf.ndim - 1)), leaf, 0)

    return jax.tree.map(keep, outputs)
