"""Bounds of sums and products."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dynsys.nonsmooth.intervals.bounds import TINY, Interval, Rule

EPS = np.finfo(float).eps


def step_out(value: Any, steps: int) -> Any:
    """A bound so many roundings further down or up; 0 is exact."""
    moved = value + steps * EPS * np.abs(value)
    return np.where(np.isfinite(value), moved, value)


def total(a: Interval, b: Interval) -> Interval:
    """The bounds of a sum."""
    low, high = a.low + b.low, a.high + b.high
    # A sum with 0, or of opposite numbers, is exact.
    is_exact = lambda u, v: (u == 0) | (v == 0)
    low = np.where(is_exact(a.low, b.low), low, step_out(low, -1))
    high = np.where(is_exact(a.high, b.high), high, step_out(high, 1))
    return Interval(low, high)


def product(a: Interval, b: Interval) -> Interval:
    """The bounds of a product. What is unbounded is finite, so 0 times it is 0."""
    times = lambda u, v: np.where((u == 0) | (v == 0), 0.0, u * v)
    ends = [times(u, v) for u in a for v in b]
    low = step_out(np.minimum.reduce(np.broadcast_arrays(*ends)), -1)
    high = step_out(np.maximum.reduce(np.broadcast_arrays(*ends)), 1)
    same = ((a.low > 0) & (b.low > 0)) | ((a.high < 0) & (b.high < 0))
    opposite = ((a.low > 0) & (b.high < 0)) | ((a.high < 0) & (b.low > 0))
    # What underflows keeps its sign.
    low = np.where(same, np.maximum(low, TINY), low)
    return Interval(low, np.where(opposite, np.minimum(high, -TINY), high))


def _floats(a: Interval) -> Interval:
    return Interval(np.asarray(a.low, float), np.asarray(a.high, float))


def _reduce_sum(equation: Any, operands: Sequence[Interval]) -> Interval:
    low, high = _floats(operands[0])
    axes = equation.params["axes"]
    count = int(np.prod([low.shape[i] for i in axes], dtype=int))
    return _summed(low, high, lambda v: np.sum(v, axis=axes), count)


def _cumsum(equation: Any, operands: Sequence[Interval]) -> Interval:
    low, high = _floats(operands[0])
    axis, turn = equation.params["axis"], equation.params["reverse"]
    flip = lambda v: np.flip(v, axis) if turn else v
    add = lambda v: flip(np.cumsum(flip(v), axis=axis))
    return _summed(low, high, add, low.shape[axis])


def _summed(low: Any, high: Any, add: Any, count: int) -> Interval:
    """The bounds of sums of `count` terms, with their rounding errors."""
    room = count * EPS
    below = add(low) - room * np.nan_to_num(add(np.abs(low)), posinf=0)
    above = add(high) + room * np.nan_to_num(add(np.abs(high)), posinf=0)
    # Sums of what is not negative are not, whatever is rounded.
    fine, some = add((low < 0).astype(int)) == 0, add((low > 0).astype(int)) > 0
    below = np.where(fine, np.maximum(below, np.where(some, TINY, 0)), below)
    fine, some = add((high > 0).astype(int)) == 0, add((high < 0).astype(int)) > 0
    return Interval(
        below, np.where(fine, np.minimum(above, np.where(some, -TINY, 0)), above)
    )


def _reduce_prod(equation: Any, operands: Sequence[Interval]) -> Interval | None:
    low = np.asarray(operands[0].low)
    axes = equation.params["axes"]
    if not np.all(low >= 0):
        return None
    return Interval(np.where(np.all(low > 0, axis=axes), TINY, 0), np.inf)


def _dot_general(equation: Any, operands: Sequence[Interval]) -> Interval | None:
    a, b = operands
    if _is_sum_of_squares(equation):
        high = np.full(equation.outvars[0].aval.shape, np.inf)
        return Interval(np.zeros_like(high), high)
    if a.is_unbounded or b.is_unbounded:
        return None
    ends = _floats(a), _floats(b)
    # Centre and radius of each, if they are finite; signs otherwise.
    if all(np.isfinite(end).all() for interval in ends for end in interval):
        return _dot_finite(equation, *ends)
    return _dot_of_signs(equation, *ends)


def _is_sum_of_squares(equation: Any) -> bool:
    """Whether each entry is a sum of squares: the same entries on both sides."""
    (a, b), (contracted, batch) = equation.invars, equation.params["dimension_numbers"]
    paired = tuple(contracted[0]) == tuple(contracted[1]) and tuple(batch[0]) == tuple(
        batch[1]
    )
    return a is b and paired and len(contracted[0]) + len(batch[0]) == len(a.aval.shape)


def _dot_finite(equation: Any, a: Interval, b: Interval) -> Interval:
    dot = lambda u, v: dot_general(u, v, equation.params["dimension_numbers"])
    contracted = equation.params["dimension_numbers"][0][0]
    room = 8 * (np.prod([a.low.shape[i] for i in contracted]) + 8) * EPS
    if a.is_point and b.is_point:
        value = dot(a.low, b.low)
        error = room * dot(np.abs(a.low), np.abs(b.low))
        return Interval(value - error, value + error)
    (ca, ra), (cb, rb) = (((i.low + i.high) / 2, (i.high - i.low) / 2) for i in (a, b))
    size = dot(np.abs(ca) + ra, np.abs(cb) + rb)
    centre = dot(ca, cb)
    radius = size - dot(np.abs(ca), np.abs(cb)) + room * size
    found = Interval(centre - radius, centre + radius)
    signs = _dot_of_signs(equation, a, b)
    return Interval(np.maximum(found.low, signs.low), np.minimum(found.high, signs.high))


def _dot_of_signs(equation: Any, a: Interval, b: Interval) -> Interval:
    """What follows from the signs: sums of products that are not negative are not."""
    numbers = equation.params["dimension_numbers"]
    count = lambda u, v: dot_general(u.astype(float), v.astype(float), numbers)
    # Products that may be negative, and that may be positive.
    down = count(a.low < 0, b.high > 0) + count(a.high > 0, b.low < 0)
    up = count(a.high > 0, b.high > 0) + count(a.low < 0, b.low < 0)
    strictly = count(a.low > 0, b.low > 0) + count(a.high < 0, b.high < 0)
    strictly_not = count(a.low > 0, b.high < 0) + count(a.high < 0, b.low > 0)
    low = np.where(down > 0, -np.inf, np.where(strictly > 0, TINY, 0.0))
    high = np.where(up > 0, np.inf, np.where(strictly_not > 0, -TINY, 0.0))
    return Interval(low, high)


def dot_general(a: Any, b: Any, numbers: Any) -> Any:
    """What `jax.lax.dot_general` does, in NumPy."""
    (contracted_a, contracted_b), (batch_a, batch_b) = numbers
    names_a = list(range(a.ndim))
    names_b = list(range(a.ndim, a.ndim + b.ndim))
    pairs = zip((*contracted_a, *batch_a), (*contracted_b, *batch_b), strict=True)
    for i, j in pairs:
        names_b[j] = names_a[i]
    free_a = [i for i in range(a.ndim) if i not in (*contracted_a, *batch_a)]
    free_b = [names_b[j] for j in range(b.ndim) if j not in (*contracted_b, *batch_b)]
    return np.einsum(a, names_a, b, names_b, [*batch_a, *free_a, *free_b], optimize=True)


SUM_RULES: dict[str, Rule] = {
    "cumsum": _cumsum,
    "dot_general": _dot_general,
    "reduce_prod": _reduce_prod,
    "reduce_sum": _reduce_sum,
}
