"""Branches: each lane may take a different one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from dynsys.lanes.value import Value
from dynsys.programs.equations import all_equations, programs_inside

if TYPE_CHECKING:
    from dynsys.lanes.interpreter import Interpreter

SHORT = 24
"""Most equations of a branch that is computed for all lanes, also those that do not take
it."""


def choose_branch(
    outer: "Interpreter", equation: Any, operands: Sequence[Value], results: list[bool]
) -> list[Value | None]:
    """The results of a choice; branches that no lane takes are not computed."""
    index, *values = operands
    branches, width = equation.params["branches"], outer.width

    def compute(branch: Any, active: Any) -> list[Any]:
        outputs = outer.inside(active).run(branch, values, results)
        return [value.wide(width) for value in outputs if value is not None]

    if not index.varies:
        alone = [lambda branch=branch: compute(branch, outer.active) for branch in branches]
        return _spread(jax.lax.switch(index.array, alone), results)
    pairs = zip(equation.outvars, results, strict=True)
    avals = [v.aval for v, is_needed in pairs if is_needed]
    zeros = lambda: [jnp.zeros((*aval.shape, width), aval.dtype) for aval in avals]
    chosen: list[list[Any]] = []
    for number, branch in enumerate(branches):
        taken = index.array == jnp.asarray(number, index.array.dtype)
        active = taken if outer.active is None else taken & outer.active
        if _is_short(branch.jaxpr):
            chosen.append(compute(branch, active))
            continue
        only = lambda branch=branch, active=active: compute(branch, active)
        chosen.append(jax.lax.cond(jnp.any(active), only, zeros))
    found = [
        jax.lax.select_n(
            jax.lax.broadcast_in_dim(index.array, cases[0].shape, (cases[0].ndim - 1,)),
            *cases,
        )
        for cases in zip(*chosen, strict=True)
    ]
    return _spread(found, results)


def _spread(arrays: Sequence[Any], results: list[bool]) -> list[Value | None]:
    """The results that are needed in their places."""
    rest = iter(arrays)
    return [Value(next(rest), True) if is_needed else None for is_needed in results]


def _is_short(jaxpr: Jaxpr) -> bool:
    """Whether a branch has few equations, and no loop of unknown length."""
    has_loop = any(e.primitive.name == "while" for e in all_equations(jaxpr))
    return not has_loop and _length(jaxpr) <= SHORT


def _length(jaxpr: Jaxpr) -> int:
    """Number of equations, written out: those of loops as often as they are passed."""
    total = 0
    for equation in jaxpr.eqns:
        inner = sum(map(_length, programs_inside(equation)))
        total += 1 + inner * int(equation.params.get("length", 1) or 1)
    return total
