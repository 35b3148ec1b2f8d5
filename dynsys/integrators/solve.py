"""The loop over the pieces of a solve, and its derivative."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.integrators.dense import DenseOutput
from dynsys.integrators.progress import report
from dynsys.integrators.replay import Record, pull_back
from dynsys.integrators.segment import Carry, Method, Problem, advance, begin
from dynsys.result import Status
from dynsys.systems.system import State
from dynsys.trees import dimension

CHUNK = 256
"""Steps whose dense output is held at a time. With 256 the cost of starting a piece
is below one part in a hundred of the piece."""

DENSE_STATE_LIMIT = 2048
"""Up to this many coordinates of the state outputs are interpolated; the stages of one
chunk then take up to 50 MB. Above it, steps end at the output times."""


class Output(NamedTuple):
    """What a solve gives back.

    Args:
        states: States at the output times.
        slopes: Their time derivatives from the dense output, if there was one.
        last: Where the solve ended.
        dense: The solution at any time, if it was asked for.
    """

    states: State
    slopes: State | None
    last: Carry
    dense: DenseOutput | None


def solve(
    problem: Problem,
    method: Method,
    *,
    dense: bool,
    adjoint: diffrax.AbstractAdjoint | None,
) -> Output:
    """Integrate a problem. Differentiable in reverse mode in every array of it.

    Args:
        problem: What to integrate.
        method: With what.
        dense: Whether to keep the solution at any time.
        adjoint: How to differentiate. `None` is reverse mode, through the accepted
            steps with their sizes held fixed; `diffrax.ForwardMode()` is forward mode.
            Any other is handed to diffrax, with the dense output kept whole.
    """
    interpolated = dimension(problem.state) <= DENSE_STATE_LIMIT
    if dense or (interpolated and _is_reverse(adjoint)):
        adjoint = diffrax.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
        return _solve_dense(problem, method, adjoint)
    if not interpolated:
        adjoint = diffrax.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
        return _solve_onto_times(problem, method, adjoint)
    if adjoint is None:
        return _solve_reversible(problem, method)
    return _solve_in_chunks(problem, method)[0]


def _is_reverse(adjoint: diffrax.AbstractAdjoint | None) -> bool:
    return not (adjoint is None or isinstance(adjoint, diffrax.ForwardMode))


@eqx.filter_custom_vjp
def _solve_reversible(problem: Problem, method: Method) -> Output:
    return _solve_in_chunks(problem, method)[0]


@_solve_reversible.def_fwd
def _(perturbed: Any, problem: Problem, method: Method) -> tuple[Output, Record]:
    del perturbed
    output, record = _solve_in_chunks(problem, method, record=True)
    assert record is not None
    return output, record


@_solve_reversible.def_bwd
def _(
    record: Record, cotangent: Output, perturbed: Any, problem: Problem, method: Method
) -> Any:
    del perturbed
    last = cotangent.last
    return pull_back(
        problem,
        method,
        record,
        states=cotangent.states,
        slopes=cotangent.slopes,
        final=last.state,
        final_t=last.t,
    )


def _solve_dense(
    problem: Problem, method: Method, adjoint: diffrax.AbstractAdjoint
) -> Output:
    """One piece whose dense output is kept whole."""
    carry = begin(problem, method)
    end = jnp.where(carry.code == Status.SUCCESS, problem.t1, problem.t0)
    last, output = advance(
        problem,
        method,
        carry,
        end,
        max_steps=method.max_steps,
        dense=True,
        adjoint=adjoint,
    )
    assert output is not None
    start = _constant_outputs(problem)
    states, slopes = _insert(problem, start, carry, last, output)
    return Output(states, slopes, _finish(problem, last), output)


def _solve_in_chunks(
    problem: Problem, method: Method, *, record: bool = False
) -> tuple[Output, Record | None]:
    """Pieces of `CHUNK` steps; the outputs in each are interpolated after it."""
    chunk = min(CHUNK, method.max_steps)
    pieces = -(-method.max_steps // chunk)

    def running(loop: tuple[Carry, Any, Any]) -> Array:
        return _is_running(problem, method, loop[0])

    def piece(loop: tuple[Carry, Any, Any]) -> tuple[Carry, Any, Any]:
        carry, outputs, log = loop
        new, output = advance(
            problem,
            method,
            carry,
            problem.t1,
            max_steps=chunk,
            dense=True,
            adjoint=diffrax.ForwardMode(),
        )
        if method.progress:
            report(problem.t0, new.t, problem.t1)
        assert output is not None
        outputs = _insert(problem, outputs, carry, new, output)
        log = None if log is None else log.append(carry.state, output.ends, new.t)
        return new, outputs, log

    log = Record.empty(problem, pieces, chunk) if record else None
    start = (begin(problem, method), _constant_outputs(problem), log)
    last, (states, slopes), log = jax.lax.while_loop(running, piece, start)
    return Output(states, slopes, _finish(problem, last), None), log


def _solve_onto_times(
    problem: Problem, method: Method, adjoint: diffrax.AbstractAdjoint
) -> Output:
    """Pieces from one output time to the next: nothing is stored but the outputs."""

    def piece(carry: Carry, time: Any) -> tuple[Carry, State]:
        end = jnp.where(_is_running(problem, method, carry), time, carry.t)
        new, _ = advance(
            problem,
            method,
            carry,
            jnp.maximum(end, carry.t),
            max_steps=method.max_steps,
            dense=False,
            adjoint=adjoint,
        )
        if method.progress:
            report(problem.t0, new.t, problem.t1)
        return new, new.state

    last, states = jax.lax.scan(piece, begin(problem, method), problem.times)
    last, _ = piece(last, problem.t1)
    return Output(states, None, _finish(problem, last), None)


def _is_running(problem: Problem, method: Method, carry: Carry) -> Array:
    steps = carry.accepted + carry.rejected
    unfinished = (carry.t < problem.t1) & (steps < method.max_steps)
    return unfinished & (carry.code == Status.SUCCESS)


def _constant_outputs(problem: Problem) -> tuple[State, State]:
    """Outputs that hold the initial state and its derivative at every time."""
    slope = problem.system.vector_field(problem.t0, problem.state)
    repeat = lambda leaf: jnp.broadcast_to(leaf, (len(problem.times), *leaf.shape))
    return jax.tree.map(repeat, problem.state), jax.tree.map(repeat, slope)


def _insert(
    problem: Problem,
    outputs: tuple[State, State],
    before: Carry,
    after: Carry,
    dense: DenseOutput,
) -> tuple[State, State]:
    """Outputs with those after the start of a piece replaced by values from it.

    Times after the end of the piece get its last value, so that a run that stops
    holds the state of the stop from then on.
    """
    times = jnp.clip(problem.times, before.t, after.t)
    fresh = jax.vmap(dense.state_and_slope)(times)
    inside = (problem.times > before.t) & (after.t > before.t)
    return choose(inside, fresh, outputs)


def choose(mask: Float[Array, " times"], new: Any, old: Any) -> Any:
    """Per output time, one of two pytrees of outputs."""

    def choose_leaf(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(choose_leaf, new, old)


def _finish(problem: Problem, last: Carry) -> Carry:
    """The last carry, with a run that neither ended nor failed out of steps."""
    unfinished = (last.t < problem.t1) & (last.code == Status.SUCCESS)
    code = jnp.where(unfinished, int(Status.MAX_STEPS), last.code)
    return last._replace(code=code)
