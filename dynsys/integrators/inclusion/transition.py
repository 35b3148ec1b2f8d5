"""What happens at the end of a step of an inclusion, and what that leaves behind."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dynsys.integrators.engine.attempt import Attempt
from dynsys.integrators.engine.first_step import first_step
from dynsys.integrators.engine.problem import TERM, Problem
from dynsys.integrators.inclusion.arrival import arrival, nowhere
from dynsys.integrators.inclusion.course import TURNS, Course
from dynsys.integrators.inclusion.landing import Plan
from dynsys.integrators.inclusion.ledger import write_events
from dynsys.integrators.inclusion.mode import Sides
from dynsys.integrators.inclusion.pace import next_pace
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.start import Start, at_the_start
from dynsys.integrators.inclusion.turn import (
    Turn,
    in_mode,
    no_turn,
    onto_surfaces,
    turn,
)
from dynsys.result import Derivative
from dynsys.systems.system import State
from dynsys.trees import Time, constant


def transition(
    tried: Attempt, plan: Plan, t: Time, state: State
) -> tuple[Turn, Course, Time]:
    """What happens at the end of a step, or at the start, and what is carried after it.

    With it comes the size of the first step, at the start.

    Args:
        tried: The step.
        plan: What is decided about it.
        t: Its end.
        state: State there, as the step left it.
    """
    problem, before = tried.problem, tried.before
    system: Any = tried.system
    course: Course = before.course
    mode, starts = course.mode, course.starts
    which = jnp.arange(len(mode.held)) == course.landing.which
    landed = plan.turns & ~starts & which
    tolerances = (problem.rtol, problem.atol)
    arrives = jax.lax.cond(
        plan.turns,
        lambda: arrival(system, landed & ~mode.held, t, state, tolerances),
        lambda: nowhere(system, t, state),
    )
    moved = onto_surfaces(system, arrives.state, (landed & ~mode.held) | mode.leads)

    def happens() -> tuple[Turn, Course, Time]:
        happened = turn(system, landed, t, arrives, moved)
        happened = at_the_start(system, happened, state, starts)
        piece = eqx.tree_at(
            lambda tree: (tree.system, tree.state),
            problem,
            (in_mode(problem, happened.mode), before.state),
        )
        first = jax.lax.cond(
            starts,
            lambda: first_step(piece, tried.solver.error_order(TERM)),
            lambda: jnp.zeros_like(t),
        )
        return *_write_turn(problem, course, happened, t), first

    def nothing() -> tuple[Turn, Course, Time]:
        happened = no_turn(system, t, moved)
        return happened, course, jnp.zeros_like(t)

    return jax.lax.cond(plan.turns, happens, nothing)


def _write_turn(
    problem: Problem, before: Course, happened: Turn, t: Time
) -> tuple[Turn, Course]:
    """What a turn leaves behind."""
    starts = before.starts
    exists = happened.saltation.exists & happened.unique
    none = jax.tree.map(lambda leaf: jnp.broadcast_to(~exists, leaf.shape), happened.state)
    happened = happened._replace(state=without_derivative(happened.state, none))
    row = jnp.where(starts, 0, before.ledger.turns + 1)
    ledger = before.ledger._replace(turns=row)
    times = t + happened.saltation.shift
    met = (before.mode.held | happened.at, happened.bends, happened.fatal)
    ledger = write_events(ledger, times, before.mode, happened.mode, *met)
    turns = None if before.turns is None else before.turns.write(row, happened)
    room = len(ledger.kink)
    is_full = (ledger.lines >= room) | (row >= TURNS * room)
    turned = (before.mode, happened, is_full, constant(t), starts)
    pace = next_pace(problem, before.pace, *turned)
    on_kinks = starts & jnp.any(happened.at & happened.bends)
    derivative = jnp.where(on_kinks, int(Derivative.NOT_AT_START), before.derivative)
    exists = exists & (~pace.runs_away | starts)
    derivative = jnp.where(exists, derivative, int(Derivative.NONE))
    start = Start(Sides.of(happened.mode), happened.at & happened.bends)
    return happened, before._replace(
        starts=jnp.asarray(False),
        start=jax.tree.map(lambda a, b: jnp.where(starts, a, b), start, before.start),
        mode=happened.mode,
        ledger=ledger,
        turns=turns,
        pace=pace,
        derivative=derivative,
    )
