"""The loop over the steps, and what is written down on the way.

Outputs are evaluated after the loop: while it runs, it keeps of each step only what
its polynomial needs, and that only of steps with an output time in them. So the room
is set by the number of outputs, whatever the number of steps.
"""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from dynsys.integrators.problem import TERM, Method, Problem, ready
from dynsys.integrators.progress import report
from dynsys.integrators.ranges import leaves_range
from dynsys.integrators.stop import has_stop, stop_holds_in
from dynsys.result import Status
from dynsys.systems.system import State

Time = Float[Array, ""]

HUGE = 1e30
"""An error that rejects the step, also of combinations of several of them."""

REPORT_EVERY = 256
"""Accepted steps between two reports of progress."""


class Carry(NamedTuple):
    """Where a solve stands between two steps.

    Args:
        t: Time.
        state: State at that time.
        hidden: What the solver carries from step to step.
        control: What the control of the step size carries.
        next_step: Size of the next step.
        tried: Size of the last step that was tried.
        accepted: Number of accepted steps.
        rejected: Number of rejected steps.
        code: A `Status`; success while the solve goes on.
    """

    t: Time
    state: State
    hidden: PyTree
    control: PyTree
    next_step: Time
    tried: Time
    accepted: Int[Array, ""]
    rejected: Int[Array, ""]
    code: Int[Array, ""]


class Rows(NamedTuple):
    """Steps that were kept, one a row, in the order of time.

    Args:
        starts: Where each step starts.
        ends: Where it ends; infinite in the rows that are not used.
        infos: What the solver keeps of it for its polynomial.
        used: Number of rows in use.
    """

    starts: Float[Array, " rows"]
    ends: Float[Array, " rows"]
    infos: PyTree
    used: Int[Array, ""]


class Step(NamedTuple):
    """One step that was tried."""

    start: Time
    end: Time
    info: PyTree
    accepted: Bool[Array, ""]


class Record(NamedTuple):
    """What the derivative of a solve needs of it.

    Args:
        starts: State before the first step of each piece of `piece` accepted steps.
        ends: `t0` and the ends of all accepted steps; constant after the last.
    """

    starts: State
    ends: Float[Array, " ends"]


class Log(NamedTuple):
    """What is written down: rows, landed states, and a record; each may be missing."""

    rows: Rows | None
    landed: State | None
    record: Record | None


def begin(problem: Problem, solver: diffrax.AbstractSolver) -> Carry:
    """The start of a solve: size of the first step and state of the solver."""
    system, state, t0 = problem.system, problem.state, problem.t0
    # Positions of mixed precision meet in diffrax's choice of the first step.
    with jax.numpy_dtype_promotion("standard"):
        end, control = problem.controller.init(
            TERM,
            t0,
            problem.t1,
            state,
            None,
            system,
            solver.func,
            solver.error_order(TERM),
        )
    end = jnp.asarray(end, t0.dtype)
    hidden = solver.init(TERM, t0, end, state, system)
    as_arrays = lambda tree: jax.tree.map(jnp.asarray, tree)
    first, zero = jnp.asarray(end - t0), jnp.asarray(0)
    return Carry(
        t=t0,
        state=state,
        hidden=as_arrays(hidden),
        control=as_arrays(control),
        next_step=first,
        tried=first,
        accepted=zero,
        rejected=zero,
        code=problem.code,
    )


def run(problem: Problem, method: Method, *, piece: int | None = None) -> tuple[Carry, Log]:
    """Step from the start to the end, a stop or a failure.

    Args:
        problem: What to integrate.
        method: With what.
        piece: Accepted steps between two states of the record; `None` for no record.
    """
    solver = ready(method.solver, problem, "lax")
    start = begin(problem, solver)
    log = _empty_log(problem, method, solver, start, piece)

    def is_running(loop: tuple[Carry, Log]) -> Array:
        carry, _ = loop
        steps = carry.accepted + carry.rejected
        unfinished = (carry.t < problem.t1) & (steps < method.max_steps)
        return unfinished & (carry.code == Status.SUCCESS)

    def advance(loop: tuple[Carry, Log]) -> tuple[Carry, Log]:
        before, log = loop
        after, step = _try_step(problem, method, solver, before)
        if method.progress:
            _report(problem, after)
        return after, _write(problem, method, log, before, after, step, piece)

    carry, log = jax.lax.while_loop(is_running, advance, (start, log))
    unfinished = (carry.t < problem.t1) & (carry.code == Status.SUCCESS)
    code = jnp.where(unfinished, int(Status.MAX_STEPS), carry.code)
    return carry._replace(code=code), _close(log, carry)


def _close(log: Log, carry: Carry) -> Log:
    if log.record is None:
        return log
    ends = log.record.ends
    unused = jnp.arange(len(ends)) > carry.accepted
    record = Record(log.record.starts, jnp.where(unused, carry.t, ends))
    return log._replace(record=record)


