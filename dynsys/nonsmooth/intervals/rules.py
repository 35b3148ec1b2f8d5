"""Bounds of functions, entry by entry, and the rules of all primitives."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynsys.nonsmooth.intervals.bounds import TINY, Interval, Rule, as_floats, point
from dynsys.nonsmooth.intervals.moves import MOVE_RULES
from dynsys.nonsmooth.intervals.predicates import PREDICATE_RULES, maximum, minimum
from dynsys.nonsmooth.intervals.sums import SUM_RULES, product, step_out, total

BELOW_ONE = float(np.nextafter(1, 0))
ROUNDING = 8 * np.finfo(float).eps
"""Relative error of an elementary function in NumPy, with room."""


def _rising(
    function: Callable[[Any], Any], least: float = -np.inf, most: float = np.inf
) -> Rule:
    """A function that rises, with values from `least` to `most` and, at 0, its own sign."""

    def rule(_: Any, a: Interval) -> Interval:
        low, high = function(a.low), function(a.high)
        low = np.where(np.isnan(low), least, low)
        high = np.where(np.isnan(high), most, high)
        low, high = low - ROUNDING * np.abs(low), high + ROUNDING * np.abs(high)
        return Interval(np.clip(low, least, most), np.clip(high, least, most))

    return as_floats(rule)


def _exponential(function: Callable[[Any], Any]) -> Rule:
    """Positive, but for the exponential of minus infinity, which masks use."""
    rising = _rising(function, TINY)

    def rule(equation: Any, operands: Sequence[Interval]) -> Interval:
        low, high = rising(equation, operands)
        return Interval(np.where(np.isneginf(operands[0].high), 0, low), high)

    return rule


def _within(low: float, high: float) -> Rule:
    return lambda *_: Interval(np.asarray(low), np.asarray(high))


def _neg(_: Any, a: Interval) -> Interval:
    return Interval(-a.high, -a.low)


def _abs(_: Any, a: Interval) -> Interval:
    ends = np.abs(a.low), np.abs(a.high)
    inside = (a.low <= 0) & (a.high >= 0)
    return Interval(np.where(inside, 0, np.minimum(*ends)), np.maximum(*ends))


def _sign(_: Any, a: Interval) -> Interval:
    return Interval(np.sign(a.low), np.sign(a.high))


def _add(_: Any, a: Interval, b: Interval) -> Interval:
    return total(a, b)


def _sub(equation: Any, a: Interval, b: Interval) -> Interval:
    if equation.invars[0] is equation.invars[1]:
        return point(np.zeros(()))
    return total(a, _neg(None, b))


def _mul(equation: Any, a: Interval, b: Interval) -> Interval:
    if equation.invars[0] is equation.invars[1]:
        return power(a, 2)
    return product(a, b)


def power(a: Interval, n: int) -> Interval:
    """The bounds of an integer power."""
    if n < 0:
        return inverse(power(a, -n))
    if n == 0:
        return point(np.ones(()))
    base = _abs(None, a) if n % 2 == 0 else a
    low, high = base.low**n, base.high**n
    low, high = low - n * ROUNDING * np.abs(low), high + n * ROUNDING * np.abs(high)
    # What underflows keeps its sign.
    low = np.where(base.low > 0, np.maximum(low, TINY), low)
    return Interval(low, np.where(base.high < 0, np.minimum(high, -TINY), high))


def inverse(a: Interval) -> Interval:
    """The bounds of a reciprocal: those of one sign only."""
    low, high = step_out(1 / a.high, -1), step_out(1 / a.low, 1)
    positive, negative = a.low >= 0, a.high <= 0
    low = np.where(positive, np.maximum(low, TINY), np.where(a.high < 0, low, -np.inf))
    high = np.where(negative, np.minimum(high, -TINY), np.where(a.low > 0, high, np.inf))
    return Interval(low, high)


def _div(equation: Any, a: Interval, b: Interval) -> Interval | None:
    if equation.outvars[0].aval.dtype.kind != "f":
        return point(np.trunc(a.low / b.low)) if a.is_point and b.is_point else None
    return product(a, inverse(b))


def _pow(_: Any, a: Interval, b: Interval) -> Interval | None:
    if not b.is_point:
        return (
            Interval(np.where(a.low > 0, TINY, 0), np.inf) if np.all(a.low >= 0) else None
        )
    whole = np.unique(b.low)
    if whole.size == 1 and whole[0] == np.round(whole[0]) and abs(whole[0]) < 64:
        return power(a, int(whole[0]))
    ends = [np.abs(np.maximum(end, 0)) ** b.low for end in a]
    low, high = np.minimum(*ends), np.maximum(*ends)
    low, high = low * (1 - 1e-12), high * (1 + 1e-12)
    return Interval(np.where(a.low > 0, np.maximum(low, TINY), low), high)


def _rsqrt(_: Any, a: Interval) -> Interval:
    low, high = step_out(1 / np.sqrt(a.high), -4), step_out(1 / np.sqrt(a.low), 4)
    return Interval(np.where(np.isnan(low), 0, np.maximum(low, TINY)), high)


def _clamp(_: Any, low: Interval, x: Interval, high: Interval) -> Interval:
    return minimum(None, maximum(None, x, low), high)


def _cumulated(extreme: np.ufunc) -> Rule:
    def rule(equation: Any, a: Interval) -> Interval:
        axis, turn = equation.params["axis"], equation.params["reverse"]
        flip = lambda v: np.flip(v, axis) if turn else v
        ends = (flip(extreme.accumulate(flip(end), axis=axis)) for end in a)
        return Interval(*ends)

    return as_floats(rule)


def _extreme(extreme: Callable[..., Any]) -> Rule:
    return as_floats(
        lambda equation, a: Interval(
            *(extreme(end, axis=equation.params["axes"]) for end in a)
        )
    )


def _same(_: Any, a: Interval) -> Interval:
    return a


RULES: dict[str, Rule] = {
    **SUM_RULES,
    **MOVE_RULES,
    **PREDICATE_RULES,
    "abs": as_floats(_abs),
    "add": as_floats(_add),
    "add_any": as_floats(_add),
    "acos": _within(0.0, np.pi + 1e-15),
    "acosh": _rising(np.arccosh, 0.0),
    "asin": _rising(np.arcsin, -np.pi / 2 - 1e-15, np.pi / 2 + 1e-15),
    "asinh": _rising(np.arcsinh),
    "atan": _rising(np.arctan, -np.pi / 2, np.pi / 2),
    "atanh": _rising(np.arctanh),
    "cbrt": _rising(np.cbrt),
    "clamp": as_floats(_clamp),
    "copy": as_floats(_same),
    "copy_p": as_floats(_same),
    "cos": _within(-1.0, 1.0),
    "cosh": _within(1.0, np.inf),
    "cummax": _cumulated(np.maximum),
    "cummin": _cumulated(np.minimum),
    "div": as_floats(_div),
    "erf": _within(-BELOW_ONE, BELOW_ONE),
    "erfc": _within(TINY, 2.0),
    "exp": _exponential(np.exp),
    "exp2": _exponential(np.exp2),
    "expm1": _rising(np.expm1, -1.0),
    "integer_pow": as_floats(lambda equation, a: power(a, equation.params["y"])),
    "log": _rising(np.log),
    "log1p": _rising(np.log1p),
    "logistic": _rising(lambda a: 1 / (1 + np.exp(-a)), TINY, BELOW_ONE),
    "mul": as_floats(_mul),
    "neg": as_floats(_neg),
    "pow": as_floats(_pow),
    "reduce_max": _extreme(np.max),
    "reduce_min": _extreme(np.min),
    "reduce_precision": as_floats(_same),
    "rsqrt": as_floats(_rsqrt),
    "sign": as_floats(_sign),
    "sin": _within(-1.0, 1.0),
    "sinh": _rising(np.sinh),
    "sqrt": _rising(lambda a: np.sqrt(np.maximum(a, 0)), 0.0),
    "square": as_floats(lambda _, a: power(a, 2)),
    "stop_gradient": as_floats(_same),
    "sub": as_floats(_sub),
    "tanh": _rising(np.tanh, -BELOW_ONE, BELOW_ONE),
}
"""What is known of each primitive."""
