"""Moving entries of small arrays about, which costs nothing when the places are known."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynsys.lanes.value import Entries, Value


def broadcast(values: list[Entries], params: Any) -> Entries:
    """Along new axes, and along those of length 1."""
    shape, dimensions = params["shape"], params["broadcast_dimensions"]
    array = values[0]
    wide = [1] * len(shape)
    for size, axis in zip(array.shape, dimensions, strict=True):
        wide[axis] = size
    return np.broadcast_to(array.reshape(wide), shape)


def reshape(values: list[Entries], params: Any) -> Entries:
    """Into another shape."""
    return values[0].reshape(params["new_sizes"])


def squeeze(values: list[Entries], params: Any) -> Entries:
    """Without axes of length 1."""
    return np.squeeze(values[0], tuple(params["dimensions"]))


def expand(values: list[Entries], params: Any) -> Entries:
    """With new axes of length 1."""
    return np.expand_dims(values[0], tuple(params["dimensions"]))


def transpose(values: list[Entries], params: Any) -> Entries:
    """With the axes in another order."""
    return values[0].transpose(params["permutation"])


def reverse(values: list[Entries], params: Any) -> Entries:
    """Backwards along some axes."""
    return np.flip(values[0], tuple(params["dimensions"]))


def cut(values: list[Entries], params: Any) -> Entries:
    """A part with fixed ends."""
    starts, stops = params["start_indices"], params["limit_indices"]
    strides = params["strides"] or (1,) * len(starts)
    return values[0][tuple(map(slice, starts, stops, strides))]


def concatenate(values: list[Entries], params: Any) -> Entries:
    """Arrays one after the other."""
    return np.concatenate(values, params["dimension"])


def stack(values: list[Entries], params: Any) -> Entries:
    """Arrays along a new axis."""
    return np.stack(values, params["axis"])


def pad(values: list[Entries], params: Any) -> Entries:
    """With a filling around and between the entries."""
    array, filling = values
    for axis, (low, high, inner) in enumerate(params["padding_config"]):
        length = array.shape[axis] + inner * max(array.shape[axis] - 1, 0)
        shape = list(array.shape)
        shape[axis] = max(low, 0) + length + max(high, 0)
        wide = np.full(shape, filling[()], object)
        place = [slice(None)] * array.ndim
        place[axis] = slice(max(low, 0), max(low, 0) + length, inner + 1)
        wide[tuple(place)] = array
        # Less than no room cuts entries off.
        place[axis] = slice(max(-low, 0), shape[axis] - max(-high, 0))
        array = wide[tuple(place)]
    return array


MOVES: dict[str, Callable[[list[Entries], Any], Entries]] = {
    "broadcast_in_dim": broadcast,
    "concatenate": concatenate,
    "expand_dims": expand,
    "pad": pad,
    "reshape": reshape,
    "rev": reverse,
    "slice": cut,
    "squeeze": squeeze,
    "stack": stack,
    "transpose": transpose,
}
"""Primitives that only move entries."""


def move(equation: Any, values: Sequence[Value]) -> Value:
    """A primitive that only moves entries, to places that are fixed."""
    out = equation.outvars[0].aval
    rule = MOVES[equation.primitive.name]
    entries = rule([value.entries() for value in values], equation.params)
    return Value.of_entries(np.array(entries, object).reshape(out.shape), out.dtype)


def split(equation: Any, values: Sequence[Value]) -> list[Value]:
    """The parts of an array."""
    ends = np.cumsum(equation.params["sizes"])[:-1]
    parts = np.split(values[0].entries(), ends, equation.params["axis"])
    return [Value.of_entries(part.copy(), values[0].dtype) for part in parts]