def _try_step(
    problem: Problem, method: Method, solver: diffrax.AbstractSolver, carry: Carry
) -> tuple[Carry, Step]:
    end = _end_of_step(problem, method, carry)
    new, error, info, hidden, result = solver.step(
        TERM, carry.t, end, carry.state, problem.system, carry.hidden, False
    )
    # Where the field is not defined the step is too long, not the solve at its end.
    error = jax.tree.map(lambda leaf: jnp.where(jnp.isnan(leaf), HUGE, leaf), error)
    error_order: Any = solver.error_order(TERM)
    with jax.numpy_dtype_promotion("standard"):
        keep, _, next_end, _, control, _ = problem.controller.adapt_step_size(
            carry.t,
            end,
            problem.system.controlled(carry.state),
            problem.system.controlled(new),
            problem.system,
            problem.system.controlled(error),
            error_order,
            carry.control,
        )
    keep = jnp.asarray(keep)
    choose = lambda a, b: jnp.where(keep, a, b)
    t = choose(end, carry.t)
    next_step = jnp.asarray(next_end) - t
    vanished = ~keep & (next_step <= 4 * jnp.finfo(t.dtype).eps * jnp.abs(t))
    failed = keep & (result != diffrax.RESULTS.successful)
    after = Carry(
        t=t,
        state=jax.tree.map(choose, new, carry.state),
        hidden=jax.tree.map(choose, hidden, carry.hidden),
        control=jax.tree.map(jnp.asarray, control),
        next_step=next_step,
        tried=end - carry.t,
        accepted=carry.accepted + keep.astype(int),
        rejected=carry.rejected + (~keep).astype(int),
        code=carry.code,
    )
    local = solver.interpolation_cls(t0=carry.t, t1=end, **info)
    stops = keep & stop_holds_in(problem, carry.t, end, new, local.evaluate)
    leaves = keep & leaves_range(problem.system, after.t)
    code = jnp.where(stops, int(Status.STOPPED), after.code)
    code = jnp.where(leaves, int(Status.COEFFICIENT_OUT_OF_RANGE), code)
    code = jnp.where(vanished, int(Status.STEP_UNDERFLOW), code)
    code = jnp.where(failed, int(Status.SOLVER_FAILED), code)
    return after._replace(code=code), Step(carry.t, end, info, keep)


def _end_of_step(problem: Problem, method: Method, carry: Carry) -> Time:
    """The end of the next step: not beyond the target, and not just short of it."""
    target = problem.t1
    if _lands(method):
        following = jnp.searchsorted(problem.times, carry.t, side="right")
        last = len(problem.times) - 1
        output = problem.times[jnp.minimum(following, last)]
        target = jnp.where(following <= last, output, target)
    end = carry.t + carry.next_step
    return jnp.where(end > target - 1e-3 * carry.next_step, target, end)


def _report(problem: Problem, carry: Carry) -> None:
    due = (carry.accepted % REPORT_EVERY == 0) | (carry.t >= problem.t1)
    show = lambda: report(problem.t0, carry.t, problem.t1)
    jax.lax.cond(due, show, lambda: None)


def _empty_log(
    problem: Problem,
    method: Method,
    solver: diffrax.AbstractSolver,
    carry: Carry,
    piece: int | None,
) -> Log:
    step = lambda: _try_step(problem, method, solver, carry)[1].info
    shapes = eqx.filter_eval_shape(step)
    times, dtype = len(problem.times), problem.t0.dtype
    room = lambda length: lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype)
    rows = landed = record = None
    length = _number_of_rows(problem, method)
    if length:
        unused = jnp.full(length, jnp.inf, dtype)
        infos = jax.tree.map(room(length), shapes)
        rows = Rows(unused, unused, infos, jnp.asarray(0))
    if _lands(method):
        repeat = lambda leaf: jnp.broadcast_to(leaf, (times, *leaf.shape))
        landed = jax.tree.map(repeat, problem.state)
    if piece is not None:
        pieces = -(-method.max_steps // piece)
        starts = jax.tree.map(room(pieces), problem.state)
        ends = jnp.full(pieces * piece + 1, problem.t0)
        record = Record(starts, ends)
    return Log(rows, landed, record)


def _lands(method: Method) -> bool:
    return method.lands and not method.dense


def _number_of_rows(problem: Problem, method: Method) -> int:
    """Room for every step that can be needed after the loop.

    One row is for the step in which the solve is stopped.
    """
    if method.dense:
        return method.max_steps
    if method.lands:
        return int(has_stop(problem))
    return len(problem.times) + 1


def _write(
    problem: Problem,
    method: Method,
    log: Log,
    before: Carry,
    after: Carry,
    step: Step,
    piece: int | None,
) -> Log:
    rows, landed, record = log
    if rows is not None:
        rows = _write_row(problem, method, rows, after, step)
    if landed is not None:
        due = step.accepted & (problem.times >= after.t)
        put = lambda leaf, new: jnp.where(
            due.reshape(due.shape + (1,) * new.ndim), new[None], leaf
        )
        landed = jax.tree.map(put, landed, after.state)
    if record is not None and piece is not None:
        index = before.accepted // piece
        first = before.accepted % piece == 0
        put = lambda leaf, new: leaf.at[index].set(jnp.where(first, new, leaf[index]))
        starts = jax.tree.map(put, record.starts, before.state)
        record = Record(starts, record.ends.at[after.accepted].set(after.t))
    return Log(rows, landed, record)


def _write_row(
    problem: Problem, method: Method, rows: Rows, after: Carry, step: Step
) -> Rows:
    """Write the step into the next row, which stays unused if it is not needed.

    What is written into an unused row is overwritten by the next step.
    """
    inside = (problem.times > step.start) & (problem.times <= step.end)
    has_output = jnp.any(inside) & (not method.lands)
    wanted = method.dense | has_output | (after.code == Status.STOPPED)
    needed = step.accepted & wanted
    i = rows.used
    return Rows(
        rows.starts.at[i].set(step.start),
        rows.ends.at[i].set(jnp.where(needed, step.end, jnp.inf)),
        jax.tree.map(lambda leaf, new: leaf.at[i].set(new), rows.infos, step.info),
        rows.used + needed.astype(int),
    )
