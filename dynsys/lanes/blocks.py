"""Arrays with the lanes as their first axis, for what is not computed entry by entry."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import DropVar

from dynsys.equations import LIBRARIES, batches_wait, bind, is_any
from dynsys.lanes.graph import Operation, Ref, fill, known, one_of
from dynsys.lanes.value import SMALL, Value

if TYPE_CHECKING:
    from dynsys.lanes.interpreter import Interpreter

ACROSS_LANES: dict[str, Any] = {"unvmap_any": jnp.any, "unvmap_all": jnp.all}
"""Primitives of equinox that ask all members of a batch."""


def across(outer: "Interpreter", equation: Any, value: Value) -> Value:
    """What is asked of all lanes that are not done."""
    width, active = outer.width, outer.active
    fold = ACROSS_LANES[equation.primitive.name]

    def make(arrays: list[Any]) -> list[Any]:
        wide = fill(arrays[0], width).reshape(width, -1)
        where = True if active is None else active[:, None]
        return [fold(wide, where=jnp.broadcast_to(where, wide.shape))]

    operation = Operation(make, [value.block(width)], is_cheap=False)
    entries = np.empty((), object)
    entries[()] = Ref(operation, varies=False)
    return Value.of_entries(entries, equation.outvars[0].aval.dtype)


def apply(
    outer: "Interpreter", equation: Any, operands: Sequence[Value]
) -> Sequence[Value | None]:
    """What is not computed entry by entry."""
    name = equation.primitive.name
    if name == "dynamic_update_slice":
        return [_written(outer, equation, operands, _part)]
    if name == "scatter" and _is_plain_scatter(equation, operands):
        return [_written(outer, equation, operands, _points)]
    return side_by_side(outer, equation, operands)


def _written(
    outer: "Interpreter",
    equation: Any,
    operands: Sequence[Value],
    writes: Callable[..., Any],
) -> Value:
    """A large array with parts of it replaced, one lane after the other.

    What XLA makes of it for all lanes at once, a scatter, cannot be part of a kernel.
    """
    width, active = outer.width, outer.active
    refs = [value.block(width) for value in operands]

    def make(arrays: list[Any]) -> Any:
        array, *rest = arrays

        def put(lane: Any, array: Any) -> Any:
            mine = [jax.lax.dynamic_index_in_dim(a, lane, 0, False) for a in rest]
            allowed = True if active is None else active[lane]
            for place, part, is_inside in writes(array.shape[1:], *mine):
                at = [lane.astype(place[0].dtype), *place]
                old = jax.lax.dynamic_slice(array, at, (1, *part.shape))
                new = jnp.where(allowed & is_inside, part[None], old)
                array = jax.lax.dynamic_update_slice(array, new, at)
            return array

        return jax.lax.fori_loop(0, width, put, array)

    aval = equation.outvars[0].aval
    result = Value.of_block(one_of(make, refs), aval.shape, aval.dtype)
    result.place = None if active is None else operands[0].place
    return result


def side_by_side(
    outer: "Interpreter", equation: Any, operands: Sequence[Value]
) -> Sequence[Value | None]:
    """Any primitive, with the lanes as a first axis.

    On a processor libraries are called for one lane after the other
    (`dynsys.equations.LIBRARIES`).
    """
    axes = [None if value.is_same else 0 for value in operands]
    refs = [
        known(value.same, varies=False) if value.is_same else value.block(outer.width)
        for value in operands
    ]
    kept = [not isinstance(v, DropVar) for v in equation.outvars]

    def make(arrays: list[Any]) -> list[Any]:
        only = lambda *member: [
            out for out, keep in zip(bind(equation, member), kept, strict=True) if keep
        ]
        if not (batches_wait() and is_any(equation, LIBRARIES)):
            return jax.vmap(only, axes)(*arrays)
        mapped = [a for a, axis in zip(arrays, axes, strict=True) if axis == 0]

        def one_lane(mine: list[Any]) -> list[Any]:
            rest = iter(mine)
            pairs = zip(arrays, axes, strict=True)
            return only(*(next(rest) if axis == 0 else a for a, axis in pairs))

        return jax.lax.map(one_lane, mapped)

    operation = Operation(make, refs, is_cheap=False)
    places = iter(range(len(kept)))
    return [
        Value.of_block(Ref(operation, next(places)), v.aval.shape, v.aval.dtype)
        if keep
        else None
        for v, keep in zip(equation.outvars, kept, strict=True)
    ]


def _part(shape: tuple[int, ...], update: Any, *place: Any) -> list[Any]:
    """The one part that is replaced, moved into the array."""
    room = [n - size for n, size in zip(shape, update.shape, strict=True)]
    inside = [jnp.clip(at, 0, last) for at, last in zip(place, room, strict=True)]
    return [(inside, update, True)]


def _points(shape: tuple[int, ...], indices: Any, updates: Any) -> list[Any]:
    """Entries of a vector that are replaced one by one, unless they are outside."""
    (size,) = shape
    return [
        ([jnp.clip(at, 0, size - 1)], new[None], (at >= 0) & (at < size))
        for at, new in zip(indices[:, 0], updates, strict=True)
    ]


def _is_plain_scatter(equation: Any, operands: Sequence[Value]) -> bool:
    """Whether it replaces some entries of a vector."""
    array, indices, updates = operands
    is_plain = len(indices.shape) == 2 and len(updates.shape) == 1
    drops = equation.params["mode"] == jax.lax.GatherScatterMode.FILL_OR_DROP
    return len(array.shape) == 1 and is_plain and drops and updates.size <= SMALL
