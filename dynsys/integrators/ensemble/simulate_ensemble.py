"""From many points to many trajectories."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from dynsys.checks import is_concrete
from dynsys.integrators.ensemble.block import PATIENT, Layout
from dynsys.integrators.ensemble.member import Choices, Numbers, member
from dynsys.integrators.ensemble.mild import is_undecided, known_of
from dynsys.integrators.ensemble.request import (
    read_devices,
    read_points,
    read_request,
    read_width,
)
from dynsys.integrators.ensemble.run import chunks_of, collect, parts_of
from dynsys.integrators.ensemble.schedule import default_lanes, members_of_block, slots_of
from dynsys.integrators.memory import check_ensemble_memory
from dynsys.integrators.meshes import check_meshes


def simulate_ensemble(
    case: Callable[..., Any],
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
    reduce: Callable[..., Any] | None = None,
    devices: Sequence[Any] | None = None,
    width: int | None = None,
    stream: bool = False,
    progress: bool = False,
    throw: bool = False,
    batch: Mapping[str, Any] | None = None,
    **batched: Any,
) -> Any:
    r"""Simulate many trajectories at once.

    Each is that of `simulate` for the system and the start that `case` makes of its
    point. They go through the compiled program side by side, a few in each core, and where
    one is done the next takes its place. All cores, devices and processes are used. What
    comes out does not depend on how many there are, bit for bit, as long as `width` is the
    same; with another `width`, and with `simulate`, it agrees up to rounding.

    Works under `jax.jit`, `jax.vmap` and `jax.grad` too, on one device.

    Args:
        case: A function that JAX can trace, from a point to `(system, x0)` or
            `(system, x0, v0)`. What it closes over must not change; data that does is
            passed in a `jax.tree_util.Partial` or an `equinox.Module`.
        t1: End of the time interval.
        t0: Its start.
        times: As in `simulate`.
        rtol: As in `simulate`.
        atol: As in `simulate`.
        solver: As in `simulate`.
        inclusion: As in `simulate`.
        max_steps: As in `simulate`, for each member.
        max_step: As in `simulate`.
        landing_times: As in `simulate`.
        max_events: As in `simulate`, for each member.
        dense: As in `simulate`.
        stop: As in `simulate`.
        reduce: What to keep of each trajectory: a function that JAX can trace, from a
            trajectory to a pytree. It runs inside the compiled program, and what it does
            not use is not computed: `trajectory.final_state` is cheaper than outputs.
        devices: Devices of this process to use, `jax.local_devices()` if left out.
        width: Members side by side in each core, a multiple of 8. Left out, it is chosen
            by the size of the state.
        stream: Return a generator of `Chunk` instead: the members of this process, in
            the order in which they are done. What was handed out is not computed again.
        progress: Show on standard error how many members are done.
        throw: Raise if a member failed. Otherwise that is a warning, which says which
            and why; the others are not affected.
        batch: The points, as a mapping from the parameters of `case` to arrays, all with
            the same first axis.
        **batched: The same, as keywords.

    Returns:
        The trajectories, or what `reduce` makes of them: each leaf has a leading axis
        over the members. In each process, all of them.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or the points do not fit together.
        SimulationError: A member failed, and `throw` is true.

    Warns:
        SimulationWarning: A member failed.

    Example:
        >>> import dynsys as ds
        >>> f = lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2
        >>> case = lambda start, alpha: (ds.DIN(f, alpha=alpha, beta=0.1), start)
        >>> starts = jax.random.normal(jax.random.key(0), (16, 2))
        >>> ends = ds.simulate_ensemble(
        ...     case,
        ...     start=starts,
        ...     alpha=jnp.linspace(0.5, 2.0, 16),
        ...     t1=30.0,
        ...     reduce=lambda trajectory: trajectory.final_state.x,
        ... )
        >>> bool(jnp.all(abs(jnp.linalg.norm(ends, axis=1) - 1) < 1e-2))
        True
    """
    points, count = read_points(batch, batched)
    names = tuple(points)
    options = {
        "solver": solver,
        "inclusion": inclusion,
        "max_steps": max_steps,
        "max_events": max_events,
        "dense": dense,
    }
    arrays = list(points.values())
    check_meshes(arrays)
    tolerances, steps = (rtol, atol), (max_step, landing_times)
    request = read_request(
        case, arrays, names, (t0, t1), times, tolerances, steps, stop, reduce, options
    )
    numbers, case, choices = request.numbers, request.case, request.choices
    check_meshes(case, numbers, request.closed_over)
    # Inside of a program all that is computed is traced, constants too.
    if not is_concrete((case, arrays, numbers, request.closed_over, jnp.zeros(()))):
        _check_traced(devices, stream)
        return _inside_a_program(case, numbers, arrays, choices, width)
    if solver is None and is_undecided(request.size.coordinates):
        choices = choices._replace(known=known_of(case, numbers, names, arrays))
    places = read_devices(devices)
    explicit = isinstance(solver, diffrax.AbstractERK) or bool(choices.known.explicit)
    size, given = request.size.coordinates, read_width(width)
    layout = _layout(places, count, size, given, explicit=explicit)
    kept = count if reduce is None and not stream else min(layout.block, count)
    check_ensemble_memory(
        request.size,
        choices.outputs,
        int(max_steps),
        dense,
        kept=kept,
        computed=min(layout.block * len(slots_of(places)), count),
    )
    parts = parts_of(
        case, numbers, arrays, (choices, layout), places, count, progress, stream
    )
    return chunks_of(parts, count) if stream else collect(parts, count, throw)


def _layout(
    places: list[Any], count: int, size: int, width: int | None, *, explicit: bool
) -> Layout:
    is_cpu = places[0].platform == "cpu"
    lanes = default_lanes(size, is_cpu, explicit=explicit) if width is None else width
    return Layout(lanes, members_of_block(count, lanes), is_cpu, count >= PATIENT)


def _check_traced(devices: Any, stream: bool) -> None:
    if devices is not None or stream:
        raise ValueError(
            "Inside of `jax.jit`, `jax.vmap` or `jax.grad` an ensemble is a part of that "
            "program: leave `devices` and `stream` out."
        )


def _inside_a_program(
    case: Callable[..., Any],
    numbers: Numbers,
    arrays: list[Any],
    choices: Choices,
    width: int | None,
) -> Any:
    """An ensemble as a part of another program, with its derivatives."""

    def one(point: list[Any]) -> Any:
        named = dict(zip(choices.names, point, strict=True))
        return member(case, numbers, choices, named)[1]

    return jax.lax.map(one, arrays, batch_size=read_width(width) or 64)
