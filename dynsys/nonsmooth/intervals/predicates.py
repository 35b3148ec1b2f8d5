"""Bounds of predicates and maxima, of selections and of conversions between types.

Those of a predicate are 0 and 1 where it is not known.
"""

import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.intervals.bounds import TINY, Interval, Rule, as_floats, hull


def maximum(_: Any, a: Interval, b: Interval) -> Interval:
    """Bounds of a maximum."""
    return Interval(np.maximum(a.low, b.low), np.maximum(a.high, b.high))


def minimum(_: Any, a: Interval, b: Interval) -> Interval:
    """Bounds of a minimum."""
    return Interval(np.minimum(a.low, b.low), np.minimum(a.high, b.high))


def _compared(is_less: Callable[[Any, Any], Any], turned: bool) -> Rule:
    """A comparison: 1 where it is surely true, 0 where it is surely false."""
    is_not = operator.le if is_less is operator.lt else operator.lt

    def rule(_: Any, a: Interval, b: Interval) -> Interval:
        a, b = (b, a) if turned else (a, b)
        return Interval(is_less(a.high, b.low), ~is_not(b.high, a.low))

    return as_floats(rule)


def _equal(equation: Any, a: Interval, b: Interval) -> Interval:
    apart = (a.high < b.low) | (b.high < a.low)
    same = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
    same |= equation.invars[0] is equation.invars[1]
    if equation.primitive.name == "eq":
        return Interval(same, ~apart)
    return Interval(apart, ~same)


def _not(equation: Any, a: Interval) -> Interval | None:
    return Interval(1 - a.high, 1 - a.low) if _is_logic(equation) else None


def _logic(of: Callable[..., Interval]) -> Rule:
    rule = lambda equation, a, b: of(None, a, b) if _is_logic(equation) else None
    return as_floats(rule)


def _is_logic(equation: Any) -> bool:
    return equation.outvars[0].aval.dtype.kind == "b"


def _selected(_: Any, which: Interval, *cases: Interval) -> Interval:
    """The hull of the cases that are possible."""
    found = Interval(np.asarray(np.inf), np.asarray(-np.inf))
    for case, (low, high) in enumerate(cases):
        possible = (which.low <= case) & (which.high >= case)
        part = Interval(np.where(possible, low, np.inf), np.where(possible, high, -np.inf))
        found = hull(found, part)
    return found


def _converted(equation: Any, a: Interval) -> Interval | None:
    old, new = equation.invars[0].aval.dtype, np.dtype(equation.params["new_dtype"])
    if new.kind == "b":
        return Interval((a.low > 0) | (a.high < 0), (a.low != 0) | (a.high != 0))
    if np.can_cast(old, new):
        return a
    if new.kind in "iu":
        return _whole(Interval(np.trunc(a.low), np.trunc(a.high)), np.iinfo(new))
    return _rounded_to(new, a) if jnp.issubdtype(new, jnp.floating) else a


def _whole(a: Interval, info: Any) -> Interval | None:
    """Bounds of whole numbers; what a type does not hold may become any other number."""
    fits = np.all((a.low >= info.min) & (a.high <= info.max))
    return a if fits else None


def _rounded_to(new: np.dtype, a: Interval) -> Interval:
    """Bounds of what is rounded to a narrower type of floats; its sign is kept."""
    info = jnp.finfo(new)
    eps, least, most = (float(v) for v in (info.eps, info.smallest_subnormal, info.max))
    low = a.low - eps * np.abs(a.low) - least
    high = a.high + eps * np.abs(a.high) + least
    low = np.where(a.low >= 0, np.maximum(low, np.where(a.low > 0, TINY, 0)), low)
    high = np.where(a.high <= 0, np.minimum(high, np.where(a.high < 0, -TINY, 0)), high)
    low, high = np.where(low < -most, -np.inf, low), np.where(high > most, np.inf, high)
    return Interval(np.minimum(low, most), np.maximum(high, -most))


PREDICATE_RULES: dict[str, Rule] = {
    "and": _logic(minimum),
    "convert_element_type": as_floats(_converted),
    "eq": as_floats(_equal),
    "ge": _compared(operator.le, True),
    "gt": _compared(operator.lt, True),
    "le": _compared(operator.le, False),
    "lt": _compared(operator.lt, False),
    "max": as_floats(maximum),
    "min": as_floats(minimum),
    "ne": as_floats(_equal),
    "not": as_floats(_not),
    "or": _logic(maximum),
    "select_n": as_floats(_selected),
}
