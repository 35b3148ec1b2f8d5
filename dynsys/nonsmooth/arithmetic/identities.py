"""Identities of functions other than sums, products and quotients, modulo primes.

Every rule is an identity of real functions on the domain of the function. What has no rule
is an unknown function of its operands.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.exponentials import exponential, logarithm
from dynsys.nonsmooth.arithmetic.residues import Residues, Rows
from dynsys.programs.equations import has_program

EXPONENTIAL = frozenset({"cosh", "exp", "exp2", "expm1", "logistic", "sinh", "tanh"})
LOGARITHMIC = frozenset({"atanh", "log", "log1p"})


def _odd(name: str) -> Callable[[Residues, Rows], Rows]:
    """f(-u) = -f(u), as f(u) = u h(u^2)."""
    return lambda field, u: field.mul(u, field.hash(name, field.mul(u, u)))


def _even(name: str) -> Callable[[Residues, Rows], Rows]:
    """f(-u) = f(u), with f(0) = 1 for the cosine."""

    def rule(field: Residues, u: Rows) -> Rows:
        square = field.mul(u, u)
        return field.add(field.one(u), field.mul(square, field.hash(name, square)))

    return rule


def _exp(field: Residues, u: Rows) -> Rows:
    return exponential(field, "exp", u)


def _exp2(field: Residues, u: Rows) -> Rows:
    return exponential(field, "exp2", u)


def _expm1(field: Residues, u: Rows) -> Rows:
    e = _exp(field, u)
    return field.sub(e, field.one(e))


def _logistic(field: Residues, u: Rows) -> Rows:
    e = _exp(field, field.neg(u))
    return field.inv(field.add(field.one(e), e))


def _tanh(field: Residues, u: Rows) -> Rows:
    """1 - 2 / (exp(2 u) + 1)."""
    e = _exp(field, u)
    bottom = field.inv(field.add(field.mul(e, e), field.one(e)))
    return field.sub(field.one(e), field.add(bottom, bottom))


def _cosh(field: Residues, u: Rows) -> Rows:
    e = _exp(field, u)
    return field.half(field.add(e, field.inv(e)))


def _sinh(field: Residues, u: Rows) -> Rows:
    e = _exp(field, u)
    return field.half(field.sub(e, field.inv(e)))


def _log1p(field: Residues, u: Rows) -> Rows:
    return logarithm(field, field.add(field.one(u), u))


def _atanh(field: Residues, u: Rows) -> Rows:
    """Half of the logarithm of (1 + u) / (1 - u)."""
    one = field.one(u)
    return field.half(logarithm(field, field.div(field.add(one, u), field.sub(one, u))))


def _erfc(field: Residues, u: Rows) -> Rows:
    return field.sub(field.one(u), RULES["erf"](field, u))


def _sqrt(field: Residues, u: Rows) -> Rows:
    return field.hash("sqrt", u)


def _rsqrt(field: Residues, u: Rows) -> Rows:
    return field.inv(_sqrt(field, u))


def _cbrt(field: Residues, u: Rows) -> Rows:
    """The only u^(1/3) modulo p = 2 q + 1: that to the power of 1/3 modulo p - 1."""
    return field.raised(u, [pow(3, -1, p - 1) for p in field.primes])


def _stopped(field: Residues, u: Rows) -> Rows:
    """What derivatives treat as constant: a new unknown, or 0 where it is 0."""
    return field.mul(u, field.hash("stop_gradient", u))


def power(field: Residues, u: Rows, c: float) -> Rows:
    """u^c as a whole power times a fractional one; the power 1/2 is the root."""
    if c < 0:
        return field.inv(power(field, u, -c))
    whole, rest = divmod(c, 1.0)
    out = field.power(u, int(whole))
    if rest:
        root = _sqrt(field, u) if rest == 0.5 else field.hash(f"pow {rest!r}", u)
        out = field.mul(out, root)
    return out


RULES: dict[str, Callable[[Residues, Rows], Rows]] = {
    **{name: _odd(name) for name in ("asin", "asinh", "atan", "erf", "erf_inv")},
    **{name: _odd(name) for name in ("sin", "tan")},
    "atanh": _atanh,
    "cbrt": _cbrt,
    "cos": _even("cos"),
    "cosh": _cosh,
    "erfc": _erfc,
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": logarithm,
    "log1p": _log1p,
    "logistic": _logistic,
    "rsqrt": _rsqrt,
    "sinh": _sinh,
    "sqrt": _sqrt,
    "stop_gradient": _stopped,
    "tanh": _tanh,
}


class Field(Residues):
    """Residues with the functions of a program."""

    def function(self, equation: Any, operands: list[Rows]) -> Rows:
        """A primitive that acts on each entry alone."""
        name = equation.primitive.name
        if name in RULES:
            return self.rule(name, operands[0])
        return self.hash(f"{name} {equation.params}", *operands)

    def rule(self, name: str, u: Rows) -> Rows:
        """A function that has a rule."""
        return RULES[name](self, u)

    def opaque(self, equation: Any, operands: list[Rows]) -> list[Rows]:
        """Each entry of each result is an unknown function of all operands.

        What the function is depends on shapes and types, too, as those of `cumprod`.
        """
        inner = has_program(equation)
        every = (v.aval for v in (*equation.invars, *equation.outvars))
        types = [(str(aval.dtype), aval.shape) for aval in every]
        which = id(equation) if inner else equation.params
        name = f"{equation.primitive.name} {which} {types}"
        digest = self.digest(name, operands)[..., None]
        results = []
        for k, v in enumerate(equation.outvars):
            index = np.arange(int(np.prod(v.aval.shape, dtype=int)), dtype=np.uint64)
            out = self.hash(f"{name} {k}", digest, index.reshape(1, 1, -1))
            results.append(out.reshape(*out.shape[:2], *v.aval.shape))
        return results

    def blend(self, weight: Rows, a: Rows, b: Rows) -> Rows:
        """`b` at weight 1, `a` at 0."""
        return self.add(a, self.mul(weight, self.sub(b, a)))

    def relation(self, name: str, a: Rows, b: Rows) -> Rows:
        """The weight of an unknown predicate."""
        return self.hash(name, a, b)

    def raised_to(self, u: Rows, c: float) -> Rows:
        return power(self, u, c)
