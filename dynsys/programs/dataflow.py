"""What depends on what in a program."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr, Literal

from dynsys.programs.equations import called
from dynsys.programs.evaluate import scan_operands

Flags = list[bool]
"""One for each operand, result, input or output."""


def is_in(v: Any, variables: Any) -> bool:
    """Whether an operand is one of some variables, and no constant."""
    return not isinstance(v, Literal) and v in variables


def _all_results(equation: Any, _: Flags) -> Flags:
    return [True] * len(equation.outvars)


def _all_operands(equation: Any, _: Flags) -> Flags:
    return [True] * len(equation.invars)


def dependents(
    equations: Iterable[Any],
    start: Iterable[Any],
    reach: Callable[[Any, Flags], Flags] = _all_results,
) -> set[Any]:
    """Some variables, and those that depend on them.

    Args:
        equations: Equations in their order.
        start: The variables.
        reach: Of an equation, and its operands that depend on them, the results that do.
    """
    found = set(start)
    for equation in equations:
        operands = [is_in(v, found) for v in equation.invars]
        if any(operands):
            results = zip(equation.outvars, reach(equation, operands), strict=True)
            found |= {v for v, depends in results if depends}
    return found


def dependencies(
    equations: Sequence[Any],
    start: Iterable[Any],
    reach: Callable[[Any, Flags], Flags] = _all_operands,
) -> set[Any]:
    """Some variables, and those that they depend on.

    Args:
        equations: Equations in their order.
        start: The variables; constants among them do not count.
        reach: Of an equation, and its results that they depend on, the operands for that.
    """
    found = {v for v in start if not isinstance(v, Literal)}
    for equation in reversed(equations):
        results = [v in found for v in equation.outvars]
        if any(results):
            operands = zip(equation.invars, reach(equation, results), strict=True)
            used = (v for v, is_used in operands if is_used)
            found |= {v for v in used if not isinstance(v, Literal)}
    return found


def downstream(
    equations: Mapping[int, Any], first: Collection[int], variables: Collection[Any] = ()
) -> list[int]:
    """Some equations, and those that depend on their results or on variables.

    Args:
        equations: Equations in their order, by their index.
        first: Indices of some.
        variables: The variables.
    """
    results = (v for i in first if i in equations for v in equations[i].outvars)
    found = dependents(equations.values(), [*variables, *results])
    return [i for i, e in equations.items() if found.intersection(e.outvars)]


def upstream(equations: Mapping[int, Any], last: Collection[int]) -> list[int]:
    """Some equations, and those that they depend on.

    Args:
        equations: Equations in their order, by their index.
        last: Indices of some.
    """
    operands = (v for i in last if i in equations for v in equations[i].invars)
    found = dependencies(list(equations.values()), operands)
    return [i for i, e in equations.items() if i in last or found.intersection(e.outvars)]


class Need(NamedTuple):
    """What of a program is needed.

    Args:
        inputs: Which of its inputs.
        results: Of each equation, which of its results.
    """

    inputs: Flags
    results: list[Flags]


def need_of(jaxpr: Jaxpr, outputs: Flags) -> Need:
    """What some outputs of a program depend on, looking into calls and loops."""
    start = [v for v, is_needed in zip(jaxpr.outvars, outputs, strict=True) if is_needed]
    needed = dependencies(jaxpr.eqns, start, _needed_operands)
    results = [[v in needed for v in equation.outvars] for equation in jaxpr.eqns]
    return Need([v in needed for v in jaxpr.invars], results)


def _needed_operands(equation: Any, results: Flags) -> Flags:
    inner = called(equation)
    if inner is not None:
        return need_of(inner.jaxpr, results).inputs
    if equation.primitive.name != "while":
        return _all_operands(equation, results)
    carried = needed_carry(equation.params, results)
    return [*needed_consts(equation.params, carried), *carried]


def needed_consts(params: Any, carried: Flags) -> Flags:
    """Which constants a `while` needs, if it needs some of what it carries."""
    of_condition = need_of(params["cond_jaxpr"].jaxpr, [True]).inputs
    of_body = need_of(params["body_jaxpr"].jaxpr, carried).inputs
    return [
        *of_condition[: params["cond_nconsts"]],
        *of_body[: params["body_nconsts"]],
    ]


def needed_carry(params: Any, results: Flags) -> Flags:
    """Which of what a `while` carries is needed for some of its results."""
    condition = need_of(params["cond_jaxpr"].jaxpr, [True]).inputs
    after = lambda carried: need_of(params["body_jaxpr"].jaxpr, carried).inputs
    of_condition = condition[params["cond_nconsts"] :]
    first = [a or b for a, b in zip(results, of_condition, strict=True)]
    return _fixed_point(first, lambda carried: after(carried)[params["body_nconsts"] :])


def varying_outputs(jaxpr: Jaxpr, inputs: Flags) -> Flags:
    """Which outputs depend on some inputs, looking into calls."""
    start = [v for v, varies in zip(jaxpr.invars, inputs, strict=True) if varies]
    varying = dependents(jaxpr.eqns, start, _varying_results)
    return [is_in(v, varying) for v in jaxpr.outvars]


def _varying_results(equation: Any, operands: Flags) -> Flags:
    inner = called(equation)
    if inner is None:
        return _all_results(equation, operands)
    return varying_outputs(inner.jaxpr, operands)


def varying_carry(
    params: Any, condition_consts: Flags, body_consts: Flags, first: Flags
) -> tuple[Flags, bool]:
    """What a `while` carries that varies, and whether how long it runs does."""
    body: Any = params["body_jaxpr"].jaxpr
    carried = _fixed_point(
        first, lambda carried: varying_outputs(body, [*body_consts, *carried])
    )
    (runs,) = varying_outputs(params["cond_jaxpr"].jaxpr, [*condition_consts, *carried])
    return ([True] * len(carried) if runs else carried), runs


def varying_rows(params: Any, operands: Flags) -> tuple[Flags, Flags]:
    """What a `scan` carries that varies, and which of its series of results do."""
    consts, first, series = scan_operands(params, operands)
    count = len(first)
    after = lambda carried: varying_outputs(
        params["jaxpr"].jaxpr, [*consts, *carried, *series]
    )
    carried = _fixed_point(first, lambda carried: after(carried)[:count])
    return carried, after(carried)[count:]


def _fixed_point(flags: Flags, more: Callable[[Flags], Flags]) -> Flags:
    """Flags, and those that more and more of them set."""
    while True:
        after = [a or b for a, b in zip(flags, more(flags), strict=True)]
        if after == flags:
            return flags
        flags = after
