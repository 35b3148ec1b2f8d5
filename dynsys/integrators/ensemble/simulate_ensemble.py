"""From many points to many trajectories."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from dynsys.cached_call import join, split
from dynsys.checks import is_concrete, known
from dynsys.integrators.ensemble.member import Choices, Numbers, member, start_of_member
from dynsys.integrators.ensemble.program import (
    Block,
    Layout,
    on_accelerators,
    on_processors,
)
from dynsys.integrators.ensemble.schedule import (
    default_lanes,
    everywhere,
    in_any_order,
    members_of_block,
)
from dynsys.integrators.request import (
    check_counts,
    check_inclusion,
    check_memory,
    check_solver,
    read_interval,
    read_stop,
    read_times,
    read_tolerances,
)
from dynsys.result import Result, Status
from dynsys.trees import as_position, dimension, time_dtype

MOST_FAILURES = 5
"""Failed members that a message describes."""


_COMPILED: set[Any] = set()
"""The programs that there are, so that several threads may use one at once."""


class SimulationWarning(RuntimeWarning):
    """Some members of an ensemble did not reach their end."""


class Chunk(NamedTuple):
    """Members of an ensemble that are done.

    Args:
        members: Their indices, of shape `(chunk,)`.
        value: What was asked for, each leaf with a leading axis of that length.
        result: How each of them ended.
    """

    members: np.ndarray
    value: Any
    result: Result


class Request(NamedTuple):
    """What all members share.

    Args:
        numbers: Numbers, which may change without a new program.
        choices: What is fixed.
        size: Coordinates of a state.
        closed_over: What `case` closes over.
    """

    numbers: Numbers
    choices: Choices
    size: int
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
        max_events: As in `simulate`, for each member.
        dense: As in `simulate`.
        stop: As in `simulate`.
        reduce: What to keep of each trajectory: a function that JAX can trace, from a
            trajectory to a pytree. It runs inside the compiled program, and what it does
            not use is not computed.
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
        ...     reduce=lambda trajectory: trajectory.x[-1],
        ... )
        >>> bool(jnp.all(abs(abs(ends) - jnp.array([1.0, 0.0])) < 1e-2))
        True
    """
    points, count = _read_points(batch, batched)
    names = tuple(points)
    options = {
        "solver": solver,
        "inclusion": inclusion,
        "max_steps": max_steps,
        "max_events": max_events,
        "dense": dense,
    }
    arrays = list(points.values())
    request = _read_request(
        case, arrays, names, (t0, t1), times, (rtol, atol), stop, reduce, options
    )
    numbers, choices = request.numbers, request.choices
    # Inside of a program all that is computed is traced, constants too.
    if not is_concrete((case, arrays, numbers, request.closed_over, jnp.zeros(()))):
        _check_traced(devices, stream)
        return _inside_a_program(case, numbers, arrays, choices, width)
    places = _read_devices(devices)
    layout = _layout(places, count, request.size, _read_width(width))
    kept = count if reduce is None and not stream else min(layout.block, count)
    check_memory(request.size, choices.outputs, int(max_steps), dense, kept)
    parts = _parts(case, numbers, arrays, (choices, layout), places, count, progress)
    return _chunks(parts, count) if stream else _collect(parts, count, throw)


def _read_points(
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
        if array.dtype == object or array.ndim == 0:
            raise ValueError(
                f"`{name}` must be an array with one entry a member along its first axis, "
                f"but a leaf is {leaf!r}. What all members share goes into `case`."
            )
        if np.issubdtype(array.dtype, np.integer) or isinstance(array, jax.Array):
            return array
        return array.astype(jax.dtypes.canonicalize_dtype(array.dtype))

    if type(value) in (list, tuple):
        return read(np.asarray(value))
    return jax.tree.map(read, value)


def _read_request(
    case: Callable[..., Any],
    arrays: list[Any],
    names: tuple[str, ...],
    interval: tuple[Any, Any],
    times: Any,
    tolerances: tuple[Any, Any],
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
    size = dimension(one.x) * len(one.system.state_type._fields)
    start, end, _ = read_interval(one.system, *interval, one.moves)
    output_times, outputs = read_times(times, *interval)
    rtol, atol = read_tolerances(*tolerances, time_dtype(one.x))
    stop_norm, condition = read_stop(stop)
    value = known(start)
    is_zero = value is not None and float(value) == 0
    numbers = Numbers(None if is_zero else start, end, output_times, rtol, atol, stop_norm)
    numbers = Numbers(*map(_as_input, numbers))
    choices = Choices(outputs, reduce, condition, names, tuple(sorted(options.items())))
    return Request(numbers, choices, size, one.closed_over)


def _as_input(number: Any) -> Any:
    """An array, so that it is no constant of the program."""
    return number if number is None or hasattr(number, "dtype") else np.asarray(number)


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

    first = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), arrays)
    closed, shapes = jax.make_jaxpr(start, return_shape=True)(first)
    system, x = join(shapes, found["rest"])
    return Member(system, x, found["moves"], closed.consts)


