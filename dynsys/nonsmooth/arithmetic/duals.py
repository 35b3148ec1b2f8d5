"""Values modulo primes together with their derivatives in one direction.

The first half of the rows are values, the second half slopes. What is linear acts on both
alike.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.identities import Field, power
from dynsys.nonsmooth.arithmetic.residues import Rows

Slope = Callable[[Field, Rows, Rows], Rows]
"""The derivative of a function, from its argument and its value."""

SLOPES: dict[str, Slope] = {
    "asinh": lambda f, u, _: f.hash("asinh'", f.mul(u, u)),
    "atan": lambda f, u, _: f.inv(f.add(f.one(u), f.mul(u, u))),
    "atanh": lambda f, u, _: f.inv(f.sub(f.one(u), f.mul(u, u))),
    "cbrt": lambda f, u, v: f.div(v, f.add(f.add(u, u), u)),
    "cosh": lambda f, u, v: f.sub(f.rule("exp", u), v),
    "erf": lambda f, u, _: f.hash("erf'", f.mul(u, u)),
    "erfc": lambda f, u, _: f.neg(f.hash("erf'", f.mul(u, u))),
    "exp": lambda _f, _u, v: v,
    "exp2": lambda f, _, v: f.mul(v, f.hash("log 2", f.one(v))),
    "expm1": lambda f, _, v: f.add(v, f.one(v)),
    "log": lambda f, u, _: f.inv(u),
    "log1p": lambda f, u, _: f.inv(f.add(f.one(u), u)),
    "logistic": lambda f, _, v: f.mul(v, f.sub(f.one(v), v)),
    "rsqrt": lambda f, u, v: f.neg(f.half(f.div(v, u))),
    "sin": lambda f, u, _: f.rule("cos", u),
    "cos": lambda f, u, _: f.neg(f.rule("sin", u)),
    "sinh": lambda f, u, v: f.sub(f.rule("exp", u), v),
    "sqrt": lambda f, u, v: f.half(f.div(v, u)),
    "stop_gradient": lambda _f, u, _: np.zeros_like(u),
    "tan": lambda f, _, v: f.add(f.one(v), f.mul(v, v)),
    "tanh": lambda f, _, v: f.sub(f.one(v), f.mul(v, v)),
}

REGULAR = frozenset(SLOPES) | {"erf_inv"}
"""Functions that are infinite only where this arithmetic divides by 0, too."""


class Watched(Field):
    """Residues that remember where they were divided by 0, or the logarithm of 0 was taken.

    At a point that is not random this is not a coincidence, and the result means nothing.
    """

    zeros: list[np.ndarray]

    def inv(self, a: Rows) -> Rows:
        self._watch(a)
        return super().inv(a)

    def rule(self, name: str, u: Rows) -> Rows:
        if name in ("log", "rsqrt", "sqrt"):
            self._watch(u)
        return super().rule(name, u)

    def _watch(self, a: Rows) -> None:
        zero = (a == 0).any(axis=(0, 1))
        if zero.any():
            self.zeros.append(zero)


class Duals:
    """Arithmetic of values with slopes, with the methods of `Residues`."""

    def __init__(
        self, chains: Sequence[int], levels: int, points: int, seed: int = 0
    ) -> None:
        self.values = Watched(chains, levels, points, seed)
        self.values.zeros = self.zeros = []
        self.chains, self.levels, self.points = self.values.chains, levels, points
        self.rows = np.tile(self.values.rows, 2)

    def split(self, a: Rows) -> tuple[Rows, Rows]:
        """Values and slopes."""
        half = len(self.values.rows)
        return a[:, :half], a[:, half:]

    def join(self, value: Rows, slope: Rows) -> Rows:
        turns = max(value.shape[0], slope.shape[0])
        both = (np.broadcast_to(a, (turns, *a.shape[1:])) for a in (value, slope))
        return np.concatenate(list(both), axis=1)

    def constant(self, value: Rows) -> Rows:
        return self.join(value, np.zeros_like(value))

    def exact(self, value: Any) -> Rows:
        return self.constant(self.values.exact(value))

    def integers(self, value: np.ndarray) -> Rows:
        return self.constant(self.values.integers(value))

    def draw(self, shape: tuple[int, ...]) -> Rows:
        return self.constant(self.values.draw(shape))

    def one(self, like: Rows) -> Rows:
        value, _ = self.split(like)
        return self.constant(np.ones_like(value))

    def _each(self, do: Callable[..., Rows], *operands: Rows) -> Rows:
        parts = zip(*map(self.split, operands), strict=True)
        return self.join(*(do(*part) for part in parts))

    def add(self, a: Rows, b: Rows) -> Rows:
        return self._each(self.values.add, a, b)

    def neg(self, a: Rows) -> Rows:
        return self._each(self.values.neg, a)

    def sub(self, a: Rows, b: Rows) -> Rows:
        return self._each(self.values.sub, a, b)

    def half(self, a: Rows) -> Rows:
        return self._each(self.values.half, a)

    def total(self, a: Rows, axes: tuple[int, ...]) -> Rows:
        return self._each(lambda part: self.values.total(part, axes), a)

    def running_total(self, a: Rows, axis: int) -> Rows:
        return self._each(lambda part: self.values.running_total(part, axis), a)

    def mul(self, a: Rows, b: Rows) -> Rows:
        return self._leibniz(self.values.mul, a, b)

    def bilinear(self, product: Any, a: Rows, b: Rows) -> Rows:
        return self._leibniz(lambda u, v: self.values.bilinear(product, u, v), a, b)

    def _leibniz(self, product: Callable[[Rows, Rows], Rows], a: Rows, b: Rows) -> Rows:
        (a, da), (b, db) = self.split(a), self.split(b)
        return self.join(product(a, b), self.values.add(product(a, db), product(da, b)))

    def inv(self, a: Rows) -> Rows:
        value, slope = self.split(a)
        inverse = self.values.inv(value)
        square = self.values.mul(inverse, inverse)
        return self.join(inverse, self.values.neg(self.values.mul(square, slope)))

    def div(self, a: Rows, b: Rows) -> Rows:
        return self.mul(a, self.inv(b))

    def power(self, a: Rows, n: int) -> Rows:
        if n < 0:
            return self.power(self.inv(a), -n)
        if n == 0:
            return self.one(a)
        value, slope = self.split(a)
        below = self.values.power(value, n - 1)
        times = self.values.mul(self._number(float(n), a), below)
        return self.join(self.values.mul(below, value), self.values.mul(times, slope))

    def _number(self, value: float, like: Rows) -> Rows:
        return self.values.exact(value).reshape(1, -1, *(1,) * (like.ndim - 2))

    def blend(self, weight: Rows, a: Rows, b: Rows) -> Rows:
        return self.add(a, self.mul(weight, self.sub(b, a)))

    def relation(self, name: str, a: Rows, b: Rows) -> Rows:
        (a, _), (b, _) = self.split(a), self.split(b)
        return self.constant(self.values.relation(name, a, b))

    def raised_to(self, u: Rows, c: float) -> Rows:
        u, du = self.split(u)
        value = power(self.values, u, c)
        factor = self._number(c, u)
        slope = self.values.mul(factor, self.values.div(value, u))
        return self.join(value, self.values.mul(slope, du))

    def function(self, equation: Any, operands: list[Rows]) -> Rows:
        """By the chain rule, with unknown derivatives of unknown functions."""
        name = equation.primitive.name
        parts = [self.split(a) for a in operands]
        values = [value for value, _ in parts]
        out = self.values.function(equation, values)
        total = np.zeros_like(out)
        for i, (_, slope) in enumerate(parts):
            if name in SLOPES:
                derivative = SLOPES[name](self.values, values[0], out)
            else:
                label = f"{name} {equation.params}'{i}"
                derivative = self.values.hash(label, *values)
            total = self.values.add(total, self.values.mul(derivative, slope))
        return self.join(out, total)

    def opaque(self, equation: Any, operands: list[Rows]) -> list[Rows]:
        parts = [self.split(a) for a in operands]
        values = self.values.opaque(equation, [value for value, _ in parts])
        slopes = self.values.opaque(equation, [a for part in parts for a in part])
        return [self.join(v, s) for v, s in zip(values, slopes, strict=True)]
