"""The loop over the steps and events of a differential inclusion."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from dynsys.integrators.engine.attempt import attempt, step_of
from dynsys.integrators.engine.log import Log, Step, close, empty_log, write
from dynsys.integrators.engine.loop import show_progress
from dynsys.integrators.engine.main_loop import main_loop
from dynsys.integrators.engine.problem import TERM, Method, Problem
from dynsys.integrators.engine.stop import stop_holds_in
from dynsys.integrators.engine.switching import (
    at_start,
    between,
    go_on,
    hidden_after,
    just_after,
    longest_step,
    target_of,
)
from dynsys.integrators.inclusion.carry import (
    TURNS,
    HybridCarry,
    begin_inclusion,
    free_at_start,
)
from dynsys.integrators.inclusion.end_of_step import end_of_step, status_of
from dynsys.integrators.inclusion.landing import Landing, fate_of
from dynsys.integrators.inclusion.mode import Sides
from dynsys.integrators.inclusion.start import Start
from dynsys.integrators.inclusion.turn import in_mode
from dynsys.kernel import as_one_kernel
from dynsys.nonsmooth.listed import FEW
from dynsys.result import Status
from dynsys.trees import constant

Time = Float[Array, ""]


def run_inclusion(
    problem: Problem, method: Method, max_events: int, *, piece: int | None = None
) -> tuple[HybridCarry, Log, PyTree]:
    """Step from the start to the end, with the events on the way.

    Args:
        problem: What to integrate; the objective of its system is a
            `dynsys.nonsmooth.pieces.Pieces`.
        method: With what.
        max_events: Length of the ledger.
        piece: Accepted steps between two states of the record; `None` for no record.
    """
    arrays, rest = eqx.partition(problem, eqx.is_array)

    def loop(arrays: Any) -> tuple[HybridCarry, Log]:
        problem = eqx.combine(arrays, rest)
        steps = lambda now: now.base.accepted + now.base.rejected
        has_room = lambda now: (now.base.t < problem.t1) & (steps(now) < method.max_steps)
        is_well = lambda now: (now.base.code == Status.SUCCESS) & ~now.pace.runs_away
        is_running = lambda loop: loop[0].starts | (has_room(loop[0]) & is_well(loop[0]))
        advance = lambda loop: _step(problem, method, piece, loop)
        carry = begin_inclusion(problem, method, max_events, keeps_turns=piece is not None)
        log = empty_log(problem, method, info, piece)
        return jax.lax.while_loop(is_running, advance, (carry, log))

    info = eqx.filter_eval_shape(lambda: _info(problem, method))
    pieces: Any = problem.system.objective
    number = pieces.number
    obstacle = "" if number <= FEW else f"its {number:,} kinks are more than {FEW}"
    run = lambda arrays: as_one_kernel(loop, arrays, obstacle=obstacle)
    carry, log = main_loop(run, arrays)
    base = carry.base
    pace = carry.pace
    unfinished = (base.t < problem.t1) & (base.code == Status.SUCCESS) & ~pace.runs_away
    code = jnp.where(unfinished, int(Status.MAX_STEPS), base.code)
    carry = carry._replace(base=base._replace(code=code))
    return carry, close(log, carry.base), info


def _info(problem: Problem, method: Method) -> PyTree:
    """What is kept of one step, for its shapes."""
    problem = at_start(problem)
    mode, solver = free_at_start(problem), method.solver
    t0, t1, state, piece = problem.t0, problem.t1, problem.state, in_mode(problem, mode)
    hidden = solver.init(TERM, t0, t1, state, piece)
    tried = step_of(solver, piece, t0, t1, state, hidden)
    return {"polynomial": tried[2], "sides": Sides.of(mode)}


def _step(
    problem: Problem, method: Method, piece: int | None, loop: tuple[HybridCarry, Log]
) -> tuple[HybridCarry, Log]:
    """Try one step, or turn into the first mode, and write it down."""
    before, log = loop
    base, mode, landing, starts = before.base, before.mode, before.landing, before.starts
    solver, target = method.solver, target_of(problem, method, base.t)
    size = longest_step(problem, base.t, base.next_step)
    end = constant(base.t + size)
    short = end > target - 1e-3 * size
    end = jnp.where(short & ~landing.active, target, jnp.minimum(end, target))
    given, problem = problem, between(problem, base.t, end)
    system = in_mode(problem, mode)
    tried = attempt(problem, solver, system, base, end)
    start, stop = constant((base.t, end))
    local = solver.interpolation_cls(t0=start, t1=stop, **constant(tried.info))
    ends = (base.t, end)
    fate = fate_of(system, landing, starts, ends, tried, local.evaluate)
    accept = fate.accept
    choose = lambda a, b: jnp.where(accept, a, b)
    t = choose(end, base.t)
    left = jax.tree.map(lambda a, b: jnp.where(starts, b, a), tried.new, base.state)
    happened, written, first = end_of_step(problem, solver, before, system, fate, t, left)
    ledger, turns, pace, derivative = written
    new = go_on(given, in_mode(problem, happened.mode), end, happened.state)
    onward = in_mode(just_after(given, end), happened.mode)
    hidden = hidden_after(given, onward, solver, end, new, tried.hidden)
    moves = accept | starts
    new = jax.tree.map(lambda a, b: jnp.where(starts, a, b), happened.state, new)
    retries = fate.meets | fate.corrects
    after = base._replace(
        t=t,
        state=jax.tree.map(lambda a, b: jnp.where(moves, a, b), new, base.state),
        hidden=jax.tree.map(choose, hidden, base.hidden),
        control=jax.tree.map(
            lambda a, b: jnp.where(retries | starts, b, a),
            constant(tried.control),
            base.control,
        ),
        next_step=jnp.where(starts, first, fate.next_step),
        tried=jnp.where(starts, first, end - base.t),
        accepted=base.accepted + accept.astype(int),
        rejected=base.rejected + (~moves).astype(int),
    )
    blur = before.blur.after(happened.saltation.lost, system.position(after.state))
    in_piece = eqx.tree_at(lambda tree: tree.system, problem, system)
    evaluate = solver.interpolation_cls(t0=base.t, t1=end, **tried.info).evaluate
    stops = accept & stop_holds_in(in_piece, base.t, end, tried.new, evaluate)
    least = 16 * jnp.finfo(t.dtype).eps * jnp.abs(t)
    vanished = ~tried.keep & ~(tried.next_step > least) & ~starts
    room = len(ledger.kink)
    full = (ledger.lines > room) | (ledger.turns > TURNS * room)
    full = full & ~pace.runs_away
    code = status_of(given, base, t, fate, happened, (stops, vanished, full), blur)
    after = after._replace(code=code)
    if method.progress:
        show_progress(problem, after)
    kept = {"polynomial": tried.info, "sides": Sides.of(mode)}
    step = Step(base.t, end, kept, accept, ledger.turns)
    log = write(problem, method, log, base, after, step, piece)
    tries = jnp.where(fate.meets, 0, landing.tries + fate.corrects.astype(int))
    found = Start(Sides.of(happened.mode), happened.at & happened.bends)
    return HybridCarry(
        base=after,
        starts=jnp.asarray(False),
        start=jax.tree.map(lambda a, b: jnp.where(starts, a, b), found, before.start),
        mode=happened.mode,
        landing=Landing(retries, fate.which, tries),
        ledger=ledger,
        turns=turns,
        pace=pace,
        unique=before.unique & (happened.unique | stops),
        derivative=derivative,
        blur=blur,
    ), log
