"""Reading and writing small arrays at places that may differ from lane to lane.

Each entry is chosen among all places it may come from, or go to, by selections: what is
chosen between is a handful, and no memory is indexed.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dynsys.lanes.arithmetic import Writer
from dynsys.lanes.graph import Ref, known
from dynsys.lanes.value import Entries, Value

MOST_CASES = 64
"""Places between which one is chosen."""


def dynamic_slice(writer: Writer, equation: Any, values: Sequence[Value]) -> Value | None:
    """A part of an array that starts at places that may differ from lane to lane."""
    out, sizes = equation.outvars[0].aval, equation.params["slice_sizes"]
    array = values[0].entries()
    room = [n - size + 1 for n, size in zip(array.shape, sizes, strict=True)]
    starts = [value.entries()[()] for value in values[1:]]
    part = lambda start: array[
        tuple(slice(s, s + n) for s, n in zip(start, sizes, strict=True))
    ]
    entries = _choose(writer, starts, room, values[1:], part)
    return None if entries is None else Value.of_entries(entries, out.dtype)


def dynamic_update_slice(
    writer: Writer, equation: Any, values: Sequence[Value]
) -> Value | None:
    """An array with a part of it replaced, at a place that may differ."""
    out = equation.outvars[0].aval
    array, update = values[0].entries(), values[1].entries()
    room = [n - size + 1 for n, size in zip(array.shape, update.shape, strict=True)]
    starts = [value.entries()[()] for value in values[2:]]

    def replaced(start: tuple[int, ...]) -> Entries:
        new = array.copy()
        new[tuple(slice(s, s + n) for s, n in zip(start, update.shape, strict=True))] = (
            update
        )
        return new

    entries = _choose(writer, starts, room, values[2:], replaced)
    return None if entries is None else Value.of_entries(entries, out.dtype)


def _choose(
    writer: Writer,
    starts: Sequence[Ref],
    room: Sequence[int],
    values: Sequence[Value],
    case: Callable[[tuple[int, ...]], Entries],
) -> Entries | None:
    """What a start says, which is moved into the room there is for it."""
    if np.prod(room, dtype=int) > MOST_CASES:
        return None
    choices = [
        [(min(max(int(ref.constant), 0), n - 1))] if ref.constant is not None else range(n)
        for ref, n in zip(starts, room, strict=True)
    ]
    result: Entries | None = None
    for start in itertools.product(*choices):
        new = case(start)
        if result is None:
            result = new.copy()
            continue
        here = [
            _reached(writer, ref, place, n, value.dtype)
            for ref, place, n, value in zip(starts, start, room, values, strict=True)
            if ref.constant is None and n > 1
        ]
        condition = here[0]
        for more in here[1:]:
            condition = writer.lax(jax.lax.bitwise_and, condition, more)
        for index in np.ndindex(result.shape):
            result[index] = writer.select(condition, new[index], result[index])
    return result


def _reached(writer: Writer, ref: Ref, place: int, room: int, dtype: Any) -> Ref:
    """Whether an index, moved into its range, is a place; the places come in order."""
    at = known(np.asarray(place, dtype), varies=False)
    if place == room - 1:
        return writer.apply(jax.lax.ge_p, {}, [ref, at])
    return (
        writer.lax(jax.lax.eq, ref, at)
        if place
        else writer.apply(jax.lax.le_p, {}, [ref, at])
    )


class Windows:
    """Where the windows of a gather or a scatter lie.

    Args:
        offset: Axes of the result, or of the updates, that run along a window.
        collapsed: Axes of the operand of which a window holds one entry, left out.
        start_map: Which axis of the operand each number of an index is for.
        sizes: Sizes of a window along the axes of the operand.
        batch: Axes of the operand and of the indices along which they go together.
    """

    def __init__(
        self,
        offset: Any,
        collapsed: Any,
        start_map: Any,
        sizes: Sequence[int],
        batch: tuple[Any, Any],
    ):
        self.offset, self.collapsed = tuple(offset), tuple(collapsed)
        self.start_map, self.sizes = tuple(start_map), tuple(sizes)
        self.batch = dict(zip(*batch, strict=True))

    def split(self, index: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The row of the indices of an entry, and where it is if that index is 0."""
        row = tuple(v for axis, v in enumerate(index) if axis not in self.offset)
        inner = iter([index[axis] for axis in self.offset])
        place = [
            row[self.batch[axis]]
            if axis in self.batch
            else 0
            if axis in self.collapsed
            else next(inner)
            for axis in range(len(self.sizes))
        ]
        return row, tuple(place)


