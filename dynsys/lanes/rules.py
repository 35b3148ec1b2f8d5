"""Primitives on arrays with the lanes as their last axis."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.extend.core import DropVar

from dynsys.lanes.value import Value
from dynsys.lapack import batches_wait
from dynsys.products import in_a_loop, is_short
from dynsys.programs.equations import has_any
from dynsys.programs.evaluate import bind
from dynsys.programs.primitives import (
    COPIES,
    CUMULATIVE,
    ENTRYWISE,
    LIBRARIES,
    REDUCTIONS,
    TOTAL_ORDER,
)

if TYPE_CHECKING:
    from dynsys.lanes.interpreter import Interpreter

IDENTITIES = COPIES | {"nonbatchable", "stop_gradient"}
"""Primitives that change nothing when no derivative is taken."""

ACROSS_LANES: dict[str, Any] = {"unvmap_any": jnp.any, "unvmap_all": jnp.all}
"""Primitives of equinox that ask all members of a batch."""

AS_THEY_ARE = REDUCTIONS | CUMULATIVE | {"rev", "sort", "split", "squeeze", "stack"}
"""Primitives with axes in their parameters, which stay as they are with one more axis at
the end."""

Rule = Callable[["Interpreter", Any, Sequence[Value]], list[Any]]


def apply(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> list[Value]:
    """The results of an equation some of whose operands vary."""
    name, width = equation.primitive.name, outer.width
    if name in ACROSS_LANES:
        return [across(outer, name, values[0])]
    if name in WRITES:
        return [WRITES[name](outer, equation, values)]
    if name in ENTRYWISE or name in TOTAL_ORDER:
        shape = equation.outvars[0].aval.shape
        arrays = [value.like(shape, width) for value in values]
        results = equation.primitive.bind(*arrays, **equation.params)
    elif name in AS_THEY_ARE:
        arrays = [value.wide(width) for value in values]
        results = equation.primitive.bind(*arrays, **equation.params)
    elif name in RULES:
        results = RULES[name](outer, equation, values)
    else:
        results = mapped(equation, values)
    results = results if isinstance(results, list | tuple) else [results]
    return [Value(array, True) for array in results]


def mapped(equation: Any, values: Sequence[Value]) -> list[Any]:
    """Any primitive, by the rule that JAX has for batches.

    On a processor libraries are called for one lane after the other
    (`dynsys.programs.primitives.LIBRARIES`).
    """
    arrays = [value.array for value in values]
    axes = [-1 if value.varies else None for value in values]
    kept = [not isinstance(v, DropVar) for v in equation.outvars]

    def only(*member: Any) -> list[Any]:
        outputs = bind(equation, member)
        return [out for out, keep in zip(outputs, kept, strict=True) if keep]

    if batches_wait() and has_any(equation, LIBRARIES):
        first = [jnp.moveaxis(v.array, -1, 0) for v in values if v.varies]

        def one_lane(mine: list[Any]) -> list[Any]:
            rest = iter(mine)
            return only(*(next(rest) if v.varies else v.array for v in values))

        found = [jnp.moveaxis(out, 0, -1) for out in jax.lax.map(one_lane, first)]
    else:
        found = jax.vmap(only, axes, -1)(*arrays)
    rest = iter(found)
    return [next(rest) if keep else None for keep in kept]


def across(outer: "Interpreter", name: str, value: Value) -> Value:
    """The answer of all lanes that are not done."""
    fold = ACROSS_LANES[name]
    if outer.active is None:
        return Value(fold(value.array), False)
    where = jnp.broadcast_to(outer.active, value.array.shape)
    return Value(fold(value.array, where=where), False)


def broadcast(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """Along new axes, and along those of length 1."""
    params = equation.params
    shape, axes = params["shape"], params["broadcast_dimensions"]
    at = (*axes, len(shape))
    return jax.lax.broadcast_in_dim(values[0].array, (*shape, outer.width), at)


def reshape(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """Into another shape."""
    shape = (*equation.params["new_sizes"], outer.width)
    return jax.lax.reshape(values[0].array, shape)


def transpose(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """With the axes in another order."""
    del outer
    order = equation.params["permutation"]
    return jax.lax.transpose(values[0].array, (*order, len(order)))


def cut(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """A part with fixed ends."""
    params = equation.params
    starts, stops = params["start_indices"], params["limit_indices"]
    strides = None if params["strides"] is None else (*params["strides"], 1)
    ends = (*stops, outer.width)
    return jax.lax.slice(values[0].array, (*starts, 0), ends, strides)


def concatenate(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """Arrays one after the other."""
    arrays = [value.wide(outer.width) for value in values]
    return jax.lax.concatenate(arrays, equation.params["dimension"])


def pad(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """With a filling around and between the entries."""
    if values[1].varies:
        return mapped(equation, values)
    room = (*equation.params["padding_config"], (0, 0, 0))
    return jax.lax.pad(values[0].wide(outer.width), values[1].array, room)


def dynamic_slice(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """A part of an array."""
    array, *starts = values
    if any(start.varies for start in starts):
        return mapped(equation, values)
    sizes = (*equation.params["slice_sizes"], outer.width)
    return jax.lax.dynamic_slice(array.array, _places(starts), sizes)


def product(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Any:
    """Sums of products, in a loop over their terms if these are few."""
    if not is_short(equation):
        return mapped(equation, values)
    arrays = [value.array for value in values]
    width = outer.width
    return in_a_loop(equation, arrays, [value.varies for value in values], width)


def dynamic_update_slice(
    outer: "Interpreter", equation: Any, values: Sequence[Value]
) -> Value:
    """An array with a part of it replaced."""
    del equation
    array, part, *starts = values
    if any(start.varies for start in starts):
        return written(outer, values, _part)
    whole, new = (value.wide(outer.width) for value in (array, part))
    return Value(jax.lax.dynamic_update_slice(whole, new, _places(starts)), True)


def scatter(outer: "Interpreter", equation: Any, values: Sequence[Value]) -> Value:
    """An array with entries replaced."""
    array, indices, updates = values
    is_plain = len(indices.shape) == 2 and len(updates.shape) == 1
    drops = equation.params["mode"] == jax.lax.GatherScatterMode.FILL_OR_DROP
    if len(array.shape) == 1 and is_plain and drops:
        return written(outer, values, _points)
    (result,) = mapped(equation, values)
    return Value(result, True)


def written(
    outer: "Interpreter", values: Sequence[Value], writes: Callable[..., Any]
) -> Value:
    """An array with parts of it replaced, one lane after the other.

    What XLA makes of it for all lanes at once, a scatter, cannot be part of a kernel.
    """
    width, active = outer.width, outer.active
    whole, *rest = [value.wide(width) for value in values]

    def put(lane: Any, array: Any) -> Any:
        mine = [jax.lax.dynamic_index_in_dim(a, lane, a.ndim - 1, False) for a in rest]
        allowed = True if active is None else active[lane]
        for place, part, is_inside in writes(array.shape[:-1], *mine):
            at = [*place, lane.astype(place[0].dtype)]
            old = jax.lax.dynamic_slice(array, at, (*part.shape, 1))
            new = jnp.where(allowed & is_inside, part[..., None], old)
            array = jax.lax.dynamic_update_slice(array, new, at)
        return array

    place = None if active is None else values[0].place
    return Value(jax.lax.fori_loop(0, width, put, whole), True, place)


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


def _places(starts: Sequence[Value]) -> list[Any]:
    """Where a part starts, with the lanes."""
    places = [start.array for start in starts]
    return [*places, jnp.zeros((), jnp.asarray(places[0]).dtype)]


RULES: dict[str, Rule] = {
    "broadcast_in_dim": broadcast,
    "concatenate": concatenate,
    "dot_general": product,
    "dynamic_slice": dynamic_slice,
    "pad": pad,
    "reshape": reshape,
    "slice": cut,
    "transpose": transpose,
}

WRITES: dict[str, Callable[..., Value]] = {
    "dynamic_update_slice": dynamic_update_slice,
    "scatter": scatter,
}
"""Primitives of which only a part of the result is new."""
