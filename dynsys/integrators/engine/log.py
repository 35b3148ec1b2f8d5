"""What is written down while a solve runs.

Outputs are evaluated after the loop: while it runs, it keeps of each step only what
its polynomial needs, and that only of steps with an output time in them. So the room
is set by the number of outputs, whatever the number of steps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from dynsys.integrators.engine.carry import Carry, Step
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.stop import has_stop
from dynsys.integrators.memory import check_rows
from dynsys.result import Status
from dynsys.systems.system import State
from dynsys.trees import as_vector, dimension, widest_dtype


class Rows(NamedTuple):
    """Steps that were kept, one a row, in the order of time.

    Args:
        ends: Start and end of each step; infinite in the rows that are not used.
        kept: What is kept of it, in one vector.
        used: Number of rows in use.
    """

    ends: Float[Array, "rows 2"]
    kept: Float[Array, "rows size"]
    used: Int[Array, ""]


class Record(NamedTuple):
    """What the derivative of a solve needs of it.

    Args:
        starts: State before the first step of each piece of `piece` accepted steps.
        ends: `t0` and the ends of all accepted steps; constant after the last.
        turns: Changes of mode up to each of the ends; constant after the last.
    """

    starts: State
    ends: Float[Array, " ends"]
    turns: Int[Array, " ends"]


class Log(NamedTuple):
    """What is written down: rows, landed states, and a record; each may be missing."""

    rows: Rows | None
    landed: State | None
    record: Record | None


def empty_log(problem: Problem, method: Method, like: PyTree, piece: int | None) -> Log:
    """Room for what a solve will write down.

    Args:
        problem: What is solved.
        method: With what.
        like: Shapes of what is kept of one step.
        piece: Accepted steps between two states of the record; `None` for no record.
    """
    times, dtype = len(problem.times), problem.t0.dtype
    room = lambda length: lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype)
    rows = landed = record = None
    length = _number_of_rows(problem, method)
    if length:
        size, kind = dimension(like), widest_dtype(like)
        check_rows(length, size + 2, kind.itemsize, times, dense=method.dense)
        unused = jnp.full((length, 2), jnp.inf, dtype)
        kept = jnp.zeros((length, size), kind)
        rows = Rows(unused, kept, jnp.asarray(0))
    if method.lands:
        repeat = lambda leaf: jnp.broadcast_to(leaf, (times, *leaf.shape))
        landed = jax.tree.map(repeat, problem.state)
    if piece is not None:
        pieces = -(-method.max_steps // piece)
        starts = jax.tree.map(room(pieces), problem.state)
        length = pieces * piece + 1
        record = Record(starts, jnp.full(length, problem.t0), jnp.zeros(length, int))
    return Log(rows, landed, record)


def _number_of_rows(problem: Problem, method: Method) -> int:
    """Room for every step that can be needed after the loop.

    One row is for the step in which the solve is stopped.
    """
    if method.dense:
        return method.max_steps
    if method.lands:
        return int(has_stop(problem))
    return min(len(problem.times), method.max_steps) + 1


def write(
    problem: Problem,
    method: Method,
    log: Log,
    before: Carry,
    after: Carry,
    step: Step,
    piece: int | None,
) -> Log:
    """The log with one more step that was tried."""
    rows, landed, record = log
    if rows is not None:
        rows = _write_row(problem, method, rows, before, after, step)
    if landed is not None:
        # Where it is not yet at the next output, what is written is written over.
        row = jnp.searchsorted(problem.times, after.t)
        row = jnp.where(step.accepted, row, len(problem.times))
        drop = lambda leaf, new: leaf.at[row].set(new, mode="drop")
        landed = jax.tree.map(drop, landed, after.state)
    if record is not None and piece is not None:
        index = before.accepted // piece
        first = before.accepted % piece == 0
        keep = lambda leaf, new: put(leaf, jnp.where(first, new, leaf[index]), index)
        starts = jax.tree.map(keep, record.starts, before.state)
        ends = put(record.ends, after.t, after.accepted)
        turns = put(record.turns, step.turns, after.accepted)
        record = Record(starts, ends, turns)
    return Log(rows, landed, record)


def _write_row(
    problem: Problem, method: Method, rows: Rows, before: Carry, after: Carry, step: Step
) -> Rows:
    """Write the step into the next row, which stays unused if it is not needed.

    What is written into an unused row is overwritten by the next step. Times up to the
    start are in the first step.
    """
    needed = step.accepted
    if not method.dense:
        until = lambda t: jnp.searchsorted(problem.times, t, side="right")
        earlier = jnp.where(before.accepted == 0, 0, until(step.start))
        has_output = (until(step.end) > earlier) & (not method.lands)
        needed = needed & (has_output | (after.code == Status.STOPPED))
    ends = jnp.stack([step.start, jnp.where(needed, step.end, jnp.inf)])
    return Rows(
        put(rows.ends, ends, rows.used),
        put(rows.kept, as_vector(step.kept), rows.used),
        rows.used + needed.astype(int),
    )


def put(rows: Array, row: Array, index: Int[Array, ""]) -> Array:
    """Rows of which one is replaced. A scatter cannot be a part of a kernel; this can."""
    return jax.lax.dynamic_update_index_in_dim(rows, row, index, 0)


def rewound(log: Log, earlier: Log) -> Log:
    """A log as it was earlier, in the same memory: what came after is written over."""
    if log.rows is None or earlier.rows is None:
        return log
    used = earlier.rows.used
    unused = jnp.arange(len(log.rows.ends)) >= used
    ends = jnp.where(unused[:, None], jnp.inf, log.rows.ends)
    return log._replace(rows=Rows(ends, log.rows.kept, used))


def close(log: Log, carry: Carry) -> Log:
    """The log after the last step."""
    if log.record is None:
        return log
    ends, turns = log.record.ends, log.record.turns
    unused = jnp.arange(len(ends)) > carry.accepted
    ends = jnp.where(unused, carry.t, ends)
    turns = jnp.where(unused, turns[carry.accepted], turns)
    return log._replace(record=Record(log.record.starts, ends, turns))
