"""What a call of `simulate` asks for, checked before anything is traced."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.checks import as_number, default_float, known
from dynsys.integrators.closures import as_condition
from dynsys.integrators.engine.problem import Method
from dynsys.integrators.start import FINEST
from dynsys.systems.gdin import GDINState
from dynsys.systems.gradient_flow import PositionState
from dynsys.systems.inertial_newton import MomentumState, VelocityState
from dynsys.systems.parameters import check_schedule
from dynsys.systems.system import AbstractSystem, State
from dynsys.systems.vanishing_damping import AbstractVanishingDamping
from dynsys.trees import Position, as_position

TOLERANCES = {64: (1e-6, 1e-9), 32: (1e-4, 1e-6)}
"""Default rtol and atol by the number of bits of the state."""

STATES = (GDINState, MomentumState, PositionState, VelocityState)
"""All states that systems build."""

INCLUSIONS = ("clarke", "d_operator", "autodiff")


class Inputs(NamedTuple):
    """The numbers of a request: they may change without a new program."""

    system: AbstractSystem
    x0: Position | None
    v0: Position | None
    state: State | None
    t0: Float[Array, ""]
    t1: Float[Array, ""]
    times: Float[Array, " times"] | None
    rtol: Float[Array, ""]
    atol: Float[Array, ""]
    stop_norm: Float[Array, ""] | None
    stop: Callable[..., Any] | None
    landing_times: Float[Array, " landings"] | None = None
    max_step: Callable[[Any], Any] | None = None


class Options(NamedTuple):
    """The fixed part of a request: other options are another program."""

    method: Method
    reason: str
    outputs: int
    from_series: bool
    inclusion: str
    max_events: int
    adjoint: diffrax.ForwardMode | None


def check_system(system: Any) -> None:
    """Refuse what is not a system."""
    if not isinstance(system, AbstractSystem):
        raise TypeError(
            f"`system` must be a dynsys system such as dynsys.DIN(f, alpha=3, beta=0.1), "
            f"but is {system!r} of type {type(system).__name__}."
        )


def read_start(
    system: AbstractSystem, x0: Any, v0: Any
) -> tuple[Position | None, Position | None, State | None]:
    """Position and velocity to start from, or the state of the system itself."""
    if isinstance(x0, system.state_type):
        if v0 is not None:
            raise ValueError(
                "`x0` is a state of the system, which holds the velocity already. "
                "Leave `v0` out, or pass the position as `x0`."
            )
        return None, None, system.state(*x0)
    if isinstance(x0, STATES):
        raise ValueError(
            f"`x0` is a {type(x0).__name__}, but {type(system).__name__} moves a "
            f"{system.state_type.__name__} in this form. Build it with "
            f"`system.state(...)`, or pass a position and a velocity."
        )
    if v0 is not None and system.order == 1:
        raise ValueError(
            f"{type(system).__name__} is of first order: its velocity follows from the "
            f"position. Leave `v0` out."
        )
    position = as_position("x0", x0)
    if v0 is None:
        return position, None, None
    velocity = as_position("v0", v0)
    _check_same_space(position, velocity)
    cast = lambda v, x: v if v.dtype == x.dtype else v.astype(x.dtype)
    return position, jax.tree.map(cast, velocity, position), None


def _check_same_space(x0: Position, v0: Position) -> None:
    leaves = [jax.tree.leaves(tree) for tree in (x0, v0)]
    same_shapes = [leaf.shape for leaf in leaves[0]] == [leaf.shape for leaf in leaves[1]]
    if not same_shapes or jax.tree.structure(x0) != jax.tree.structure(v0):
        shapes = [jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (x0, v0)]
        raise ValueError(
            f"`v0` must have the structure and shapes of `x0`, but they are {shapes[1]} "
            f"and {shapes[0]}."
        )


def read_interval(
    system: AbstractSystem, t0: Any, t1: Any, moving: bool, dtype: Any
) -> tuple[Any, Any, bool]:
    """Ends of the interval, and whether the series at t = 0 leads away from it.

    Args:
        system: The system.
        t0: Start of the interval.
        t1: Its end.
        moving: Whether a velocity to start with is given.
        dtype: Type of the times.
    """
    start, end = as_number("t0", t0), as_number("t1", t1)
    low, high = known(t0), known(t1)
    if low is not None and high is not None and not high > low:
        raise ValueError(
            f"`t1` must be larger than `t0`, but t1 = {high} and t0 = {low}. Time runs "
            f"forward."
        )
    if low is not None and high is not None:
        _check_resolution(float(low), float(high), dtype)
    if low is None or not isinstance(system, AbstractVanishingDamping):
        return start, end, False
    if low < 0:
        raise ValueError(
            f"{type(system).__name__} has damping alpha / t and is singular at t = 0: "
            f"`t0` must be at least 0, but has value {low}."
        )
    at_zero = bool(low == 0)
    if at_zero and moving:
        raise ValueError(
            f"{type(system).__name__} is singular at t = 0 and leaves it from rest only. "
            f"Leave `v0` out, or start at t0 > 0."
        )
    return start, end, at_zero


def _check_resolution(low: float, high: float, dtype: Any) -> None:
    """Refuse an interval in which steps cannot be told apart."""
    info = jnp.finfo(dtype)
    resolution = float(info.eps) * max(abs(low), abs(high))
    if high - low < FINEST * resolution:
        wider = ", or use a float64 start" if info.bits == 32 else ""
        raise ValueError(
            f"The resolution of time at t = {max(low, high, key=abs):g} is "
            f"{resolution:.2g} in {dtype}, too coarse for an interval of length "
            f"{high - low:.3g}. Let time start near 0, with schedules shifted "
            f"accordingly{wider}."
        )


def read_times(times: Any, t0: Any, t1: Any) -> tuple[Any, int]:
    """Output times: an array, or `None` and their number."""
    if isinstance(times, int | np.integer) and not isinstance(times, bool):
        if times < 2:
            raise ValueError(
                f"`times` must be at least 2, for both ends of the interval, but is "
                f"{times}."
            )
        return None, int(times)
    values = known(times)
    array = jnp.asarray(times) if values is None else values
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"`times` must be a number of outputs or a one-dimensional array of times "
            f"that is not empty, but has shape {array.shape}."
        )
    ends = known((t0, t1))
    if values is not None:
        _check_order(values)
    if values is not None and ends is not None:
        _check_inside(values, *ends)
    return array, array.size


def _check_order(times: np.ndarray) -> None:
    if not np.isfinite(times).all():
        raise ValueError("`times` must be finite.")
    if (np.diff(times) <= 0).any():
        i = int(np.argmax(np.diff(times) <= 0))
        raise ValueError(
            f"`times` must increase, but times[{i + 1}] = {times[i + 1]} follows "
            f"times[{i}] = {times[i]}. Sort them and drop duplicates."
        )


def _check_inside(times: np.ndarray, t0: float, t1: float) -> None:
    if times[0] < t0 or times[-1] > t1:
        raise ValueError(
            f"`times` must lie between t0 = {t0} and t1 = {t1}, but they run from "
            f"{times[0]} to {times[-1]}."
        )


def read_tolerances(rtol: Any, atol: Any, dtype: Any) -> tuple[Any, Any]:
    """Tolerances, with the defaults of the precision of the state."""
    default_rtol, default_atol = TOLERANCES[jnp.finfo(dtype).bits]
    rtol = default_rtol if rtol is None else rtol
    atol = default_atol if atol is None else atol
    relative = as_number("rtol", rtol, "positive")
    absolute = as_number("atol", atol, "positive")
    floor = 10 * float(jnp.finfo(dtype).eps)
    value = known(rtol)
    if value is not None and value < floor:
        raise ValueError(
            f"`rtol` = {value:.3g} is below {floor:.3g}, ten times the precision of "
            f"{jnp.dtype(dtype).name}. Loosen it"
            + (", or use float64." if jnp.finfo(dtype).bits == 32 else ".")
        )
    return relative, absolute


def check_inclusion(inclusion: str) -> None:
    """Refuse what is not the name of a set of gradients."""
    if inclusion not in INCLUSIONS:
        raise ValueError(f"`inclusion` must be one of {INCLUSIONS}, but is {inclusion!r}.")


def check_solver(solver: Any) -> None:
    """Refuse what is not a solver that chooses its steps; `None` is the default one."""
    if solver is None:
        return
    if not isinstance(solver, diffrax.AbstractSolver):
        raise TypeError(
            f"`solver` must be a diffrax solver such as diffrax.Tsit5(), with parentheses, "
            f"but is {solver!r} of type {type(solver).__name__}."
        )
    if solver.term_structure not in (diffrax.ODETerm, diffrax.AbstractTerm):
        raise ValueError(
            f"{type(solver).__name__} splits the vector field into several terms, but the "
            f"systems here have one. Use a solver of ODEs such as diffrax.Kvaerno5()."
        )
    if not isinstance(solver, diffrax.AbstractAdaptiveSolver):
        raise ValueError(
            f"{type(solver).__name__} gives no error estimate, so its steps cannot be "
            f"chosen. Wrap it: diffrax.HalfSolver(diffrax.{type(solver).__name__}())."
        )


def check_adjoint(adjoint: Any) -> None:
    """Refuse what is neither reverse mode, which is built in, nor forward mode."""
    if not (adjoint is None or isinstance(adjoint, diffrax.ForwardMode)):
        raise ValueError(
            f"`adjoint` must be None, for the reverse mode that is built in, or "
            f"diffrax.ForwardMode(), but is {adjoint!r}."
        )


def check_counts(max_steps: Any, max_events: Any) -> None:
    """Refuse limits that are not whole numbers in range."""
    for name, value, least in (
        ("max_steps", max_steps, 1),
        ("max_events", max_events, 0),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise TypeError(f"`{name}` must be an integer, but is {value!r}.")
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, but is {value}.")


def read_landing_times(landing_times: Any) -> Any:
    """Times at which steps end, as an array in order."""
    if landing_times is None:
        return None
    array = jnp.atleast_1d(jnp.asarray(landing_times, default_float()))
    if array.ndim != 1:
        raise ValueError(
            f"`landing_times` must be a list of times, but has shape {array.shape}."
        )
    values = known(array)
    if values is not None and not np.isfinite(values).all():
        raise ValueError("`landing_times` must be finite.")
    return jnp.sort(array)


def read_max_step(max_step: Any) -> Callable[[Any], Any] | None:
    """The largest step as a function of time."""
    return None if max_step is None else check_schedule("max_step", max_step, "positive")


def read_stop(stop: Any) -> tuple[Any, Callable[..., Any] | None]:
    """A bound on the gradient norm, or a condition as a callable."""
    if stop is None or callable(stop):
        return None, None if stop is None else as_condition(stop)
    why = "It is a bound on the gradient norm; a condition is a callable stop(t, x, v)."
    return as_number("stop", stop, "positive", why), None
