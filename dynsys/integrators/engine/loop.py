"""The loop over the steps."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from dynsys.integrators.engine.attempt import Attempt, attempt, step_of
from dynsys.integrators.engine.carry import Carry, Fate, Step
from dynsys.integrators.engine.log import Log, close, empty_log, write
from dynsys.integrators.engine.main_loop import main_loop
from dynsys.integrators.engine.motion import AbstractMotion
from dynsys.integrators.engine.one_step import end_of_step, status_after
from dynsys.integrators.engine.problem import Method, Problem, prepared
from dynsys.integrators.engine.progress import report
from dynsys.integrators.engine.stop import stop_holds_in
from dynsys.integrators.engine.switching import (
    at_start,
    between,
    go_on,
    hidden_after,
    just_after,
)
from dynsys.integrators.start import too_short
from dynsys.kernel import as_one_kernel
from dynsys.result import Status

REPORT_EVERY = 256
"""Accepted steps between two reports of progress."""


def run(
    problem: Problem,
    method: Method,
    motion: AbstractMotion,
    like: PyTree,
    *,
    piece: int | None = None,
) -> tuple[Carry, Log]:
    """Step from the start to the end, a stop or a failure, with the events on the way.

    Args:
        problem: What to integrate.
        method: With what.
        motion: How it moves.
        like: Shapes of what is kept of one step.
        piece: Accepted steps between two states of the record; `None` for no record.
    """
    arrays, rest = eqx.partition(problem, eqx.is_array)

    def loop(arrays: Any) -> tuple[Carry, Log]:
        problem = eqx.combine(arrays, rest)
        ready = _with_tolerances(method, problem)
        keeps_turns = piece is not None
        start = motion.begin(at_start(problem), ready, keeps_turns=keeps_turns)
        advance = lambda now: _pass(problem, ready, motion, piece, now)

        def is_running(now: tuple[Carry, Log]) -> Bool[Array, ""]:
            carry = now[0]
            has_room = carry.accepted + carry.rejected < method.max_steps
            return motion.goes_on(carry.course, _is_on_its_way(problem, carry) & has_room)

        log = empty_log(problem, ready, like, piece)
        return jax.lax.while_loop(is_running, advance, (start, log))

    kernel = lambda arrays: as_one_kernel(loop, arrays, obstacle=motion.obstacle(problem))
    carry, log = main_loop(kernel, arrays)
    unfinished = motion.goes_on(carry.course, _is_on_its_way(problem, carry))
    code = jnp.where(unfinished, int(Status.MAX_STEPS), carry.code)
    return carry._replace(code=code), close(log, carry)


def shape_of_kept(problem: Problem, method: Method, motion: AbstractMotion) -> PyTree:
    """Shapes of what is kept of one step."""

    def kept() -> PyTree:
        ready, here = _with_tolerances(method, problem), at_start(problem)
        start = motion.begin(here, ready, keeps_turns=False)
        system, t0 = motion.system(here, start.course), problem.t0
        end = t0 + start.next_step
        tried = step_of(ready.solver, system, t0, end, start.state, start.hidden)
        return {"polynomial": tried[2], "mode": motion.mode(start.course)}

    return eqx.filter_eval_shape(kept)


def _with_tolerances(method: Method, problem: Problem) -> Method:
    return method._replace(solver=prepared(method.solver, problem, "lax"))


def _is_on_its_way(problem: Problem, carry: Carry) -> Bool[Array, ""]:
    return (carry.t < problem.t1) & (carry.code == Status.SUCCESS)


def _pass(
    given: Problem,
    method: Method,
    motion: AbstractMotion,
    piece: int | None,
    loop: tuple[Carry, Log],
) -> tuple[Carry, Log]:
    """Try one step, look at what is at its end, and write it down."""
    before, log = loop
    solver, is_exact = method.solver, motion.is_exact(before.course)
    end = end_of_step(given, method, before.t, before.next_step, is_exact)
    problem = between(given, before.t, end)
    system = motion.system(problem, before.course)
    tried = attempt(problem, system, solver, before, end)
    fate = motion.fate(tried)
    t = jnp.where(fate.accept, end, before.t)
    inside = eqx.tree_at(lambda tree: tree.system, problem, system)
    stops = stop_holds_in(inside, before.t, end, tried.new, tried.path)
    stops = fate.accept & ~tried.failed & stops
    arrived = motion.arrive(tried, fate, stops)
    new = go_on(given, motion.system(problem, arrived.course), t, arrived.state)
    onward = motion.system(just_after(given, end), arrived.course)
    hidden = hidden_after(given, onward, solver, end, new, tried.hidden)
    choose = lambda mask, a, b: jax.tree.map(lambda *ab: jnp.where(mask, *ab), a, b)
    found = jnp.where(tried.failed, int(Status.SOLVER_FAILED), arrived.code)
    found = jnp.where(_vanishes(tried, fate, is_exact), too_short(given, t), found)
    after = Carry(
        t=t,
        state=choose(fate.moves, new, before.state),
        hidden=choose(fate.accept, hidden, before.hidden),
        control=fate.control,
        next_step=arrived.next_step,
        tried=arrived.tried,
        accepted=before.accepted + fate.accept.astype(int),
        rejected=before.rejected + (~fate.moves).astype(int),
        code=status_after(given, before, t, fate.accept, stops, found),
        course=arrived.course,
    )
    if method.progress:
        _show_progress(problem, after)
    kept = {"polynomial": tried.info, "mode": motion.mode(before.course)}
    turns = motion.turns_so_far(arrived.course)
    step = Step(before.t, end, kept, fate.accept, turns)
    return after, write(given, method, log, before, after, step, piece)


def _vanishes(
    tried: Attempt, fate: Fate, is_exact: Bool[Array, ""] | None
) -> Bool[Array, ""]:
    """Whether steps have become too short: the next one, or this has no length."""
    least = 16 * jnp.finfo(tried.end.dtype).eps * jnp.abs(tried.end)
    shrinks = ~tried.keep & ~fate.moves & ~(tried.next_step > least)
    stays = ~(tried.end > tried.before.t)
    return shrinks | (stays if is_exact is None else stays & ~is_exact)


def _show_progress(problem: Problem, carry: Carry) -> None:
    """Report how far a run is, every so many steps."""
    due = (carry.accepted % REPORT_EVERY == 0) | (carry.t >= problem.t1)
    show = lambda: report(problem.t0, carry.t, problem.t1)
    jax.lax.cond(due, show, lambda: None)
