"""What a function of time switches by: numbers that cross 0, or integers.

The function is computed at a time, and on the way everything that makes it jump or bend is
noted: operands of comparisons, signs, absolute values, maxima and minima cross 0 or each
other, those of roundings and remainders cross integers. Between two switches a number is
constant, affine or smooth; one that is constant switches nothing.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, Float

from dynsys.programs.equations import called
from dynsys.programs.evaluate import bind, evaluate
from dynsys.programs.primitives import (
    COPIES,
    IN_DOMAIN,
    REARRANGEMENTS,
    ROUNDINGS,
    SMOOTH,
    STEEP,
    SWITCHES,
    TOTAL_ORDER,
)

CROSSES = SWITCHES | TOTAL_ORDER | {"eq", "ne"}
"""Switch where their operands meet, or where the one they have is 0."""

BENDS = frozenset({"abs", "max", "min"})
"""Those among them whose results are not constant between two switches."""

LINEAR = (
    COPIES
    | REARRANGEMENTS
    | frozenset({"add", "add_any", "convert_element_type", "cumsum", "neg"})
    | frozenset({"reduce_precision", "reduce_sum", "select_n", "sub"})
)
"""Affine in what is affine; indices and predicates are constant between two switches."""

BILINEAR = frozenset({"dot_general", "mul"})
"""Affine where all factors but one are constant."""

NOT_ROUGH = (SMOOTH | IN_DOMAIN | STEEP | {"is_finite"}) - {"atan2"}
"""Smooth where they are finite, which is checked elsewhere."""


class Kind(IntEnum):
    """What a number is between two switches."""

    CONSTANT = 0
    AFFINE = 1
    SMOOTH = 2


class Number(NamedTuple):
    """A number on the way.

    Args:
        value: Its value.
        kind: What it is between two switches.
        level: The largest level of a switch that it depends on; 0 if there is none.
    """

    value: Any
    kind: Kind
    level: int


class Switch(NamedTuple):
    """Numbers by which a function switches.

    Args:
        values: Their values, in one vector.
        kind: What they are between two switches of smaller levels.
        level: 1 plus the level of what they depend on.
        counts: Whether integers are crossed, and not 0.
    """

    values: Float[Array, " entries"]
    kind: Kind
    level: int
    counts: bool


class Reading(NamedTuple):
    """What a function switches by.

    Args:
        switches: All numbers that were found.
        unread: The operations that were not looked into.
    """

    switches: list[Switch]
    unread: list[str]


def read(function: Callable[[Any], Any], t: Float[Array, ""]) -> Reading:
    """What a function of time switches by, at one time."""
    closed = jax.make_jaxpr(function)(t)
    reading = Reading([], [])
    _run(closed, [Number(t, Kind.AFFINE, 0)], reading)
    return reading


def _run(closed: ClosedJaxpr, inputs: Sequence[Number], reading: Reading) -> list[Number]:
    """Compute a program and note its switches."""
    return evaluate(
        closed,
        inputs,
        lambda equation, operands: _results(equation, operands, reading),
        lambda value, _: Number(value, Kind.CONSTANT, 0),
    )


def _results(equation: Any, operands: list[Number], reading: Reading) -> list[Number]:
    """The results of one equation."""
    name = equation.primitive.name
    kind = max((operand.kind for operand in operands), default=Kind.CONSTANT)
    level = max((operand.level for operand in operands), default=0)
    if kind != Kind.CONSTANT:
        inner = called(equation)
        if inner is not None and equation.params.get("name") == "searchsorted":
            return _search(equation, operands, reading)
        if inner is not None:
            count = len(inner.jaxpr.invars)
            return _run(inner, operands[len(operands) - count :], reading)
        if name == "cond":
            return _branches(equation, operands, reading)
    outputs = bind(equation, [operand.value for operand in operands])
    if kind != Kind.CONSTANT:
        kind, level = _after(equation, operands, kind, level, reading)
    return [Number(output, kind, level) for output in outputs]


def _after(
    equation: Any, operands: list[Number], kind: Kind, level: int, reading: Reading
) -> tuple[Kind, int]:
    """Kind and level of the results of an equation; its switches are noted."""
    name = equation.primitive.name
    values = [operand.value for operand in operands]
    note = lambda value, counts: reading.switches.append(
        Switch(jnp.ravel(value), kind, level + 1, counts)
    )
    becomes_integer = name == "convert_element_type" and not jnp.issubdtype(
        equation.params["new_dtype"], jnp.inexact
    )
    if name in CROSSES:
        note(values[0] if len(values) == 1 else values[0] - values[1], False)
        return (kind if name in BENDS else Kind.CONSTANT), level + 1
    if name == "clamp":
        low, value, high = values
        note(value - low, False)
        note(value - high, False)
        return kind, level + 1
    if name in ROUNDINGS or becomes_integer:
        note(values[0] + 0.5 if name == "round" else values[0], True)
        return Kind.CONSTANT, level + 1
    if name == "rem" and operands[1].kind == Kind.CONSTANT:
        note(values[0] / values[1], True)
        return kind, level + 1
    if name in LINEAR:
        return kind, level
    if name in BILINEAR or (name == "div" and operands[1].kind == Kind.CONSTANT):
        moving = sum(operand.kind != Kind.CONSTANT for operand in operands)
        return (kind if moving == 1 else Kind.SMOOTH), level
    if name not in NOT_ROUGH:
        reading.unread.append(name)
    return Kind.SMOOTH, level


def _search(equation: Any, operands: list[Number], reading: Reading) -> list[Number]:
    """A search in a sorted table: it switches at each entry."""
    table, query = operands
    apart = jnp.ravel(query.value)[:, None] - jnp.ravel(table.value)[None]
    kind, level = max(table.kind, query.kind), 1 + max(table.level, query.level)
    reading.switches.append(Switch(jnp.ravel(apart), kind, level, False))
    outputs = bind(equation, [table.value, query.value])
    return [Number(output, Kind.CONSTANT, level) for output in outputs]


def _branches(equation: Any, operands: list[Number], reading: Reading) -> list[Number]:
    """All branches of a condition, of which one is selected."""
    index, *inputs = operands
    branches = equation.params["branches"]
    found = [_run(branch, inputs, reading) for branch in branches]
    which = jnp.clip(index.value, 0, len(branches) - 1)

    def select(*numbers: Number) -> Number:
        value = jax.lax.select_n(which, *(number.value for number in numbers))
        kind = max(number.kind for number in numbers)
        level = max(index.level, *(number.level for number in numbers))
        return Number(value, Kind(kind), level)

    return [select(*numbers) for numbers in zip(*found, strict=True)]