def gather(writer: Writer, equation: Any, values: Sequence[Value]) -> Value | None:
    """Windows of an array at places that may differ from lane to lane."""
    params, out = equation.params, equation.outvars[0].aval
    numbers = params["dimension_numbers"]
    if _drops(params["mode"]) and params.get("fill_value") is not None:
        return None
    array, indices = values[0].entries(), values[1].entries()
    windows = Windows(
        numbers.offset_dims,
        numbers.collapsed_slice_dims,
        numbers.start_index_map,
        params["slice_sizes"],
        (numbers.operand_batching_dims, numbers.start_indices_batching_dims),
    )
    room = _room(array.shape, windows)
    if np.prod(room, dtype=int) > MOST_CASES:
        return None
    result = np.empty(out.shape, object)
    filling = None
    if _drops(params["mode"]):
        filling = known(_filling(out.dtype), varies=False)
    for index in np.ndindex(out.shape):
        row, place = windows.split(index)
        result[index] = _pick(
            writer,
            array,
            list(indices[row]),
            values[1].dtype,
            windows,
            place,
            room,
            filling,
        )
    return Value.of_entries(result, out.dtype)


def _pick(
    writer: Writer,
    array: Entries,
    starts: list[Ref],
    dtype: Any,
    windows: Windows,
    place: tuple[int, ...],
    room: Sequence[int],
    filling: Ref | None,
) -> Ref:
    """One entry of a window."""
    result = filling
    choices = [_choices(ref, room[k]) for k, ref in enumerate(starts)]
    for start in itertools.product(*choices):
        where = list(place)
        for axis, s in zip(windows.start_map, start, strict=True):
            where[axis] += s
        entry = array[tuple(where)]
        if result is None:
            result = entry
            continue
        condition = _all_at(writer, starts, start, room, dtype, clamps=filling is None)
        result = entry if condition is None else writer.select(condition, entry, result)
    assert result is not None
    return result


def scatter(writer: Writer, equation: Any, values: Sequence[Value]) -> Value | None:
    """An array with windows of it replaced or added to, at places that may differ."""
    params, out = equation.params, equation.outvars[0].aval
    numbers = params["dimension_numbers"]
    adds = equation.primitive.name == "scatter-add"
    array, indices, updates = (value.entries() for value in values)
    result = array.copy()
    left_out = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    kept = [i for i in range(array.ndim) if i not in left_out]
    sizes = [1] * array.ndim
    for axis, k in zip(numbers.update_window_dims, kept, strict=True):
        sizes[k] = updates.shape[axis]
    windows = Windows(
        numbers.update_window_dims,
        numbers.inserted_window_dims,
        numbers.scatter_dims_to_operand_dims,
        sizes,
        (numbers.operand_batching_dims, numbers.scatter_indices_batching_dims),
    )
    room = _room(array.shape, windows)
    if np.prod(room, dtype=int) > MOST_CASES:
        return None
    clamps = not _drops(params["mode"])
    for index in np.ndindex(updates.shape):
        row, place = windows.split(index)
        starts = list(indices[row])
        choices = [_choices(ref, room[k]) for k, ref in enumerate(starts)]
        for start in itertools.product(*choices):
            where = list(place)
            for axis, s in zip(windows.start_map, start, strict=True):
                where[axis] += s
            at, old = tuple(where), result[tuple(where)]
            new = writer.lax(jax.lax.add, old, updates[index]) if adds else updates[index]
            condition = _all_at(writer, starts, start, room, values[1].dtype, clamps=clamps)
            result[at] = new if condition is None else writer.select(condition, new, old)
    return Value.of_entries(result, out.dtype)


def _room(shape: Sequence[int], windows: Windows) -> list[int]:
    """How many starts there are along each axis that an index is for."""
    return [shape[axis] - windows.sizes[axis] + 1 for axis in windows.start_map]


def _choices(ref: Ref, room: int) -> Sequence[int]:
    if ref.constant is None:
        return range(room)
    start = int(ref.constant)
    return [start] if 0 <= start < room else range(room)


def _all_at(
    writer: Writer,
    starts: Sequence[Ref],
    start: Sequence[int],
    room: Sequence[int],
    dtype: Any,
    *,
    clamps: bool,
) -> Ref | None:
    """Whether an index is at a place; `None` if it surely is."""
    condition: Ref | None = None
    for ref, place, n in zip(starts, start, room, strict=True):
        if ref.constant is not None and int(ref.constant) == place:
            continue
        if clamps and n == 1:
            continue
        at = known(np.asarray(place, dtype), varies=False)
        here = (
            _reached(writer, ref, place, n, dtype)
            if clamps
            else writer.lax(jax.lax.eq, ref, at)
        )
        condition = writer.lax(jax.lax.bitwise_and, condition, here) if condition else here
    return condition


def _drops(mode: Any) -> bool:
    """Whether windows out of range are left out, instead of being moved into it."""
    return mode == jax.lax.GatherScatterMode.FILL_OR_DROP


def _filling(dtype: Any) -> np.ndarray:
    """What stands for an entry out of range."""
    if np.issubdtype(dtype, np.floating):
        return np.asarray(np.nan, dtype)
    if np.issubdtype(dtype, np.bool_):
        return np.asarray(True)
    info = np.iinfo(dtype)
    return np.asarray(info.min if info.min < 0 else info.max, dtype)
