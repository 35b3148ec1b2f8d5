"""The loop over the steps and events of a differential inclusion."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from dynsys.integrators.inclusion.events import first_crossing, guards, slack
from dynsys.integrators.inclusion.mode import Mode, PieceSystem, multipliers
from dynsys.integrators.inclusion.transition import transition
from dynsys.integrators.log import Carry, Log, Step, close, empty_log, write
from dynsys.integrators.loop import begin, show_progress
from dynsys.integrators.problem import TERM, Method, Problem, step_control
from dynsys.integrators.ranges import leaves_range
from dynsys.integrators.start import is_finite
from dynsys.integrators.stop import stop_holds_in
from dynsys.nonsmooth.pieces import Pieces
from dynsys.result import Status
from dynsys.systems.system import State
from dynsys.trajectory import KinkEvents
from dynsys.trees import as_vector, from_vector

Time = Float[Array, ""]

CROSS, SLIDE, LEAVE = 0, 1, 2

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
    events: KinkEvents
    unique: Bool[Array, ""]


def run_inclusion(
    problem: Problem, pieces: Pieces, method: Method, max_events: int
) -> tuple[HybridCarry, Log, PyTree]:
    """Step from the start to the end, with the events on the way.

    Args:
        problem: What to integrate; its system has the loss with its kinks.
        pieces: The loss.
        method: With what.
        max_events: Length of the ledger.
    """
    system, t0 = problem.system, problem.t0
    x0 = system.position(problem.state)
    sides = pieces.signature(x0)
    free = Mode(sides, jnp.zeros(pieces.number, bool))
    piece = PieceSystem(system=system, objective=pieces, mode=free)
    touching = jnp.abs(guards(piece, t0, problem.state)) <= slack(piece, problem.state)
    first = transition(piece, t0, problem.state, touching, jnp.zeros_like(touching))
    events = KinkEvents.none(max_events, t0.dtype)
    events = _note(events, t0, free, first.mode, touching)
    start_problem = _in(
        problem, PieceSystem(system=system, objective=pieces, mode=first.mode)
    )
    base = begin(start_problem, method.solver)
    no_landing = Landing(jnp.asarray(False), jnp.zeros((), int), jnp.zeros((), int))
    start = HybridCarry(base, first.mode, no_landing, events, first.unique)
    info = eqx.filter_eval_shape(lambda: _info(start_problem, method, base, first.mode))
    log = empty_log(problem, method, info, None)

    def is_running(loop: tuple[HybridCarry, Log]) -> Any:
        now = loop[0].base
        steps = now.accepted + now.rejected
        going = (now.t < problem.t1) & (steps < method.max_steps)
        return going & (now.code == Status.SUCCESS)

    def advance(loop: tuple[HybridCarry, Log]) -> tuple[HybridCarry, Log]:
        return _step(problem, pieces, method, loop)

    carry, log = jax.lax.while_loop(is_running, advance, (start, log))
    base = carry.base
    unfinished = (base.t < problem.t1) & (base.code == Status.SUCCESS)
    code = jnp.where(unfinished, int(Status.MAX_STEPS), base.code)
    carry = carry._replace(base=base._replace(code=code))
    return carry, close(log, carry.base), info


def _in(problem: Problem, system: PieceSystem) -> Problem:
    return eqx.tree_at(lambda tree: tree.system, problem, system)


def _info(problem: Problem, method: Method, carry: Carry, mode: Mode) -> PyTree:
    """What is kept of one step, for its shapes."""
    step = method.solver.step
    _, _, polynomial, _, _ = step(
        TERM, problem.t0, problem.t1, carry.state, problem.system, carry.hidden, False
    )
    return {"polynomial": polynomial, "mode": mode.as_floats()}


def _step(
    problem: Problem, pieces: Pieces, method: Method, loop: tuple[HybridCarry, Log]
) -> tuple[HybridCarry, Log]:
    before, log = loop
    base, mode, landing = before.base, before.mode, before.landing
    system = PieceSystem(system=problem.system, objective=pieces, mode=mode)
    solver = method.solver
    end = base.t + base.next_step
    short = end > problem.t1 - 1e-3 * base.next_step
    end = jnp.where(short & ~landing.active, problem.t1, jnp.minimum(end, problem.t1))
    new, error, info, hidden, _ = solver.step(
        TERM, base.t, end, base.state, system, base.hidden, False
    )
    sound = is_finite((new, error))
    new = jax.tree.map(lambda a, b: jnp.where(sound, a, b), new, base.state)
    error = jax.tree.map(
        lambda leaf: jnp.where(sound, leaf, jnp.inf), system.controlled(error)
    )
    keep, _, next_end, _, control, _ = step_control(problem, solver).adapt_step_size(
        base.t,
        end,
        system.controlled(base.state),
        system.controlled(new),
        system,
        error,
        solver.error_order(TERM),
        base.control,
    )
    keep = jnp.asarray(keep)
    proposed = jnp.asarray(next_end) - jnp.where(keep, end, base.t)
    local = solver.interpolation_cls(t0=base.t, t1=end, **info)
    crossing = first_crossing(system, base.t, end, local.evaluate)
    # A step that is to land is taken as it is, or corrected by a Newton step in time.
    value, slope = jax.jvp(
        lambda s: guards(system, base.t + s, local.evaluate(base.t + s))[landing.which],
        (end - base.t,),
        (jnp.ones_like(end),),
    )
    tolerance = slack(system, new)[landing.which]
    shift = -value / jnp.where(slope == 0, 1, slope)
    sane = jnp.abs(shift) < 0.5 * (end - base.t)
    misses = (jnp.abs(value) > 0.3 * tolerance) & (landing.tries < CORRECTIONS) & sane
    lands = keep & landing.active & ~misses
    corrects = keep & landing.active & misses
    meets = keep & ~landing.active & crossing.found
    accept = (keep & ~landing.active & ~crossing.found) | lands
    new = _pull_back(system, new, jnp.where(lands, _at(landing.which, mode), False))
    t = jnp.where(accept, end, base.t)
    choose = lambda a, b: jnp.where(accept, a, b)
    moved = jax.tree.map(choose, new, base.state)
    next_step = jnp.where(meets, crossing.t - base.t, proposed)
    next_step = jnp.where(corrects, end - base.t + shift, next_step)
    vanished = ~keep & ~(proposed > 16 * jnp.finfo(t.dtype).eps * jnp.abs(t))
    after = base._replace(
        t=t,
        state=moved,
        hidden=jax.tree.map(choose, hidden, base.hidden),
        control=jax.tree.map(
            lambda a, b: jnp.where(meets | corrects, b, jnp.asarray(a)),
            control,
            base.control,
        ),
        next_step=next_step,
        tried=end - base.t,
        accepted=base.accepted + accept.astype(int),
        rejected=base.rejected + (~accept).astype(int),
    )
    now_mode, events, unique = jax.lax.cond(
        lands,
        lambda: _turn(system, before, t, moved),
        lambda: (mode, before.events, before.unique),
    )
    full = events.count > events.t.shape[0]
    in_piece = _in(problem, system)
    stops = accept & stop_holds_in(in_piece, base.t, end, new, local.evaluate)
    leaves = accept & leaves_range(problem.system, t)
    code = jnp.where(stops, int(Status.STOPPED), base.code)
    code = jnp.where(leaves, int(Status.COEFFICIENT_OUT_OF_RANGE), code)
    code = jnp.where(vanished, int(Status.STEP_UNDERFLOW), code)
    code = jnp.where(full, int(Status.MAX_EVENTS), code)
    after = after._replace(code=code)
    if method.progress:
        show_progress(problem, after)
    new_landing = Landing(
        meets | corrects,
        jnp.where(meets, crossing.which, landing.which),
        jnp.where(meets, 0, landing.tries + corrects.astype(int)),
    )
    kept = {"polynomial": info, "mode": mode.as_floats()}
    step = Step(base.t, end, kept, accept)
    log = write(problem, method, log, base, after, step, None)
    return HybridCarry(after, now_mode, new_landing, events, unique), log


def _turn(
    system: PieceSystem, before: HybridCarry, t: Time, state: State
) -> tuple[Mode, KinkEvents, Bool[Array, ""]]:
    """The mode after an event, with a line in the ledger."""
    mode, landed = before.mode, _one(before.landing.which, before.mode)
    near = jnp.abs(guards(system, t, state)) <= slack(system, state)
    meeting = mode.held | near | landed
    fixed = mode.held & (near | landed)
    side = jnp.sign(multipliers(system, t, state))
    sided = mode._replace(signature=jnp.where(fixed, side, mode.signature))
    with_sides = PieceSystem(system=system.system, objective=system.objective, mode=sided)
    turned = transition(with_sides, t, state, meeting, fixed)
    events = _note(before.events, t, mode, turned.mode, meeting)
    return turned.mode, events, before.unique & turned.unique


def _one(which: Any, mode: Mode) -> Bool[Array, " kinks"]:
    return jnp.arange(len(mode.held)) == which


def _at(which: Any, mode: Mode) -> Bool[Array, " kinks"]:
    return _one(which, mode) & ~mode.held


def _pull_back(system: PieceSystem, state: State, landed: Any) -> State:
    """The position back on the surfaces of the kinks that are held or landed on."""
    on = system.mode.held | landed
    return jax.lax.cond(jnp.any(on), lambda: _project(system, state, on), lambda: state)


def _project(system: PieceSystem, state: State, on: Bool[Array, " kinks"]) -> State:
    """One Newton step of the position onto surfaces."""
    x = system.position(state)
    flat = as_vector(x)
    signature = system.mode.signature
    number = min(len(on), len(flat))
    which = jnp.nonzero(on, size=number, fill_value=0)[0]
    valid = jnp.arange(number) < jnp.sum(on)
    values = lambda v: system.objective.switching(from_vector(v, x), signature)
    z, pull = jax.vjp(values, flat)
    unit = jax.nn.one_hot(which, len(on), dtype=flat.dtype)
    normals = jax.vmap(lambda row: pull(row)[0])(unit)
    gram = normals @ normals.T
    gram = jnp.where(valid[:, None] & valid[None, :], gram, jnp.eye(number))
    weights = jnp.linalg.solve(gram, jnp.where(valid, z[which], 0))
    moved = flat - jnp.where(valid, weights, 0) @ normals
    return eqx.tree_at(system.position, state, from_vector(moved, x))


def _note(
    events: KinkEvents, t: Time, before: Mode, after: Mode, meeting: Bool[Array, " kinks"]
) -> KinkEvents:
    """The ledger with what happened to each kink that met here."""
    slides = meeting & after.held & ~before.held
    leaves = meeting & before.held & ~after.held
    same = jnp.sign(before.signature) == jnp.sign(after.signature)
    crosses = meeting & ~before.held & ~after.held & ~same
    kind = jnp.where(slides, SLIDE, jnp.where(leaves, LEAVE, CROSS))
    happened = slides | leaves | crosses
    place = jnp.where(happened, events.count + jnp.cumsum(happened) - 1, len(events.t))
    put = lambda column, value: column.at[place].set(value, mode="drop")
    return KinkEvents(
        events.count + jnp.sum(happened),
        put(events.t, jnp.full(len(kind), t)),
        put(events.kink, jnp.arange(len(kind))),
        put(events.kind, kind),
    )
