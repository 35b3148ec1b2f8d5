"""The loop over the steps and events of a differential inclusion."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from dynsys.integrators.attempt import attempt, step_of
from dynsys.integrators.inclusion.arrival import Blur, arrival, nowhere, resolution
from dynsys.integrators.inclusion.events import first_crossing
from dynsys.integrators.inclusion.ledger import Ledger, empty_ledger, note
from dynsys.integrators.inclusion.mode import Mode, Sides, free_mode
from dynsys.integrators.inclusion.pace import Pace, first_pace, next_pace
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.start import Start, start_of
from dynsys.integrators.inclusion.turn import (
    Turn,
    in_mode,
    no_turn,
    onto_surfaces,
    turn,
)
from dynsys.integrators.inclusion.turns import Turns
from dynsys.integrators.log import Carry, Log, Step, close, empty_log, write
from dynsys.integrators.loop import begin, show_progress
from dynsys.integrators.main_loop import main_loop
from dynsys.integrators.problem import TERM, Method, Problem
from dynsys.integrators.ranges import leaves_range
from dynsys.integrators.start import too_short
from dynsys.integrators.stop import stop_holds_in
from dynsys.integrators.switching import (
    allows_none,
    at_start,
    between,
    go_on,
    hidden_after,
    just_after,
    longest_step,
    target_of,
)
from dynsys.kernel import as_one_kernel
from dynsys.nonsmooth.listed import FEW
from dynsys.result import Derivative, Status
from dynsys.trees import constant

Time = Float[Array, ""]

TURNS = 4
"""Changes of mode for each line of the ledger that there is room for: kinks without a jump
of the gradient, and other multipliers along the same kinks, are no events."""

CORRECTIONS = 4
"""Newton steps in time that bring the end of a step onto a surface."""


class Landing(NamedTuple):
    """A step that is to end where a guard is 0.

    Args:
        active: Whether the next step is one.
        which: The guard.
        tries: How often it was corrected.
    """

    active: Bool[Array, ""]
    which: Int[Array, ""]
    tries: Int[Array, ""]


class HybridCarry(NamedTuple):
    """Where the solve of an inclusion stands between two steps."""

    base: Carry
    mode: Mode
    landing: Landing
    ledger: Ledger
    turns: Turns | None
    pace: Pace
    unique: Bool[Array, ""]
    derivative: Int[Array, ""]
    blur: Blur


def run_inclusion(
    problem: Problem, method: Method, max_events: int, *, piece: int | None = None
) -> tuple[HybridCarry, Log, PyTree, Start]:
    """Step from the start to the end, with the events on the way.

    Args:
        problem: What to integrate; the objective of its system is a
            `dynsys.nonsmooth.pieces.Pieces`.
        method: With what.
        max_events: Length of the ledger.
        piece: Accepted steps between two states of the record; `None` for no record.
    """
    arrays, rest = eqx.partition(problem, eqx.is_array)

    def loop(arrays: Any) -> tuple[Start, tuple[HybridCarry, Log]]:
        problem = eqx.combine(arrays, rest)
        start = start_of(at_start(problem))
        problem = eqx.tree_at(lambda tree: tree.state, problem, start.state)
        steps = lambda now: now.base.accepted + now.base.rejected
        has_room = lambda now: (now.base.t < problem.t1) & (steps(now) < method.max_steps)
        is_well = lambda now: (now.base.code == Status.SUCCESS) & ~now.pace.runs_away
        is_running = lambda loop: has_room(loop[0]) & is_well(loop[0])
        advance = lambda loop: _step(problem, method, piece, loop)
        carry = _begin(problem, method, start, max_events, keeps_turns=piece is not None)
        log = empty_log(problem, method, info, piece)
        return start, jax.lax.while_loop(is_running, advance, (carry, log))

    info = eqx.filter_eval_shape(lambda: _info(problem, method))
    pieces: Any = problem.system.objective
    number = pieces.number
    obstacle = "" if number <= FEW else f"its {number:,} kinks are more than {FEW}"
    run = lambda arrays: as_one_kernel(loop, arrays, obstacle=obstacle)
    start, (carry, log) = main_loop(run, arrays)
    base = carry.base
    pace = carry.pace
    unfinished = (base.t < problem.t1) & (base.code == Status.SUCCESS) & ~pace.runs_away
    code = jnp.where(unfinished, int(Status.MAX_STEPS), base.code)
    carry = carry._replace(base=base._replace(code=code))
    return carry, close(log, carry.base), info, start


def _begin(
    problem: Problem, method: Method, start: Start, max_events: int, *, keeps_turns: bool
) -> HybridCarry:
    """Where the solve stands before its first step."""
    first = start.mode
    times = jnp.full(len(first.held), problem.t0)
    met = (start.touching, start.bends, start.fatal)
    ledger = empty_ledger(max_events, problem.t0)
    ledger = note(ledger, times, start.free, first, *met)
    problem = at_start(problem)
    piece = eqx.tree_at(lambda tree: tree.system, problem, in_mode(problem, first))
    base = begin(piece, method.solver)
    base = base._replace(
        next_step=jax.lax.stop_gradient(base.next_step),
        code=jnp.where(base.code == Status.SUCCESS, start.code, base.code),
    )
    no_landing = Landing(jnp.asarray(False), jnp.zeros((), int), jnp.zeros((), int))
    turns = Turns.begin(TURNS * max_events + 1, first) if keeps_turns else None
    touches = jnp.any(start.bends)
    derivative = jnp.where(touches, int(Derivative.NOT_AT_START), int(Derivative.EXISTS))
    derivative = jnp.where(start.unique, derivative, int(Derivative.NONE))
    pace = first_pace(problem, len(first.held), start.rests)
    zero = jnp.zeros_like(problem.t0)
    fixed = (ledger, turns, pace, start.unique, derivative, Blur(zero, zero))
    return HybridCarry(base, first, no_landing, *fixed)


def _info(problem: Problem, method: Method) -> PyTree:
    """What is kept of one step, for its shapes."""
    problem = at_start(problem)
    t0, t1, state, system = problem.t0, problem.t1, problem.state, problem.system
    pieces: Any = system.objective
    signature = pieces.signature(system.position(state))
    mode = free_mode(signature, jnp.zeros_like(signature))
    piece, solver = in_mode(problem, mode), method.solver
    hidden = solver.init(TERM, t0, t1, state, piece)
    tried = step_of(solver, piece, t0, t1, state, hidden)
    return {"polynomial": tried[2], "sides": Sides.of(mode)}


def _step(
    problem: Problem, method: Method, piece: int | None, loop: tuple[HybridCarry, Log]
) -> tuple[HybridCarry, Log]:
    before, log = loop
    base, mode, landing = before.base, before.mode, before.landing
    solver, target = method.solver, target_of(problem, method, base.t)
    size = longest_step(problem, base.t, base.next_step)
    end = constant(base.t + size)
    short = end > target - 1e-3 * size
    end = jnp.where(short & ~landing.active, target, jnp.minimum(end, target))
    given, problem = problem, between(problem, base.t, end)
    system = in_mode(problem, mode)
    tried = attempt(problem, solver, system, base, end)
    keep, proposed = tried.keep, constant(tried.next_step)
    # Where a step ends is a constant, so derivatives do not go through the search.
    fixed: Any = constant(system)
    start, stop = constant((base.t, end))
    local = solver.interpolation_cls(t0=start, t1=stop, **constant(tried.info))
    crossing = first_crossing(fixed, start, stop, local.evaluate)
    # A step that is to land is taken as it is, or corrected by a Newton step in time.
    value, slope = crossing.last[landing.which], crossing.slope[landing.which]
    # No time is known better than to its rounding, and so much after the event is fine.
    unit = resolution(stop)
    early = 0.3 * fixed.slack(local.evaluate(stop))[landing.which]
    late = jnp.maximum(early, 2 * unit * jnp.abs(slope))
    shift = 0.5 * unit - value / jnp.where(slope == 0, 1, slope)
    sane = jnp.abs(shift) < 0.5 * (stop - start)
    misses = ((value > early) | (value < -late)) & (landing.tries < CORRECTIONS) & sane
    lands = keep & landing.active & ~misses
    corrects = keep & landing.active & misses
    meets = keep & ~landing.active & crossing.found
    accept = (keep & ~landing.active & ~crossing.found) | lands
    landed = lands & (jnp.arange(len(mode.held)) == landing.which)
    arrives = jax.lax.cond(
        lands,
        lambda: arrival(
            system, landed & ~mode.held, end, tried.new, (problem.rtol, problem.atol)
        ),
        lambda: nowhere(system, end, tried.new),
    )
    moved = onto_surfaces(system, arrives.state, (landed & ~mode.held) | mode.leads)
    happened, ledger, turns, pace, derivative = jax.lax.cond(
        lands,
        lambda: _write_turn(
            problem, before, turn(system, landed, end, arrives, moved), end
        ),
        lambda: (
            no_turn(system, end, moved),
            before.ledger,
            before.turns,
            before.pace,
            before.derivative,
        ),
    )
    t = jnp.where(accept, end, base.t)
    choose = lambda a, b: jnp.where(accept, a, b)
    next_step = jnp.where(meets, crossing.t - start, proposed)
    next_step = jnp.where(corrects, stop - start + shift, next_step)
    vanished = ~keep & ~(proposed > 16 * jnp.finfo(t.dtype).eps * jnp.abs(t))
    retries = meets | corrects
    new = go_on(given, in_mode(problem, happened.mode), end, happened.state)
    onward = in_mode(just_after(given, end), happened.mode)
    hidden = hidden_after(given, onward, solver, end, new, tried.hidden)
    after = base._replace(
        t=t,
        state=jax.tree.map(choose, new, base.state),
        hidden=jax.tree.map(choose, hidden, base.hidden),
        control=jax.tree.map(
            lambda a, b: jnp.where(retries, b, a), constant(tried.control), base.control
        ),
        next_step=next_step,
        tried=end - base.t,
        accepted=base.accepted + accept.astype(int),
        rejected=base.rejected + (~accept).astype(int),
    )
    room = len(ledger.kink)
    full = (ledger.lines > room) | (ledger.turns > TURNS * room)
    in_piece = eqx.tree_at(lambda tree: tree.system, problem, system)
    evaluate = solver.interpolation_cls(t0=base.t, t1=end, **tried.info).evaluate
    stops = accept & stop_holds_in(in_piece, base.t, end, tried.new, evaluate)
    leaves = accept & leaves_range(given.system, t)
    code = jnp.where(leaves, int(Status.COEFFICIENT_OUT_OF_RANGE), base.code)
    code = jnp.where(vanished, too_short(problem, t), code)
    blur = before.blur.after(happened.saltation.lost, system.position(after.state))
    blurred = blur.shows(problem.rtol, problem.atol)
    code = jnp.where(blurred, int(Status.TIME_UNRESOLVED), code)
    code = jnp.where(lands & (happened.code != Status.SUCCESS), happened.code, code)
    # What is at the end of its last step does not matter to a run that stops in it.
    code = jnp.where(stops & ~leaves, int(Status.STOPPED), code)
    code = jnp.where(full & ~pace.runs_away, int(Status.MAX_EVENTS), code)
    if problem.max_step is not None:
        forbidden = allows_none(problem, base.t)
        code = jnp.where(forbidden, int(Status.MAX_STEP_NOT_POSITIVE), code)
    after = after._replace(code=code)
    if method.progress:
        show_progress(problem, after)
    which = jnp.where(meets, crossing.which, landing.which)
    tries = jnp.where(meets, 0, landing.tries + corrects.astype(int))
    kept = {"polynomial": tried.info, "sides": Sides.of(mode)}
    step = Step(base.t, end, kept, accept, ledger.turns)
    log = write(problem, method, log, base, after, step, piece)
    unique = before.unique & (happened.unique | stops)
    landing = Landing(retries, which, tries)
    fixed = (ledger, turns, pace, unique, derivative, blur)
    return HybridCarry(after, happened.mode, landing, *fixed), log


def _write_turn(problem: Problem, before: HybridCarry, happened: Turn, t: Time) -> Any:
    """What a turn leaves behind."""
    exists = happened.saltation.exists & happened.unique
    none = jax.tree.map(lambda leaf: jnp.broadcast_to(~exists, leaf.shape), happened.state)
    happened = happened._replace(state=without_derivative(happened.state, none))
    row = before.ledger.turns + 1
    ledger = before.ledger._replace(turns=row)
    times = t + happened.saltation.shift
    met = (before.mode.held | happened.at, happened.bends, happened.fatal)
    ledger = note(ledger, times, before.mode, happened.mode, *met)
    turns = None if before.turns is None else before.turns.write(row, happened)
    room = len(ledger.kink)
    is_full = (ledger.lines >= room) | (row >= TURNS * room)
    pace = next_pace(problem, before.pace, before.mode, happened, is_full, constant(t))
    exists = exists & ~pace.runs_away
    derivative = jnp.where(exists, before.derivative, int(Derivative.NONE))
    return happened, ledger, turns, pace, derivative
