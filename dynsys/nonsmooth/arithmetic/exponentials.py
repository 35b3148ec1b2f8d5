r"""Exponential functions and logarithms modulo primes, as homomorphisms of groups.

Modulo $p = 2 q + 1$ the squares are a cyclic group of order $q$. So with a residue $u$ of
an exponent modulo $q$, $g^u$ modulo $p$ is a function with $E(u + v) = E(u) E(v)$; and of a
residue modulo $p$, the discrete logarithm modulo $q$ is one with $L(u v) = L(u) + L(v)$,
$L(E(u)) = u$ and $L(-u) = L(u)$. Rows of a chain of primes pass these on to each other; at
the ends of the chain, $E$ and $L$ are unknown functions with $E(u) E(-u) = 1$ and
$L(-u) = L(u)$.

Source:
    S. C. Pohlig, M. E. Hellman, IEEE Trans. Inf. Theory 24 (1978); index calculus after
    L. Adleman (1979): a residue is a quotient of small numbers (Thue's lemma), whose
    logarithms are tabulated.
"""

from functools import cache
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.residues import Residues, Rows

TABLE = 1 << 16
"""Numbers up to which logarithms are tabulated."""

BASE = 200
"""Primes up to which logarithms come from a linear system."""

MIDDLE = 2048
"""Primes up to which only the first ones help to find others."""


def exponential(field: Residues, name: str, u: Rows) -> Rows:
    """An exponential function, that of base 2 if its name is `exp2`."""
    low = np.minimum(u, field.neg(u))
    hashed = field.hash(name, low)
    # A square, as the other rows have.
    hashed = field.mul(hashed, hashed)
    out = np.where(u == low, hashed, field.inv(hashed))
    out = np.where(u == 0, np.uint64(1), out)
    for chain, primes in enumerate(field.chains):
        for level, p in enumerate(primes[:-1]):
            high, small = _power_tables(p, name)
            n = field.at(u, chain, level + 1)
            power = small[n & np.uint64(TABLE - 1)] * high[n >> np.uint64(16)]
            field.at(out, chain, level)[:] = power % np.uint64(p)
    return out


def logarithm(field: Residues, u: Rows) -> Rows:
    """A logarithm."""
    out = field.hash("log", np.minimum(u, field.neg(u)))
    for chain, primes in enumerate(field.chains):
        for level, p in enumerate(primes[:-1]):
            v = field.at(u, chain, level)
            found = discrete_logarithm(v.reshape(-1), p)
            field.at(out, chain, level + 1)[:] = found.reshape(v.shape)
    return out


