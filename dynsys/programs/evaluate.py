"""Programs, evaluated equation by equation on values of any kind."""

from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import (
    ClosedJaxpr,
    DebugInfo,
    DropVar,
    Jaxpr,
    Literal,
    jaxpr_as_fun,
)

from dynsys.programs.equations import has_program

Rule = Callable[[Any, list[Any]], Sequence[Any]]
"""The results of an equation, from it and its operands."""


def evaluate(
    closed: ClosedJaxpr,
    inputs: Sequence[Any],
    rule: Rule,
    constant: Callable[[Any, Any], Any] = lambda value, _: value,
) -> list[Any]:
    """The outputs of a program.

    Args:
        closed: The program.
        inputs: Values of its inputs, of any kind.
        rule: From an equation and its operands to its results.
        constant: From an array or a number in the program, and its type, to a value.
    """
    jaxpr = closed.jaxpr
    consts = zip(jaxpr.constvars, closed.consts, strict=True)
    known = {v: constant(value, v.aval) for v, value in consts}
    known |= dict(zip(jaxpr.invars, inputs, strict=True))
    read = lambda v: constant(v.val, v.aval) if isinstance(v, Literal) else known[v]
    for equation in jaxpr.eqns:
        results = rule(equation, [read(v) for v in equation.invars])
        known |= dict(zip(equation.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def bind(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """The results of one equation, with `None` for those that nobody needs."""
    if not has_program(equation):
        results = equation.primitive.bind(*values, **equation.params)
        return results if equation.primitive.multiple_results else [results]
    # Programs inside of it are bound as JAX does it: with a program of this one equation.
    operands = zip(equation.invars, values, strict=True)
    inputs = {v: value for v, value in operands if not isinstance(v, Literal)}
    kept = [v for v in equation.outvars if not isinstance(v, DropVar)]
    names = tuple(str(i) for i in range(len(inputs)))
    paths = tuple(str(i) for i in range(len(kept)))
    info = DebugInfo("bind", equation.primitive.name, names, paths)
    one = Jaxpr((), list(inputs), kept, [equation], equation.effects, info)
    results = iter(jaxpr_as_fun(ClosedJaxpr(one, ()))(*inputs.values()))
    return [None if isinstance(v, DropVar) else next(results) for v in equation.outvars]


def scan_operands(params: Any, operands: Sequence[Any]) -> tuple[Any, Any, Any]:
    """The operands of a `scan`: its constants, what it carries first, and its series."""
    first = params["num_consts"]
    last = first + params["num_carry"]
    return operands[:first], operands[first:last], operands[last:]


def while_operands(params: Any, operands: Sequence[Any]) -> tuple[Any, Any, Any]:
    """The operands of a `while`: constants of condition and body, what it carries first."""
    first = params["cond_nconsts"]
    last = first + params["body_nconsts"]
    return operands[:first], operands[first:last], operands[last:]


def unrolled(
    params: Any,
    operands: Sequence[Any],
    entry: Callable[[Any, int], Any],
    run: Callable[[ClosedJaxpr, list[Any]], Sequence[Any]],
) -> tuple[list[Any], list[tuple[Any, ...]]]:
    """The passes of a `scan`, one by one.

    Args:
        params: Its parameters.
        operands: Its operands.
        entry: An entry of a series.
        run: From the program of a pass and its inputs to its outputs.

    Returns:
        What it carries at the end, and the entries of each series of results.
    """
    fixed, carry, series = scan_operands(params, operands)
    order = range(params["length"])
    rows: list[Any] = [None] * params["length"]
    for i in reversed(order) if params["reverse"] else order:
        now = [entry(one, i) for one in series]
        results = run(params["jaxpr"], [*fixed, *carry, *now])
        carry, rows[i] = results[: len(carry)], results[len(carry) :]
    return list(carry), list(zip(*rows, strict=True))
