"""Flat programs, rewritten so that nothing is computed twice or in vain."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, DropVar, Literal

from dynsys.programs.dataflow import dependencies
from dynsys.programs.equations import has_program


def rewritten(
    closed: ClosedJaxpr, rule: Callable[[Any], tuple[Any, Sequence[Any]]]
) -> ClosedJaxpr:
    """A program whose equations are replaced, and whose equal variables are made one.

    Args:
        closed: A flat program.
        rule: From an equation to the one in its place, and the variables that its results
            are equal to, or nothing.
    """
    same: dict[Any, Any] = {}
    rename = lambda v: v if isinstance(v, Literal) else same.get(v, v)
    equations = []
    for equation in closed.jaxpr.eqns:
        new, equal = rule(equation.replace(invars=[rename(v) for v in equation.invars]))
        equations.append(new)
        same |= dict(zip(new.outvars, map(rename, equal), strict=False))
    outputs = [rename(v) for v in closed.jaxpr.outvars]
    used = (v for equation in equations if equation.effects for v in equation.invars)
    needed = dependencies(equations, [*outputs, *used])
    kept = [e for e in equations if e.effects or needed.intersection(e.outvars)]
    return ClosedJaxpr(closed.jaxpr.replace(eqns=kept, outvars=outputs), closed.consts)


def tidy(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The program without equations that are there already, or that nobody needs.

    So that `x[0] * x[0]` is seen to be a square, and `x[0] > 0` to be one predicate.

    Args:
        closed: A flat program.
    """
    known: dict[Hashable, Any] = {}

    def rule(equation: Any) -> tuple[Any, Sequence[Any]]:
        key = _key(equation)
        earlier = equation if key is None else known.setdefault(key, equation)
        return equation, () if earlier is equation else earlier.outvars

    return rewritten(closed, rule)


def _key(equation: Any) -> Hashable | None:
    """What is equal for equations of the same results; `None` if that cannot be said."""
    dropped = any(isinstance(v, DropVar) for v in equation.outvars)
    if dropped or equation.effects or has_program(equation):
        return None
    operands = tuple(map(_name, equation.invars))
    key = (equation.primitive, operands, tuple(sorted(equation.params.items())))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _name(v: Any) -> Hashable:
    if not isinstance(v, Literal):
        return v
    value = np.asarray(v.val)
    return str(v.aval), value.dtype.str, value.tobytes()
