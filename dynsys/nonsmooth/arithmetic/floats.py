"""Floating-point numbers in the place of residues, where a size or a sign is wanted."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dynsys.programs.evaluate import bind

Rows = np.ndarray

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cbrt": np.cbrt,
    "cos": np.cos,
    "cosh": np.cosh,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "logistic": lambda u: 1 / (1 + np.exp(-u)),
    "max": np.maximum,
    "min": np.minimum,
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "stop_gradient": lambda u: u,
    "rsqrt": lambda u: 1 / np.sqrt(u),
    "tan": np.tan,
    "tanh": np.tanh,
}


class Floats:
    """Arithmetic of rows of floats, with the methods of `Residues`.

    Args:
        rows: How many points.
        seed: What the unknowns are drawn from.
        noise: Relative random error of each result, by which those of rounding are seen.
    """

    def __init__(self, rows: int, seed: int = 0, noise: float = 0.0) -> None:
        self.noise = noise
        self.rows = np.zeros(rows)
        self.zeros: list[np.ndarray] = []
        self.random = np.random.default_rng(seed)

    @property
    def values(self) -> "Floats":
        """The values, as those of duals: floats have no slopes."""
        return self

    def split(self, a: Rows) -> tuple[Rows, Rows]:
        return a, a

    def join(self, value: Rows, _: Rows) -> Rows:
        return value

    def exact(self, value: Any) -> Rows:
        value = numbers_of(value)
        return np.broadcast_to(value, (1, len(self.rows), *value.shape))

    integers = exact

    def draw(self, shape: tuple[int, ...]) -> Rows:
        return self.random.normal(size=(1, len(self.rows), *shape))

    def _rounded(self, a: Rows) -> Rows:
        if not self.noise:
            return a
        return a * (1 + self.noise * self.random.normal(size=a.shape))

    def one(self, like: Rows) -> Rows:
        return np.ones_like(like)

    def add(self, a: Rows, b: Rows) -> Rows:
        return self._rounded(a + b)

    def neg(self, a: Rows) -> Rows:
        return -a

    def sub(self, a: Rows, b: Rows) -> Rows:
        return self._rounded(a - b)

    def mul(self, a: Rows, b: Rows) -> Rows:
        return self._rounded(a * b)

    def half(self, a: Rows) -> Rows:
        return 0.5 * a

    def power(self, a: Rows, n: int) -> Rows:
        return a ** float(n)

    def inv(self, a: Rows) -> Rows:
        return self._rounded(1 / a)

    def div(self, a: Rows, b: Rows) -> Rows:
        return self._rounded(a / b)

    def total(self, a: Rows, axes: tuple[int, ...]) -> Rows:
        return self._rounded(np.sum(a, axis=tuple(i + 2 for i in axes)))

    def running_total(self, a: Rows, axis: int) -> Rows:
        return np.cumsum(a, axis=axis + 2)

    def bilinear(self, product: Any, a: Rows, b: Rows) -> Rows:
        return self._rounded(np.asarray(product(a, b)))

    def blend(self, weight: Rows, a: Rows, b: Rows) -> Rows:
        """`b` at weight 1, `a` at 0; an infinite value of the other one does not matter."""
        return np.where(weight == 1, b, np.where(weight == 0, a, a + weight * (b - a)))

    def relation(self, name: str, a: Rows, b: Rows) -> Rows:
        return ({"gt": np.greater, "eq": np.equal}[name](a, b)).astype(float)

    def raised_to(self, u: Rows, c: float) -> Rows:
        return np.power(u, c)

    def opaque(self, equation: Any, operands: list[Rows]) -> list[Rows]:
        """Any other primitive, row by row."""
        turns = max(a.shape[0] for a in operands)
        shape = (turns, len(self.rows))
        flat = [
            np.broadcast_to(a, (*shape, *a.shape[2:]))
            .reshape(-1, *a.shape[2:])
            .astype(v.aval.dtype)
            for a, v in zip(operands, equation.invars, strict=True)
        ]
        with jax.ensure_compile_time_eval():
            found = jax.vmap(lambda *values: bind(equation, values))(*flat)
        return [numbers_of(f).reshape(*shape, *f.shape[1:]) for f in found]

    def function(self, equation: Any, operands: list[Rows]) -> Rows:
        """A primitive that acts on each entry alone."""
        name = equation.primitive.name
        if name in FUNCTIONS:
            return self._rounded(FUNCTIONS[name](*operands))
        if name in ("pow", "atan2"):
            return {"pow": np.power, "atan2": np.arctan2}[name](*operands)
        shape = np.broadcast_shapes(*map(np.shape, operands))
        same = [
            np.broadcast_to(a, shape).astype(v.aval.dtype)
            for a, v in zip(operands, equation.invars, strict=True)
        ]
        with jax.ensure_compile_time_eval():
            return numbers_of(equation.primitive.bind(*same, **equation.params))


def numbers_of(value: Any) -> np.ndarray:
    """As floats, or as complex numbers where they are such."""
    value = np.asarray(value)
    return value.astype(complex if value.dtype.kind == "c" else float)
