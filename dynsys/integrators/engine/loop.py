"""The loop over the steps."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from dynsys.integrators.engine.attempt import attempt, step_of
from dynsys.integrators.engine.first_step import first_step
from dynsys.integrators.engine.log import Carry, Log, Step, close, empty_log, write
from dynsys.integrators.engine.main_loop import main_loop
from dynsys.integrators.engine.problem import TERM, Method, Problem, ready
from dynsys.integrators.engine.progress import report
from dynsys.integrators.engine.ranges import leaves_range
from dynsys.integrators.engine.step_control import first_memory
from dynsys.integrators.engine.stop import stop_holds_in
from dynsys.integrators.engine.switching import (
    allows_none,
    at_start,
    between,
    go_on,
    hidden_after,
    just_after,
    longest_step,
    target_of,
)
from dynsys.integrators.start import too_short
from dynsys.kernel import as_one_kernel
from dynsys.result import Status

Time = Float[Array, ""]

REPORT_EVERY = 256
"""Accepted steps between two reports of progress."""


def begin(problem: Problem, solver: diffrax.AbstractSolver) -> Carry:
    """The start of a solve: size of the first step and state of the solver."""
    problem = at_start(problem)
    error_order: Any = solver.error_order(TERM)
    return set_out(problem, solver, first_step(problem, error_order))


def set_out(problem: Problem, solver: diffrax.AbstractSolver, first: Time) -> Carry:
    """The start of a solve, with a first step of some size."""
    system, state, t0 = problem.system, problem.state, problem.t0
    end = t0 + first
    hidden = solver.init(TERM, t0, end, state, system)
    zero = jnp.zeros((), int)
    return Carry(
        t=t0,
        state=state,
        hidden=jax.tree.map(jnp.asarray, hidden),
        control=first_memory(problem, solver),
        next_step=first,
        tried=first,
        accepted=zero,
        rejected=zero,
        code=problem.code,
    )


def run(
    problem: Problem, method: Method, info: PyTree, *, piece: int | None = None
) -> tuple[Carry, Log]:
    """Step from the start to the end, a stop or a failure.

    Args:
        problem: What to integrate.
        method: With what.
        info: Shapes of what the solver keeps of one step.
        piece: Accepted steps between two states of the record; `None` for no record.
    """
    arrays, rest = eqx.partition(problem, eqx.is_array)

    def loop(arrays: Any) -> tuple[Carry, Log]:
        problem = eqx.combine(arrays, rest)
        start = begin(problem, ready(method.solver, problem, "lax"))
        is_running = lambda now: _is_running(problem.t1, method.max_steps, now[0])
        advance = lambda now: _step(problem, method, piece, now)
        log = empty_log(problem, method, info, piece)
        return jax.lax.while_loop(is_running, advance, (start, log))

    carry, log = main_loop(lambda arrays: as_one_kernel(loop, arrays), arrays)
    unfinished = (carry.t < problem.t1) & (carry.code == Status.SUCCESS)
    code = jnp.where(unfinished, int(Status.MAX_STEPS), carry.code)
    return carry._replace(code=code), close(log, carry)


def _is_running(t1: Time, max_steps: int, carry: Carry) -> Bool[Array, ""]:
    steps = carry.accepted + carry.rejected
    return (carry.t < t1) & (steps < max_steps) & (carry.code == Status.SUCCESS)


def _step(
    problem: Problem, method: Method, piece: int | None, loop: tuple[Carry, Log]
) -> tuple[Carry, Log]:
    """Try one step and write it down."""
    before, log = loop
    solver = ready(method.solver, problem, "lax")
    after, step = _try_step(problem, method, solver, before)
    if method.progress:
        show_progress(problem, after)
    return after, write(problem, method, log, before, after, step, piece)


def shape_of_info(problem: Problem, method: Method) -> PyTree:
    """Shapes of what the solver keeps of one step for its polynomial."""
    solver = ready(method.solver, problem, "lax")

    def info() -> PyTree:
        start = begin(problem, solver)
        end = problem.t0 + start.next_step
        return step_of(solver, problem.system, problem.t0, end, start.state, start.hidden)[
            2
        ]

    return eqx.filter_eval_shape(info)


def _try_step(
    problem: Problem, method: Method, solver: diffrax.AbstractSolver, carry: Carry
) -> tuple[Carry, Step]:
    end = _end_of_step(problem, method, carry)
    given, problem = problem, between(problem, carry.t, end)
    tried = attempt(problem, solver, problem.system, carry, end)
    keep = tried.keep
    choose = lambda a, b: jnp.where(keep, a, b)
    t = choose(end, carry.t)
    least = 16 * jnp.finfo(t.dtype).eps * jnp.abs(t)
    vanished = (~keep & ~(tried.next_step > least)) | ~(end > carry.t)
    new = go_on(given, problem.system, end, tried.new)
    onward = just_after(given, end).system
    hidden = hidden_after(given, onward, solver, end, new, tried.hidden)
    after = Carry(
        t=t,
        state=jax.tree.map(choose, new, carry.state),
        hidden=jax.tree.map(choose, hidden, carry.hidden),
        control=tried.control,
        next_step=tried.next_step,
        tried=end - carry.t,
        accepted=carry.accepted + keep.astype(int),
        rejected=carry.rejected + (~keep).astype(int),
        code=carry.code,
    )
    local = solver.interpolation_cls(t0=carry.t, t1=end, **tried.info)
    stops = keep & stop_holds_in(problem, carry.t, end, tried.new, local.evaluate)
    leaves = keep & leaves_range(given.system, after.t)
    code = jnp.where(stops, int(Status.STOPPED), after.code)
    code = jnp.where(leaves, int(Status.COEFFICIENT_OUT_OF_RANGE), code)
    code = jnp.where(vanished, too_short(problem, t), code)
    code = jnp.where(tried.failed, int(Status.SOLVER_FAILED), code)
    if problem.max_step is not None:
        forbidden = allows_none(problem, carry.t)
        code = jnp.where(forbidden, int(Status.MAX_STEP_NOT_POSITIVE), code)
    return after._replace(code=code), Step(carry.t, end, tried.info, keep)


def _end_of_step(problem: Problem, method: Method, carry: Carry) -> Time:
    """The end of the next step: not beyond the target, and not just short of it."""
    target = target_of(problem, method, carry.t)
    step = longest_step(problem, carry.t, carry.next_step)
    end = carry.t + step
    return jnp.where(end > target - 1e-3 * step, target, end)


def show_progress(problem: Problem, carry: Carry) -> None:
    """Report how far a run is, every so many steps."""
    due = (carry.accepted % REPORT_EVERY == 0) | (carry.t >= problem.t1)
    show = lambda: report(problem.t0, carry.t, problem.t1)
    jax.lax.cond(due, show, lambda: None)
