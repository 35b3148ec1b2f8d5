"""A flat program in which nothing is computed twice or in vain."""

from collections.abc import Hashable
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, DropVar, Literal

from dynsys.equations import programs_inside


def tidy(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The program without equations that are there already, or that nobody needs.

    So that `x[0] * x[0]` is seen to be a square, and `x[0] > 0` to be one predicate.

    Args:
        closed: A flat program.
    """
    known: dict[Hashable, Any] = {}
    same: dict[Any, Any] = {}
    equations = []
    rename = lambda v: v if isinstance(v, Literal) else same.get(v, v)
    for equation in closed.jaxpr.eqns:
        renamed = equation.replace(invars=[rename(v) for v in equation.invars])
        key = _key(renamed)
        earlier = None if key is None else known.setdefault(key, renamed)
        if earlier is None or earlier is renamed:
            equations.append(renamed)
        else:
            same |= dict(zip(equation.outvars, earlier.outvars, strict=True))
    outputs = [rename(v) for v in closed.jaxpr.outvars]
    kept = _needed(equations, outputs)
    return ClosedJaxpr(closed.jaxpr.replace(eqns=kept, outvars=outputs), closed.consts)


def _key(equation: Any) -> Hashable | None:
    """What is equal for equations of the same results; `None` if that cannot be said."""
    dropped = any(isinstance(v, DropVar) for v in equation.outvars)
    if dropped or equation.effects or any(True for _ in programs_inside(equation)):
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


def _needed(equations: list[Any], outputs: list[Any]) -> list[Any]:
    """The equations that the outputs depend on, in their order."""
    needed = {v for v in outputs if not isinstance(v, Literal)}
    kept = []
    for equation in reversed(equations):
        if equation.effects or any(v in needed for v in equation.outvars):
            kept.append(equation)
            needed |= {v for v in equation.invars if not isinstance(v, Literal)}
    return kept[::-1]
