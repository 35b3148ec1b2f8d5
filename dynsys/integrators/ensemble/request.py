"""What a call of `simulate_ensemble` asks for, checked before anything is computed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.cached_call import join, split
from dynsys.checks import is_concrete, known
from dynsys.integrators.ensemble.member import Choices, Numbers, start_of_member
from dynsys.integrators.memory import Size, size_of
from dynsys.integrators.python_numbers import with_arrays
from dynsys.integrators.request import (
    check_counts,
    check_inclusion,
    check_solver,
    read_interval,
    read_landing_times,
    read_max_step,
    read_stop,
    read_times,
    read_tolerances,
)
from dynsys.switches.window import schedules_of
from dynsys.trees import as_position, time_dtype


class Request(NamedTuple):
    """What all members share.

    Args:
        numbers: Numbers, which may change without a new program.
        case: What to simulate at a point.
        choices: What is fixed.
        size: The size of what a member moves.
        closed_over: What `case`, `reduce` and `stop` close over.
    """

    numbers: Numbers
    case: Callable[..., Any]
    choices: Choices
    size: Size
    closed_over: Any


class Member(NamedTuple):
    """What is known of a member before anything is computed.

    Args:
        system: Its system, with shapes for arrays.
        x: Shapes of its position.
        moves: Whether it is given a velocity to start with.
        closed_over: What `case` closes over.
    """

    system: Any
    x: Any
    moves: bool
    closed_over: Any


def read_points(
    batch: Mapping[str, Any] | None, batched: Mapping[str, Any]
) -> tuple[dict[str, Any], int]:
    """The points by parameter, and their number."""
    both = sorted(set(batch or {}) & set(batched))
    if both:
        raise ValueError(f"{both} are given in `batch` and as keywords. Give them once.")
    given = {**(batch or {}), **batched}
    if not given:
        raise ValueError(
            "There are no points. Pass arrays for the parameters of `case` as keywords, "
            "all with the same first axis, such as `x0=starts` for `case = lambda x0: ...`."
        )
    points = {name: _read_array(name, value) for name, value in given.items()}
    lengths = {
        name: {leaf.shape[0] for leaf in jax.tree.leaves(value)}
        for name, value in points.items()
    }
    if len(set.union(*lengths.values())) != 1:
        shown = {name: sorted(length) for name, length in lengths.items()}
        raise ValueError(
            f"The points must have the same first axis, one entry a member, but its "
            f"lengths are {shown}."
        )
    (count,) = set.union(*lengths.values())
    if count == 0:
        raise ValueError("There are no points: the first axis of the arrays is empty.")
    return points, count


def _read_array(name: str, value: Any) -> Any:
    def read(leaf: Any) -> Any:
        array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        if not _is_number(array.dtype):
            raise TypeError(
                f"`{name}` must hold numbers or booleans, but a leaf has dtype "
                f"{array.dtype}. Of random keys pass `jax.random.key_data(keys)`, and wrap "
                f"them inside of `case` with `jax.random.wrap_key_data`."
            )
        if array.ndim == 0:
            raise ValueError(
                f"`{name}` must be an array with one entry a member along its first axis, "
                f"but a leaf is {leaf!r}. What all members share goes into `case`."
            )
        if np.issubdtype(array.dtype, np.integer) or isinstance(array, jax.Array):
            return array
        return array.astype(jax.dtypes.canonicalize_dtype(array.dtype))

    if type(value) in (list, tuple):
        return read(np.asarray(value) if is_concrete(value) else jnp.stack(value))
    return jax.tree.map(read, value)


def read_request(
    case: Callable[..., Any],
    arrays: list[Any],
    names: tuple[str, ...],
    interval: tuple[Any, Any],
    times: Any,
    tolerances: tuple[Any, Any],
    steps: tuple[Any, Any],
    stop: Any,
    reduce: Any,
    options: dict[str, Any],
) -> Request:
    """What all members share, checked."""
    if not callable(case):
        raise TypeError(f"`case` must be callable, but is {case!r}.")
    if reduce is not None and not callable(reduce):
        raise TypeError(f"`reduce` must be callable, but is {reduce!r}.")
    check_counts(options["max_steps"], options["max_events"])
    check_inclusion(options["inclusion"])
    check_solver(options["solver"])
    one = _shapes(case, arrays, names)
    size = size_of(one.system, one.x)
    start, end, _ = read_interval(one.system, *interval, one.moves, time_dtype(one.x))
    output_times, outputs = read_times(times, *interval)
    rtol, atol = read_tolerances(*tolerances, time_dtype(one.x))
    stop_norm, condition = read_stop(stop)
    value = known(start)
    is_zero = value is not None and float(value) == 0
    max_step, landing_times = steps[0], read_landing_times(steps[1])
    limit, moving = (None, max_step) if callable(max_step) else (max_step, None)
    read_max_step(max_step)
    time, x = jax.ShapeDtypeStruct((), time_dtype(one.x)), one.x
    condition, moving = with_arrays(condition, time, x, x), with_arrays(moving, time)
    begin = None if is_zero else start
    shared = (rtol, atol, stop_norm, limit, landing_times)
    numbers = Numbers(begin, end, output_times, *shared)
    numbers = Numbers(*map(_as_input, numbers))
    for name, kind in (("max_steps", int), ("max_events", int), ("dense", bool)):
        options[name] = kind(options[name])
    fixed = (condition, names, tuple(sorted(options.items())))
    choices = Choices(outputs, reduce, *fixed, max_step=moving)
    closed_over = [one.closed_over, *map(_cells, (case, reduce, stop))]
    point = dict(zip(names, map(_first_of, arrays), strict=True))
    case = with_arrays(case, point, call=_values)
    return Request(numbers, case, choices, size, closed_over)


def _cells(function: Any) -> list[Any]:
    """What a function closes over, as far as it can be seen."""
    cells = getattr(function, "__closure__", None) or ()
    return [cell.cell_contents for cell in cells]


def _as_input(number: Any) -> Any:
    """An array, so that it is no constant of the program."""
    return number if number is None or hasattr(number, "dtype") else np.asarray(number)


def _first_of(arrays: Any) -> Any:
    """The shapes of the entries along the first axis."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), arrays)


