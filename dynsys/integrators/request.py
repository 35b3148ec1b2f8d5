"""What a call of `simulate` asks for, checked before anything is traced."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.checks import as_parameter, is_concrete
from dynsys.integrators.default_solver import choose_solver
from dynsys.objectives.objective import is_known_smooth
from dynsys.systems.system import AbstractSystem, State
from dynsys.systems.vanishing_damping import AbstractVanishingDamping
from dynsys.trees import Position, as_position, time_dtype

LARGEST_OUTPUT = 2**31
"""Bytes that outputs or a dense store may take: 2 GiB."""

TOLERANCES = {64: (1e-6, 1e-9), 32: (1e-4, 1e-6)}
"""Default rtol and atol by the number of bits of the state."""

INCLUSIONS = ("clarke", "d_operator", "autodiff")


class Inputs(eqx.Module):
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


class Options(NamedTuple):
    """The fixed part of a request: other options are another program."""

    solver: diffrax.AbstractSolver
    reason: str
    outputs: int
    from_series: bool
    inclusion: str
    max_steps: int
    max_events: int
    dense: bool
    stop: Callable[..., Any] | None
    adjoint: diffrax.AbstractAdjoint | None
    progress: bool


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
    cast = lambda v, x: v.astype(x.dtype)
    return position, jax.tree.map(cast, velocity, position), None


def _check_same_space(x0: Position, v0: Position) -> None:
    shapes = [jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (x0, v0)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"`v0` must have the structure and shapes of `x0`, but they are {shapes[1]} "
            f"and {shapes[0]}."
        )


def check_objective(system: AbstractSystem, x: Position) -> None:
    """Trace the objective once, to say what is wrong with it in its own terms.

    Raises:
        TypeError: The objective cannot be traced by JAX, or is not real.
        ValueError: It does not return a scalar, or fails on such a position.
    """
    shapes = jax.tree.map(lambda leaf: leaf.shape, x)
    try:
        value = jax.eval_shape(system.objective, x)
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerBoolConversionError,
        jax.errors.NonConcreteBooleanIndexError,
    ) as error:
        raise TypeError(
            "The objective cannot be traced by JAX. Write it with jax.numpy instead of "
            "numpy or math, and with jnp.where instead of `if` on values of x. JAX said: "
            f"{_first_line(error)}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"The objective failed on a position of shape {shapes}: {error}"
        ) from error
    leaves = jax.tree.leaves(value)
    if len(leaves) != 1 or leaves[0].shape != ():
        raise ValueError(
            f"The objective must return a scalar, but returned {value} for x0 of shape "
            f"{shapes}. Sum over it, or check the shape of `x0`."
        )
    if not jnp.issubdtype(leaves[0].dtype, jnp.floating):
        raise TypeError(
            f"The objective must return a real floating-point scalar, but returned dtype "
            f"{leaves[0].dtype}."
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def read_interval(
    system: AbstractSystem, t0: Any, t1: Any, moving: bool, dtype: Any
) -> tuple[Any, Any, bool]:
    """Ends of the interval, and whether the series at t = 0 leads away from it."""
    start, end = as_parameter("t0", t0), as_parameter("t1", t1)
    if is_concrete((start, end)) and not float(end) > float(start):
        raise ValueError(
            f"`t1` must be larger than `t0`, but t1 = {end} and t0 = {start}. Time runs "
            f"forward."
        )
    singular = isinstance(system, AbstractVanishingDamping)
    at_zero = singular and is_concrete(start) and float(start) == 0
    if singular and is_concrete(start) and float(start) < 0:
        raise ValueError(
            f"{type(system).__name__} has damping alpha / t and is singular at t = 0: "
            f"`t0` must be at least 0, but has value {start}."
        )
    if at_zero and moving:
        raise ValueError(
            f"{type(system).__name__} is singular at t = 0 and leaves it from rest only. "
            f"Leave `v0` out, or start at t0 > 0."
        )
    return start.astype(dtype), end.astype(dtype), at_zero


def read_times(
    times: Any, t0: Any, t1: Any, dtype: Any
) -> tuple[Float[Array, " times"] | None, int]:
    """Output times: an array, or `None` and their number."""
    if isinstance(times, int | np.integer) and not isinstance(times, bool):
        if times < 2:
            raise ValueError(
                f"`times` must be at least 2, for both ends of the interval, but is "
                f"{times}."
            )
        return None, int(times)
    array = jnp.asarray(times)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"`times` must be a number of outputs or a one-dimensional array of times "
            f"that is not empty, but has shape {array.shape}."
        )
    if is_concrete((array, t0, t1)):
        _check_times(np.asarray(array), float(t0), float(t1))
    return array.astype(dtype), array.size


def _check_times(times: np.ndarray, t0: float, t1: float) -> None:
    if not np.isfinite(times).all():
        raise ValueError("`times` must be finite.")
    if (np.diff(times) <= 0).any():
        i = int(np.argmax(np.diff(times) <= 0))
        raise ValueError(
            f"`times` must increase, but times[{i + 1}] = {times[i + 1]} follows "
            f"times[{i}] = {times[i]}. Sort them and drop duplicates."
        )
    if times[0] < t0 or times[-1] > t1:
        raise ValueError(
            f"`times` must lie between t0 = {t0} and t1 = {t1}, but they run from "
            f"{times[0]} to {times[-1]}."
        )


def read_tolerances(rtol: Any, atol: Any, dtype: Any) -> tuple[Any, Any]:
    """Tolerances, with the defaults of the precision of the state."""
    defaults = TOLERANCES[jnp.finfo(dtype).bits]
    pairs = zip(("rtol", "atol"), (rtol, atol), defaults, strict=True)
    values = []
    for name, value, default in pairs:
        number = as_parameter(name, default if value is None else value)
        if is_concrete(number) and not float(number) > 0:
            raise ValueError(f"`{name}` must be positive, but has value {number}.")
        values.append(number.astype(dtype))
    floor = 10 * float(jnp.finfo(dtype).eps)
    if is_concrete(values[0]) and float(values[0]) < floor:
        raise ValueError(
            f"`rtol` = {float(values[0]):.3g} is below {floor:.3g}, ten times the "
            f"precision of {jnp.dtype(dtype).name}. Loosen it"
            + (", or use float64." if jnp.finfo(dtype).bits == 32 else ".")
        )
    return values[0], values[1]


def read_inclusion(system: AbstractSystem, inclusion: str) -> str:
    """The named set of gradients at kinks."""
    if inclusion not in INCLUSIONS:
        raise ValueError(f"`inclusion` must be one of {INCLUSIONS}, but is {inclusion!r}.")
    if is_known_smooth(system.objective) is False and inclusion != "autodiff":
        raise ValueError(
            f"{type(system.objective).__name__} is not smooth, and this version does not "
            f"solve differential inclusions yet. Pass `inclusion='autodiff'` to integrate "
            f"with what JAX returns at kinks, which is right between kinks and where "
            f"they are crossed."
        )
    return inclusion


def read_solver(
    solver: Any, system: AbstractSystem, size: int
) -> tuple[diffrax.AbstractSolver, str]:
    """The solver to use and the reason for it."""
    if solver is None:
        return choose_solver(system, size)
    if not isinstance(solver, diffrax.AbstractSolver):
        raise TypeError(
            f"`solver` must be a diffrax solver such as diffrax.Tsit5(), but is "
            f"{solver!r} of type {type(solver).__name__}."
        )
    if not isinstance(solver, diffrax.AbstractAdaptiveSolver):
        raise ValueError(
            f"{type(solver).__name__} gives no error estimate, so its steps cannot be "
            f"chosen. Wrap it: diffrax.HalfSolver(diffrax.{type(solver).__name__}())."
        )
    return solver, "asked for"


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


def check_memory(coordinates: int, count: int, max_steps: int, dense: bool) -> None:
    """Refuse outputs that would not fit into memory."""
    size = 8 * coordinates
    outputs = 3 * size * count
    if outputs > LARGEST_OUTPUT:
        raise ValueError(
            f"{count} outputs of this state take {outputs / 2**30:.3g} GiB, more than "
            f"{LARGEST_OUTPUT / 2**30:.3g}. Ask for fewer `times`."
        )
    stored = 6 * size * max_steps if dense else 0
    if stored > LARGEST_OUTPUT:
        raise ValueError(
            f"The dense output of {max_steps} steps of this state takes about "
            f"{stored / 2**30:.3g} GiB, more than {LARGEST_OUTPUT / 2**30:.3g}. Lower "
            f"`max_steps`, or ask for `times` instead of `dense=True`."
        )


def read_stop(stop: Any) -> tuple[Any, Callable[..., Any] | None]:
    """A bound on the gradient norm, or a condition as a callable."""
    if stop is None or callable(stop):
        return None, stop
    bound = as_parameter("stop", stop)
    if is_concrete(bound) and not (float(bound) > 0 and math.isfinite(float(bound))):
        raise ValueError(
            f"`stop` must be a positive bound on the gradient norm or a callable "
            f"stop(t, x, v), but is {stop!r}."
        )
    return bound, None


def state_dtype(x: Position) -> Any:
    """The dtype that times and tolerances take from the state."""
    return time_dtype(x)
