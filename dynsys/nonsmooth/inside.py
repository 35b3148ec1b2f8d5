"""Programs inside of equations, in another arithmetic."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import Literal

from dynsys.equations import called, programs_inside
from dynsys.nonsmooth import moves
from dynsys.nonsmooth.residues import Rows
from dynsys.nonsmooth.scope import Call, Scope, evaluated, store

LONGEST = 256
"""Passes of a loop without switches that are evaluated one by one."""


def has_program(equation: Any) -> bool:
    """Whether there is a program among the parameters of an equation."""
    return any(True for _ in programs_inside(equation))


def results_inside(call: Call) -> list[Rows] | None:
    """A call, a loop of few passes or a branch that is known."""
    equation, params = call.equation, call.equation.params
    name = equation.primitive.name
    values = [_value(call, i) for i in range(len(equation.invars))]
    closed = called(equation)
    if closed is None and name == "cond" and not isinstance(values[0], tuple):
        closed = params["branches"][int(np.clip(values[0], 0, len(params["branches"]) - 1))]
        values = values[1:]
    if closed is not None:
        return _inside(call, closed, values)
    if name == "scan" and params["length"] <= LONGEST:
        return _loop(call, values)
    return None


def _value(call: Call, i: int) -> Any:
    """A number, or a value in the arithmetic in a tuple."""
    known = call.known(i)
    return (call.rows(i),) if known is None else known


def _inside(call: Call, closed: Any, values: Sequence[Any]) -> list[Rows]:
    """The results of a program."""
    form, field = call.form, call.field
    inputs = zip(
        (*closed.jaxpr.constvars, *closed.jaxpr.invars),
        (*closed.consts, *values),
        strict=True,
    )
    known: dict[Any, np.ndarray] = {}
    scope = Scope(known, {}, {})
    for v, value in inputs:
        if isinstance(value, tuple):
            scope.rows[v] = value[0]
        else:
            known[v] = np.asarray(value)
    is_known = lambda v: isinstance(v, Literal) or v in known
    for equation in closed.jaxpr.eqns:
        if all(map(is_known, equation.invars)):
            real = [v.val if isinstance(v, Literal) else known[v] for v in equation.invars]
            known.update(evaluated(equation, real))
        else:
            store(scope, equation, form.equation(field, scope, equation))
    return [form.read(field, scope, v) for v in closed.jaxpr.outvars]


def _loop(call: Call, values: list[Any]) -> list[Rows]:
    """The passes of a scan, one by one."""
    params = call.equation.params
    consts, carried = params["num_consts"], params["num_carry"]
    fixed, carry = values[:consts], values[consts : consts + carried]
    series = values[consts + carried :]
    order = range(params["length"])
    collected: list[Any] = [None] * params["length"]
    part = lambda s, i: (s[0][:, :, i],) if isinstance(s, tuple) else s[i]
    for i in reversed(order) if params["reverse"] else order:
        results = _inside(
            call, params["jaxpr"], [*fixed, *carry, *(part(s, i) for s in series)]
        )
        carry = [(r,) for r in results[:carried]]
        collected[i] = results[carried:]
    first = [c[0] if isinstance(c, tuple) else call.field.exact(c) for c in carry]
    stacked = [_stack(column) for column in zip(*collected, strict=True)]
    return [*first, *stacked]


def _stack(column: Sequence[Rows]) -> Rows:
    turns = max(a.shape[0] for a in column)
    return np.stack([np.broadcast_to(a, (turns, *a.shape[1:])) for a in column], moves.LEAD)
