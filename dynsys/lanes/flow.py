"""What a program needs, and what of it may differ from lane to lane."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr, Literal

from dynsys.equations import called, programs_inside


class Need(NamedTuple):
    """What of a program is needed.

    Args:
        inputs: Which of its inputs.
        results: Of each equation, which of its results.
    """

    inputs: list[bool]
    results: list[list[bool]]


def need_of(jaxpr: Jaxpr, outputs: Sequence[bool]) -> Need:
    """What the needed outputs of a program depend on."""
    pairs = zip(jaxpr.outvars, outputs, strict=True)
    live = {v for v, is_needed in pairs if is_needed and not isinstance(v, Literal)}
    needed: list[list[bool]] = []
    for equation in reversed(jaxpr.eqns):
        results = [v in live for v in equation.outvars]
        needed.append(results)
        if not any(results):
            continue
        pairs = zip(equation.invars, _needed_operands(equation, results), strict=True)
        live |= {v for v, is_used in pairs if is_used and not isinstance(v, Literal)}
    return Need([v in live for v in jaxpr.invars], needed[::-1])


def _needed_operands(equation: Any, results: list[bool]) -> list[bool]:
    inner = called(equation)
    if inner is not None:
        return need_of(inner.jaxpr, results).inputs
    if equation.primitive.name != "while":
        return [True] * len(equation.invars)
    carried = needed_carry(equation.params, results)
    return [*needed_consts(equation.params, carried), *carried]


def needed_consts(params: Any, carried: Sequence[bool]) -> list[bool]:
    """Which constants a `while` needs, if it needs some of what it carries."""
    of_condition = need_of(params["cond_jaxpr"].jaxpr, [True]).inputs
    of_body = need_of(params["body_jaxpr"].jaxpr, carried).inputs
    consts = params["cond_nconsts"], params["body_nconsts"]
    return [*of_condition[: consts[0]], *of_body[: consts[1]]]


def needed_carry(params: Any, results: Sequence[bool]) -> list[bool]:
    """Which of what a `while` carries is needed for some of its results."""
    condition = need_of(params["cond_jaxpr"].jaxpr, [True]).inputs
    carried = [
        a or b for a, b in zip(results, condition[params["cond_nconsts"] :], strict=True)
    ]
    while True:
        of_body = need_of(params["body_jaxpr"].jaxpr, carried).inputs
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
