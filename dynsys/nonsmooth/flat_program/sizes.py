r"""How large the terms are that add up to a switching value.

A switching value is a sum of terms, such as $a_1 x_1 + a_2 x_2 - b$, and known up to
rounding errors relative to their sizes $|a_1 x_1| + |a_2 x_2| + |b|$, however small it is.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from dynsys.nonsmooth.flat_program.interpret import Run
from dynsys.programs.dataflow import dependents, is_in
from dynsys.programs.primitives import MOVES

if TYPE_CHECKING:
    from dynsys.nonsmooth.flat_program.loss_program import Program

SUMS = frozenset({"add", "add_any", "sub"})
KEPT = frozenset({"convert_element_type", "cumsum", "reduce_sum"}) | MOVES


def sizes_of(program: "Program", run: Run) -> Any:
    """The sizes of all switching values.

    Args:
        program: The program.
        run: What a run of it has found.
    """
    made = {v: e for e in program.jaxpr.eqns for v in e.outvars}
    active = dependents(program.jaxpr.eqns, program.jaxpr.invars)
    known: dict[Any, Any] = {}

    def size(v: Any) -> Any:
        if not is_in(v, active) or v not in made:
            return jnp.abs(run.read(v))
        if v not in known:
            known[v] = _size(made[v], size, run.read, active)
        return known[v] if known[v] is not None else jnp.abs(run.read(v))

    found = []
    for switch in program.switches:
        operands = program.jaxpr.eqns[switch.equation].invars
        total = sum((size(v) for v in operands[1:]), size(operands[0]))
        found.append(jnp.broadcast_to(total, switch.shape).reshape(-1))
    return found


def _size(
    equation: Any, size: Callable[[Any], Any], read: Callable[[Any], Any], active: set[Any]
) -> Any:
    """The size of the result of an equation, `None` if it is not linear."""
    name, operands = equation.primitive.name, equation.invars
    is_fixed = [not is_in(v, active) for v in operands]
    if name in SUMS:
        return size(operands[0]) + size(operands[1])
    if name == "neg":
        return size(operands[0])
    is_product = name in ("mul", "dot_general") and any(is_fixed)
    if is_product or (name == "div" and is_fixed[1]):
        return _bound(equation, [size(v) for v in operands])
    if name == "select_n" and is_fixed[0]:
        return _bound(equation, [read(operands[0]), *map(size, operands[1:])])
    return _moved(equation, size, read) if name in KEPT else None


def _moved(equation: Any, size: Callable[[Any], Any], read: Callable[[Any], Any]) -> Any:
    """Sizes where the entries are that have them; indices stay."""
    if not all(jnp.issubdtype(v.aval.dtype, jnp.floating) for v in equation.outvars):
        return None
    is_float = lambda v: jnp.issubdtype(v.aval.dtype, jnp.floating)
    values = [size(v) if is_float(v) else read(v) for v in equation.invars]
    return None if len(equation.outvars) > 1 else _bound(equation, values)


def _bound(equation: Any, values: Sequence[Any]) -> Any:
    result = equation.primitive.bind(*values, **equation.params)
    return jax.lax.stop_gradient(result)
