"""The loop over the steps and events of a differential inclusion."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from dynsys.integrators.attempt import Attempt, attempt, step_of
from dynsys.integrators.first_step import first_step
from dynsys.integrators.inclusion.arrival import Blur, arrival, nowhere, resolution
from dynsys.integrators.inclusion.events import first_crossing
from dynsys.integrators.inclusion.ledger import Ledger, empty_ledger, note
from dynsys.integrators.inclusion.mode import Mode, Sides, free_mode
from dynsys.integrators.inclusion.pace import Pace, first_pace, next_pace
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.start import Start, at_the_start
from dynsys.integrators.inclusion.turn import (
    Turn,
    in_mode,
    no_turn,
    onto_surfaces,
    turn,
)
from dynsys.integrators.inclusion.turns import Turns
from dynsys.integrators.log import Carry, Log, Step, close, empty_log, write
from dynsys.integrators.loop import set_out, show_progress
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
from dynsys.systems.system import State
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
    """Where the solve of an inclusion stands between two steps.

    The first pass of the loop makes no step: it turns the free mode into that of the start.

    Args:
        base: Time, state and step sizes.
        starts: Whether the next pass is the first.
        start: What was found at the start.
        mode: The mode.
        landing: Whether the next step is to end at a guard.
        ledger: What happened at the kinks.
        turns: The changes of mode, if they are kept.
        pace: How fast kinks are crossed.
        unique: Whether no other mode was consistent.
        derivative: A `Derivative`.
        blur: What the resolution of time has cost.
    """

    base: Carry
    starts: Bool[Array, ""]
    start: Start
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
        carry = _begin(problem, method, max_events, keeps_turns=piece is not None)
        log = empty_log(problem, method, info, piece)
        return jax.lax.while_loop(is_running, advance, (carry, log))

    info = eqx.filter_eval_shape(lambda: _info(problem, method))
    pieces: Any = problem.system.objective
    is_short = pieces.number <= FEW
    run = (lambda arrays: as_one_kernel(loop, arrays)) if is_short else loop
    carry, log = main_loop(run, arrays)
    base = carry.base
    pace = carry.pace
    unfinished = (base.t < problem.t1) & (base.code == Status.SUCCESS) & ~pace.runs_away
    code = jnp.where(unfinished, int(Status.MAX_STEPS), base.code)
    carry = carry._replace(base=base._replace(code=code))
    return carry, close(log, carry.base), info


def _free(problem: Problem) -> Mode:
    """The mode at the start as if it lay on no kink."""
    pieces: Any = problem.system.objective
    x0 = problem.system.position(problem.state)
    return free_mode(pieces.signature(x0), constant(pieces.sizes(x0)))


def _begin(
    problem: Problem, method: Method, max_events: int, *, keeps_turns: bool
) -> HybridCarry:
    """Where the solve stands before its first pass."""
    problem = at_start(problem)
    free = _free(problem)
    kinks = len(free.held)
    piece = eqx.tree_at(lambda tree: tree.system, problem, in_mode(problem, free))
    # How long the first step is is told by the first pass, and until then is no matter.
    base = set_out(piece, method.solver, 1e-3 * (problem.t1 - problem.t0))
    yes, no, none = jnp.asarray(True), jnp.asarray(False), jnp.zeros((), int)
    turns = Turns.begin(TURNS * max_events + 1, free) if keeps_turns else None
    zero = jnp.zeros_like(problem.t0)
    return HybridCarry(
        base=base,
        starts=yes,
        start=Start(Sides.of(free), jnp.zeros(kinks, bool)),
        mode=free,
        landing=Landing(no, none, none),
        ledger=empty_ledger(max_events, problem.t0),
        turns=turns,
        pace=first_pace(problem, kinks),
        unique=yes,
        derivative=jnp.asarray(int(Derivative.EXISTS)),
        blur=Blur(zero, zero),
    )


def _info(problem: Problem, method: Method) -> PyTree:
    """What is kept of one step, for its shapes."""
    problem = at_start(problem)
    mode, solver = _free(problem), method.solver
    t0, t1, state, piece = problem.t0, problem.t1, problem.state, in_mode(problem, mode)
    hidden = solver.init(TERM, t0, t1, state, piece)
    tried = step_of(solver, piece, t0, t1, state, hidden)
    return {"polynomial": tried[2], "sides": Sides.of(mode)}


class Fate(NamedTuple):
    """What becomes of a step that was tried.

    Args:
        accept: Whether it is taken.
        turns: Whether the mode may change at its end.
        meets: Whether a guard turns negative in it, so that the next is to land there.
        corrects: Whether it missed the guard that it was to land at.
        next_step: Size of the next step.
        which: The guard that the next step is to land at.
    """

    accept: Bool[Array, ""]
    turns: Bool[Array, ""]
    meets: Bool[Array, ""]
    corrects: Bool[Array, ""]
    next_step: Time
    which: Int[Array, ""]


def _fate(
    before: HybridCarry, system: PieceSystem, end: Time, tried: Attempt, path: Any
) -> Fate:
    """What becomes of a step that was tried.

    Where it ends is a constant, so derivatives do not go through the search.
    """
    landing, starts = before.landing, before.starts
    fixed: Any = constant(system)
    start, stop = constant((before.base.t, end))
    crossing = first_crossing(fixed, start, stop, path)
    # A step that is to land is taken as it is, or corrected by a Newton step in time.
    value, slope = crossing.last[landing.which], crossing.slope[landing.which]
    # No time is known better than to its rounding, and so much after the event is fine.
    unit = resolution(stop)
    early = 0.3 * fixed.slack(path(stop))[landing.which]
    late = jnp.maximum(early, 2 * unit * jnp.abs(slope))
    shift = 0.5 * unit - value / jnp.where(slope == 0, 1, slope)
    sane = jnp.abs(shift) < 0.5 * (stop - start)
    misses = ((value > early) | (value < -late)) & (landing.tries < CORRECTIONS) & sane
    keep = tried.keep & ~starts
    lands = keep & landing.active & ~misses
    corrects = keep & landing.active & misses
    meets = keep & ~landing.active & crossing.found
    accept = (keep & ~landing.active & ~crossing.found) | lands
    next_step = constant(tried.next_step)
    next_step = jnp.where(meets, crossing.t - start, next_step)
    next_step = jnp.where(corrects, stop - start + shift, next_step)
    which = jnp.where(meets, crossing.which, landing.which)
    return Fate(accept, lands | starts, meets, corrects, next_step, which)


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
    fate = _fate(before, system, end, tried, local.evaluate)
    accept = fate.accept
    choose = lambda a, b: jnp.where(accept, a, b)
    t = choose(end, base.t)
    left = jax.tree.map(lambda a, b: jnp.where(starts, b, a), tried.new, base.state)
    happened, written, first = _turned(problem, solver, before, system, fate, t, left)
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
    code = _code(given, base, t, fate, happened, (stops, vanished, full), blur)
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


def _code(
    problem: Problem,
    base: Carry,
    t: Time,
    fate: Fate,
    happened: Turn,
    ends: tuple[Bool[Array, ""], Bool[Array, ""], Bool[Array, ""]],
    blur: Blur,
) -> Int[Array, ""]:
    """The `Status` after a step.

    Args:
        problem: What is integrated.
        base: Where the solve stood before.
        t: Its end.
        fate: What becomes of it.
        happened: What happened there.
        ends: Whether the run stops in it, step sizes vanish, the ledger is full.
        blur: What the resolution of time has cost.
    """
    stops, vanished, full = ends
    leaves = fate.accept & leaves_range(problem.system, t)
    code = jnp.where(leaves, int(Status.COEFFICIENT_OUT_OF_RANGE), base.code)
    code = jnp.where(vanished, too_short(problem, t), code)
    blurred = blur.shows(problem.rtol, problem.atol)
    code = jnp.where(blurred, int(Status.TIME_UNRESOLVED), code)
    # What has failed before it starts does so as it did.
    fails = fate.turns & (happened.code != Status.SUCCESS) & (base.code == Status.SUCCESS)
    code = jnp.where(fails, happened.code, code)
    # What is at the end of its last step does not matter to a run that stops in it.
    code = jnp.where(stops & ~leaves, int(Status.STOPPED), code)
    code = jnp.where(full, int(Status.MAX_EVENTS), code)
    if problem.max_step is not None:
        forbidden = allows_none(problem, base.t)
        code = jnp.where(forbidden, int(Status.MAX_STEP_NOT_POSITIVE), code)
    return code


def _turned(
    problem: Problem,
    solver: Any,
    before: HybridCarry,
    system: PieceSystem,
    fate: Fate,
    t: Time,
    state: State,
) -> tuple[Turn, Any, Time]:
    """What happens at the end of a step, or at the start, and what it leaves behind.

    With it comes the size of the first step, at the start.

    Args:
        problem: What is integrated, with its coefficients in the step.
        solver: With what.
        before: Where the solve stood before it.
        system: The system in the mode of the step.
        fate: What becomes of it.
        t: Its end.
        state: State there, as the step left it.
    """
    mode, starts = before.mode, before.starts
    which = jnp.arange(len(mode.held)) == before.landing.which
    landed = fate.turns & ~starts & which
    tolerances = (problem.rtol, problem.atol)
    arrives = jax.lax.cond(
        fate.turns,
        lambda: arrival(system, landed & ~mode.held, t, state, tolerances),
        lambda: nowhere(system, t, state),
    )
    moved = onto_surfaces(system, arrives.state, (landed & ~mode.held) | mode.leads)

    def happens() -> tuple[Turn, Any, Time]:
        happened = turn(system, landed, t, arrives, moved)
        happened = at_the_start(system, happened, state, starts)
        piece = eqx.tree_at(
            lambda tree: (tree.system, tree.state),
            problem,
            (in_mode(problem, happened.mode), before.base.state),
        )
        first = jax.lax.cond(
            starts,
            lambda: first_step(piece, solver.error_order(TERM)),
            lambda: jnp.zeros_like(t),
        )
        return *_write_turn(problem, before, happened, t), first

    def nothing() -> tuple[Turn, Any, Time]:
        written = (before.ledger, before.turns, before.pace, before.derivative)
        return no_turn(system, t, moved), written, jnp.zeros_like(t)

    return jax.lax.cond(fate.turns, happens, nothing)


def _write_turn(
    problem: Problem, before: HybridCarry, happened: Turn, t: Time
) -> tuple[Turn, Any]:
    """What a turn leaves behind."""
    starts = before.starts
    exists = happened.saltation.exists & happened.unique
    none = jax.tree.map(lambda leaf: jnp.broadcast_to(~exists, leaf.shape), happened.state)
    happened = happened._replace(state=without_derivative(happened.state, none))
    row = jnp.where(starts, 0, before.ledger.turns + 1)
    ledger = before.ledger._replace(turns=row)
    times = t + happened.saltation.shift
    met = (before.mode.held | happened.at, happened.bends, happened.fatal)
    ledger = note(ledger, times, before.mode, happened.mode, *met)
    turns = None if before.turns is None else before.turns.write(row, happened)
    room = len(ledger.kink)
    is_full = (ledger.lines >= room) | (row >= TURNS * room)
    turned = (before.mode, happened, is_full, constant(t), starts)
    pace = next_pace(problem, before.pace, *turned)
    on_kinks = starts & jnp.any(happened.at & happened.bends)
    derivative = jnp.where(on_kinks, int(Derivative.NOT_AT_START), before.derivative)
    exists = exists & (~pace.runs_away | starts)
    derivative = jnp.where(exists, derivative, int(Derivative.NONE))
    return happened, (ledger, turns, pace, derivative)
