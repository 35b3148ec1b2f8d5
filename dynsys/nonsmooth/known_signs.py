"""What is seen of the signs in a program, whatever its argument."""

from typing import Any

import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.flat import is_in

NONNEGATIVE = frozenset({"abs", "exp", "exp2", "logistic", "sqrt", "square"})
KEEP_SIGN = frozenset(
    {
        "broadcast_in_dim",
        "concatenate",
        "convert_element_type",
        "copy",
        "cumsum",
        "dynamic_slice",
        "gather",
        "max",
        "reduce_max",
        "reduce_sum",
        "reshape",
        "rev",
        "slice",
        "squeeze",
        "stop_gradient",
        "transpose",
    }
)
"""Primitives whose result is not negative if no operand is."""


def nonnegative_variables(jaxpr: Any) -> set[Any]:
    """Variables that are seen not to be negative, whatever the argument."""
    found: set[Any] = set()
    fine = lambda v: (
        bool(np.all(np.asarray(v.val) >= 0)) if isinstance(v, Literal) else v in found
    )
    for equation in jaxpr.eqns:
        name, operands = equation.primitive.name, equation.invars
        even = name == "integer_pow" and equation.params["y"] % 2 == 0
        products = name == "mul" or (
            name == "dot_general" and not equation.outvars[0].aval.shape
        )
        square = products and operands[0] is operands[1]
        kept = name in KEEP_SIGN | {"add", "div", "mul"} and all(map(fine, operands))
        either = name == "max" and any(map(fine, operands))
        if name in NONNEGATIVE or even or square or kept or either:
            found |= set(equation.outvars)
    return found


def positive_variables(jaxpr: Any, nonnegative: set[Any]) -> set[Any]:
    """Variables that are seen to be positive, whatever the argument."""
    found: set[Any] = set()
    above = lambda v: (
        bool(np.all(np.asarray(v.val) > 0)) if isinstance(v, Literal) else v in found
    )
    fine = lambda v: above(v) or isinstance(v, Literal) or v in nonnegative
    for equation in jaxpr.eqns:
        name, operands = equation.primitive.name, equation.invars
        sums = name == "add" and all(map(fine, operands)) and any(map(above, operands))
        kept = name in KEEP_SIGN | {"mul", "div", "sqrt"} and all(map(above, operands))
        either = name == "max" and any(map(above, operands))
        if name in ("exp", "exp2", "logistic") or sums or kept or either:
            found |= set(equation.outvars)
    return found


def passes(equation: Any, nonnegative: set[Any]) -> int | None:
    """The operand that an absolute value or a maximum is seen to be equal to, if any."""
    name, operands = equation.primitive.name, equation.invars
    if name == "abs" and is_in(operands[0], nonnegative):
        return 0
    if name == "max":
        for i in (0, 1):
            if is_in(operands[i], nonnegative) and _is_nonpositive(operands[1 - i]):
                return i
    return None


def _is_nonpositive(v: Any) -> bool:
    return isinstance(v, Literal) and bool(np.all(np.asarray(v.val) <= 0))
