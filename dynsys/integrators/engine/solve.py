"""From a problem to its outputs, and the derivative of that."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from dynsys.in_chunks import in_chunks
from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Log
from dynsys.integrators.engine.loop import run, shape_of_kept
from dynsys.integrators.engine.motion import AbstractMotion
from dynsys.integrators.engine.outputs import outputs
from dynsys.integrators.engine.problem import LARGE, Method, Problem
from dynsys.integrators.engine.replay import Replay, pull_back
from dynsys.integrators.engine.solved import Solved
from dynsys.integrators.engine.stop import has_stop, locate_stop, stop_is_nan
from dynsys.integrators.engine.switching import between, go_on, margin_of
from dynsys.result import Status
from dynsys.systems.system import State
from dynsys.systems.velocity import reconcile
from dynsys.trees import Like, Position, Time, constant, dimension

PIECE = 256
"""Steps that the derivative replays at a time when it interpolates."""


def solve(
    problem: Problem,
    method: Method,
    motion: AbstractMotion,
    adjoint: diffrax.ForwardMode | None,
) -> Solved:
    """Integrate a problem. Differentiable in every array of it.

    Args:
        problem: What to integrate.
        method: With what.
        motion: How it moves.
        adjoint: `None` for reverse mode, through the accepted steps with their sizes
            held fixed; `diffrax.ForwardMode()` for forward mode.
    """
    if adjoint is None:
        return _solve_reversible(problem, method, motion)
    return _solve(problem, method, motion)[0]


@eqx.filter_custom_vjp
def _solve_reversible(problem: Problem, method: Method, motion: AbstractMotion) -> Solved:
    return _solve(problem, method, motion)[0]


@_solve_reversible.def_fwd
def _(
    perturbed: Any, problem: Problem, method: Method, motion: AbstractMotion
) -> tuple[Solved, Replay]:
    del perturbed
    piece = _piece(problem, method)
    solved, log, course = _solve(problem, method, motion, piece)
    assert log.record is not None
    last = solved.last
    fails = last.code > Status.STOPPED
    kept = (last.accepted, last.t, fails, course, solved.story)
    return solved, Replay(log.record, piece, *kept)


@_solve_reversible.def_bwd
def _(
    replay: Replay,
    cotangent: Solved,
    perturbed: Any,
    problem: Problem,
    method: Method,
    motion: AbstractMotion,
) -> Any:
    del perturbed
    return pull_back(problem, method, motion, replay, cotangent)


def _piece(problem: Problem, method: Method) -> int:
    """Steps between two stored states: few when states are large."""
    is_large = dimension(problem.state) > LARGE
    largest = max(int(method.max_steps**0.5), 1) if is_large else PIECE
    return min(largest, method.max_steps)


def _solve(
    problem: Problem, method: Method, motion: AbstractMotion, piece: int | None = None
) -> tuple[Solved, Log, Any]:
    like = shape_of_kept(problem, method, motion)
    carry, log = run(problem, method, motion, like, piece=piece)
    carry, log = motion.finish(problem, method, carry, log)
    return solved_by(problem, method, motion, carry, log, like), log, carry.course


def solved_by(
    problem: Problem,
    method: Method,
    motion: AbstractMotion,
    last: Carry,
    log: Log,
    like: PyTree,
) -> Solved:
    """What a solve gives back.

    Args:
        problem: What was solved.
        method: With what.
        motion: How it moved.
        last: Where it ended.
        log: What was written down.
        like: Shapes of what was kept of a step.
    """
    steps = None
    if log.rows is not None:
        starts, ends = log.rows.ends[:, 0], log.rows.ends[:, 1]
        local = method.solver.interpolation_cls
        kept = (log.rows.kept, Like.of(like), local, margin_of(problem))
        steps = DenseOutput(problem.t0, last.t, starts, ends, *kept)
        if has_stop(problem):
            last, steps = _move_to_stop(problem, last, steps)
    story = motion.tell(problem, last)
    found = outputs(problem, motion.first_state(problem, story), last, log, steps)
    dense = steps if method.dense else None
    return Solved(found, last._replace(course=()), constant(steps), dense, story)


def states_and_velocities(
    problem: Problem, motion: AbstractMotion, solved: Solved
) -> tuple[State, Position]:
    """States at the output times, from which runs can go on, and velocities.

    Args:
        problem: What was solved.
        motion: How it moved.
        solved: What came of it.
    """
    (states, slopes, rows), steps = solved.outputs, solved.steps
    times = jnp.clip(problem.times, problem.t0, solved.last.t)
    if slopes is None or steps is None:
        return states, in_chunks(problem.system.velocity, times, states)

    def output(
        t: Time, state: State, slope: State, row: Int[Array, ""]
    ) -> tuple[State, Position]:
        here, begins = problem, t <= problem.t0
        if problem.switches is not None:
            here = between(problem, steps.starts[row], steps.ends[row])
        system = motion.system_at(here, solved, row, begins)
        # At the start the velocity is that of the equation.
        tolerances = (problem.rtol, problem.atol)
        velocity = reconcile(system, t, state, slope, *tolerances, ~begins)
        return go_on(problem, system, t, state), velocity

    return in_chunks(output, times, states, slopes, rows)


def _move_to_stop(
    problem: Problem, last: Carry, dense: DenseOutput
) -> tuple[Carry, DenseOutput]:
    """Back from the end of the last step to where the condition was met in it."""

    def move() -> tuple[Any, State, Any]:
        low = last.t - last.tried
        here = between(problem, low, last.t)
        t = locate_stop(here, low, last.t, dense.state)
        inside = dense.state(t)
        # At the end of the step coefficients may switch.
        choose = lambda a, b: jnp.where(t < last.t, a, b)
        state = jax.tree.map(choose, inside, last.state)
        return t, state, stop_is_nan(here, t, inside)

    happened = (last.code == Status.STOPPED) & (last.accepted > 0)
    stay = lambda: (last.t, last.state, jnp.asarray(False))
    t, state, is_nan = jax.lax.cond(happened, move, stay)
    code = jnp.where(is_nan, int(Status.STOP_IS_NAN), last.code)
    return last._replace(t=t, state=state, code=code), eqx.tree_at(lambda d: d.t1, dense, t)
