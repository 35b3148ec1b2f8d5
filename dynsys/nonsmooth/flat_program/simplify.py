"""Rules that replace detours in a flat program.

`max(x, 0) > 0` compares a maximum with its own bound, which it keeps at all $x < 0$: it
becomes `x > 0`. The square of a root has no cone and becomes what is under the root, and a
selection that always takes the same case becomes that case.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from dynsys.nonsmooth.intervals.bounds import Bounds, Interval, shape_of
from dynsys.programs.primitives import COMPARISONS
from dynsys.programs.rewrite import rewritten

ABOVE = {"gt", "ge"}
STRICT = {"gt", "lt"}


def simplified(closed: ClosedJaxpr, bounds: Bounds) -> ClosedJaxpr:
    """The same program without such detours.

    Args:
        closed: A flat program.
        bounds: Between which bounds its variables stay.
    """

    def rule(equation: Any) -> tuple[Any, Sequence[Any]]:
        if equation.primitive.name in COMPARISONS:
            equation = _compared_directly(equation, bounds)
        equal = _base_of_square(equation, bounds) or _only_case(equation, bounds)
        return equation, () if equal is None else [equal]

    return rewritten(closed, rule)


def _base_of_square(equation: Any, bounds: Bounds) -> Any:
    """What is under the root that an equation squares, if it does."""
    name, operands = equation.primitive.name, equation.invars
    is_square = (
        name == "square"
        or (name == "integer_pow" and equation.params["y"] == 2)
        or (name == "mul" and operands[0] is operands[1])
    )
    if not is_square or isinstance(operands[0], Literal):
        return None
    made = bounds.made.get(operands[0])
    return made.invars[0] if made is not None and made.primitive.name == "sqrt" else None


def _only_case(equation: Any, bounds: Bounds) -> Any:
    """The case that a selection takes everywhere, if there is one."""
    if equation.primitive.name != "select_n":
        return None
    low, high = bounds.of(equation.invars[0])
    if not np.size(low) or np.min(low) != np.max(high):
        return None
    case, cases = int(np.min(low)), equation.invars[1:]
    return cases[case] if case in range(len(cases)) else None


def _compared_directly(equation: Any, bounds: Bounds) -> Any:
    """A comparison with the operand of a maximum or a minimum that it depends on."""
    operands = list(equation.invars)
    for place in (0, 1):
        direct = _deciding(equation, operands, place, bounds)
        while direct is not None:
            operands[place] = direct
            direct = _deciding(equation, operands, place, bounds)
    return equation.replace(invars=operands)


def _deciding(equation: Any, operands: list[Any], place: int, bounds: Bounds) -> Any:
    """The one operand of a maximum or a minimum that a comparison depends on, if any."""
    v = operands[place]
    made = None if isinstance(v, Literal) else bounds.made.get(v)
    if made is None or made.primitive.name not in ("max", "min"):
        return None
    name = equation.primitive.name
    is_above = (name in ABOVE) == (place == 0)
    limit = bounds.of(operands[1 - place])
    never_decides = _rule(made.primitive.name, is_above, name in STRICT)
    for one, other in (made.invars, made.invars[::-1]):
        if shape_of(one) == shape_of(v) and never_decides(bounds.of(other), limit):
            return one
    return None


def _rule(
    name: str, is_above: bool, is_strict: bool
) -> Callable[[Interval, Interval], bool]:
    """Whether an operand of a maximum or a minimum leaves a comparison to the other one.

    `max(a, b) > c` is a > c or b > c, `max(a, b) < c` is a < c and b < c.
    """
    below = np.less_equal if is_strict == is_above else np.less
    above = np.greater if is_strict == is_above else np.greater_equal
    if name == "max":
        return lambda b, c: bool(np.all(below(b.high, c.low)))
    return lambda b, c: bool(np.all(above(b.low, c.high)))
