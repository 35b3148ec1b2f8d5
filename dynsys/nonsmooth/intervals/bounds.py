"""Between which bounds the entries of a program stay, whatever the position is.

A lower bound of 5e-324 says positive, an upper one of -5e-324 negative. Bounds hold for
real numbers, rounded outwards; data that are traced may be anything.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from dynsys.checks import is_concrete
from dynsys.nonsmooth.flat_program.conditions import Condition
from dynsys.programs.evaluate import bind
from dynsys.programs.primitives import COMPARISONS

TINY = 5e-324


class Interval(NamedTuple):
    """Lower and upper bounds of each entry of an array."""

    low: Any
    high: Any

    @property
    def is_point(self) -> bool:
        """Whether both are the same."""
        return self.low is self.high or bool(np.all(self.low == self.high))

    @property
    def is_unbounded(self) -> bool:
        """Whether nothing is known."""
        return bool(np.all(np.isneginf(self.low)) and np.all(np.isposinf(self.high)))


Rule = Callable[[Any, Sequence[Interval]], Any]
"""From an equation and the bounds of its operands to those of its result."""


def point(value: Any) -> Interval:
    """The bounds of a known value."""
    return Interval(value, value)


def anything(shape: tuple[int, ...]) -> Interval:
    """The bounds of an unknown value."""
    return Interval(*(np.broadcast_to(end, shape) for end in (-np.inf, np.inf)))


def hull(a: Interval, b: Interval) -> Interval:
    """Bounds of the union of two intervals."""
    return Interval(np.minimum(a.low, b.low), np.maximum(a.high, b.high))


def meet(a: Interval, b: Interval) -> Interval:
    """The intersection of two intervals."""
    return Interval(np.maximum(a.low, b.low), np.minimum(a.high, b.high))


def as_floats(rule: Callable[..., Any]) -> Rule:
    """A rule of bounds that are 64-bit floats."""

    def on_equation(equation: Any, operands: Sequence[Interval]) -> Any:
        return rule(
            equation, *(Interval(*(np.asarray(e, float) for e in o)) for o in operands)
        )

    return on_equation


class Bounds:
    """The bounds of all variables of a program, computed where they are asked for.

    Args:
        jaxpr: A flat program.
        consts: What it closes over.
        rules: What is known of each primitive.
        arguments: Bounds of its arguments; anything if left out.
    """

    def __init__(
        self,
        jaxpr: Any,
        consts: Sequence[Any],
        rules: dict[str, Rule],
        arguments: Sequence[Interval] = (),
    ) -> None:
        self.rules = rules
        self.made = {v: equation for equation in jaxpr.eqns for v in equation.outvars}
        self.found = dict(zip(jaxpr.invars, arguments, strict=False))
        for v, value in zip(jaxpr.constvars, consts, strict=True):
            if is_concrete(value) and _is_real(v):
                self.found[v] = point(np.asarray(value))

    def of(self, v: Any) -> Interval:
        """The bounds of a variable or a constant."""
        waiting = [v]
        while waiting:
            equation = self._unknown(waiting[-1])
            missing = [] if equation is None else self._missing(equation)
            waiting.extend(missing)
            if not missing:
                waiting.pop()
                if equation is not None:
                    self.found |= self._apply(equation)
        return self._read(v)

    def _unknown(self, v: Any) -> Any:
        """The equation that must be looked at for a variable, if any."""
        if isinstance(v, Literal) or v in self.found:
            return None
        return self.made.get(v)

    def _missing(self, equation: Any) -> list[Any]:
        return [v for v in equation.invars if self._unknown(v) is not None]

    def _read(self, v: Any) -> Interval:
        if isinstance(v, Literal):
            return point(np.asarray(v.val)) if _is_real(v) else anything(shape_of(v))
        return self.found[v] if v in self.found else anything(v.aval.shape)

    def under(self, v: Any, conditions: Iterable[Condition]) -> Interval:
        """The bounds of a variable where some conditions hold; what they end at included.

        Args:
            v: A variable or a constant.
            conditions: Conditions for each entry of it.
        """
        found = self.of(v)
        for predicate, case in conditions:
            found = self._restricted(found, v, predicate, case)
        return found

    def _restricted(self, found: Interval, v: Any, predicate: Any, case: int) -> Interval:
        """Bounds of a variable if it is compared in a predicate that is true or false."""
        equation = self.made.get(predicate)
        if equation is None or predicate.aval.dtype.kind != "b":
            return found
        name, operands = equation.primitive.name, equation.invars
        if name == "not":
            return self._restricted(found, v, operands[0], 1 - case)
        if name == {0: "or", 1: "and"}[case]:
            for operand in operands:
                found = self._restricted(found, v, operand, case)
        if (
            name not in COMPARISONS
            or not any(v is o for o in operands)
            or shape_of(v) != shape_of(predicate)
        ):
            return found
        place = 0 if operands[0] is v else 1
        other = self.of(operands[1 - place])
        is_less = (name in ("lt", "le")) == bool(case)
        is_below = is_less == (place == 0)
        low, high = (-np.inf, other.high) if is_below else (other.low, np.inf)
        return meet(found, Interval(low, high))

    def _apply(self, equation: Any) -> dict[Any, Interval]:
        """The bounds of the results of an equation."""
        outputs, rule = equation.outvars, self.rules.get(equation.primitive.name)
        if rule is not None and len(outputs) == 1 and _is_real(outputs[0]):
            return {outputs[0]: self._ruled(equation, rule)}
        operands = [self._read(v) for v in equation.invars]
        if all(operand.is_point for operand in operands) and not equation.effects:
            return _computed(equation, operands)
        return {v: anything(shape_of(v)) for v in outputs}

    def _ruled(self, equation: Any, rule: Rule) -> Interval:
        shape = shape_of(equation.outvars[0])
        operands = [self._read(operand) for operand in equation.invars]
        if equation.primitive.name == "select_n":
            for case, operand in enumerate(equation.invars[1:]):
                condition = Condition(equation.invars[0], case)
                if not isinstance(operand, Literal):
                    operands[case + 1] = self.under(operand, [condition])
        with np.errstate(all="ignore"):
            result = rule(equation, operands)
        return anything(shape) if result is None else _filled(result, shape)


def _computed(equation: Any, operands: Sequence[Interval]) -> dict[Any, Interval]:
    """The results of an equation of data that are known."""
    pairs = zip(equation.invars, operands, strict=True)
    values = [np.asarray(o.low).astype(v.aval.dtype) for v, o in pairs]
    with jax.ensure_compile_time_eval():
        results = bind(equation, values)
    found = zip(equation.outvars, results, strict=True)
    return {
        v: point(np.asarray(r)) if r is not None and _is_real(v) else anything(shape_of(v))
        for v, r in found
    }


def _filled(result: Any, shape: tuple[int, ...]) -> Interval:
    """Bounds of a shape, with infinite ones in place of NaN."""
    low, high = (np.asarray(end, float) for end in result)
    same = result[0] is result[1]
    low = np.broadcast_to(np.where(np.isnan(low), -np.inf, low), shape)
    if same and not np.isneginf(low).any():
        return point(low)
    return Interval(low, np.broadcast_to(np.where(np.isnan(high), np.inf, high), shape))


def shape_of(v: Any) -> tuple[int, ...]:
    """The shape of a variable or a constant."""
    aval: Any = v.aval
    return aval.shape


def _is_real(v: Any) -> bool:
    """Whether a variable holds real numbers or truth values; a key holds neither."""
    dtype = v.aval.dtype
    return isinstance(dtype, np.dtype) and not jnp.issubdtype(dtype, jnp.complexfloating)


def passes(equation: Any, bounds: Bounds) -> int | None:
    """The operand that a switch is seen to be equal to everywhere, if any.

    Args:
        equation: An absolute value, a maximum or a minimum.
        bounds: The bounds of its operands.
    """
    name = equation.primitive.name
    if name == "abs":
        return 0 if np.all(bounds.of(equation.invars[0]).low >= 0) else None
    if name not in ("max", "min"):
        return None
    a, b = map(bounds.of, equation.invars)
    if np.all(a.low >= b.high):
        return 0 if name == "max" else 1
    if np.all(a.high <= b.low):
        return 1 if name == "max" else 0
    return None


def sign_of(equation: Any, bounds: Bounds) -> Any:
    """Of each switching value of a switch its sign, 0 if it may change.

    Args:
        equation: A switch.
        bounds: The bounds of its variables.
    """
    name = equation.primitive.name
    if name in COMPARISONS:
        low, high = bounds.of(equation.outvars[0])
        truth = np.where(low > 0, 1, np.where(high < 1, -1, 0))
        return truth if name in ("gt", "ge") else -truth
    a = bounds.of(equation.invars[0])
    b = point(np.zeros(())) if name in ("abs", "sign") else bounds.of(equation.invars[1])
    touches = name != "sign"
    above = (a.low >= b.high) if touches else (a.low > b.high)
    below = (a.high <= b.low) if touches else (a.high < b.low)
    return np.where(above, 1, np.where(below, -1, 0))
