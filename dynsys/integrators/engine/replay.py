"""The reverse-mode derivative of a solve: replay its steps, piece by piece, backwards.

The accepted steps are taken again with their sizes held fixed, so the result is the
exact derivative of the numbers that the solve returned, as in discretise-then-optimise.
Only the state at the start of each piece is stored, and one piece is replayed at once.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Record
from dynsys.integrators.engine.motion import AbstractMotion, AbstractTurns
from dynsys.integrators.engine.problem import TERM, Method, Problem, prepared
from dynsys.integrators.engine.solved import Story
from dynsys.integrators.engine.stop import differentiable_stop, has_stop
from dynsys.integrators.engine.switching import (
    between,
    go_on,
    hidden_after,
    just_after,
)
from dynsys.systems.system import State
from dynsys.trees import Like, Time, as_vector, constant, zeros_like


class Replay(NamedTuple):
    """What is kept of a solve for its derivative.

    Args:
        record: The accepted steps.
        piece: Number of steps in a piece.
        accepted: Number of accepted steps.
        end: Where the solve ended, which is inside the last step if it was stopped.
        fails: Whether it failed.
        course: What its motion carried, with the changes of mode.
        story: What there was to tell.
    """

    record: Record
    piece: int
    accepted: Int[Array, ""]
    end: Time
    fails: Bool[Array, ""]
    course: Any
    story: Story


class Replayed(NamedTuple):
    """What a piece contributes to the outputs of a solve; `shifts` to times of events."""

    final: State
    final_t: Time
    states: State
    slopes: State
    kept: Any
    shifts: Any


def pull_back(
    problem: Problem, method: Method, motion: AbstractMotion, replay: Replay, cotangent: Any
) -> Any:
    """The cotangent of a problem from the cotangent of its output.

    Args:
        problem: The problem that was solved.
        method: With what.
        motion: How it moved.
        replay: What was kept of the solve.
        cotangent: Cotangent of what the solve gave back; `None` leaves are zero.
    """
    variables, constants = eqx.partition(problem, eqx.is_inexact_array)
    turns = motion.turns(replay.course)
    repeat = lambda leaf: jnp.broadcast_to(leaf, (len(problem.times), *leaf.shape))
    zeros = zeros_like(jax.tree.map(repeat, problem.state))
    states = _fill(zeros, cotangent.outputs.states)
    slopes = _fill(zeros, cotangent.outputs.slopes)
    final = _fill(problem.state, cotangent.last.state)
    final_t = _fill(problem.t0, cotangent.last.t)
    dense = None if cotangent.dense is None else cotangent.dense.kept
    # At the start the state is an output, and the slope is not used.
    at_start = _mask(problem.times <= problem.t0, states)
    gradient = jax.tree.map(jnp.zeros_like, variables)
    first = jax.tree.map(lambda leaf: jnp.sum(leaf, 0), at_start)
    gradient = eqx.tree_at(lambda tree: tree.state, gradient, first)
    pieces = -(-replay.accepted // replay.piece)

    def pull_piece(i: Any, loop: tuple[Any, Any]) -> tuple[Any, Any]:
        index, is_last = pieces - 1 - i, i == 0
        gradient, rate = loop
        at = index * replay.piece
        cut = lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, at, replay.piece + 1)
        steps, rows = cut(replay.record.ends), cut(replay.record.turns)
        begin = jax.tree.map(lambda leaf: leaf[index], replay.record.starts)

        def run(variables: Any, state: State) -> Replayed:
            combined = eqx.combine(variables, constants)
            return _replay(combined, method, replay.end, turns, state, steps, rows, is_last)

        replayed, pull = jax.vjp(run, variables, begin)
        mine = (problem.times > steps[0]) & (is_last | (problem.times <= steps[-1]))
        rates = Replayed(
            rate,
            jnp.where(is_last, final_t, 0),
            _mask(mine, states),
            _mask(mine, slopes),
            _rows(replayed.kept, dense, at),
            turns.rates(replayed.shifts, cotangent.story, rows),
        )
        change, rate = pull(rates)
        return jax.tree.map(jnp.add, gradient, change), rate

    gradient, rate = jax.lax.fori_loop(0, pieces, pull_piece, (gradient, final))
    add_start = jax.tree.map(jnp.add, gradient.state, rate)
    gradient = eqx.tree_at(lambda tree: tree.state, gradient, add_start)
    # A run that failed has no derivative; zeros would look like one.
    spoil = jnp.where(replay.fails | ~turns.exist(replay.story), jnp.nan, 0)
    gradient = jax.tree.map(lambda leaf: leaf + spoil.astype(leaf.dtype), gradient)
    return turns.spoil(problem, gradient, replay.story)


def _replay(
    problem: Problem,
    method: Method,
    found: Time,
    turns: AbstractTurns,
    state: State,
    steps: Float[Array, " ends"],
    rows: Int[Array, " ends"],
    is_last: Any,
) -> Replayed:
    """Take the steps of one piece again and evaluate the outputs in it."""
    steps = _at_switches(problem, steps)
    # The first and the last end are the ends of the interval, which are variables.
    steps = jnp.where(steps == jax.lax.stop_gradient(problem.t0), problem.t0, steps)
    steps = jnp.where(steps == jax.lax.stop_gradient(problem.t1), problem.t1, steps)
    last, infos, shifts = _take_steps(problem, method, turns, state, steps, rows)
    kept = {"polynomial": infos, "mode": turns.modes(rows[:-1])}
    like = Like.of(jax.tree.map(lambda leaf: leaf[0], kept))
    kept = jax.vmap(as_vector)(kept)
    local = method.solver.interpolation_cls
    dense = DenseOutput(steps[0], steps[-1], steps[:-1], steps[1:], kept, like, local)
    end = steps[-1]
    if has_stop(problem):
        stopped = is_last & (found < end)
        stop_t = differentiable_stop(problem, found, dense.state)
        at_stop = dense.state(stop_t)
        last = jax.tree.map(lambda a, b: jnp.where(stopped, a, b), at_stop, last)
        end = jnp.where(stopped, stop_t, end)
    times = jnp.clip(problem.times, steps[0], end)
    states, slopes = jax.vmap(dense.state_and_slope)(times)
    return Replayed(last, end, states, slopes, kept, shifts)


def _take_steps(
    problem: Problem,
    method: Method,
    turns: AbstractTurns,
    state: State,
    steps: Float[Array, " ends"],
    rows: Int[Array, " ends"],
) -> tuple[State, Any, Any]:
    """The steps with the given ends; a step of length 0 is the identity."""
    solver = prepared(method.solver, problem, "bounded")
    # What a step of length 0 computes is thrown away, but must be finite.
    spare = jnp.sqrt(jnp.finfo(steps.dtype).eps) * (steps[-1] - steps[0])
    begin = turns.system(between(problem, steps[0], steps[1]), rows[0])
    hidden = solver.init(TERM, steps[0], steps[1], state, begin)
    hidden = jax.tree.map(jnp.asarray, hidden)

    @jax.checkpoint
    def step(carry: tuple[State, Any], ends: tuple[Time, Time, Any, Any]) -> Any:
        a, b, before, after = ends
        active = b > a
        b = jnp.where(active, b, a + spare)
        state, hidden = carry
        here = between(problem, a, b)
        system = turns.system(here, before)
        new, _, info, new_hidden, _ = solver.step(TERM, a, b, state, system, hidden, False)
        new, shift = turns.again(here, (before, after), b, new)
        new = go_on(problem, turns.system(here, after), b, new)
        onward = turns.system(just_after(problem, b), after)
        new_hidden = hidden_after(problem, onward, solver, b, new, new_hidden)
        keep = lambda x, y: jnp.where(active, x, y)
        return jax.tree.map(keep, (new, new_hidden), carry), (info, shift)

    ends = (steps[:-1], steps[1:], rows[:-1], rows[1:])
    (last, _), (infos, shifts) = jax.lax.scan(step, (state, hidden), ends)
    return last, infos, shifts


def _at_switches(problem: Problem, steps: Float[Array, " ends"]) -> Float[Array, " ends"]:
    """Ends of steps, of which those at switches are variables."""
    if problem.switches is None or not len(problem.switches.times):
        return steps
    times = problem.switches.times
    row = jnp.minimum(jnp.searchsorted(constant(times), steps), len(times) - 1)
    return jnp.where(steps == constant(times[row]), times[row], steps)


def _fill(values: Any, cotangent: Any) -> Any:
    """A cotangent with zeros for the values that nobody differentiates."""
    zeros = jax.tree.map(jnp.zeros_like, values)
    return eqx.combine(eqx.filter(cotangent, eqx.is_inexact_array), zeros)


def _rows(kept: Array, cotangent: Array | None, at: Any) -> Array:
    """The rows of the cotangent of a dense output that belong to one piece."""
    if cotangent is None:
        return jnp.zeros_like(kept)
    index = at + jnp.arange(len(kept))
    rows = cotangent[jnp.minimum(index, len(cotangent) - 1)]
    return jnp.where((index < len(cotangent))[:, None], rows, 0)


def _mask(mask: Any, outputs: Any) -> Any:
    def keep(leaf: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (leaf.ndim - 1)), leaf, 0)

    return jax.tree.map(keep, outputs)
