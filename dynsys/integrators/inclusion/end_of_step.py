"""What happens at the end of a step, and how a run goes on from there."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.first_step import first_step
from dynsys.integrators.engine.log import Carry
from dynsys.integrators.engine.problem import TERM, Problem
from dynsys.integrators.engine.ranges import leaves_range
from dynsys.integrators.engine.switching import allows_none
from dynsys.integrators.inclusion.arrival import Blur, arrival, nowhere
from dynsys.integrators.inclusion.carry import TURNS, HybridCarry
from dynsys.integrators.inclusion.landing import Fate
from dynsys.integrators.inclusion.ledger import note
from dynsys.integrators.inclusion.pace import next_pace
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.start import at_the_start
from dynsys.integrators.inclusion.turn import (
    Turn,
    in_mode,
    no_turn,
    onto_surfaces,
    turn,
)
from dynsys.integrators.start import too_short
from dynsys.result import Derivative, Status
from dynsys.systems.system import State
from dynsys.trees import constant

Time = Float[Array, ""]


def end_of_step(
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


def status_of(
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
    fails = fate.turns & (happened.code != Status.SUCCESS)
    code = jnp.where(fails, happened.code, code)
    # What is at the end of its last step does not matter to a run that stops in it.
    code = jnp.where(stops & ~leaves, int(Status.STOPPED), code)
    code = jnp.where(full, int(Status.MAX_EVENTS), code)
    if problem.max_step is not None:
        forbidden = allows_none(problem, base.t)
        code = jnp.where(forbidden, int(Status.MAX_STEP_NOT_POSITIVE), code)
    # What has ended before it starts did so as it did.
    return jnp.where(base.code == Status.SUCCESS, code, base.code)