def _read_devices(devices: Sequence[Any] | None) -> list[Any]:
    places = list(jax.local_devices() if devices is None else devices)
    mine = [place for place in places if place in jax.local_devices(backend=place.platform)]
    if not mine or len({place.platform for place in mine}) > 1:
        raise ValueError(
            f"`devices` must hold devices of this process, all of one platform, but is "
            f"{places}. Pick from `jax.local_devices()`."
        )
    return mine


def _read_width(width: Any) -> int | None:
    is_number = isinstance(width, int | np.integer) and not isinstance(width, bool)
    if width is None or (is_number and width >= 8 and width % 8 == 0):
        return None if width is None else int(width)
    raise ValueError(f"`width` must be a positive multiple of 8, but is {width!r}.")


def _layout(places: list[Any], count: int, size: int, width: int | None) -> Layout:
    is_cpu = places[0].platform == "cpu"
    lanes = default_lanes(size, is_cpu) if width is None else width
    return Layout(lanes, members_of_block(count, lanes), is_cpu)


def _parts(
    case: Callable[..., Any],
    numbers: Numbers,
    arrays: list[Any],
    fixed: tuple[Choices, Layout],
    devices: list[Any],
    count: int,
    progress: bool,
) -> Iterator[tuple[np.ndarray, Block]]:
    """The members of this process, as they are done."""
    layout = fixed[1]
    size = layout.block
    mine = range(jax.process_index(), -(-count // size), jax.process_count())
    host = jax.tree.map(np.asarray, arrays)
    compute = on_processors if layout.is_cpu else on_accelerators

    def call(number: int) -> Callable[[Any], tuple[np.ndarray, Block]]:
        members = np.arange(number * size, min((number + 1) * size, count))

        def run(device: Any) -> tuple[np.ndarray, Block]:
            # The last block is filled up with members that are in it already.
            filled = np.resize(members, size)
            points = jax.device_put(jax.tree.map(lambda a: a[filled], host), device)
            block: Block = compute(case, numbers, points, np.asarray(1.0), fixed)
            return members, block.on_host(len(members))

        return run

    shapes = tuple((leaf.shape[1:], leaf.dtype.str) for leaf in jax.tree.leaves(host))
    rest = split((case, numbers, fixed))[1]
    program = (rest, shapes, jax.tree.structure(host), tuple(devices))
    calls = [call(number) for number in mine]
    done = 0
    for members, block in in_any_order(calls, devices, compiled=program in _COMPILED):
        _COMPILED.add(program)
        done += len(members)
        if progress:
            _show(done, count)
        yield members, block


def _show(done: int, count: int) -> None:
    end = "\n" if done == count else ""
    sys.stderr.write(f"\rdynsys: {done:,} of {count:,} members ({done / count:.0%}){end}")
    sys.stderr.flush()


def _chunks(parts: Iterator[tuple[np.ndarray, Block]], count: int) -> Iterator[Chunk]:
    """The members as they are done, and a word on those that failed."""
    failures: list[tuple[int, str]] = []
    for members, block in parts:
        result, value = block.value(len(members))
        failures += _failures(result, members)
        yield Chunk(members, value, result)
    _warn(failures, count)


def _collect(parts: Iterator[tuple[np.ndarray, Block]], count: int, throw: bool) -> Any:
    """All members in their order."""
    found = list(parts)
    members = np.concatenate([members for members, _ in found])
    columns = zip(*(block.varying for _, block in found), strict=True)
    rows = [np.concatenate(column) for column in columns]
    whole = found[0][1]._replace(varying=everywhere(rows, members, count))
    result, value = whole.value(count)
    if throw:
        result.raise_if_failed()
    _warn(_failures(result, np.arange(count)), count)
    return value


def _failures(result: Result, members: np.ndarray) -> list[tuple[int, str]]:
    """The members that failed, and why."""
    failed = np.flatnonzero(np.asarray(result.code) > Status.STOPPED)
    some: Any = jax.tree.map(lambda leaf: np.asarray(leaf)[failed], result)
    return list(zip(members[failed].tolist(), some.reasons, strict=True))


def _warn(failures: list[tuple[int, str]], count: int) -> None:
    if not failures:
        return
    failures = sorted(failures)
    lines = [f"member {i}: {reason}" for i, reason in failures[:MOST_FAILURES]]
    more = len(failures) - len(lines)
    lines += [f"and {more:,} more"] if more else []
    text = "\n".join([f"{len(failures):,} of {count:,} members failed.", *lines])
    warnings.warn(text, SimulationWarning, stacklevel=4)


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

    return jax.lax.map(one, arrays, batch_size=_read_width(width) or 64)
