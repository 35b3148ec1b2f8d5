"""Floating-point numbers with their slopes along a line, exact up to rounding."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.arithmetic.duals import Duals
from dynsys.nonsmooth.arithmetic.floats import Floats, Rows, numbers_of
from dynsys.programs.evaluate import bind


class Tangents(Duals):
    """Arithmetic of floats with slopes, with the methods of `Residues`.

    Args:
        rows: How many points.
    """

    def __init__(self, rows: int) -> None:
        self.values: Any = Floats(rows)
        self.rows = np.zeros(2 * rows)
        self.zeros = []

    def blend(self, weight: Rows, a: Rows, b: Rows) -> Rows:
        """`b` at weight 1, `a` at 0; an infinite value of the other one does not matter."""
        (value, slope), (a, da), (b, db) = map(self.split, (weight, a, b))
        mixed = da + value * (db - da) + slope * (b - a)
        chosen = np.where(value == 1, db, np.where(value == 0, da, mixed))
        return self.join(self.values.blend(value, a, b), chosen)

    def raised_to(self, u: Rows, c: float) -> Rows:
        u, du = self.split(u)
        return self.join(np.power(u, c), c * np.power(u, c - 1) * du)

    def function(self, equation: Any, operands: list[Rows]) -> Rows:
        """A primitive that acts on each entry alone."""
        values, slopes = zip(*map(self.split, operands), strict=True)
        shape = np.broadcast_shapes(*map(np.shape, values))
        same = lambda parts: [np.broadcast_to(a, shape) for a in parts]
        call = lambda *v: equation.primitive.bind(*v, **equation.params)
        return self.join(*_pushed(equation, call, same(values), same(slopes)))

    def opaque(self, equation: Any, operands: list[Rows]) -> list[Rows]:
        """Any other primitive, row by row."""
        turns, number = max(a.shape[0] for a in operands), len(self.values.rows)
        full = [np.broadcast_to(a, (turns, *a.shape[1:])) for a in operands]
        flat = lambda a: a.reshape(-1, *a.shape[2:])
        values, slopes = zip(*(map(flat, self.split(a)) for a in full), strict=True)
        call = jax.vmap(lambda *v: bind(equation, v))
        pairs = zip(*_pushed(equation, call, values, slopes), strict=True)
        back = lambda a: np.asarray(a).reshape(turns, number, *np.shape(a)[1:])
        return [self.join(back(value), back(slope)) for value, slope in pairs]


def _pushed(equation: Any, call: Callable[..., Any], values: Any, slopes: Any) -> Any:
    """The results of a call, and their slopes, with operands of its types."""
    types = [v.aval.dtype for v in equation.invars]
    moving = [jnp.issubdtype(t, jnp.inexact) for t in types]
    real = [jnp.asarray(a, t) for a, t in zip(values, types, strict=True)]
    along = [jnp.asarray(a, t) for a, t in zip(slopes, types, strict=True)]

    def of_moving(*some: Any) -> Any:
        rest = iter(some)
        return call(*(next(rest) if m else a for m, a in zip(moving, real, strict=True)))

    pick = lambda parts: tuple(a for m, a in zip(moving, parts, strict=True) if m)
    with jax.ensure_compile_time_eval():
        if not any(moving):
            found = call(*real)
            return jax.tree.map(numbers_of, (found, jax.tree.map(jnp.zeros_like, found)))
        found, pushed = jax.jvp(of_moving, pick(real), pick(along))
    # What is no float has no slope.
    fix = lambda v, s: np.zeros(v.shape) if s.dtype == jax.dtypes.float0 else np.asarray(s)
    return jax.tree.map(numbers_of, found), jax.tree.map(fix, found, pushed)
