"""From a system and a point to a trajectory."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import numpy as np

from dynsys.checks import is_concrete
from dynsys.integrators.diagnosis import advise
from dynsys.integrators.engine.problem import LARGE, Known, Method, known
from dynsys.integrators.memory import check_memory, size_of
from dynsys.integrators.meshes import check_meshes
from dynsys.integrators.python_numbers import numbers_as_arrays, shapes_of, with_arrays
from dynsys.integrators.request import (
    Inputs,
    Options,
    check_adjoint,
    check_counts,
    check_inclusion,
    check_solver,
    check_system,
    read_interval,
    read_landing_times,
    read_max_step,
    read_start,
    read_stop,
    read_times,
    read_tolerances,
)
from dynsys.integrators.runs import has_failed, run
from dynsys.integrators.solvers.by_need import (
    is_undecided,
    known_of,
)
from dynsys.integrators.unchecked import unchecked
from dynsys.result import Derivative, Result
from dynsys.systems.system import AbstractSystem
from dynsys.trajectory import Trajectory
from dynsys.trees import time_dtype


def simulate(
    system: AbstractSystem,
    x0: Any,
    v0: Any = None,
    *,
    t1: Any,
    t0: Any = 0.0,
    times: Any = 200,
    rtol: Any = None,
    atol: Any = None,
    solver: diffrax.AbstractSolver | None = None,
    inclusion: str = "clarke",
    max_steps: int = 65_536,
    max_step: float | Callable[[Any], Any] | None = None,
    landing_times: Any = None,
    max_events: int = 256,
    dense: bool = False,
    stop: float | Callable[..., Any] | None = None,
    adjoint: diffrax.ForwardMode | None = None,
    progress: bool = False,
    throw: bool = True,
) -> Trajectory:
    r"""Simulate a system from a point.

    Works under `jax.jit`, `jax.vmap` and `jax.grad`. Calls that differ in numbers only
    (parameters, points, times, tolerances) share one compiled program; with 9 to 2,048
    coordinates of the state there are up to two, with explicit and with implicit steps.

    Args:
        system: The system, for example `dynsys.DIN(f, alpha=3.0, beta=0.1)`.
        x0: Position to start from: a number, an array or any pytree of arrays; a list
            of numbers becomes an array. Or a state, from `system.state(...)` or
            `trajectory.final_state`.
        v0: Velocity to start with, in the form of `x0`; left out, the system is
            released at rest. Systems of first order have none.
        t1: End of the time interval.
        t0: Its start. Systems with damping alpha / t leave t = 0 from rest, along the
            series of their solution.
        times: Number of evenly spaced outputs, both ends included, or an increasing
            array of times.
        rtol: Relative tolerance of a step; 1e-6, for float32 1e-4.
        atol: Absolute tolerance of a step; 1e-9, for float32 1e-6.
        solver: Any adaptive diffrax solver. Left out, it is picked by the problem;
            `trajectory.stats` says which and why.
        inclusion: Which gradients are admitted where the objective has a kink:
            `"clarke"`, the hull of the limits of gradients, or `"autodiff"`, what JAX
            returns, or `"d_operator"`, the mean of the subdifferentials of the terms of
            an `objectives.Mean`. They differ at kinks only. A solution for `"clarke"` is
            one for `"d_operator"`, and is returned; `trajectory.unique` is false where
            the larger set was met, and it might have stayed there.
        max_steps: Largest number of steps, accepted or not.
        max_step: Largest size of a step, a number or a function of the time that it
            starts at. Error control sees a solution only where steps look: a pulse of a
            coefficient or a narrow valley that is shorter than a step can be passed, and
            neither a smaller `rtol` nor `analysis.certify` need show it. A third of the
            width of a pulse is small enough. Unit: time.
        landing_times: Times at which steps end, for example where a pulse is, in any
            order; those outside of the interval count for nothing. Where coefficients
            jump or bend is read from their programs; steps end there anyway.
        max_events: Length of the ledger of kink events.
        dense: Keep the solution at any time, for `trajectory(t)` and
            `trajectory.velocity(t)`.
        stop: End early: a bound on the norm of the gradient, or a callable
            `stop(t, x, v)` that returns a boolean (ends after the first step where it is
            true) or a real number (ends where it first falls to 0).
        adjoint: `diffrax.ForwardMode()` for forward-mode derivatives. Left out, reverse
            mode works: the accepted steps are replayed. Both know how the times of
            kink events move.
        progress: Show how far the run is, on standard error.
        throw: Raise if the run fails. Otherwise, and for batches, look at
            `trajectory.result`.

    Returns:
        The trajectory.

    Raises:
        TypeError: An argument has the wrong type, or the objective cannot be traced.
        ValueError: An argument is out of range, shapes do not fit, the objective does
            not return a finite scalar at the start, or a coefficient leaves its range.
            Or a derivative is asked for that does not exist. Or a mesh of devices has
            explicit axes, or `jax.shard_map` checks what varies along its axes.
        SimulationError: The run did not reach its end.

    Example:
        >>> import dynsys as ds
        >>> f = lambda x: 0.5 * (x[0] ** 2 + 10 * x[1] ** 2)
        >>> trajectory = ds.simulate(ds.DIN(f, alpha=1.0, beta=0.1), [1.0, 1.0], t1=20.0)
        >>> trajectory.x.shape
        (200, 2)
        >>> bool(trajectory.objective[-1] < 1e-6)
        True
    """
    check_system(system)
    check_meshes((system, x0, v0), (t0, t1, times, rtol, atol, stop, max_step))
    check_counts(max_steps, max_events)
    check_adjoint(adjoint)
    position, velocity, state = read_start(system, x0, v0)
    x = position if state is None else system.position(state)
    size = size_of(system, x)
    dtype = time_dtype(x)
    moving = velocity is not None or state is not None
    start, end, from_series = read_interval(system, t0, t1, moving, dtype)
    output_times, count = read_times(times, t0, t1)
    check_inclusion(inclusion)
    check_solver(solver)
    check_memory(size, count, int(max_steps), dense)
    stop_norm, condition = read_stop(stop)
    landings = read_landing_times(landing_times)
    cast = lambda number: number.astype(dtype)
    system = numbers_as_arrays(system, x, dtype)
    t, point = jax.ShapeDtypeStruct((), dtype), shapes_of(x)
    rtol, atol = read_tolerances(rtol, atol, dtype)
    inputs = Inputs(
        system=system,
        x0=position,
        v0=velocity,
        state=state,
        t0=cast(start),
        t1=cast(end),
        times=None if output_times is None else cast(output_times),
        rtol=cast(rtol),
        atol=cast(atol),
        stop_norm=stop_norm,
        stop=with_arrays(condition, t, point, point),
        landing_times=None if landings is None else cast(landings),
        max_step=with_arrays(read_max_step(max_step), t),
    )
    hint = known.get(Known())
    if solver is None and is_undecided(hint, size.coordinates) and is_concrete(inputs):
        with unchecked():
            hint = known_of(inputs, size.coordinates, inclusion)
    options = Options(
        method=Method(
            solver=solver,
            max_steps=int(max_steps),
            dense=dense,
            lands=size.coordinates > LARGE and not dense,
            progress=progress,
            may_rest=not is_concrete(inputs),
            known=hint,
        ),
        reason="",
        outputs=count,
        from_series=from_series,
        inclusion=inclusion,
        max_events=int(max_events),
        adjoint=adjoint,
    )
    with unchecked():
        trajectory = run(inputs, options)
        return _check_derivative(_look(trajectory, throw), x, throw)


def _look(trajectory: Trajectory, throw: bool) -> Trajectory:
    """On the host: say why a run failed, and raise it if asked to."""
    code = trajectory.result.code
    if is_concrete(code) and not has_failed(code):
        return trajectory
    # Under `jax.grad` the values are traced, but what they were is known.
    seen = jax.lax.stop_gradient(
        (trajectory.result, trajectory.final_state, trajectory.system, trajectory.events)
    )
    if not is_concrete(seen) or not has_failed(seen[0].code):
        return trajectory
    result, state, system, events = seen
    advice = advise(system, state, result, events, trajectory.stats)
    result = Result(result.code, result.t, result.step, advice)
    if throw:
        result.raise_if_failed()
    return eqx.tree_at(lambda tree: tree.result, trajectory, result)


def _check_derivative(trajectory: Trajectory, x0: Any, throw: bool) -> Trajectory:
    """On the host: say that a derivative that is being taken does not exist."""
    if not throw or is_concrete(trajectory.x):
        return trajectory
    value = jax.lax.stop_gradient(trajectory.derivative)
    if not is_concrete(value):
        return trajectory
    code = int(np.max(value))
    moves_start = not is_concrete(x0) and is_concrete(jax.lax.stop_gradient(x0))
    if code == Derivative.NONE:
        raise ValueError(
            "This trajectory has no derivative: it touched a kink without crossing it, met "
            "several kinks at once in an order that matters, or branched "
            "(`trajectory.unique`). Move the start a little, or pass `throw=False` for a "
            "derivative that is not a number."
        )
    if code == Derivative.NOT_AT_START and moves_start:
        raise ValueError(
            "This trajectory starts on a kink, so it has no derivative with respect to "
            "`x0` across it. Move the start off the kink, or pass `throw=False` for a "
            "derivative that is not a number in those coordinates."
        )
    return trajectory
