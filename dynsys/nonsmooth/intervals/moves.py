"""Bounds of entries that go elsewhere."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dynsys.nonsmooth.intervals.bounds import Interval, Rule, hull, point


def _moved(move: Callable[..., Any]) -> Rule:
    """The same move of lower and of upper bounds."""

    def rule(equation: Any, operands: Sequence[Interval]) -> Interval:
        if all(o.is_point for o in operands):
            return point(move(equation, *(np.asarray(o.low) for o in operands)))
        ends = ([np.asarray(o[end]) for o in operands] for end in (0, 1))
        return Interval(*(move(equation, *values) for values in ends))

    return rule


def _broadcast(equation: Any, a: Any) -> Any:
    shape, axes = equation.params["shape"], equation.params["broadcast_dimensions"]
    full = [1] * len(shape)
    for axis, size in zip(axes, a.shape, strict=True):
        full[axis] = size
    return np.broadcast_to(a.reshape(full), shape)


def _reshape(equation: Any, a: Any) -> Any:
    return a.reshape(equation.outvars[0].aval.shape)


def _transpose(equation: Any, a: Any) -> Any:
    return a.transpose(equation.params["permutation"])


def _slice(equation: Any, a: Any) -> Any:
    params = equation.params
    steps = params["strides"] or (1,) * a.ndim
    spans = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    return a[tuple(slice(*span) for span in spans)]


def _concatenate(equation: Any, *arrays: Any) -> Any:
    arrays = tuple(np.asarray(a, float) for a in arrays)
    return np.concatenate(arrays, axis=equation.params["dimension"])


def _rev(equation: Any, a: Any) -> Any:
    return np.flip(a, equation.params["dimensions"])


def _pad(equation: Any, a: Any, filling: Any) -> Any:
    config = equation.params["padding_config"]
    shape = equation.outvars[0].aval.shape
    out = np.full(shape, np.asarray(filling, float))
    if any(low < 0 or high < 0 for low, high, _ in config):
        return np.full(shape, np.nan)
    where = tuple(
        slice(low, low + size + max(size - 1, 0) * inner, inner + 1)
        for (low, _, inner), size in zip(config, a.shape, strict=True)
    )
    out[where] = a
    return out


def _dynamic_slice(equation: Any, operands: Sequence[Interval]) -> Interval:
    a, *starts = operands
    sizes = equation.params["slice_sizes"]
    if not all(s.is_point for s in starts):
        return _spread(a)
    where = _span(np.shape(a.low), sizes, starts)
    return Interval(*(np.asarray(end)[where] for end in a))


def _dynamic_update_slice(equation: Any, operands: Sequence[Interval]) -> Interval:
    del equation
    a, update, *starts = operands
    if not all(s.is_point for s in starts):
        return hull(a, _spread(update))
    where = _span(np.shape(a.low), np.shape(update.low), starts)
    ends = []
    for end, new in zip(a, update, strict=True):
        out = np.array(end, float)
        out[where] = new
        ends.append(out)
    return Interval(*ends)


def _span(
    shape: Sequence[int], sizes: Sequence[int], starts: Sequence[Interval]
) -> tuple[slice, ...]:
    """A window, moved inside as JAX does it."""
    at = [
        int(np.clip(int(s.low), 0, size - length))
        for s, size, length in zip(starts, shape, sizes, strict=True)
    ]
    return tuple(slice(i, i + length) for i, length in zip(at, sizes, strict=True))


def _gather(equation: Any, operands: Sequence[Interval]) -> Interval:
    a, indices = operands
    if not indices.is_point or "FILL" in str(equation.params["mode"]):
        return _spread(a, outside="FILL" in str(equation.params["mode"]))
    # JAX says which entry goes where.
    numbers = np.arange(np.size(a.low), dtype=np.int32).reshape(np.shape(a.low))
    where = np.asarray(indices.low).astype(equation.invars[1].aval.dtype)
    params = dict(equation.params, fill_value=None)
    with jax.ensure_compile_time_eval():
        from_ = np.asarray(equation.primitive.bind(numbers, where, **params))
    return Interval(*(np.asarray(end, float).reshape(-1)[from_] for end in a))


def _scatter(equation: Any, operands: Sequence[Interval]) -> Interval:
    """Entries stay, or are replaced by new ones."""
    del equation
    return hull(operands[0], _spread(operands[2]))


def _spread(a: Interval, outside: bool = False) -> Interval:
    """The bounds of any entry, wherever it goes."""
    if outside or not np.size(a.low):
        return Interval(np.asarray(-np.inf), np.asarray(np.inf))
    return Interval(np.min(a.low), np.max(a.high))


def _iota(equation: Any, operands: Sequence[Interval]) -> Interval:
    del operands
    shape, axis = equation.params["shape"], equation.params["dimension"]
    line = np.arange(shape[axis], dtype=float)
    full = [1] * len(shape)
    full[axis] = shape[axis]
    return point(np.broadcast_to(line.reshape(full), shape))


MOVE_RULES: dict[str, Rule] = {
    "broadcast_in_dim": _moved(_broadcast),
    "concatenate": _moved(_concatenate),
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "iota": _iota,
    "pad": _moved(_pad),
    "reshape": _moved(_reshape),
    "rev": _moved(_rev),
    "scatter": _scatter,
    "slice": _moved(_slice),
    "squeeze": _moved(_reshape),
    "transpose": _moved(_transpose),
}