def _values(case: Callable[..., Any], point: Mapping[str, Any]) -> Any:
    """What a case makes of a point: the start, and values of the functions in it."""
    system, x0, v0 = start_of_member(case, point)
    is_state = isinstance(x0, system.state_type)
    x = system.position(x0) if is_state else as_position("x0", x0)
    t = jnp.ones((), time_dtype(x))
    values = [schedule(t) for schedule in schedules_of(system).values()]
    return x0, v0, system.objective(x), values


def _shapes(case: Callable[..., Any], arrays: list[Any], names: tuple[str, ...]) -> Member:
    """What is known of a member before anything is computed."""
    found: dict[str, Any] = {}

    def start(point: list[Any]) -> Any:
        named = dict(zip(names, point, strict=True))
        system, x0, v0 = start_of_member(case, named)
        is_state = isinstance(x0, system.state_type)
        found["moves"] = is_state or v0 is not None
        x = system.position(x0) if is_state else as_position("x0", x0)
        arrays, found["rest"] = split((system, x))
        return arrays

    first = _first_of(arrays)
    closed, shapes = jax.make_jaxpr(start, return_shape=True)(first)
    system, x = join(shapes, found["rest"])
    return Member(system, x, found["moves"], closed.consts)


def _is_number(dtype: Any) -> bool:
    # Floats of 16 and fewer bits are of kind V; types of JAX alone, such as keys, are none.
    return isinstance(dtype, np.dtype) and dtype.kind in "biufcV"


def read_devices(devices: Sequence[Any] | None) -> list[Any]:
    """The devices of this process among those that are asked for."""
    places = list(jax.local_devices() if devices is None else devices)
    mine = [place for place in places if place in jax.local_devices(backend=place.platform)]
    if not mine or len({place.platform for place in mine}) > 1:
        raise ValueError(
            f"`devices` must hold devices of this process, all of one platform, but is "
            f"{places}. Pick from `jax.local_devices()`."
        )
    return mine


def read_width(width: Any) -> int | None:
    """Members side by side; `None` where it is left to us."""
    is_number = isinstance(width, int | np.integer) and not isinstance(width, bool)
    if width is None or (is_number and width >= 8 and width % 8 == 0):
        return None if width is None else int(width)
    raise ValueError(f"`width` must be a positive multiple of 8, but is {width!r}.")
