"""From a problem to its outputs, and the derivative of that."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from dynsys.dense_output import AbstractDenseOutput
from dynsys.in_chunks import in_chunks
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Carry, Log, Rows
from dynsys.integrators.engine.loop import run, shape_of_info
from dynsys.integrators.engine.outputs import first_output, outputs
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.replay import Replay, pull_back
from dynsys.integrators.engine.stop import has_stop, locate_stop, stop_is_nan
from dynsys.integrators.engine.switching import between, margin_of
from dynsys.result import Status
from dynsys.systems.system import State
from dynsys.trajectory import FirstOrder, KinkEvents
from dynsys.trees import Like, Position, constant

PIECE = 256
"""Steps that the derivative replays at a time when it interpolates."""


class Output(NamedTuple):
    """What a solve gives back.

    Args:
        states: States at the output times.
        slopes: Their time derivatives from the dense output, if there was one.
        last: Where the solve ended.
        dense: The solution at any time, if it was asked for.
        velocities: Velocities at the output times, if states and slopes do not tell.
        events: The ledger of kink events, if there are kinks.
        unique: Whether the solution is the only one, if there are kinks.
        derivative: A `Derivative`, if there are kinks.
        first_order: Where steps were of first order, if that can be.
        rest_since: Since when nothing moves that no step can follow, if that can be.
        steps: Starts and ends of the steps that outputs lie in, if coefficients switch.
    """

    states: State
    slopes: State | None
    last: Carry
    dense: AbstractDenseOutput | None
    velocities: Position | None = None
    events: KinkEvents | None = None
    unique: Bool[Array, ""] | None = None
    derivative: Int[Array, ""] | None = None
    first_order: FirstOrder | None = None
    rest_since: Any = None
    steps: tuple[Array, Array] | None = None


def solve(problem: Problem, method: Method, adjoint: diffrax.ForwardMode | None) -> Output:
    """Integrate a problem. Differentiable in every array of it.

    Args:
        problem: What to integrate.
        method: With what.
        adjoint: `None` for reverse mode, through the accepted steps with their sizes
            held fixed; `diffrax.ForwardMode()` for forward mode.
    """
    if adjoint is None:
        return _solve_reversible(problem, method)
    return _solve(problem, method)[0]


@eqx.filter_custom_vjp
def _solve_reversible(problem: Problem, method: Method) -> Output:
    return _solve(problem, method)[0]


@_solve_reversible.def_fwd
def _(perturbed: Any, problem: Problem, method: Method) -> tuple[Output, Replay]:
    del perturbed
    piece = _piece(method)
    output, log = _solve(problem, method, piece)
    assert log.record is not None
    last = output.last
    failed = last.code > Status.STOPPED
    return output, Replay(log.record, piece, last.accepted, last.t, failed)


@_solve_reversible.def_bwd
def _(
    replay: Replay, cotangent: Output, perturbed: Any, problem: Problem, method: Method
) -> Any:
    del perturbed
    return pull_back(problem, method, replay, cotangent)


def _piece(method: Method) -> int:
    """Steps between two stored states: few when states are large."""
    largest = max(int(method.max_steps**0.5), 1) if method.lands else PIECE
    return min(largest, method.max_steps)


def _solve(
    problem: Problem, method: Method, piece: int | None = None
) -> tuple[Output, Log]:
    info = shape_of_info(problem, method)
    last, log = run(problem, method, info, piece=piece)
    dense = None if log.rows is None else _dense(problem, method, info, last, log.rows)
    if dense is not None and has_stop(problem):
        last, dense = move_to_stop(problem, last, dense)
    states, slopes = outputs(problem, first_output(problem), last, log, dense)
    steps = None
    if dense is not None and slopes is not None and problem.switches is not None:
        rows = in_chunks(dense.row, jnp.clip(problem.times, problem.t0, last.t))
        steps = constant((dense.starts[rows], dense.ends[rows]))
    kept = dense if method.dense else None
    return Output(states, slopes, last, kept, steps=steps), log


def _dense(
    problem: Problem, method: Method, info: PyTree, last: Carry, rows: Rows
) -> DenseOutput:
    local = method.solver.interpolation_cls
    return dense_output(problem, last.t, rows, info, local)


def dense_output(
    problem: Problem, end: Any, rows: Rows, info: PyTree, local: Any
) -> DenseOutput:
    """The steps that were kept, to be evaluated at any time.

    Args:
        problem: What was solved.
        end: Until when.
        rows: The steps.
        info: Shapes of what was kept of one.
        local: The polynomial that is built from it.
    """
    starts, ends = rows.ends[:, 0], rows.ends[:, 1]
    kept, margin = (rows.infos, Like.of(info)), margin_of(problem)
    return DenseOutput(problem.t0, end, starts, ends, *kept, local, margin)


def move_to_stop(
    problem: Problem, last: Carry, dense: DenseOutput
) -> tuple[Carry, DenseOutput]:
    """Back from the end of the last step to where the condition was met in it."""

    def move() -> tuple[Any, State, Any]:
        low = last.t - last.tried
        here = between(problem, low, last.t)
        t = locate_stop(here, low, last.t, dense.state)
        state = dense.state(t)
        return t, state, stop_is_nan(here, t, state)

    happened = (last.code == Status.STOPPED) & (last.accepted > 0)
    stay = lambda: (last.t, last.state, jnp.asarray(False))
    t, state, is_nan = jax.lax.cond(happened, move, stay)
    code = jnp.where(is_nan, int(Status.STOP_IS_NAN), last.code)
    return last._replace(t=t, state=state, code=code), eqx.tree_at(lambda d: d.t1, dense, t)
