"""What a program needs, and what of it may differ from lane to lane."""

from collections.abc import Sequence
from typing import Any

from jax.extend.core import Jaxpr, Literal

from dynsys.equations import called, programs_inside


def needed_inputs(jaxpr: Jaxpr, outputs: Sequence[bool]) -> list[bool]:
    """Which inputs the needed outputs depend on."""
    needed = {
        v
        for v, is_needed in zip(jaxpr.outvars, outputs, strict=True)
        if is_needed and not isinstance(v, Literal)
    }
    for equation in reversed(jaxpr.eqns):
        results = [v in needed for v in equation.outvars]
        if not (any(results) or equation.effects):
            continue
        operands = _needed_operands(equation, results)
        pairs = zip(equation.invars, operands, strict=True)
        needed |= {v for v, is_needed in pairs if is_needed and not isinstance(v, Literal)}
    return [v in needed for v in jaxpr.invars]


def _needed_operands(equation: Any, results: list[bool]) -> list[bool]:
    inner = called(equation)
    if inner is not None:
        return needed_inputs(inner.jaxpr, results)
    if equation.primitive.name != "while":
        return [True] * len(equation.invars)
    carried = needed_carry(equation.params, results)
    return [*needed_consts(equation.params, carried), *carried]


def needed_consts(params: Any, carried: Sequence[bool]) -> list[bool]:
    """Which constants a `while` needs, if it needs some of what it carries."""
    of_condition = needed_inputs(params["cond_jaxpr"].jaxpr, [True])
    of_body = needed_inputs(params["body_jaxpr"].jaxpr, carried)
    consts = params["cond_nconsts"], params["body_nconsts"]
    return [*of_condition[: consts[0]], *of_body[: consts[1]]]


def needed_carry(params: Any, results: Sequence[bool]) -> list[bool]:
    """Which of what a `while` carries is needed for some of its results."""
    condition = needed_inputs(params["cond_jaxpr"].jaxpr, [True])
    carried = [
        a or b for a, b in zip(results, condition[params["cond_nconsts"] :], strict=True)
    ]
    while True:
        of_body = needed_inputs(params["body_jaxpr"].jaxpr, carried)
        more = [
            a or b for a, b in zip(carried, of_body[params["body_nconsts"] :], strict=True)
        ]
        if more == carried:
            return carried
        carried = more


def length_of(jaxpr: Jaxpr) -> int:
    """Number of equations, written out: those of loops as often as they are passed."""
    total = 0
    for equation in jaxpr.eqns:
        inner = sum(map(length_of, programs_inside(equation)))
        total += 1 + inner * int(equation.params.get("length", 1) or 1)
    return total


def varying_outputs(jaxpr: Jaxpr, inputs: Sequence[bool]) -> list[bool]:
    """Which outputs may differ from lane to lane, if some inputs do."""
    varying = {v for v, varies in zip(jaxpr.invars, inputs, strict=True) if varies}
    is_varying = lambda v: not isinstance(v, Literal) and v in varying
    for equation in jaxpr.eqns:
        operands = [is_varying(v) for v in equation.invars]
        if not any(operands):
            continue
        inner = called(equation)
        results = [True] * len(equation.outvars)
        if inner is not None:
            results = varying_outputs(inner.jaxpr, operands)
        varying |= {
            v for v, varies in zip(equation.outvars, results, strict=True) if varies
        }
    return [is_varying(v) for v in jaxpr.outvars]


def varying_carry(
    params: Any, condition_consts: Sequence[bool], body_consts: Sequence[bool], first: Any
) -> tuple[list[bool], bool]:
    """What a `while` carries that varies, and whether how long it runs does."""
    carried = list(first)
    while True:
        (runs,) = varying_outputs(params["cond_jaxpr"].jaxpr, [*condition_consts, *carried])
        if runs:
            return [True] * len(carried), True
        after = varying_outputs(params["body_jaxpr"].jaxpr, [*body_consts, *carried])
        more = [a or b for a, b in zip(carried, after, strict=True)]
        if more == carried:
            return carried, False
        carried = more
