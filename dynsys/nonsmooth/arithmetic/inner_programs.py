"""Programs inside of equations, in another arithmetic."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic import moves
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.arithmetic.scope import Call, Scope, fold, store
from dynsys.programs.equations import called
from dynsys.programs.evaluate import unrolled

LONGEST = 256
"""Passes of a loop without switches that are evaluated one by one."""


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
    for equation in closed.jaxpr.eqns:
        if not fold(known, equation):
            store(scope, equation, form.equation(field, scope, equation))
    return [form.read(field, scope, v) for v in closed.jaxpr.outvars]


def _loop(call: Call, values: list[Any]) -> list[Rows]:
    """The passes of a scan, one by one."""

    def run(closed: Any, inputs: list[Any]) -> list[Any]:
        return [(rows,) for rows in _inside(call, closed, inputs)]

    part = lambda s, i: (s[0][:, :, i],) if isinstance(s, tuple) else s[i]
    carry, columns = unrolled(call.equation.params, values, part, run)
    first = [c[0] if isinstance(c, tuple) else call.field.exact(c) for c in carry]
    stacked = [_stack([rows for (rows,) in column]) for column in columns]
    return [*first, *stacked]


def _stack(column: Sequence[Rows]) -> Rows:
    turns = max(a.shape[0] for a in column)
    return np.stack([np.broadcast_to(a, (turns, *a.shape[1:])) for a in column], moves.LEAD)