def discrete_logarithm(u: np.ndarray, p: int) -> np.ndarray:
    """Logarithms modulo q = (p - 1) / 2 of residues modulo p, up to their sign; 0 of 0."""
    unit = np.where(u == 0, np.uint64(1), u)
    above, below = small_quotient(unit, p)
    q = np.uint64(p // 2)
    table = _logarithms(p)
    return (table[above] + q - table[below]) % q


def small_quotient(u: np.ndarray, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers a, b < 2^16 with u = a / b or u = -a / b modulo p, by Euclid's algorithm."""
    above, below = u.copy(), np.ones_like(u)
    at = np.flatnonzero(u >= TABLE)
    r0, r1 = np.full_like(u[at], p), u[at]
    t0, t1 = np.zeros_like(r0), np.ones_like(r0)
    while len(at):
        quotient = r0 // r1
        r0, r1 = r1, r0 - quotient * r1
        t0, t1 = t1, t0 + quotient * t1
        done = r1 < TABLE
        above[at[done]], below[at[done]] = r1[done], t1[done]
        at, r0, r1, t0, t1 = (a[~done] for a in (at, r0, r1, t0, t1))
    return above, below


@cache
def _scale(p: int) -> int:
    """The logarithm to base 2 of the base of `exp`."""
    return np.random.default_rng(p).integers(2, p // 2).item()


@cache
def _power_tables(p: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Powers of the base with exponents that are multiples of 2^16, and below it."""
    base = 2 if name == "exp2" else pow(2, _scale(p), p)
    return _powers(pow(base, TABLE, p), p), _powers(base, p)


def _powers(base: int, p: int) -> np.ndarray:
    out = np.ones(1, np.uint64)
    while len(out) < TABLE:
        out = np.concatenate([out, out * np.uint64(pow(base, len(out), p)) % np.uint64(p)])
    return out


@cache
def _smallest_factors() -> np.ndarray:
    """The smallest prime factor of each number of the table."""
    found = np.arange(TABLE)
    for i in range(2, int(TABLE**0.5) + 1):
        multiples = found[i * i :: i]
        multiples[multiples == np.arange(i * i, TABLE, i)] = i
    return found


@cache
def _logarithms(p: int) -> np.ndarray:
    """Logarithms of small numbers to the base of `exp`, modulo q = (p - 1) / 2.

    First those of small primes, from a linear system, then those of others, of which some
    multiple is a quotient of numbers that are known.
    """
    q = p // 2
    smallest = _smallest_factors()
    primes = np.flatnonzero(smallest == np.arange(TABLE))[2:]
    random = np.random.default_rng(1)
    table = np.full(TABLE, -1)
    table[1] = 0
    base = primes[primes < BASE]
    table[base] = _small_logarithms(base, p, random)
    for bound in (MIDDLE, TABLE):
        _complete(table, smallest, q)
        left = primes[(table[primes] < 0) & (primes < bound)]
        while len(left):
            above, below, k = _multiples(left, p, random)
            found = (table[above] >= 0) & (table[below] >= 0)
            logarithm = table[above] - table[below] - k
            table[left[found]] = np.mod(logarithm[found], q)
            left = left[~found]
    _complete(table, smallest, q)
    return table.astype(np.uint64) * np.uint64(pow(_scale(p), -1, q)) % np.uint64(q)


def _multiples(numbers: np.ndarray, p: int, random: np.random.Generator) -> Any:
    """Products with 2^k as small quotients, and k."""
    k = random.integers(0, p // 2, len(numbers)).astype(np.uint64)
    high, low = _power_tables(p, "exp2")
    power = high[k >> np.uint64(16)] * low[k & np.uint64(TABLE - 1)] % np.uint64(p)
    above, below = small_quotient(power * numbers.astype(np.uint64) % np.uint64(p), p)
    return above.astype(int), below.astype(int), k.astype(int)


def _complete(table: np.ndarray, smallest: np.ndarray, q: int) -> None:
    """Logarithms of products of numbers whose logarithms are known."""
    start = 2
    while start < TABLE:
        n = np.arange(start, 2 * start)
        n = n[smallest[n] < n]
        left, right = table[smallest[n]], table[n // smallest[n]]
        table[n] = np.where((left >= 0) & (right >= 0), (left + right) % q, -1)
        start *= 2


def _small_logarithms(base: np.ndarray, p: int, random: np.random.Generator) -> np.ndarray:
    """Logarithms to base 2 of small primes, by Gauss's elimination modulo q."""
    q = p // 2
    above, below, k = _multiples(np.ones(MIDDLE, int), p, random)
    exponents = np.stack([_exponents(above, base), _exponents(below, base)])
    smooth = (exponents[..., -1] == 1).all(0)
    system = (exponents[0] - exponents[1])[smooth][:, :-1]
    system = np.mod(np.concatenate([system, k[smooth, None]], axis=1), q)
    for i in range(len(base)):
        pivot = i + int(np.argmax(system[i:, i] != 0))
        system[[i, pivot]] = system[[pivot, i]]
        system[i] = system[i] * pow(int(system[i, i]), -1, q) % q
        others = np.arange(len(system)) != i
        system[others] = (system[others] - system[others, i, None] * system[i]) % q
    return system[: len(base), -1]


def _exponents(numbers: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Of each number the exponents of small primes, and what is left of it."""
    numbers = numbers.copy()
    out = np.zeros((len(numbers), len(base) + 1), int)
    for i, prime in enumerate(base):
        while (divides := numbers % prime == 0).any():
            out[divides, i] += 1
            numbers = np.where(divides, numbers // prime, numbers)
    out[:, -1] = numbers
    return out
