"""Values of the variables of a program, and equations with their operands."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.arithmetic import moves
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.flat_program.flatten import apply


class Scope(NamedTuple):
    """Values of variables.

    Args:
        known: Numbers that depend on no unknown.
        rows: Values of the others, in the arithmetic.
        exact: The numbers in the arithmetic, as far as they were asked for.
    """

    known: Mapping[Any, np.ndarray]
    rows: MutableMapping[Any, Rows]
    exact: dict[Any, Rows]


class Call(NamedTuple):
    """An equation with its operands."""

    form: Any
    field: Any
    scope: Scope
    equation: Any
    rows: Callable[[int], Rows]

    def known(self, i: int) -> np.ndarray | None:
        """An operand that depends on no unknown."""
        v = self.equation.invars[i]
        return np.asarray(v.val) if isinstance(v, Literal) else self.scope.known.get(v)

    def is_bool(self, i: int = 0) -> bool:
        return self.equation.invars[i].aval.dtype == bool


def store(scope: Scope, equation: Any, results: Sequence[Rows]) -> None:
    """Keep the results of an equation."""
    for v, value in zip(equation.outvars, results, strict=True):
        shape = (*value.shape[: moves.LEAD], *v.aval.shape)
        scope.rows[v] = value if value.shape == shape else np.broadcast_to(value, shape)


def fold(known: MutableMapping[Any, np.ndarray], equation: Any) -> bool:
    """Evaluate an equation for good if nothing in it is unknown; whether that is so."""
    if not all(isinstance(v, Literal) or v in known for v in equation.invars):
        return False
    real = [v.val if isinstance(v, Literal) else known[v] for v in equation.invars]
    known.update(_evaluated(equation, real))
    return True


def _evaluated(equation: Any, values: Sequence[Any]) -> dict[Any, np.ndarray]:
    """The results of an equation of numbers; moves are not left to JAX to compile."""
    name = equation.primitive.name
    if name in moves.SIMPLE and len(equation.outvars) == 1:
        arrays = [np.asarray(value)[None, None] for value in values]
        return {equation.outvars[0]: moves.SIMPLE[name](equation, *arrays)[0, 0]}
    with jax.ensure_compile_time_eval():
        results = apply(equation, values)
    pairs = zip(equation.outvars, results, strict=True)
    return {v: np.asarray(value) for v, value in pairs if value is not None}
