r"""Exact arithmetic modulo primes, in which identities of functions are decided.

Every array has two leading axes, of turns (in which some signs are turned round) and of
rows; each row is one sample point modulo its own prime. Floats are integers times powers of
2 and are taken exactly, so scales, offsets and rounding do not exist here.

The primes come in chains $p = 2 q + 1$, $q = 2 r + 1$. Of functions, two different ones
that are rational of degree $D$ in unknowns (and in unknown functions of them) agree at a
random point modulo a prime with probability at most $D / p$ (Schwartz and Zippel), that is,
at one row of each of four chains with at most $(D / 2^{29})^4 = 1.2\cdot 10^{-35} D^4$, and
two constants that are not chosen for the primes agree in all with the same at $D = 1$.

Source:
    J. T. Schwartz, "Fast probabilistic algorithms for verification of polynomial
    identities", J. ACM 27 (1980), lemma 1.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

CHAINS = (
    (2147438927, 1073719463, 536859731),
    (2147438687, 1073719343, 536859671),
    (2147424047, 1073712023, 536856011),
    (2147365919, 1073682959, 536841479),
)
"""Chains of primes; 2 has an order of more than 10^7 modulo each, so that the powers of 2
in floats differ."""

SMALL = 4096
"""Size of an array up to which one division by different primes is faster than several."""

Rows: TypeAlias = np.ndarray
"""Residues, with axes of turns and rows before those of the array."""


class Residues:
    """Arithmetic on rows, ordered by chain, prime and point.

    Args:
        chains: Which chains are used.
        levels: How many primes of each.
        points: How many sample points modulo each prime.
        seed: What the unknowns are drawn from.
    """

    def __init__(
        self, chains: Sequence[int], levels: int, points: int, seed: int = 0
    ) -> None:
        self.chains = [CHAINS[i][:levels] for i in chains]
        self.levels, self.points = levels, points
        self.primes = [p for chain in self.chains for p in chain]
        self.rows = np.repeat(np.array(self.primes, np.uint64), points)
        self.random = np.random.default_rng(seed)

    def p(self, like: Rows) -> np.ndarray:
        """The prime of each row, in a shape for an array."""
        return self.rows.reshape((1, -1) + (1,) * (like.ndim - 2))

    def at(self, a: Rows, chain: int, level: int) -> Rows:
        """The rows of one prime."""
        start = (chain * self.levels + level) * self.points
        return a[:, start : start + self.points]

    def reduce(self, a: Rows) -> Rows:
        """Remainders modulo the primes."""
        if a.size <= SMALL:
            return a % self.p(a)
        out = np.empty_like(a)
        for i, prime in enumerate(self.primes):
            rows = slice(i * self.points, (i + 1) * self.points)
            np.remainder(a[:, rows], np.uint64(prime), out=out[:, rows])
        return out

    def exact(self, value: Any) -> Rows:
        """A number with all its bits; what is not finite is one of three unknowns."""
        value = np.asarray(value)
        if value.dtype.kind == "c":
            return self._complex(value)
        value = value.astype(np.float64)
        finite = np.isfinite(value)
        part, power = np.frexp(np.where(finite, value, 0))
        whole = (part * 2.0**53).astype(np.int64)
        out = np.empty((1, len(self.rows), *value.shape), np.uint64)
        for r, prime in enumerate(map(int, self.rows)):
            m = np.mod(whole, np.int64(prime)).astype(np.uint64)
            out[0, r] = m * _powers_of_two(prime)[power - 53 + LOWEST] % np.uint64(prime)
        if finite.all():
            return out
        infinite = self.hash("infinite", np.ones_like(out))
        other = np.where(value > 0, infinite, self.hash("nan", np.ones_like(out)))
        return np.where(finite, out, np.where(value < 0, self.neg(infinite), other))

    def _complex(self, value: np.ndarray) -> Rows:
        """The imaginary unit is an unknown: what holds for all numbers does for it."""
        imaginary = self.exact(np.imag(value))
        unit = self.hash("imaginary unit", np.ones_like(imaginary))
        return self.add(self.exact(np.real(value)), self.mul(unit, imaginary))

    def integers(self, value: np.ndarray) -> Rows:
        """Whole numbers, exactly, even those that a float cannot hold."""
        value = np.asarray(value).astype(np.int64)
        out = [np.mod(value, np.int64(p)).astype(np.uint64) for p in map(int, self.rows)]
        return np.stack(out)[None]

    def draw(self, shape: tuple[int, ...]) -> Rows:
        """Unknowns."""
        low, high = np.uint64(1), np.uint64(2**62)
        size = (1, len(self.rows), *shape)
        return self.reduce(self.random.integers(low, high, size, np.uint64))

    def one(self, like: Rows) -> Rows:
        return np.ones_like(like)

    def add(self, a: Rows, b: Rows) -> Rows:
        c = a + b
        p = self.p(c)
        return np.where(c >= p, c - p, c)

    def neg(self, a: Rows) -> Rows:
        return np.where(a == 0, a, self.p(a) - a)

    def sub(self, a: Rows, b: Rows) -> Rows:
        return self.add(a, self.neg(b))

    def mul(self, a: Rows, b: Rows) -> Rows:
        return self.reduce(a * b)

    def half(self, a: Rows) -> Rows:
        """A half."""
        return np.where(
            a & np.uint64(1), (a + self.p(a)) >> np.uint64(1), a >> np.uint64(1)
        )

    def power(self, a: Rows, n: int) -> Rows:
        """A power with a whole exponent."""
        if n < 0:
            return self.power(self.inv(a), -n)
        out = np.ones_like(a)
        while n:
            out = self.mul(out, a) if n & 1 else out
            n >>= 1
            a = self.mul(a, a) if n else a
        return out

    def inv(self, a: Rows) -> Rows:
        """Inverses, that of 0 being 0: pairs of numbers have one division together."""
        flat = a.reshape(*a.shape[:2], -1)
        return self._inv(flat).reshape(a.shape)

    def _inv(self, a: Rows) -> Rows:
        number = a.shape[2]
        if number <= 4:
            return self._inv_each(a)
        one = np.where(a == 0, np.uint64(1), a)
        half = number // 2
        left, right, rest = one[..., :half], one[..., half : 2 * half], one[..., 2 * half :]
        both = self._inv(np.concatenate([self.mul(left, right), rest], axis=2))
        pair = both[..., :half]
        parts = [self.mul(pair, right), self.mul(pair, left), both[..., half:]]
        return np.where(a == 0, a, np.concatenate(parts, axis=2))

    def _inv_each(self, a: Rows) -> Rows:
        primes = np.broadcast_to(self.p(a), a.shape).reshape(-1).tolist()
        pairs = zip(a.reshape(-1).tolist(), primes, strict=True)
        found = [pow(n, -1, p) if n else 0 for n, p in pairs]
        return np.array(found, np.uint64).reshape(a.shape)

    def raised(self, a: Rows, exponents: list[int]) -> Rows:
        """Powers with an exponent for each prime."""
        n = np.repeat(np.array(exponents, np.uint64), self.points)
        n = n.reshape(self.p(a).shape)
        out = np.ones_like(a)
        for bit in range(31):
            odd = (n >> np.uint64(bit)) & np.uint64(1) == 1
            out = np.where(odd, self.mul(out, a), out)
            a = self.mul(a, a)
        return out

    def div(self, a: Rows, b: Rows) -> Rows:
        return self.mul(a, self.inv(b))

    def total(self, a: Rows, axes: tuple[int, ...]) -> Rows:
        """Sums over some axes of the array."""
        axes = tuple(i + 2 for i in axes)
        return self.reduce(np.asarray(np.sum(a, axis=axes, dtype=np.uint64)))

    def running_total(self, a: Rows, axis: int) -> Rows:
        return self.reduce(np.cumsum(a, axis=axis + 2, dtype=np.uint64))

    def bilinear(self, product: Any, a: Rows, b: Rows) -> Rows:
        """A sum of products that is exact in floats for factors below 2^16."""
        low = np.uint64(65535)
        split = lambda v: [(v >> np.uint64(16)).astype(float), (v & low).astype(float)]
        (a1, a0), (b1, b0) = split(a), split(b)
        whole = lambda v: self.reduce(np.asarray(v, np.uint64))
        high, least = whole(product(a1, b1)), whole(product(a0, b0))
        mixed = whole(product(a1, b0) + product(a0, b1))
        shift = np.uint64(65536)
        return self.reduce(self.reduce(high * shift + mixed) * shift + least)

    def hash(self, name: str, *operands: Rows) -> Rows:
        """An unknown function of the operands, entry by entry."""
        with np.errstate(over="ignore"):
            h = np.full((), _salt(name), np.uint64)
            for a in operands:
                h = _mix(h ^ _mix(a + np.uint64(0x9E3779B97F4A7C15)))
                h = h + np.uint64(0xD1342543DE82EF95)
            out = _mix(h)
        return self.reduce(
            np.broadcast_to(out, np.broadcast_shapes(*map(np.shape, operands)))
        )

    def digest(self, name: str, operands: list[Rows]) -> Rows:
        """An unknown function of all entries of the operands."""
        turns = max(a.shape[0] for a in operands)
        flat = [np.broadcast_to(a, (turns, *a.shape[1:])) for a in operands]
        joined = np.concatenate([a.reshape(*a.shape[:2], -1) for a in flat], axis=2)
        place = np.arange(joined.shape[2], dtype=np.uint64).reshape(1, 1, -1)
        with np.errstate(over="ignore"):
            return np.asarray(
                np.sum(self.hash(name, joined, place), axis=2, dtype=np.uint64)
            )


LOWEST = 1200


@cache
def _powers_of_two(prime: int) -> np.ndarray:
    """Powers of 2 from exponent -`LOWEST`."""
    return np.array([pow(2, e, prime) for e in range(-LOWEST, 1100)], np.uint64)


@cache
def _salt(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _mix(h: Any) -> Any:
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))
