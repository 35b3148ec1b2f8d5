"""What a loss may be made of: what is followed, and what is refused by name and line."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.nonsmooth import NotPiecewiseSmooth, kinks
from dynsys.nonsmooth.flat_program.loss_program import program_of

X = jnp.array([1.0, -2.0, 0.5])
A = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
EDGES = jnp.arange(3.0)


def positive(x):
    return jnp.outer(x, x) + 2 * jnp.eye(3)


def large(x):
    return jnp.pad(positive(x), ((0, 2), (0, 2))) + jnp.eye(5)


def complex_of(x):
    return jax.lax.complex(x[0], x[1])


def repeated(times):
    body = lambda c, _: (jnp.abs(c) - 0.1, None)
    return lambda x: jax.lax.scan(body, x, None, length=times)[0][0]


def called_back(x):
    like = jax.ShapeDtypeStruct((), float)
    return jax.pure_callback(lambda y: np.asarray(y[0]), like, x)


REFUSED = {
    "the largest by argmax": (lambda x: x[jnp.argmax(x)], "argmax", "jnp.max"),
    "the smallest by argmin": (lambda x: x[jnp.argmin(x)], "argmin", "jnp.min"),
    "the largest by sort": (lambda x: jnp.sort(x)[-1], "sort", "jnp.max"),
    "a median": (lambda x: jnp.median(x), "sort", ""),
    "the second largest": (lambda x: jax.lax.top_k(x, 2)[0][1], "top_k", ""),
    "a running maximum": (lambda x: jnp.sum(jax.lax.cummax(x)), "cummax", ""),
    "an eigenvalue": (lambda x: jnp.linalg.eigvalsh(positive(x))[0], "eigh", "trace"),
    "a nuclear norm": (lambda x: jnp.linalg.norm(positive(x), "nuc"), "svd", ""),
    "floor": (lambda x: jnp.sum(jnp.floor(x)), "floor", "jnp.where"),
    "round": (lambda x: jnp.sum(jnp.round(x)), "round", ""),
    "a remainder": (lambda x: jnp.sum(x % 1.0), "rem", ""),
    "copysign": (lambda x: jnp.sum(jnp.copysign(x, x[::-1])), "bitcast_convert_type", ""),
    "signbit": (
        lambda x: jnp.sum(jnp.where(jnp.signbit(x), x, -x)),
        "bitcast_convert_type",
        "jnp.sign",
    ),
    "nextafter": (lambda x: jnp.sum(jnp.nextafter(x, x + 1)), "nextafter", ""),
    "digitize": (lambda x: jnp.sum(A[:, 0][jnp.digitize(x, EDGES)]), "lt_to", ""),
    "interp": (lambda x: jnp.sum(jnp.interp(x, EDGES, A[0])), "lt_to", ""),
    "to integers": (
        lambda x: jnp.sum(x.astype(int).astype(float)),
        "convert_element_type",
        "",
    ),
    "an index of a count": (lambda x: x[jnp.sum(x > 0)], "dynamic_slice", ""),
    "hypot": (lambda x: jnp.hypot(x[0], x[1]), "div", "denominator"),
    "an inner product by it": (
        lambda x: jnp.where(x @ x == 0, 0.0, x[0] * x[1] / (x @ x)),
        "div",
        "",
    ),
    "a guarded denominator": (
        lambda x: x[0] * x[1] / jnp.where(x @ x == 0, 1.0, x @ x),
        "div",
        "",
    ),
    "a quotient by the 1-norm": (
        lambda x: jnp.where(jnp.sum(jnp.abs(x)) > 0, x @ x / jnp.sum(jnp.abs(x)), 0.0),
        "div",
        "",
    ),
    "a power 1/4": (lambda x: jnp.sum((x**2) ** 0.25), "pow", ""),
    "a power of abs": (lambda x: jnp.sum(jnp.abs(x) ** 0.7), "pow", ""),
    "the 3-norm": (lambda x: jnp.linalg.norm(x, 3), "pow", ""),
    "a cube root": (lambda x: jnp.sum(jnp.cbrt(x)), "cbrt", ""),
    "arc cosine of cosine": (lambda x: jnp.sum(jnp.arccos(jnp.cos(x))), "acos", ""),
    "arc sine of sine": (lambda x: jnp.sum(jnp.arcsin(jnp.sin(x))), "asin", ""),
    "hyperbolic distance": (lambda x: jnp.arccosh(1 + x @ x), "acosh", ""),
    "an angle": (lambda x: jnp.arctan2(x[0], x[1]), "atan2", "arctan"),
    "complex abs": (lambda x: jnp.abs(complex_of(x)), "abs", "both parts"),
    "complex angle": (lambda x: jnp.angle(complex_of(x)), "atan2", ""),
    "an indicator": (
        lambda x: x @ x + jnp.where(jnp.all(x >= 0), 0.0, jnp.inf),
        "select_n",
        r"rho \* jnp.sum\(jax.nn.relu\(g",
    ),
    "an indicator of each entry": (
        lambda x: jnp.sum(jnp.where(x >= 0, x, -jnp.inf)),
        "select_n",
        "exact penalty",
    ),
    "an indicator by cond": (
        lambda x: jax.lax.cond(x[0] > 0, lambda: 0.0, lambda: jnp.inf),
        "select_n",
        "exact penalty",
    ),
    "switch": (
        lambda x: jax.lax.switch(
            jnp.sum(x > 0), [lambda x: x[0], lambda x: x[1], lambda x: x[2]], x
        ),
        "m",
        "floats",
    ),
    "equal to the largest": (
        lambda x: jnp.sum(jnp.where(x == jnp.max(x), x, 0.0)),
        "eq",
        "inequality",
    ),
    "no distance to the largest": (
        lambda x: jnp.sum(jnp.where(x - jnp.max(x) != 0, 0.0, x)),
        "ne",
        "",
    ),
    "a while loop": (
        lambda x: jax.lax.while_loop(lambda y: y[0] < 9, lambda y: y * 2, x)[0],
        "while",
        "scan",
    ),
    "a long loop": (repeated(2000), "scan", "fewer passes"),
    "a callback": (called_back, "pure_callback", ""),
    "expm": (lambda x: jax.scipy.linalg.expm(positive(x))[0, 0], "floor", ""),
    "the sign of slogdet": (
        lambda x: jnp.linalg.slogdet(large(x))[0] * x[0],
        "custom_jvp_call",
        "second result",
    ),
    "unique": (lambda x: jnp.sum(jnp.unique(x, size=3)), "sort", ""),
    "frexp": (lambda x: jnp.sum(jnp.frexp(x)[0]), "bitcast_convert_type", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_followed_is_refused_by_name_and_line(name):
    loss, primitive, remedy = REFUSED[name]
    with pytest.raises(NotPiecewiseSmooth, match=f"`{primitive}.*` at .*{remedy}") as error:
        program_of(loss, X)
    source, first = inspect.getsourcelines(loss)
    at = str(error.value).split("test_allowed_operations.py:")[1].split(" ")[0]
    # Helpers of this file may be called from there.
    assert int(at) < first + len(source)
    # The gradients of JAX lead on through a wall.
    is_wall = "chooses an infinite value" in str(error.value)
    assert ("inclusion='autodiff'" in str(error.value)) is not is_wall


CONES = {
    "a root of a sum of squares": lambda x: jnp.sqrt(x @ x),
    "a power of it": lambda x: (x @ x) ** 0.5,
    "a root of a square": lambda x: jnp.sum((x**2) ** 0.5),
    "a product of entries with themselves": lambda x: jnp.sqrt(x[0] * x[0] + x[1] * x[1]),
    "an expanded square": lambda x: jnp.sqrt(x @ x - 2 * jnp.sum(x) + 3.0),
    "a reciprocal root": lambda x: x @ x * jax.lax.rsqrt(x @ x),
    "a standard deviation": lambda x: jnp.std(x),
    "a root of relu": lambda x: jnp.sum(jnp.sqrt(jax.nn.relu(x))),
    "a guarded root": lambda x: (
        lambda s: jnp.where(s > 0, jnp.sqrt(jnp.where(s > 0, s, 1.0)), 0.0)
    )(x @ x),
}


@pytest.mark.parametrize("name", CONES)
def test_a_cone_is_refused(name):
    with pytest.raises(
        NotPiecewiseSmooth, match=r"cone: `\w+` at test_allowed_operations.py:\d+ "
    ):
        kinks(CONES[name], X)


ENTRIES = jnp.array([True, False, True])

FOLLOWED = {
    "interp on data": lambda x: jnp.sum(jnp.interp(EDGES + 0.5, EDGES, x)),
    "digitize of data": lambda x: jnp.sum(x[jnp.digitize(EDGES[:2] + 0.5, EDGES[:2])]),
    "searchsorted on data": lambda x: x[jnp.searchsorted(EDGES, 1.5)],
    "slogdet": lambda x: jnp.linalg.slogdet(positive(x))[1],
    "a large slogdet": lambda x: jnp.linalg.slogdet(large(x))[1],
    "a large determinant": lambda x: jnp.linalg.det(large(x)),
    "an inverse": lambda x: jnp.sum(jnp.linalg.inv(positive(x))),
    "a linear system": lambda x: x @ jnp.linalg.solve(positive(x), x),
    "a Cholesky factor": lambda x: jnp.sum(
        jnp.log(jnp.diag(jnp.linalg.cholesky(positive(x))))
    ),
    "expm of data": lambda x: x @ jax.scipy.linalg.expm(A[:3]) @ x,
    "a branch of data": lambda x: jax.lax.switch(
        jnp.int32(1), [lambda x: x[0], lambda x: x[1], lambda x: x[2]], x
    ),
    "softmax": lambda x: jax.nn.softmax(x)[0],
    "masked softmax": lambda x: jax.nn.softmax(jnp.where(ENTRIES, x, -jnp.inf))[0],
    "softmax of some": lambda x: jax.nn.softmax(x, where=ENTRIES)[0],
    "gelu": lambda x: jnp.sum(jax.nn.gelu(x, approximate=False)),
    "squareplus": lambda x: jnp.sum(jax.nn.squareplus(x)),
    "sinc": lambda x: jnp.sum(jnp.sinc(x)),
    "entropy": lambda x: jnp.sum(jax.scipy.special.rel_entr(jnp.exp(x), jnp.exp(2 * x))),
    "log-gamma": lambda x: jnp.sum(jax.scipy.special.gammaln(jnp.exp(x))),
    "layer norm": lambda x: (x - jnp.mean(x)) @ A[0] / jnp.sqrt(jnp.var(x) + 1e-6),
    "layer norm by rsqrt": lambda x: (
        (x - jnp.mean(x)) @ A[0] * jax.lax.rsqrt(jnp.var(x) + 1e-6)
    ),
    "an angle of the right half": lambda x: jnp.arctan2(x[0], jnp.exp(x[1])),
    "arc sine inside": lambda x: jnp.sum(jnp.arcsin(0.9 * jnp.sin(x))),
    "arc sine of tanh": lambda x: jnp.sum(jnp.arcsin(jnp.tanh(x))),
    "a root that ends": lambda x: jnp.sqrt(1 - x[0] ** 2) + jnp.sqrt(x[1]),
    "a root that ends far away": lambda x: jnp.sqrt(1e6 - x[0]),
    "an arc sine that ends": lambda x: jnp.arcsin(x[0]),
    "a barrier": lambda x: -jnp.sum(jnp.log(x)),
    "a Rayleigh quotient": lambda x: x @ positive(x) @ x / (x @ x),
    "a power 3/4": lambda x: jnp.sum((x**2) ** 0.75),
    "complex arithmetic": lambda x: jnp.real(complex_of(x) ** 2 * jnp.exp(complex_of(x))),
    "a Fourier transform": lambda x: jnp.sum(jnp.real(jnp.fft.fft(x)) ** 2),
    "a convolution": lambda x: jnp.sum(jnp.convolve(x, x) ** 2),
    "is finite": lambda x: jnp.where(jnp.isfinite(x[0]), x[0], 0.0),
    "nan_to_num": lambda x: jnp.sum(jnp.nan_to_num(x) ** 2),
    "integer data": lambda x: jnp.max(jnp.array([1, 2, 3])).astype(float) * x[0],
    "random masks": lambda x: jnp.sum(
        jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, (3,)), x, 0.0) ** 2
    ),
    "a smooth loop": lambda x: jax.lax.scan(
        lambda c, a: (jnp.sin(c + a @ x), None), 0.0, A
    )[0],
    "a long smooth loop": lambda x: jax.lax.fori_loop(
        0, 2000, lambda i, y: 0.9 * jnp.sin(y), x
    )[0],
    "a case that is never taken": lambda x: jnp.where(jnp.exp(x[0]) > 0, x[1], jnp.inf),
    "a square of a norm": lambda x: jnp.linalg.norm(x) ** 2,
    "equal to 0 where it is largest": lambda x: jnp.where(jnp.exp(-x[0]) == 0, 0.0, x[1]),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_what_is_smooth_is_followed(name):
    program, consts = program_of(FOLLOWED[name], X)
    assert program.size == 0
    assert program.roots == ()
    found = jax.value_and_grad(lambda x: program.run(consts, x)[0])(X)
    expected = jax.value_and_grad(FOLLOWED[name])(X)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


SWITCHING = {
    "cond": (lambda x: jax.lax.cond(x[0] > 0, lambda x: x[0], lambda x: 2 * x[0], x), 1),
    "a branch of data that switches": (
        lambda x: jax.lax.switch(
            jnp.int32(1), [lambda x: x[0], lambda x: jnp.abs(x[1]), lambda x: x[2]], x
        ),
        1,
    ),
    "Huber of a norm": (lambda x: jnp.where(x @ x > 1, 2 * jnp.sqrt(x @ x) - 1, x @ x), 1),
    "Huber of a norm itself": (
        lambda x: (lambda r: jnp.where(r > 1, 2 * r - 1, r**2))(jnp.linalg.norm(x)),
        1,
    ),
    "with a double where": (
        lambda x: (
            lambda s: jnp.where(s > 1, 2 * jnp.sqrt(jnp.where(s > 1, s, 1.0)) - 1, s)
        )(x @ x),
        1,
    ),
    "a denominator cut off": (lambda x: x[0] * x[1] / jnp.maximum(x @ x, 1e-6), 1),
    "a denominator selected": (
        lambda x: x[0] * x[1] / jnp.where(x @ x > 1e-6, x @ x, 1e-6),
        1,
    ),
    "a root beyond a kink": (
        lambda x: jnp.where(x[0] < 4, 0.25 * x[0] ** 2, 4 * jnp.sqrt(x[0]) - 4),
        1,
    ),
    "a power 3/2 of abs": (lambda x: jnp.sum(jnp.abs(x) ** 1.5), 3),
    "a sum into places": (
        lambda x: jnp.max(jax.ops.segment_sum(x, jnp.array([0, 1, 0]), 2)),
        1,
    ),
    "set": (lambda x: jnp.sum(jnp.abs(jnp.zeros(4).at[1:].set(x))), 4),
    "a loop that switches": (repeated(3), 9),
    "pooling": (
        lambda x: jnp.sum(
            jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (1,), "VALID")
        ),
        2,
    ),
}


@pytest.mark.parametrize("name", SWITCHING)
def test_what_switches_is_followed(name):
    loss, number = SWITCHING[name]
    program, consts = program_of(loss, X)
    assert program.size == number
    assert program.roots == ()
    np.testing.assert_allclose(program.run(consts, X)[0], loss(X), rtol=1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: x @ x + jax.lax.stop_gradient(x[jnp.argmax(x)]),
        lambda x: (jnp.sort(x), x @ x)[1],
        lambda x: x @ x + jnp.sort(A[0])[0] + jnp.linalg.eigvalsh(A[:3] + A[:3].T)[0],
        lambda x: jnp.sum(x[jnp.argsort(A[0])] ** 2),
    ],
)
def test_what_no_gradient_passes_through_is_not_looked_at(loss):
    assert program_of(loss, X)[0].size == 0


def test_traced_data_is_refused_no_more_and_no_less():
    def check(data):
        program_of(lambda x: jnp.sum(x[jnp.searchsorted(data, EDGES)]), X)
        with pytest.raises(NotPiecewiseSmooth, match="`le_to` at"):
            program_of(lambda x: jnp.sum(data[jnp.searchsorted(EDGES, x)]), X)
        # A traced exponent may be 1/2, and traced data may be 0.
        with pytest.raises(NotPiecewiseSmooth, match="`pow` at"):
            program_of(lambda x: (x @ x) ** data[0], X)
        assert program_of(lambda x: jnp.sqrt(x @ x + data[0] ** 2), X)[0].roots
        return data

    jax.jit(check)(EDGES)


def factors(x):
    return jax.scipy.linalg.lu_factor(positive(x))[0]


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: factors(x)[0, 0],
        lambda x: jnp.sum(jax.scipy.linalg.lu(positive(x))[2]),
        lambda x: factors(x)[2, 2] + jnp.sum(jnp.linalg.solve(positive(x), x)),
        lambda x: jax.lax.scan(lambda c, _: (factors(c)[0], None), x, None, length=2)[0][0],
    ],
)
def test_factors_that_jump_with_the_pivots_are_refused(loss):
    with pytest.raises(NotPiecewiseSmooth, match="`lu` at"):
        kinks(loss, X)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: x @ jnp.linalg.solve(positive(x), x),
        lambda x: jnp.sum(jnp.linalg.inv(positive(x))),
        lambda x: jnp.linalg.det(positive(x)) + jnp.linalg.slogdet(positive(x))[1],
        lambda x: jnp.sum(
            jax.vmap(lambda a: jnp.linalg.solve(positive(a), a))(A * x[None])
        ),
        lambda x: jax.lax.scan(
            lambda c, _: (jnp.linalg.solve(positive(c), c), None), x, None, length=2
        )[0][0],
    ],
)
def test_solutions_do_not_jump_with_the_pivots(loss):
    assert len(kinks(loss, X).values) == 0


@pytest.mark.parametrize("function", [jax.scipy.special.i0e, jax.scipy.special.i1e])
def test_scaled_bessel_functions_are_refused(function):
    with pytest.raises(NotPiecewiseSmooth, match="`bessel_i"):
        kinks(lambda x: jnp.sum(function(x)), X)


def test_complex_numbers_keep_both_parts():
    turned = lambda x: jnp.abs(jnp.real((1 + 2j) * complex_of(x)))
    found = kinks(turned, X)
    np.testing.assert_allclose(found.values, [X[0] - 2 * X[1]])
    two = kinks(lambda x: turned(x) + jnp.abs(jnp.real((1 + 3j) * complex_of(x))), X)
    assert len(two.values) == 2


REMEDIES = {
    "cbrt": (jnp.cbrt, lambda x: x * (x**2 + 1e-9) ** (-1 / 3)),
    "the angle of what stays positive": (
        lambda x: jnp.arctan2(x, x[::-1]),
        lambda x: jnp.arctan2(x, jnp.exp(x[::-1])),
    ),
    "the cosine of the angle": (
        lambda x: jnp.cos(jnp.arctan2(x, x[::-1])),
        lambda x: x[::-1] / jnp.sqrt(x[::-1] ** 2 + x**2 + 1e-9),
    ),
    "an end": (
        lambda x: jax.scipy.special.gammainc(0.5, x**2),
        lambda x: jax.scipy.special.gammainc(0.5, x**2 + 1e-6),
    ),
    "a pole": (lambda x: jnp.arctan(x / x[::-1]), lambda x: jnp.arctan(x / jnp.exp(x[0]))),
    "a pole of a square": (
        lambda x: jnp.arctan(x / x[::-1] ** 2),
        lambda x: jnp.arctan(x / (1e-6 + x[::-1] ** 2)),
    ),
    "a logarithm": (
        lambda x: jnp.exp(0.5 * jnp.log(x**2)),
        lambda x: jnp.exp(0.5 * jnp.log(1e-6 + x**2)),
    ),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_what_is_advised_is_smooth(name):
    refused, advised = REMEDIES[name]
    with pytest.raises(NotPiecewiseSmooth):
        kinks(lambda x: jnp.sum(refused(x)), X)
    assert kinks(lambda x: jnp.sum(advised(x)), X).smooth
