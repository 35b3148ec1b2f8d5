"""One piece of a solve, which the next piece goes on from without a seam."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from dynsys.integrators.controller import ControllerState, ResumedController
from dynsys.integrators.dense import DenseOutput
from dynsys.integrators.stop import stop_event
from dynsys.result import Status
from dynsys.systems.system import AbstractSystem, State

Time = Float[Array, ""]


class Problem(eqx.Module):
    """Everything about a run that may be traced.

    Args:
        system: The system that moves.
        state: Its state at `t0`.
        t0: Start of the integration.
        t1: End of the integration.
        times: Times of the outputs, increasing.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        code: `Status.SUCCESS`, or why there is nothing to integrate.
        stop_norm: Norm of the gradient at which the run ends, if any.
    """

    system: AbstractSystem
    state: State
    t0: Time
    t1: Time
    times: Float[Array, " times"]
    rtol: Float[Array, ""]
    atol: Float[Array, ""]
    code: Int[Array, ""]
    stop_norm: Float[Array, ""] | None


class Method(NamedTuple):
    """Everything about a run that is fixed when it is compiled.

    Args:
        solver: The diffrax solver.
        stop: Condition that ends the run early, if any.
        max_steps: Largest number of steps, accepted or rejected.
        progress: Whether to show how far the run is.
    """

    solver: diffrax.AbstractSolver
    stop: Callable[..., Any] | None
    max_steps: int
    progress: bool


class Carry(NamedTuple):
    """Where a solve stands between two pieces."""

    t: Time
    state: State
    solver: PyTree
    controller: ControllerState
    accepted: Int[Array, ""]
    rejected: Int[Array, ""]
    code: Int[Array, ""]


def vector_field(t: Any, state: State, system: AbstractSystem) -> State:
    """The vector field in the form that diffrax calls."""
    return system.vector_field(jnp.asarray(t), state)


def _controller(problem: Problem) -> diffrax.PIDController:
    return diffrax.PIDController(rtol=problem.rtol, atol=problem.atol)


def begin(problem: Problem, method: Method) -> Carry:
    """The start of a solve: first step size and state of the solver."""
    term = diffrax.ODETerm(vector_field)
    solver = method.solver
    next_t, inner = _controller(problem).init(
        term,
        problem.t0,
        problem.t1,
        problem.state,
        None,
        problem.system,
        solver.func,
        solver.error_order(term),
    )
    next_t, inner = jax.tree.map(jnp.asarray, (next_t, inner))
    solver_state = solver.init(term, problem.t0, next_t, problem.state, problem.system)
    zero = jnp.asarray(0)
    return Carry(
        problem.t0,
        problem.state,
        jax.tree.map(jnp.asarray, solver_state),
        ControllerState(inner, next_t, next_t - problem.t0),
        zero,
        zero,
        problem.code,
    )


def advance(
    problem: Problem,
    method: Method,
    carry: Carry,
    end: Time,
    *,
    max_steps: int,
    dense: bool,
    adjoint: diffrax.AbstractAdjoint,
) -> tuple[Carry, DenseOutput | None]:
    """Integrate up to `end`, or for `max_steps` steps if that comes first."""
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(vector_field),
        method.solver,
        carry.t,
        end,
        None,
        carry.state,
        problem.system,
        saveat=diffrax.SaveAt(
            t1=True, dense=dense, solver_state=True, controller_state=True
        ),
        stepsize_controller=ResumedController(_controller(problem), carry.controller),
        solver_state=carry.solver,
        event=stop_event(problem, method),
        max_steps=max_steps,
        adjoint=adjoint,
        throw=False,
    )
    assert solution.ts is not None
    assert isinstance(solution.controller_state, ControllerState)
    new = Carry(
        solution.ts[-1],
        jax.tree.map(lambda leaf: leaf[-1], solution.ys),
        solution.solver_state,
        solution.controller_state,
        carry.accepted + solution.stats["num_accepted_steps"],
        carry.rejected + solution.stats["num_rejected_steps"],
        _status(carry.code, solution.result),
    )
    if not dense:
        return new, None
    steps = solution.interpolation
    assert steps is not None
    local = method.solver.interpolation_cls
    return new, DenseOutput(carry.t, new.t, steps.ts, steps.infos, local)


def _status(code: Int[Array, ""], result: diffrax.RESULTS) -> Int[Array, ""]:
    """The status after a piece; one that used up its steps has not ended the run."""
    RESULTS = diffrax.RESULTS
    table = (
        (RESULTS.event_occurred, Status.STOPPED),
        (RESULTS.dt_min_reached, Status.STEP_UNDERFLOW),
    )
    fine = (result == RESULTS.successful) | (result == RESULTS.max_steps_reached)
    new = jnp.where(fine, int(Status.SUCCESS), int(Status.SOLVER_FAILED))
    for known, status in table:
        new = jnp.where(result == known, int(status), new)
    return jnp.where(code == Status.SUCCESS, new, code)
