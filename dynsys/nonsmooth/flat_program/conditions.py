"""On which conditions the variables of a flat program are needed."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jax.extend.core import Literal

from dynsys.programs.dataflow import is_in
from dynsys.programs.primitives import COMPARISONS, ENTRYWISE

NOWHERE: frozenset["Condition"] = frozenset()

MANY = 16
"""Most ways that are kept apart."""


class Condition(NamedTuple):
    """That a selection takes one of its cases.

    Args:
        predicate: What it selects by.
        case: The index of the case: 1 where the predicate is true.
    """

    predicate: Any
    case: int


def conditions(jaxpr: Any, compared: bool = True) -> dict[Any, frozenset[Condition]]:
    """Of each variable the conditions on which the value depends on it at all.

    They hold entry by entry if the predicate has the shape of the variable.

    Args:
        jaxpr: The program.
        compared: Whether to be compared counts as being needed.
    """
    needed: dict[Any, frozenset[Condition]] = {}

    def meet(v: Any, new: frozenset[Condition]) -> None:
        if not isinstance(v, Literal):
            needed[v] = needed[v] & new if v in needed else new

    for v in jaxpr.outvars:
        meet(v, NOWHERE)
    for equation in reversed(jaxpr.eqns):
        of_results = [needed[v] for v in equation.outvars if v in needed]
        if not of_results:
            continue
        outer = frozenset.intersection(*of_results)
        for v, inner in _uses(equation):
            if compared or equation.primitive.name not in COMPARISONS:
                meet(v, frozenset(filter(_holds_for(equation, v), outer | inner)))
    return needed


def ways(jaxpr: Any, ends: frozenset[Any]) -> dict[Any, set[frozenset[Condition]]]:
    """Of each variable the conditions of the ways from it to the value.

    Ways on which a selection would have to take both of its cases do not count.

    Args:
        jaxpr: The program.
        ends: Variables through which no way leads.
    """
    found: dict[Any, set[frozenset[Condition]]] = {}
    for v in jaxpr.outvars:
        if not isinstance(v, Literal):
            found[v] = {NOWHERE}
    for equation in reversed(jaxpr.eqns):
        outer = [w for v in equation.outvars if v not in ends for w in found.get(v, ())]
        for v, inner in _uses(equation):
            holds = _holds_for(equation, v)
            new = {
                frozenset(filter(holds, way | inner)) for way in outer if _fits(way, inner)
            }
            if new and not isinstance(v, Literal):
                found[v] = _few(found.get(v, set()) | new)
    return found


def _fits(way: frozenset[Condition], inner: frozenset[Condition]) -> bool:
    cases = dict(way)
    return all(cases.get(c.predicate, c.case) == c.case for c in inner)


def _few(ways: set[frozenset[Condition]]) -> set[frozenset[Condition]]:
    """The ways, or one with the conditions that all share if there are too many."""
    return ways if len(ways) <= MANY else {frozenset.intersection(*ways)}


def _uses(equation: Any) -> Iterator[tuple[Any, frozenset[Condition]]]:
    """The operands, and on which condition the equation needs them."""
    operands = equation.invars
    if equation.primitive.name != "select_n" or isinstance(operands[0], Literal):
        yield from ((v, NOWHERE) for v in operands)
        return
    yield operands[0], NOWHERE
    for case, v in enumerate(operands[1:]):
        yield v, frozenset({Condition(operands[0], case)})


def _holds_for(equation: Any, v: Any) -> Any:
    """Whether a condition for the results of an equation is one for its operand."""
    is_entrywise = equation.primitive.name in ENTRYWISE

    def holds(condition: Condition) -> bool:
        shape = condition.predicate.aval.shape
        return shape == () or (is_entrywise and shape == v.aval.shape)

    return holds


def in_order(equations: Sequence[Any], earlier: dict[int, set[Any]]) -> list[int] | None:
    """An order in which some equations come after variables that they do not use.

    Args:
        equations: The equations.
        earlier: Of some of them, by their index, variables that must be known.

    Returns:
        Indices of the equations, or `None` if there is no such order.
    """
    made = {v: i for i, equation in enumerate(equations) for v in equation.outvars}
    order: list[int] = []
    state = [0] * len(equations)
    for root in range(len(equations)):
        stack = [root]
        while stack:
            i = stack[-1]
            if state[i] == 2:
                stack.pop()
                continue
            before = [*equations[i].invars, *earlier.get(i, ())]
            waiting = [made[v] for v in before if is_in(v, made) and state[made[v]] < 2]
            if state[i] == 1 and waiting:
                return None
            state[i] = 1
            if waiting:
                stack.extend(waiting)
                continue
            state[i] = 2
            order.append(stack.pop())
    return order
