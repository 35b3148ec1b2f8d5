"""Which operations a loss may be made of. What is not known is refused by name."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dynsys.nonsmooth.flat_program.flatten import is_kept, is_plain, is_solved
from dynsys.nonsmooth.flat_program.refusals import refuse
from dynsys.nonsmooth.intervals.bounds import Bounds
from dynsys.programs.dataflow import is_in
from dynsys.programs.equations import has_program, indices_of, programs_inside
from dynsys.programs.primitives import (
    FACTORS,
    IN_DOMAIN,
    LOGIC,
    MOVES,
    SMOOTH,
    SWITCHES,
)

LINEAR_ON_INTEGERS = frozenset(
    {"add", "add_any", "cumsum", "mul", "neg", "reduce_sum", "square", "sub"}
)
"""Mean the same for integers as for the floats that stand for them."""

COMPLEX = "Of a complex number use the sum of the squares of both parts"
INTEGER = (
    "Compare floats, which have a place where they are equal, not integers that the "
    "position decides"
)
PENALTY = (
    "If it stands for a constraint g(x) <= 0, use the exact penalty "
    "`rho * jnp.sum(jax.nn.relu(g(x)))`: with rho larger than the multipliers, the "
    "solution slides along the constraint and has the same minimisers; an infinite wall "
    "has no gradient to slide by. A barrier such as `-jnp.log(x)` is infinite by itself: "
    "leave out the selection"
)


class Context(NamedTuple):
    """What is known of a program when its equations are looked at.

    Args:
        jaxpr: The program.
        active: Variables that depend on the position.
        live: Variables that the value depends on.
        switched: Variables that depend on a switch.
        bounds: Between which bounds variables stay.
    """

    jaxpr: Any
    active: set[Any]
    live: set[Any]
    switched: set[Any]
    bounds: Bounds


def check(equation: Any, context: Context) -> None:
    """Refuse an equation that depends on the position in a way that is not followed.

    Args:
        equation: An equation that is active and live.
        context: What is known of its program.

    Raises:
        NotPiecewiseSmooth: It is refused.
    """
    name = equation.primitive.name
    if has_program(equation) or is_kept(equation):
        _check_closed(equation, context)
    elif name in RULES:
        RULES[name](equation, context)
    elif name in MOVES:
        _check_move(equation, context)
    elif name in SMOOTH | IN_DOMAIN:
        _check_numbers(equation, context)
    else:
        raise refuse(equation)


def _check_closed(equation: Any, context: Context) -> None:
    """A program that is not opened is smooth; `slogdet` is, but for its sign."""
    if equation.primitive.name in FACTORS and not is_solved(context.jaxpr, equation):
        raise refuse(
            equation,
            "jumps where other pivots are chosen",
            "Use `jnp.linalg.solve` or `jnp.linalg.det`, which do not",
        )
    if not (is_kept(equation) or all(map(is_plain, programs_inside(equation)))):
        raise refuse(equation)
    is_slogdet = equation.primitive.name == "custom_jvp_call" and is_kept(equation)
    if is_slogdet and len(equation.outvars) > 1 and equation.outvars[0] in context.live:
        raise refuse(
            equation,
            "has a sign that jumps where the matrix is singular",
            "Use its second result, or `jnp.linalg.det`",
        )


def _check_numbers(equation: Any, context: Context) -> None:
    """Functions of floats; sums and products of integers, too."""
    for v in equation.invars:
        is_float = np.issubdtype(v.aval.dtype, np.inexact)
        if is_in(v, context.active) and not is_float:
            is_integer = np.issubdtype(v.aval.dtype, np.integer)
            if not is_integer or equation.primitive.name not in LINEAR_ON_INTEGERS:
                raise refuse(equation, "computes with integers that the position decides")


def _check_move(equation: Any, context: Context) -> None:
    indices = equation.invars[indices_of(equation)]
    if any(is_in(v, context.active) for v in indices):
        raise refuse(equation, "is given an index that the position decides, and jumps")


def _check_switch(equation: Any, context: Context) -> None:
    del context
    is_logic = equation.primitive.name in ("max", "min") and all(
        v.aval.dtype.kind == "b" for v in equation.invars
    )
    if not is_logic and not all(
        np.issubdtype(v.aval.dtype, np.floating) for v in equation.invars
    ):
        kind = equation.invars[0].aval.dtype
        remedy = COMPLEX if np.issubdtype(kind, np.complexfloating) else INTEGER
        raise refuse(equation, f"switches by numbers of type {kind}", remedy)


def _check_logic(equation: Any, context: Context) -> None:
    del context
    if any(v.aval.dtype.kind != "b" for v in equation.invars):
        raise refuse(equation, "works on the bits of numbers")


def _check_equality(equation: Any, context: Context) -> None:
    """To be equal is an exception, unless a switch makes it the rule."""
    kinds = {v.aval.dtype.kind for v in equation.invars}
    if kinds == {"b"} or equation.invars[0] is equation.invars[1]:
        return
    if not kinds <= set("fc"):
        raise refuse(equation, "compares integers that the position decides")
    if any(is_in(v, context.switched) for v in equation.invars):
        a, b = (context.bounds.of(v) for v in equation.invars)
        if not (np.all(a.low >= b.high) or np.all(a.high <= b.low)):
            raise refuse(
                equation,
                "may hold in a whole region, and jumps at its boundary",
                "Select by an inequality, or use `jnp.max` or `jnp.min`",
            )


def _check_selection(equation: Any, context: Context) -> None:
    predicate, *cases = equation.invars
    if not is_in(predicate, context.active):
        return
    if predicate.aval.dtype.kind != "b":
        raise refuse(
            equation,
            "chooses between branches by an index that the position decides",
            "Use `jnp.where` or `jax.lax.cond` with a comparison",
        )
    if predicate not in context.switched:
        return
    which = context.bounds.of(predicate)
    for case, v in enumerate(cases):
        is_possible = (which.low <= case) & (which.high >= case)
        if np.any(is_possible & _is_infinite(v, context)):
            raise refuse(equation, "chooses an infinite value", PENALTY, is_wall=True)


def _is_infinite(v: Any, context: Context) -> Any:
    """Of each entry whether it is surely infinite."""
    if not np.issubdtype(v.aval.dtype, np.floating):
        return np.zeros((), bool)
    low, high = context.bounds.of(v)
    return np.isposinf(low) | np.isneginf(high)


def _check_conversion(equation: Any, context: Context) -> None:
    del context
    old, new = equation.invars[0].aval.dtype, np.dtype(equation.params["new_dtype"])
    to_number = np.issubdtype(new, np.inexact)
    from_number = np.issubdtype(old, np.inexact)
    if np.issubdtype(old, np.complexfloating) and not np.issubdtype(
        new, np.complexfloating
    ):
        return
    if not to_number and (from_number or (new.kind == "b" and old.kind != "b")):
        raise refuse(equation, f"rounds to type {new}, and jumps")


def _check_angle(equation: Any, context: Context) -> None:
    if not np.all(context.bounds.of(equation.invars[1]).low > 0):
        raise refuse(equation)


def _check_cube_root(equation: Any, context: Context) -> None:
    low, high = context.bounds.of(equation.invars[0])
    if np.any((low <= 0) & (high >= 0)):
        raise refuse(equation)


def _allow(equation: Any, context: Context) -> None:
    del equation, context


RULES: dict[str, Callable[[Any, Context], None]] = {
    **dict.fromkeys(SWITCHES, _check_switch),
    **dict.fromkeys(LOGIC, _check_logic),
    "acos": _check_numbers,
    "asin": _check_numbers,
    "atan2": _check_angle,
    "cbrt": _check_cube_root,
    "convert_element_type": _check_conversion,
    "eq": _check_equality,
    "is_finite": _allow,
    "ne": _check_equality,
    "pow": _check_numbers,
    "select_n": _check_selection,
    "sqrt": _check_numbers,
}
"""Primitives that need to be looked at more closely."""
