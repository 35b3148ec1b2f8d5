"""Equations of a program, and the programs inside of them."""

from collections.abc import Collection, Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.tree_util import tree_leaves

from dynsys.programs.primitives import CALLS, ENTRYWISE, INDICES


def called(equation: Any) -> ClosedJaxpr | None:
    """The program that an equation calls, if that is all it does."""
    name = CALLS.get(equation.primitive.name)
    if name is None:
        return None
    program = equation.params[name]
    return program if isinstance(program, ClosedJaxpr) else ClosedJaxpr(program, ())


def programs_inside(equation: Any) -> Iterator[Jaxpr]:
    """The programs among the parameters of an equation."""
    if equation.primitive.name in ENTRYWISE:
        return
    is_program = lambda leaf: isinstance(leaf, ClosedJaxpr | Jaxpr)
    found = tree_leaves(list(equation.params.values()), is_leaf=is_program)
    for program in filter(is_program, found):
        yield program.jaxpr if isinstance(program, ClosedJaxpr) else program


def has_program(equation: Any) -> bool:
    """Whether there is a program among the parameters of an equation."""
    return any(True for _ in programs_inside(equation))


def with_inner(equation: Any) -> Iterator[Any]:
    """An equation, and those of the programs inside of it, at any depth."""
    yield equation
    for program in programs_inside(equation):
        yield from all_equations(program)


def all_equations(jaxpr: Jaxpr) -> Iterator[Any]:
    """The equations of a program, and of those inside of it, at any depth."""
    for equation in jaxpr.eqns:
        yield from with_inner(equation)


def has_any(equation: Any, names: Collection[str]) -> bool:
    """Whether an equation, or one inside of it, is of one of some primitives."""
    return any(inner.primitive.name in names for inner in with_inner(equation))


def indices_of(equation: Any) -> slice:
    """The operands of an equation that are indices, as a part of all."""
    return INDICES.get(equation.primitive.name, slice(0, 0))
