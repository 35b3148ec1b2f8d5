"""Bounds of the entries of a program: right for every position, and not vacuous."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.nonsmooth.flat_program.flatten import flatten
from dynsys.nonsmooth.flat_program.loss_program import program_of
from dynsys.nonsmooth.intervals.bounds import Bounds, Interval
from dynsys.nonsmooth.intervals.rules import RULES
from dynsys.programs.rewrite import tidy

A = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
INF = np.inf


def bounds_of(f, low=-INF, high=INF, shape=(3,)):
    """Bounds of a function of one array whose entries are between two numbers."""
    closed = tidy(flatten(f, jnp.zeros(shape)))
    ends = (np.full(shape, float(end)) for end in (low, high))
    bounds = Bounds(closed.jaxpr, closed.consts, RULES, [Interval(*ends)])
    return bounds.of(closed.jaxpr.outvars[0])


FUNCTIONS = {
    "add": lambda x: x + x[::-1],
    "add data": lambda x: x + A[0],
    "subtract": lambda x: x - 2 * x[::-1],
    "multiply": lambda x: x * x[::-1],
    "multiply data": lambda x: x * A[0],
    "divide": lambda x: x / (x[::-1] + 7),
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "cube": lambda x: x**3,
    "negative power": lambda x: x**-2,
    "odd negative power": lambda x: x**-3,
    "abs": jnp.abs,
    "sign": jnp.sign,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "log": lambda x: jnp.log(x + 6),
    "log1p": lambda x: jnp.log1p(x + 5.5),
    "sqrt": lambda x: jnp.sqrt(x + 6),
    "rsqrt": lambda x: jax.lax.rsqrt(x + 6),
    "power": lambda x: (x + 6) ** 1.3,
    "small power": lambda x: (x + 6) ** 0.3,
    "power of an entry": lambda x: (x + 6) ** x[::-1],
    "cbrt": jnp.cbrt,
    "logistic": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "erf": jax.scipy.special.erf,
    "erfc": jax.scipy.special.erfc,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "atan": jnp.arctan,
    "asinh": jnp.arcsinh,
    "asin": lambda x: jnp.arcsin(x / 6),
    "acos": lambda x: jnp.arccos(x / 6),
    "acosh": lambda x: jnp.arccosh(x + 7),
    "atanh": lambda x: jnp.arctanh(x / 6),
    "max": lambda x: jnp.maximum(x, x[::-1] / 2),
    "min": lambda x: jnp.minimum(x, A[0]),
    "clip": lambda x: jnp.clip(x, -1, 2),
    "clamp": lambda x: jax.lax.clamp(-1.0, x, 2.0),
    "where": lambda x: jnp.where(x > 1, x, 1 - x),
    "where of data": lambda x: jnp.where(A[0] > 0, x, -3 * x),
    "not": lambda x: (~(x > 0)).astype(float),
    "and": lambda x: ((x > 0) & (x < 9)).astype(float),
    "or": lambda x: ((x > 0) | (x <= -9)).astype(float),
    "equal": lambda x: (x == A[0]).astype(float),
    "not equal": lambda x: (x != A[0]).astype(float),
    "sum": lambda x: jnp.sum(x),
    "sum of squares": lambda x: jnp.sum(x**2),
    "product of entries": lambda x: jnp.prod(jnp.abs(x)),
    "cumsum": jnp.cumsum,
    "cummax": lambda x: jax.lax.cummax(x, reverse=True),
    "largest": jnp.max,
    "smallest": lambda x: jnp.min(jnp.outer(x, x), axis=0),
    "matrix": lambda x: A @ x,
    "inner product": lambda x: x @ x,
    "another inner product": lambda x: x @ x[::-1],
    "outer product": lambda x: jnp.outer(x, x),
    "trace of a square": lambda x: jnp.trace(jnp.outer(x, A[1]) @ jnp.outer(x, A[1])),
    "batches": lambda x: jnp.einsum("ij,ij->i", A * x[None], A * x[None]),
    "reshape": lambda x: x.reshape(3, 1)[:, 0],
    "transpose": lambda x: jnp.outer(x, A[0]).T,
    "pad": lambda x: jnp.pad(x, (1, 2), constant_values=9.0),
    "concatenate": lambda x: jnp.concatenate([x, A[0], -x]),
    "slice": lambda x: x[::2],
    "gather": lambda x: x[jnp.array([2, 0, 0])] * jnp.array([1.0, 2, 3]),
    "dynamic slice": lambda x: jax.lax.dynamic_slice(x * A[0], (1,), (2,)),
    "update": lambda x: jax.lax.dynamic_update_slice(x, 7 * x[:1], (2,)),
    "set": lambda x: x.at[1].set(9.0),
    "single precision": lambda x: (x / 3).astype(jnp.float32),
    "half precision": lambda x: (x / 3).astype(jnp.float16).astype(float),
    "short float": lambda x: (x / 3).astype(jnp.bfloat16).astype(float),
    "large in half precision": lambda x: (1e4 * x).astype(jnp.float16).astype(float),
    "unsigned": lambda x: (jnp.sign(x) * 2).astype(int).astype(jnp.uint8).astype(float),
    "short integers": lambda x: (100 * x).astype(int).astype(jnp.int8).astype(float),
    "integers": lambda x: x + (jnp.arange(3) // 2).astype(float),
    "rounded data": lambda x: x + jnp.asarray(A[0]).astype(int).astype(float),
    "sorted data": lambda x: x + jnp.sort(jnp.asarray(A[0])),
    "searched data": lambda x: x[jnp.searchsorted(jnp.asarray(A[1, 1:]), 0.0)] + x,
}

BOXES = [(-5.0, 5.0), (0.5, 3.0), (-4.0, -0.25), (0.0, 2.0), (1.0, 1.0)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("box", BOXES)
def test_no_value_is_out_of_bounds(name, box):
    f, random = FUNCTIONS[name], np.random.default_rng(0)
    low, high = bounds_of(f, *box)
    points = np.concatenate([random.uniform(*box, (200, 3)), random.choice(box, (50, 3))])
    values = np.asarray(jax.jit(jax.vmap(f))(points), float)
    values = values[np.isfinite(values).reshape(len(values), -1).all(1)]
    # XLA rounds in its own way.
    room = 1e-13 * (1 + np.abs(values))
    assert (values >= low - room).all()
    assert (values <= high + room).all()


TIGHT = {
    "add": (lambda x: x + A[0], 1, 2, A[0] + 1, A[0] + 2),
    "multiply": (lambda x: x * A[0], 1, 2, [1, -4, 0.5], [2, -2, 1]),
    "square": (lambda x: x * x, -1, 2, 0, 4),
    "cube": (lambda x: x**3, -1, 2, -1, 8),
    "reciprocal": (lambda x: 1 / x, 2, 4, 0.25, 0.5),
    "abs": (jnp.abs, -3, 2, 0, 3),
    "exp": (jnp.exp, 0, 1, 1, np.e),
    "log": (jnp.log, 1, np.e, 0, 1),
    "sqrt": (jnp.sqrt, 4, 9, 2, 3),
    "matrix": (lambda x: A @ x, -1, 1, [-3.5, -4], [3.5, 4]),
    "sum": (jnp.sum, 1, 2, 3, 6),
    "cumsum": (jnp.cumsum, 1, 2, [1, 2, 3], [2, 4, 6]),
    "max": (lambda x: jnp.maximum(x, 1), -3, 2, 1, 2),
    "clip": (lambda x: jnp.clip(x, -1, 2), -9, 9, -1, 2),
    "where": (lambda x: jnp.where(x > 1, x, 5.0), -9, 9, 1, 9),
    "where not": (lambda x: jnp.where(~(x > 1), x, 0.0), -9, 9, -9, 1),
    "where both": (lambda x: jnp.where((x > 1) & (x < 3), x, 2.0), -9, 9, 1, 3),
    "where either": (lambda x: jnp.where((x < 1) | (x > 3), 2.0, x), -9, 9, 1, 3),
    "compare": (lambda x: (x > 1).astype(float), 2, 3, 1, 1),
    "small integers": (lambda x: x.astype(int).astype(jnp.uint8), 2, 9.5, 2, 9),
    "gather": (
        lambda x: jnp.asarray(A[0])[jnp.array([1, 2])] + x[:2],
        0,
        0,
        [-2, 0.5],
        [-2, 0.5],
    ),
}


@pytest.mark.parametrize("name", TIGHT)
def test_bounds_are_those_that_they_should_be(name):
    f, low, high, least, most = TIGHT[name]
    found = bounds_of(f, low, high)
    shape = found.low.shape
    np.testing.assert_allclose(found.low, np.broadcast_to(least, shape), rtol=1e-12)
    np.testing.assert_allclose(found.high, np.broadcast_to(most, shape), rtol=1e-12)


POSITIVE = {
    "exp": jnp.exp,
    "logistic": jax.nn.sigmoid,
    "1 + a square": lambda x: 1 + x**2,
    "data and a square": lambda x: 1e-300 + x @ x,
    "a square that underflows": lambda x: jnp.exp(x) ** 2,
    "a product that underflows": lambda x: jnp.exp(x) * 1e-300 * jnp.exp(-x),
    "a sum of exp": lambda x: jnp.sum(jnp.exp(x - 1e3)),
    "its mean": lambda x: jnp.mean(jnp.exp(x)),
    "a quotient": lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x)),
    "a root": lambda x: jnp.sqrt(1e-320 + x**2),
    "cosh": jnp.cosh,
    "single precision": lambda x: jnp.exp(x).astype(jnp.float32),
    "1 - tanh": lambda x: 1 - jnp.tanh(x),
    "masked": lambda x: jnp.sum(jnp.exp(jnp.where(A[0] > 0, x, -INF))),
    "maximum": lambda x: jnp.maximum(x, 1e-12),
    "inner product": lambda x: jnp.exp(x) @ jnp.exp(-x),
}


@pytest.mark.parametrize("name", POSITIVE)
def test_what_is_positive_is_seen_to_be(name):
    assert (bounds_of(POSITIVE[name]).low > 0).all()


NOT_POSITIVE = {
    "a square": lambda x: x**2,
    "an inner product": lambda x: x @ x,
    "a relu": jax.nn.relu,
    "an absolute value": jnp.abs,
    "a sum of them": lambda x: jnp.sum(jnp.abs(x)),
    "a root": lambda x: jnp.sqrt(x @ x),
    "a batch": lambda x: jnp.einsum("ij,ij->i", A * x[None], A * x[None]),
    "the exponential of minus infinity": lambda x: jnp.exp(jnp.where(A[0] > 0, x, -INF)),
    "what an active predicate leaves": lambda x: jnp.where(x > 0, x, 1.0),
}


@pytest.mark.parametrize("name", NOT_POSITIVE)
def test_what_may_be_0_is_not_negative_and_not_positive(name):
    assert np.min(bounds_of(NOT_POSITIVE[name]).low) == 0


UNKNOWN = {
    "an inner product of two": lambda x: x @ x[::-1],
    "a trace of a square": lambda x: (lambda X: jnp.tensordot(X, X, axes=((0, 1), (1, 0))))(
        jnp.outer(x, x[::-1])
    ),
    "a matrix times itself": lambda x: jnp.outer(x, A[0]) @ jnp.outer(x, A[0]),
    "inner products of rows": lambda x: (lambda X: jnp.einsum("ik,jk->ij", X, X))(
        jnp.outer(x, x[::-1])
    ),
    "a difference of squares": lambda x: x**2 - x[::-1] ** 2,
    "a product": lambda x: x * (x + 1),
    "an odd power": lambda x: x**3,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_may_have_either_sign_is_not_said_to_have_one(name):
    low, high = bounds_of(UNKNOWN[name])
    assert (low < 0).all()
    assert (high > 0).all()


def test_rounding_does_not_decide_a_sign():
    # 0.1 + 0.2 - 0.3 is 5.6e-17 in floats and, of these floats, 2.8e-17.
    tenths = lambda x: (0.1 + 0 * x) + 0.2 - np.array([0.3, 0.30000000000000004, 0.3])
    low, high = bounds_of(lambda x: jnp.sum(tenths(jnp.tanh(x) * 0 + x * 0)))
    assert low < 0 < high
    # A sum of data whose rounding errors exceed it.
    data = np.array([1e16, 1.0, -1e16])
    low, high = bounds_of(lambda x: jnp.sum(data + 0 * x), -1, 1)
    assert low <= 1 <= high


PASSED = {
    "abs of exp": (lambda x: jnp.sum(jnp.abs(jnp.exp(x))), 0),
    "abs of a square": (lambda x: jnp.abs(x[0] * x[0]), 0),
    "max with less": (lambda x: jnp.sum(jnp.maximum(x**2, -1.0)), 0),
    "min with more": (lambda x: jnp.sum(jnp.minimum(jnp.tanh(x), 3.0)), 0),
    "clip that does nothing": (lambda x: jnp.sum(jnp.clip(jnp.cos(x), -2, 2)), 0),
    "abs of a trace": (
        lambda x: jnp.abs(jnp.trace(jnp.outer(x, A[0]) @ jnp.outer(x, A[0]))),
        1,
    ),
    "abs": (lambda x: jnp.sum(jnp.abs(x)), 3),
    "a maximum that does not": (lambda x: jnp.sum(jnp.maximum(x**2, 1e-300)), 3),
    "real data": (lambda x: jnp.sum(jnp.abs(x**2 + np.array([1.0, 0.0, 1e-9]))), 0),
}


@pytest.mark.parametrize("name", PASSED)
def test_switches_of_one_sign_are_none(name):
    loss, number = PASSED[name]
    x = jnp.array([0.3, -1.2, 2.0])
    program, consts = program_of(loss, x)
    assert program.size == number
    np.testing.assert_allclose(program.run(consts, x)[0], loss(x), rtol=1e-14)


def test_entries_whose_sign_is_settled_are_named():
    data = np.array([1.0, 0.0, -1.0])
    program, _ = program_of(lambda x: jnp.sum(jnp.abs(x**2 + data)), jnp.ones(3))
    assert program.settled == ((0, 1), (1, 1))
    limits = np.array([-INF, 0.0, INF])
    program, _ = program_of(lambda x: jnp.sum(jnp.maximum(x, limits)), jnp.ones(3))
    assert program.settled == ((0, 1), (2, -1))
    program, _ = program_of(lambda x: jnp.sum(jnp.where(x**2 < data, x, 0.0)), jnp.ones(3))
    # Not less: the switching value is not negative.
    assert program.settled == ((1, 1), (2, 1))


def test_traced_data_may_be_anything():
    def number(data):
        return program_of(lambda x: jnp.sum(jnp.abs(x**2 + data)), jnp.ones(3))[0].size

    assert number(jnp.ones(3)) == 0
    sizes = []
    jax.jit(lambda data: sizes.append(number(data)) or data)(jnp.ones(3))
    assert sizes == [3]
