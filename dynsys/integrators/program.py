"""The compiled part of a simulation."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.cached_call import cached_call, prepared_call
from dynsys.integrators.closures import open_condition, open_schedule, open_system
from dynsys.integrators.engine.dense import DepartureThenDense
from dynsys.integrators.engine.outputs import choose
from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.engine.solve import Solved, solve, states_and_velocities
from dynsys.integrators.engine.stop import (
    has_stop,
    locate_stop,
    stop_holds,
    stop_holds_in,
    stop_is_nan,
)
from dynsys.integrators.engine.switching import between, just_after
from dynsys.integrators.inclusion.choose import choose_motion, with_smallest_gradient
from dynsys.integrators.inclusion.first_order import SemiImplicitEuler
from dynsys.integrators.inclusion.many_kinks import solve_in_first_order
from dynsys.integrators.inclusion.motion import Piecewise
from dynsys.integrators.objective_check import check_objective
from dynsys.integrators.request import Inputs, Options
from dynsys.integrators.solvers.cost import Steps, cost
from dynsys.integrators.start import (
    Start,
    Tolerances,
    check_start,
    check_switches,
    start_from_rest_at_zero,
)
from dynsys.kernel_outcome import many_kernels, outcomes_of_loops
from dynsys.objectives.mean import Mean
from dynsys.result import Result, Status
from dynsys.switches import at_ends_of_steps, in_window, switch_times
from dynsys.systems.system import AbstractSystem, State
from dynsys.systems.vanishing_damping import AbstractVanishingDamping
from dynsys.trajectory import Stats, Trajectory
from dynsys.trees import Position, Time


def compute(inputs: Inputs, options: Options) -> Trajectory:
    """Everything from numbers to a trajectory, in one program."""
    x = _initial_position(inputs)
    check_objective(inputs.system, x)
    given = inputs.system
    system = open_system(given, inputs.t0, x)
    terms = given.objective.terms if isinstance(given.objective, Mean) else ()
    system, motion, options = choose_motion(system, terms, x, options)
    inputs = inputs._replace(system=system)
    tolerances = Tolerances(inputs.rtol, inputs.atol)
    times = inputs.times
    if times is None:
        fraction = jnp.linspace(0, 1, options.outputs, dtype=inputs.t0.dtype)
        times = inputs.t0 + (inputs.t1 - inputs.t0) * fraction
        times = times.at[-1].set(inputs.t1)
    switches = switch_times(inputs.system, inputs.t0, inputs.t1)
    begins = inputs
    if switches is not None:
        ends = [jnp.reshape(inputs.t1, 1)]
        ends += [times] if options.method.lands else []
        ends += [] if inputs.landing_times is None else [inputs.landing_times]
        switches = at_ends_of_steps(switches, jnp.concatenate(ends))
        after = (inputs.t0, inputs.t0 + 4 * switches.margin, switches.margin)
        begins = inputs._replace(system=in_window(inputs.system, *after))
    released, is_found = begins, jnp.asarray(True)
    # The momentum at the start is that of the smallest gradient.
    has_kinks = isinstance(motion, Piecewise)
    if has_kinks and inputs.state is None and system.order > 1:
        at_rest, is_found = with_smallest_gradient(begins.system, x)
        released = begins._replace(system=at_rest)
    start = _start(released, options, tolerances)
    code, where = check_start(begins.system, start, inputs.t0, inputs.t1, times, tolerances)
    code = jnp.where((code == Status.SUCCESS) & ~is_found, int(Status.UNSETTLED), code)
    code = check_switches(switches, code)
    problem = Problem(
        inputs.system,
        start.state,
        start.t,
        jnp.maximum(inputs.t1, start.t),
        jnp.clip(times, start.t, jnp.maximum(inputs.t1, start.t)),
        *tolerances,
        code,
        inputs.stop_norm,
        open_condition(inputs.stop, inputs.t0, x),
        switches,
        inputs.landing_times,
        None if inputs.max_step is None else open_schedule(inputs.max_step, inputs.t0),
    )
    method = options.method
    early, at, first = _early_stop(problem, inputs.t0, start)
    early = (code == Status.SUCCESS) & early
    is_nan = early & stop_is_nan(just_after(problem, at), at, first)
    code = jnp.where(early, int(Status.STOPPED), code)
    code = jnp.where(is_nan, int(Status.STOP_IS_NAN), code)
    where = jnp.where(early, at, where)
    problem = eqx.tree_at(lambda tree: tree.code, problem, code)
    with outcomes_of_loops() as loops:
        if isinstance(method.solver, SemiImplicitEuler):
            solved = solve_in_first_order(problem, method, motion)
        else:
            solved = solve(problem, method, motion, options.adjoint)
    last = solved.last
    final = jax.tree.map(lambda a, b: jnp.where(early, a, b), first, last.state)
    ended_at_start = code != Status.SUCCESS
    result = Result(last.code, jnp.where(ended_at_start, where, last.t), last.tried)
    shown = jnp.where(result.stopped, jnp.minimum(times, result.t), times)
    states, v = states_and_velocities(problem, motion, solved)
    states, x, v = _outputs(system, shown, start, states, v)
    known = result.ok | (times <= result.t) & result.ran
    unknown = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), (states, x, v))
    states, x, v = choose(known, (states, x, v), unknown)
    dense = None if solved.dense is None else motion.dense(problem, solved.dense)
    if dense is not None and start.departure is not None:
        end = jnp.minimum(dense.t1, result.t)
        dense = DepartureThenDense(inputs.t0, end, start.departure, dense)
    loop = loops[-1] if loops else many_kernels("its steps are of first order")
    story = solved.story
    return Trajectory(
        t=shown,
        x=x,
        v=v,
        state=states,
        final_state=final,
        system=given,
        events=story.events,
        unique=story.unique,
        derivative=story.derivative,
        stats=_stats(problem, options, start, solved, loop, has_kinks=has_kinks),
        result=result,
        rtol=inputs.rtol,
        atol=inputs.atol,
        dense=dense,
        switches=jnp.zeros(0, times.dtype) if switches is None else switches.times,
        inclusion=options.inclusion,
    )


run_program = cached_call(compute)

prepare_program = prepared_call(compute)


def _initial_position(inputs: Inputs) -> Position:
    return inputs.x0 if inputs.state is None else inputs.system.position(inputs.state)


def _start(inputs: Inputs, options: Options, tolerances: Tolerances) -> Start:
    system = inputs.system
    if inputs.state is not None:
        return Start(inputs.t0, inputs.state, None)
    if options.from_series and isinstance(system, AbstractVanishingDamping):
        return start_from_rest_at_zero(system, inputs.x0, inputs.t1, tolerances)
    state = system.initial_state(inputs.t0, inputs.x0, inputs.v0)
    return Start(inputs.t0, state, None)


def _early_stop(
    problem: Problem, t0: Time, start: Start
) -> tuple[Bool[Array, ""], Time, State]:
    """Whether a run stops at its start, or in a series that leads to it; when and where."""
    if start.departure is None:
        return stop_holds(just_after(problem, t0), t0, start.state), t0, start.state
    path = start.departure.state
    first = path(t0)
    at_start = stop_holds(just_after(problem, t0), t0, first)
    problem = between(problem, t0, start.t)
    if not has_stop(problem):
        return at_start, t0, first
    within = stop_holds_in(problem, t0, start.t, start.state, path)
    t = jnp.where(at_start, t0, locate_stop(problem, t0, start.t, path))
    return at_start | within, t, path(t)


def _outputs(
    system: AbstractSystem,
    times: Float[Array, " times"],
    start: Start,
    states: State,
    v: Position,
) -> tuple[State, Position, Position]:
    """States, positions and velocities at the output times, those of a series before."""
    if start.departure is not None:
        early, soon = times < start.t, jnp.minimum(times, start.t)
        states = choose(early, jax.vmap(start.departure.state)(soon), states)
        v = choose(early, jax.vmap(start.departure.series.velocity)(soon), v)
    return states, jax.vmap(system.position)(states), v


def _stats(
    problem: Problem,
    options: Options,
    start: Start,
    solved: Solved,
    loop: str,
    *,
    has_kinks: bool,
) -> Stats:
    method, last, story = options.method, solved.last, solved.story
    forms_jacobian = has_kinks or problem.system.feedback(problem.t0) is None
    interpolate = not method.lands or has_stop(problem)
    steps = Steps(last.accepted + last.rejected, forms_jacobian, interpolate)
    spent = cost(method.solver, problem.system, steps)
    return Stats(
        last.accepted,
        last.rejected,
        spent.gradients,
        spent.hessians,
        None if start.departure is None else start.t,
        story.first_order,
        type(method.solver).__name__,
        options.reason,
        story.rest_since,
        loop=loop,
    )
