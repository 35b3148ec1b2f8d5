"""Exact arithmetic modulo primes, against Python's own integers and fractions."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from dynsys.nonsmooth.arithmetic.exponentials import (
    discrete_logarithm,
    exponential,
    logarithm,
)
from dynsys.nonsmooth.arithmetic.residues import CHAINS, Residues

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.1, 293.15, 1e-9, -1e9, 5e-324, 1.7e308, 2.0**-1022, np.pi]


def field(levels=3, points=2):
    return Residues(range(len(CHAINS)), levels, points)


def level(f, a, which):
    return np.concatenate([f.at(a, chain, which) for chain in range(len(f.chains))], axis=1)


def residue(value, prime):
    exact = Fraction(value)
    return exact.numerator * pow(exact.denominator, -1, prime) % prime


def is_prime(n):
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    witness = lambda a: (
        pow(a, odd, n) in (1, n - 1)
        or any(pow(a, odd << i, n) == n - 1 for i in range(1, twos))
    )
    return all(n % p for p in (2, 3, 5, 7)) and all(map(witness, (2, 3, 5, 7)))


@pytest.mark.parametrize("chain", CHAINS)
def test_each_prime_is_twice_the_next_one_and_one(chain):
    assert all(p < 2**31 and is_prime(p) for p in chain)
    assert all(p == 2 * q + 1 for p, q in itertools.pairwise(chain))


@pytest.mark.parametrize("chain", CHAINS)
def test_powers_of_two_in_floats_have_different_residues(chain):
    for p in chain:
        assert len({pow(2, e, p) for e in range(-1100, 1100)}) == 2200


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_floats_are_exact(dtype):
    with np.errstate(over="ignore"):
        values = np.array(FLOATS, dtype)
    values = values[np.isfinite(values)]
    f = field()
    for row, prime in zip(f.exact(values)[0], map(int, f.rows), strict=True):
        assert row.tolist() == [residue(float(v), prime) for v in values]


def test_whole_numbers_that_no_float_holds_are_exact():
    values = np.array([2**62 + 1, -(2**62) - 1, 2**53 + 1])
    f = field()
    for row, prime in zip(f.integers(values)[0], map(int, f.rows), strict=True):
        assert row.tolist() == [int(v) % prime for v in values]


def test_what_is_not_finite_is_three_unknowns():
    f = field()
    high, low, nan = np.moveaxis(f.exact([np.inf, -np.inf, np.nan]), 2, 0)
    assert (f.add(high, low) == 0).all()
    assert (high != low).all()
    assert (nan != high).all()
    assert (nan != low).all()


@pytest.mark.parametrize("size", [1, 3, 5000])
def test_the_field_operations_are_those_of_python(size):
    f = field()
    a, b = f.draw((size,)), f.draw((size,))
    a[..., 0] = 0
    for name, rule in {
        "add": lambda x, y, p: (x + y) % p,
        "sub": lambda x, y, p: (x - y) % p,
        "mul": lambda x, y, p: x * y % p,
        "div": lambda x, y, p: x * pow(y, -1, p) % p,
    }.items():
        found = getattr(f, name)(a, b)
        for r, p in enumerate(map(int, f.rows)):
            pairs = zip(a[0, r].tolist(), b[0, r].tolist(), strict=True)
            assert found[0, r].tolist() == [rule(x, y, p) for x, y in pairs], name
    assert (f.add(f.half(a), f.half(a)) == a).all()
    assert (f.add(a, f.neg(a)) == 0).all()
    assert (f.power(b, -3) == f.inv(f.mul(b, f.mul(b, b)))).all()


def test_sums_and_products_of_matrices_are_exact():
    f = field()
    a, b = f.draw((3, 40)), f.draw((40, 2))
    found = f.bilinear(np.matmul, a, b)
    for r, p in enumerate(map(int, f.rows)):
        right = a[0, r].astype(object) @ b[0, r].astype(object) % p
        assert found[0, r].tolist() == right.tolist()
        assert (
            f.total(a, (1,))[0, r].tolist()
            == (a[0, r].astype(object).sum(axis=1) % p).tolist()
        )


@pytest.mark.parametrize("p", [chain[0] for chain in CHAINS])
def test_discrete_logarithms_are_right(p):
    # Powers of one of them are those of the others: checked without the table of powers.
    random = np.random.default_rng(0)
    u = random.integers(1, p, 200).astype(np.uint64)
    found = discrete_logarithm(u, p)
    base = int(u[0]) * int(u[0]) % p
    exponent = 2 * int(found[0]) * pow(2, -1, p // 2) % (p // 2)
    inverse = pow(exponent, -1, p // 2)
    for value, power in zip(u.tolist(), found.tolist(), strict=True):
        again = pow(base, power * inverse * pow(2, -1, p // 2) % (p // 2), p)
        assert again in (value, p - value)


def test_exponential_and_logarithm_are_inverse_homomorphisms():
    f = field()
    u, v = f.draw((100,)), f.draw((100,))
    exp = lambda a: exponential(f, "exp", a)
    log = lambda a: logarithm(f, a)
    for which in (0, 1):
        assert (
            level(f, exp(f.add(u, v)), which) == level(f, f.mul(exp(u), exp(v)), which)
        ).all()
        after = which + 1
        assert (level(f, log(exp(u)), after) == level(f, u, after)).all()
        assert (
            level(f, log(f.mul(u, v)), after) == level(f, f.add(log(u), log(v)), after)
        ).all()
    assert (exp(f.neg(u)) == f.inv(exp(u))).all()
    assert (exp(np.zeros_like(u)) == 1).all()
    assert (log(f.neg(u)) == log(u)).all()


def test_powers_of_two_are_those_of_numbers_and_unrelated_to_the_exponential():
    f = field()
    numbers = np.arange(-5.0, 6.0)
    found = exponential(f, "exp2", f.exact(numbers))
    for which in (0, 1):
        assert (level(f, found, which) == level(f, f.exact(2.0**numbers), which)).all()
    u = f.draw((10,))
    assert (exponential(f, "exp", u) != exponential(f, "exp2", u)).all()
    assert (exponential(f, "exp", u) != exponential(f, "exp2", f.add(u, u))).all()


def test_unknown_functions_differ_in_their_names_and_all_operands():
    f = field()
    u, v = f.draw((100,)), f.draw((100,))
    assert (f.hash("g", u, v) == f.hash("g", u, v)).all()
    assert (f.hash("g", u, v) != f.hash("h", u, v)).mean() > 0.99
    assert (f.hash("g", u, v) != f.hash("g", v, u)).mean() > 0.99
    assert (f.hash("g", u, v) != f.hash("g", u, u)).mean() > 0.99
