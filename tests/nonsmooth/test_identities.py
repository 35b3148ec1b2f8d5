"""Each identity of functions that is used, and near misses that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erf, erfc, expit, logit

from dynsys.nonsmooth.arithmetic.duals import Duals
from dynsys.nonsmooth.arithmetic.identities import Field
from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.finder.turned_signs import equal_at_a_level
from dynsys.nonsmooth.flat_program.loss_program import program_of

X = jnp.array([0.3, 1.2, 2.0])
M = np.random.default_rng(3).integers(-9, 9, (3, 3)).astype(float)
lax, stop = jax.lax, jax.lax.stop_gradient

six = lambda x: jnp.outer(x, jnp.array([1.0, 2.0])).reshape(-1)


def two_shapes(f, entry):
    """One entry of a function of the same numbers in arrays of two shapes."""
    at = lambda rows: lambda x: f(six(x).reshape(rows, -1)).reshape(-1)[entry]
    return at(2), at(3)


def four(x):
    return jnp.stack([x[0] + 1, x[1], x[1], x[2] + 2])


def solved(x, shape):
    """An entry of a batch of solutions of systems with triangular matrices."""
    a = four(x).reshape(shape)
    return lax.linalg.triangular_solve(a, a + 1, lower=True).reshape(-1)[3]


SAME = {
    "sums": (lambda x: jnp.sum(x) ** 2, lambda x: jnp.sum(jnp.outer(x, x))),
    "quotients": (lambda x: x[0] / x[1] + 1, lambda x: (x[0] + x[1]) / x[1]),
    "negative powers": (lambda x: jnp.sum(x**-2), lambda x: jnp.sum(1 / (x * x))),
    "dot product": (lambda x: x @ M @ x, lambda x: x @ M.T @ x),
    "cumsum": (lambda x: jnp.cumsum(x)[-1], jnp.sum),
    "reverse cumsum": (lambda x: lax.cumsum(x, reverse=True)[0], jnp.sum),
    "product": (jnp.prod, lambda x: x[0] * x[1] * x[2]),
    "cumprod": (lambda x: jnp.cumprod(six(x))[-1], lambda x: 8 * jnp.prod(x) ** 2),
    "reverse cumprod": (
        lambda x: lax.cumprod(six(x).reshape(3, 2), reverse=True)[1, 1],
        lambda x: 4 * x[1] * x[2],
    ),
    "gather": (lambda x: x[jnp.array([2, 0])] @ jnp.ones(2), lambda x: x[0] + x[2]),
    "scatter": (lambda x: jnp.sum(x.at[1].set(0.0)), lambda x: x[0] + x[2]),
    "scattered sum": (
        lambda x: jnp.zeros(4).at[jnp.array([0, 1, 0])].add(x)[0],
        lambda x: x[0] + x[2],
    ),
    "scattered difference": (
        lambda x: x.at[jnp.array([1, 1, 7])].subtract(2 * x, mode="drop")[1],
        lambda x: -x[1] - 2 * x[0],
    ),
    "segments": (
        lambda x: jax.ops.segment_sum(x, jnp.array([1, 0, 1]), 2),
        lambda x: jnp.stack([x[1], x[0] + x[2]]),
    ),
    "pad": (
        lambda x: jnp.sum(jnp.pad(x, 2, constant_values=0.5)),
        lambda x: jnp.sum(x) + 2,
    ),
    "reverse": (lambda x: x[::-1] @ x, lambda x: 2 * x[0] * x[2] + x[1] ** 2),
    "roll": (lambda x: jnp.roll(x, 1) @ x, lambda x: jnp.roll(x, 2) @ x),
    "scan": (
        lambda x: lax.scan(lambda c, a: (c * a, None), 1.0, x)[0],
        lambda x: x[0] * x[1] * x[2],
    ),
    "convolution": (
        lambda x: jnp.convolve(x, jnp.array([1.0, 2.0]), mode="valid")[0],
        lambda x: 2 * x[0] + x[1],
    ),
    "exp of a sum": (
        lambda x: jnp.exp(x[0] + x[1]),
        lambda x: jnp.exp(x[0]) * jnp.exp(x[1]),
    ),
    "exp of 0": (lambda x: x[0] * jnp.exp(x[1] - x[1]), lambda x: x[0]),
    "exp of a half": (lambda x: jnp.exp(x[0] / 2) ** 2, lambda x: jnp.exp(x[0])),
    "exp of an exp": (
        lambda x: jnp.exp(jnp.exp(x[0]) + x[1]),
        lambda x: jnp.exp(jnp.exp(x[0])) * jnp.exp(x[1]),
    ),
    "exp2": (lambda x: jnp.exp2(x[0] + 3), lambda x: 8 * jnp.exp2(x[0])),
    "expm1": (lambda x: jnp.expm1(x[0]) + 1, lambda x: jnp.exp(x[0])),
    "logistic": (lambda x: expit(x[0]) + expit(-x[0]), lambda x: x[0] * 0 + 1),
    "logistic and exp": (
        lambda x: expit(x[0]),
        lambda x: jnp.exp(x[0]) / (1 + jnp.exp(x[0])),
    ),
    "tanh": (lambda x: jnp.tanh(x[0]), lambda x: 2 * expit(2 * x[0]) - 1),
    "sinh": (lambda x: 2 * jnp.sinh(x[0]), lambda x: jnp.exp(x[0]) - jnp.exp(-x[0])),
    "cosh": (lambda x: jnp.cosh(x[0]) ** 2 - jnp.sinh(x[0]) ** 2, lambda x: x[0] * 0 + 1),
    "log of an exp": (lambda x: jnp.log(jnp.exp(x[0])), lambda x: x[0]),
    "log of a product": (
        lambda x: jnp.log(x[0] * x[1]),
        lambda x: jnp.log(x[0]) + jnp.log(x[1]),
    ),
    "log of a quotient": (
        lambda x: jnp.log(x[0] / x[1]),
        lambda x: jnp.log(x[0]) - jnp.log(x[1]),
    ),
    "log of a power": (lambda x: jnp.log(x[0] ** 3), lambda x: 3 * jnp.log(x[0])),
    "log1p": (lambda x: jnp.log1p(x[0]), lambda x: jnp.log(1 + x[0])),
    "softplus": (
        lambda x: jnp.log1p(jnp.exp(x[0])) - jnp.log1p(jnp.exp(-x[0])),
        lambda x: x[0],
    ),
    "logsumexp": (
        lambda x: jnp.log(jnp.sum(jnp.exp(x - x[0]))) + x[0],
        lambda x: jnp.log(jnp.sum(jnp.exp(x - x[1]))) + x[1],
    ),
    "logsumexp, stopped": (
        lambda x: (lambda c: jnp.log(jnp.sum(jnp.exp(x - c))) + c)(stop(jnp.max(x))),
        lambda x: jnp.log(jnp.sum(jnp.exp(x - x[1]))) + x[1],
    ),
    "stopped 0": (lambda x: x[0] + stop(x[1] - x[1]) * x[2], lambda x: x[0]),
    "softmax": (
        lambda x: jnp.exp(x - x[0])[1] / jnp.sum(jnp.exp(x - x[0])),
        lambda x: jnp.exp(x)[1] / jnp.sum(jnp.exp(x)),
    ),
    "log softmax": (
        lambda x: jnp.log(jnp.exp(x[1]) / jnp.sum(jnp.exp(x))),
        lambda x: x[1] - jnp.log(jnp.sum(jnp.exp(x))),
    ),
    "atanh": (lambda x: 2 * jnp.arctanh(x[0]), lambda x: jnp.log((1 + x[0]) / (1 - x[0]))),
    "logit": (lambda x: logit(expit(x[0])), lambda x: x[0]),
    "erfc": (lambda x: erfc(x[0]) + erfc(-x[0]), lambda x: x[0] * 0 + 2),
    "sqrt squared": (lambda x: jnp.sqrt(1 + x[0] ** 2) ** 2, lambda x: 1 + x[0] ** 2),
    "rsqrt": (lambda x: lax.rsqrt(1 + x[0] ** 2), lambda x: 1 / jnp.sqrt(1 + x[0] ** 2)),
    "power of a half": (
        lambda x: (1 + x[0] ** 2) ** 0.5,
        lambda x: jnp.sqrt(1 + x[0] ** 2),
    ),
    "power of minus a half": (
        lambda x: (1 + x[0] ** 2) ** -0.5,
        lambda x: lax.rsqrt(1 + x[0] ** 2),
    ),
    "power of three halves": (
        lambda x: (1 + x[0] ** 2) ** 1.5,
        lambda x: (1 + x[0] ** 2) * jnp.sqrt(1 + x[0] ** 2),
    ),
    "odd": (
        lambda x: jnp.sin(-x[0]) + erf(-x[1]) + jnp.arctan(-x[2]) + jnp.arcsinh(-x[0]),
        lambda x: -jnp.sin(x[0]) - erf(x[1]) - jnp.arctan(x[2]) - jnp.arcsinh(x[0]),
    ),
    "even": (lambda x: jnp.cos(-x[0]), lambda x: jnp.cos(x[0])),
    "at 0": (
        lambda x: x[0] * jnp.cos(x[1] - x[1]) + jnp.sin(x[1] - x[1]) + erf(x[1] - x[1]),
        lambda x: x[0],
    ),
    "guard": (lambda x: jnp.where(x[0] != x[0], 7.0, x[0] ** 2), lambda x: x[0] ** 2),
    "guard of a tie": (lambda x: jnp.where(x[0] == x[1], 7.0, x[2]), lambda x: x[2]),
    "call": (jax.jit(lambda x: jnp.sum(jnp.exp(x))), lambda x: jnp.sum(jnp.exp(x))),
}

DIFFERENT = {
    "one bit": (lambda x: 1990.0 * x[0], lambda x: np.nextafter(1990.0, 2000) * x[0]),
    "a power of 2": (lambda x: 2.0**-900 * x[0], lambda x: 2.0**900 * x[0]),
    "another entry": (lambda x: x[0] + x[1], lambda x: x[0] + x[2]),
    "another matrix": (lambda x: x @ M @ M @ x, lambda x: x @ M @ M.T @ x),
    "trace of a square": (
        lambda x: jnp.sum(jnp.outer(x, x[::-1]) * jnp.outer(x, x[::-1]).T),
        lambda x: jnp.sum(jnp.outer(x, x[::-1]) ** 2) + x[0],
    ),
    "exp of a product": (
        lambda x: jnp.exp(x[0] * x[1]),
        lambda x: jnp.exp(x[0]) * jnp.exp(x[1]),
    ),
    "exp of twice": (lambda x: jnp.exp(2 * x[0]), lambda x: jnp.exp(x[0]) ** 3),
    "exp2 and exp": (lambda x: jnp.exp2(x[0]), lambda x: jnp.exp(x[0])),
    "expm1": (lambda x: jnp.expm1(x[0]), lambda x: jnp.exp(x[0])),
    "logistic": (lambda x: expit(x[0]), lambda x: expit(-x[0])),
    "tanh": (lambda x: jnp.tanh(x[0]), lambda x: 2 * expit(x[0]) - 1),
    "sinh": (lambda x: jnp.sinh(x[0]), lambda x: jnp.cosh(x[0])),
    "log of a sum": (
        lambda x: jnp.log(x[0] + x[1]),
        lambda x: jnp.log(x[0]) + jnp.log(x[1]),
    ),
    "log1p": (lambda x: jnp.log1p(x[0]), lambda x: jnp.log(x[0])),
    "softplus": (
        lambda x: jnp.log1p(jnp.exp(x[0])) - jnp.log1p(jnp.exp(-2 * x[0])),
        lambda x: x[0],
    ),
    "logsumexp": (
        lambda x: jnp.log(jnp.sum(jnp.exp(x - x[0]))) + x[0],
        lambda x: jnp.log(jnp.sum(jnp.exp(x - x[1]))) + x[0],
    ),
    "root of a square": (lambda x: jnp.sqrt(x[0] ** 2 + 0 * x[1]), lambda x: x[0]),
    "root by exp and log": (
        lambda x: jnp.exp(0.5 * (jnp.log(x[0] * x[1]) + jnp.log(x[0] / x[1]))),
        lambda x: x[0],
    ),
    "power by exp and log": (
        lambda x: jnp.exp(1.5 * (jnp.log((x[0] - x[1]) * x[2]) + jnp.log(x[0] - x[1]))),
        lambda x: (x[0] - x[1]) ** 3 * x[2] * jnp.sqrt(x[2]),
    ),
    "erfc": (lambda x: erfc(x[0]), lambda x: erfc(-x[0])),
    "odd": (lambda x: jnp.sin(-x[0]), lambda x: jnp.sin(x[0])),
    "even": (lambda x: jnp.cos(2 * x[0]), lambda x: jnp.cos(x[0])),
    "different functions": (lambda x: jnp.sin(x[0]), lambda x: jnp.arctan(x[0])),
    "rsqrt": (lambda x: lax.rsqrt(1 + x[0] ** 2), lambda x: jnp.sqrt(1 + x[0] ** 2)),
    "stopped": (lambda x: x[0] * stop(x[1]), lambda x: x[0] * x[1]),
    "stopped, of another": (lambda x: stop(2 * x[0]), lambda x: 2 * stop(x[0])),
    "power of a half": (
        lambda x: (1 + x[0] ** 2) ** 0.5,
        lambda x: (1 + x[0] ** 2) ** 0.75,
    ),
    "gather": (lambda x: jnp.sum(x[jnp.array([2, 0])]), lambda x: x[0] + x[1]),
    "scatter": (lambda x: jnp.sum(x.at[1].set(0.0)), lambda x: x[0] + x[1]),
    "cumsum": (lambda x: lax.cumsum(x, reverse=True)[1], lambda x: jnp.cumsum(x)[1]),
    "product": (jnp.prod, lambda x: x[0] * x[1] * x[1]),
    "cumprod of two shapes": two_shapes(lax.cumprod, 3),
    "cumlogsumexp of two shapes": two_shapes(lax.cumlogsumexp, 3),
    "windows of two shapes": two_shapes(
        lambda a: lax.reduce_window(a, 0.0, lax.add, (1, 2), (1, 1), "VALID"), 1
    ),
    "Cholesky factors of two shapes": (
        lambda x: lax.linalg.cholesky(four(x).reshape(4, 1, 1)).reshape(-1)[3],
        lambda x: lax.linalg.cholesky(four(x).reshape(1, 2, 2)).reshape(-1)[3],
    ),
    "triangular solutions of two shapes": (
        lambda x: solved(x, (4, 1, 1)),
        lambda x: solved(x, (1, 2, 2)),
    ),
    "convolution": (
        lambda x: jnp.convolve(x, jnp.array([1.0, 2.0]), mode="valid")[0],
        lambda x: x[0] + 2 * x[1],
    ),
}


def value(f, arithmetic=Field, data=()):
    program, consts = program_of(f, X)
    form = NormalForm(program, [*consts, *data])
    field = arithmetic(range(4), 3, 2)
    return field, form.run(field, form.scope(field), None)


def equal(f, g):
    (field, a), (_, b) = value(f), value(g)
    return bool(equal_at_a_level(field, a, b).all())


@pytest.mark.parametrize("name", SAME)
def test_identities_are_seen(name):
    f, g = SAME[name]
    np.testing.assert_allclose(f(X / 3), g(X / 3), rtol=1e-12)
    assert equal(f, g)


@pytest.mark.parametrize("name", DIFFERENT)
def test_near_misses_are_told_apart(name):
    f, g = DIFFERENT[name]
    assert not equal(f, g)


@pytest.mark.parametrize("name", SAME)
def test_slopes_agree_with_the_identities(name):
    slopes = []
    for f in SAME[name]:
        program, consts = program_of(f, X)
        form = NormalForm(program, consts)
        field = Duals(range(4), 3, 2)
        scope = form.scope(field)
        (x,) = form.jaxpr.invars
        inner, _ = field.split(scope.rows[x])
        scope.rows[x] = field.join(inner, field.values.exact(np.array([1.0, 0.5, -3.0])))
        slopes.append(field.split(form.run(field, scope, None))[1])
    assert equal_at_a_level(field.values, *slopes).all()


POLYNOMIALS = {
    "product": (
        lambda x: x[0] * x[1] * x[2],
        lambda x: x[1] * x[2] + 0.5 * x[0] * x[2] - 3 * x[0] * x[1],
    ),
    "quotient": (lambda x: x[0] / x[1], lambda x: 1 / x[1] - 0.5 * x[0] / x[1] ** 2),
    "power": (lambda x: x[2] ** 3, lambda x: -9 * x[2] ** 2),
    "exp": (
        lambda x: jnp.exp(x[0] * x[1]),
        lambda x: (x[1] + 0.5 * x[0]) * jnp.exp(x[0] * x[1]),
    ),
    "log": (lambda x: jnp.log(x[2]), lambda x: -3 / x[2]),
    "tanh": (lambda x: jnp.tanh(x[0]), lambda x: 1 - jnp.tanh(x[0]) ** 2),
    "tan": (lambda x: jnp.tan(x[0]), lambda x: 1 + jnp.tan(x[0]) ** 2),
    "cbrt": (lambda x: jnp.cbrt(1 + jnp.exp(x[0])) ** 3, lambda x: jnp.exp(x[0])),
    "sqrt": (
        lambda x: jnp.sqrt(1 + x[0] ** 2),
        lambda x: x[0] * jnp.sqrt(1 + x[0] ** 2) / (1 + x[0] ** 2),
    ),
    "logistic": (lambda x: expit(x[0]), lambda x: expit(x[0]) * expit(-x[0])),
    "atan": (lambda x: jnp.arctan(x[0]), lambda x: 1 / (1 + x[0] ** 2)),
    "sin": (lambda x: jnp.sin(x[0]), lambda x: jnp.cos(x[0])),
    "sinh": (lambda x: jnp.sinh(x[0]), lambda x: jnp.cosh(x[0])),
    "stopped": (lambda x: x[0] * stop(x[1]), lambda x: stop(x[1])),
    "matrix": (lambda x: x @ M @ x, lambda x: (M + M.T) @ x @ jnp.array([1.0, 0.5, -3.0])),
}


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_slopes_are_those_of_calculus(name):
    f, derivative = POLYNOMIALS[name]
    program, consts = program_of(f, X)
    form = NormalForm(program, consts)
    duals = Duals(range(4), 3, 2)
    scope = form.scope(duals)
    (x,) = form.jaxpr.invars
    inner, _ = duals.split(scope.rows[x])
    scope.rows[x] = duals.join(inner, duals.values.exact(np.array([1.0, 0.5, -3.0])))
    _, slope = duals.split(form.run(duals, scope, None))
    field, right = value(derivative)
    assert equal_at_a_level(field, slope, right).all()
