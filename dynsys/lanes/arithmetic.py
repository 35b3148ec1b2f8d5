"""Arithmetic on small arrays, entry by entry."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.equations import CHEAP
from dynsys.lanes.graph import Ref, fill, known, one_of
from dynsys.lanes.value import Entries, Value

IDENTITIES = frozenset(
    {"copy", "copy_p", "nonbatchable", "optimization_barrier", "stop_gradient"}
)
"""Primitives that change nothing when no derivative is taken."""

ON_NUMBERS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "and": np.bitwise_and,
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "not": np.invert,
    "or": np.bitwise_or,
    "sub": np.subtract,
}
"""What is worked out before anything is compiled: indices, mostly."""

NEUTRAL = {"add": 0, "add_any": 0, "mul": 1}
"""Operands that change nothing."""

LARGEST_PRODUCT = 512
"""Multiplications of a product of arrays that are written out."""


class Writer:
    """Writes arithmetic down, the same only once.

    Args:
        width: Number of lanes.
    """

    def __init__(self, width: int):
        self.width = width
        self._written: dict[Any, Ref] = {}

    def apply(self, primitive: Any, params: Any, refs: Sequence[Ref]) -> Ref:
        """One primitive of numbers."""
        name = primitive.name
        simple = _simplified(name, params, refs)
        if simple is not None:
            return simple
        key: Any = (name, tuple(map(_identity, refs)), _fixed(params))
        if key in self._written:
            return self._written[key]
        width = self.width

        def make(values: list[Any]) -> Any:
            if any(jnp.ndim(value) for value in values):
                values = [fill(value, width) for value in values]
            return primitive.bind(*values, **params)

        result = one_of(make, refs, is_cheap=name in CHEAP)
        self._written[key] = result
        return result

    def lax(self, function: Callable[..., Any], *refs: Ref) -> Ref:
        """A binary function of `jax.lax` that is one primitive, or a selection."""
        primitive = {
            jax.lax.add: jax.lax.add_p,
            jax.lax.mul: jax.lax.mul_p,
            jax.lax.max: jax.lax.max_p,
            jax.lax.min: jax.lax.min_p,
            jax.lax.bitwise_and: jax.lax.and_p,
            jax.lax.bitwise_or: jax.lax.or_p,
            jax.lax.gt: jax.lax.gt_p,
            jax.lax.lt: jax.lax.lt_p,
            jax.lax.eq: jax.lax.eq_p,
            jax.lax.select_n: jax.lax.select_n_p,
        }[function]
        return self.apply(primitive, {}, refs)

    def select(self, condition: Ref, where_true: Ref, where_false: Ref) -> Ref:
        """One of two numbers."""
        if where_true is where_false:
            return where_true
        return self.lax(jax.lax.select_n, condition, where_false, where_true)


def _identity(ref: Ref) -> Any:
    constant = ref.constant
    if constant is not None:
        return (str(constant.dtype), constant.tobytes())
    return (id(ref.operation) if ref.operation is not None else id(ref), ref.index)


def _fixed(params: Any) -> Any:
    return tuple(sorted((name, str(value)) for name, value in params.items()))


def _simplified(name: str, params: Any, refs: Sequence[Ref]) -> Ref | None:
    """What needs no operation."""
    constants = [ref.constant for ref in refs]
    if name in ON_NUMBERS and all(c is not None for c in constants):
        with np.errstate(all="ignore"):
            number = ON_NUMBERS[name](*constants)
        return known(np.asarray(number, _result_type(name, constants)), varies=False)
    if name == "select_n" and constants[0] is not None:
        return refs[1 + int(constants[0])]
    if name == "convert_element_type" and constants[0] is not None:
        return known(np.asarray(constants[0], params["new_dtype"]), varies=False)
    neutral = NEUTRAL.get(name)
    for constant, other in zip(constants, reversed(refs), strict=False):
        if neutral is not None and constant is not None and constant == neutral:
            return other
    return None


def _result_type(name: str, constants: Sequence[Any]) -> Any:
    is_test = name in ("eq", "ge", "gt", "le", "lt", "ne")
    return bool if is_test else constants[0].dtype


def entrywise(writer: Writer, equation: Any, values: Sequence[Value]) -> Value:
    """A primitive that acts on each entry alone."""
    out = equation.outvars[0].aval
    entries = np.empty(out.shape, object)
    operands: list[Entries] = [
        np.broadcast_to(value.entries(), out.shape) for value in values
    ]
    for index in np.ndindex(out.shape):
        refs = [array[index] for array in operands]
        entries[index] = writer.apply(equation.primitive, equation.params, refs)
    return Value.of_entries(entries, out.dtype)


FOLDS: dict[str, Any] = {
    "reduce_sum": jax.lax.add,
    "reduce_prod": jax.lax.mul,
    "reduce_max": jax.lax.max,
    "reduce_min": jax.lax.min,
    "reduce_and": jax.lax.bitwise_and,
    "reduce_or": jax.lax.bitwise_or,
}
RUNS: dict[str, Any] = {
    "cumsum": jax.lax.add,
    "cumprod": jax.lax.mul,
    "cummax": jax.lax.max,
    "cummin": jax.lax.min,
}


def fold(writer: Writer, equation: Any, values: Sequence[Value]) -> Value | None:
    """A sum, a maximum or the like over some axes."""
    out, params = equation.outvars[0].aval, equation.params
    entries = values[0].entries()
    if not entries.size:
        return None
    axes = tuple(params["axes"])
    rest = tuple(i for i in range(entries.ndim) if i not in axes)
    rows = entries.transpose(*axes, *rest).reshape(-1, *out.shape)
    step = functools.partial(writer.lax, FOLDS[equation.primitive.name])
    result = np.empty(out.shape, object)
    for index in np.ndindex(out.shape):
        result[index] = functools.reduce(step, rows[(slice(None), *index)])
    return Value.of_entries(result, out.dtype)


def run(writer: Writer, equation: Any, values: Sequence[Value]) -> Value:
    """A sum, a maximum or the like of all entries so far."""
    out, params = equation.outvars[0].aval, equation.params
    entries = np.moveaxis(values[0].entries(), params["axis"], 0)
    result = entries.copy()
    order = list(range(len(entries)))
    order = order[::-1] if params["reverse"] else order
    operation = RUNS[equation.primitive.name]
    for before, now in itertools.pairwise(order):
        for index in np.ndindex(entries.shape[1:]):
            pair = (result[(before, *index)], entries[(now, *index)])
            result[(now, *index)] = writer.lax(operation, *pair)
    return Value.of_entries(np.moveaxis(result, 0, params["axis"]), out.dtype)


def extremum(writer: Writer, equation: Any, values: Sequence[Value]) -> Value:
    """The index of the largest or smallest entry, the first of several."""
    out, params = equation.outvars[0].aval, equation.params
    entries = np.moveaxis(values[0].entries(), params["axes"][0], 0)
    is_max = equation.primitive.name == "argmax"
    result = np.empty(out.shape, object)
    for index in np.ndindex(out.shape):
        column = entries[(slice(None), *index)]
        best, where = column[0], known(np.asarray(0, out.dtype), varies=False)
        for i, entry in enumerate(column[1:], 1):
            better = _is_better(writer, entry, best, is_max, values[0].dtype)
            here = known(np.asarray(i, out.dtype), varies=False)
            best, where = (
                writer.select(better, entry, best),
                writer.select(better, here, where),
            )
        result[index] = where
    return Value.of_entries(result, out.dtype)


def _is_better(writer: Writer, new: Ref, old: Ref, is_max: bool, dtype: Any) -> Ref:
    if jnp.issubdtype(dtype, jnp.bool_):
        pair = (new, old) if is_max else (old, new)
        return writer.lax(
            jax.lax.bitwise_and, pair[0], writer.apply(jax.lax.not_p, {}, [pair[1]])
        )
    better = writer.lax(jax.lax.gt if is_max else jax.lax.lt, new, old)
    if not jnp.issubdtype(dtype, jnp.floating):
        return better
    # What is not a number counts as the extremum, the first of several.
    is_sound = lambda ref: writer.lax(jax.lax.eq, ref, ref)
    new_is_nan = writer.apply(jax.lax.not_p, {}, [is_sound(new)])
    better = writer.lax(jax.lax.bitwise_or, better, new_is_nan)
    return writer.lax(jax.lax.bitwise_and, better, is_sound(old))


def product(writer: Writer, equation: Any, values: Sequence[Value]) -> Value | None:
    """A product of arrays, written out if it is small."""
    out, params = equation.outvars[0].aval, equation.params
    (left_sum, right_sum), (left_batch, right_batch) = params["dimension_numbers"]
    left, right = values[0], values[1]
    length = int(np.prod([left.shape[i] for i in left_sum], dtype=int))
    size = int(np.prod(out.shape, dtype=int)) * length
    if size > LARGEST_PRODUCT or not length or {left.dtype, right.dtype} != {out.dtype}:
        return None
    a = _sorted_axes(left, left_batch, left_sum)
    b = _sorted_axes(right, right_batch, right_sum)
    multiply = functools.partial(writer.lax, jax.lax.mul)
    add = functools.partial(writer.lax, jax.lax.add)
    result = np.empty((len(a), a.shape[1], b.shape[1]), object)
    for batch, i, j in np.ndindex(result.shape):
        pairs = zip(a[batch, i], b[batch, j], strict=True)
        result[batch, i, j] = functools.reduce(add, [multiply(x, y) for x, y in pairs])
    return Value.of_entries(result.reshape(out.shape), out.dtype)


def _sorted_axes(value: Value, batch: Sequence[int], summed: Sequence[int]) -> Entries:
    """Entries with three axes: the batch, what is free, and what is summed over."""
    entries = value.entries()
    free = [i for i in range(entries.ndim) if i not in (*batch, *summed)]
    sizes = [
        int(np.prod([entries.shape[i] for i in axes], dtype=int))
        for axes in (batch, free, summed)
    ]
    return entries.transpose(*batch, *free, *summed).reshape(sizes)
