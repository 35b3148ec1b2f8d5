"""The zoo: what each objective says of itself is true."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from dynsys import objectives as zoo

KEY = np.random.default_rng(7)
FEATURES = KEY.normal(size=(20, 3))
LABELS = np.sign(KEY.normal(size=20))
TARGETS = KEY.normal(size=20)

ZOO = {
    "quadratic": (zoo.Quadratic([[2.0, 0.5], [0.5, 1.0]], [1.0, -1.0]), 2),
    "rosenbrock": (zoo.Rosenbrock(), 2),
    "rosenbrock_5": (zoo.Rosenbrock(5, b=10.0), 5),
    "nonsmooth_rosenbrock": (zoo.NonsmoothRosenbrock(), 2),
    "logistic": (zoo.LogisticRegression(FEATURES, LABELS, 0.1), 3),
    "log_cosh": (zoo.LogCosh([1.0, 10.0]), 2),
    "lasso": (zoo.Lasso(FEATURES, TARGETS, 100.0), 3),
    "double_well": (zoo.DoubleWell(), 2),
    "quartic": (zoo.PowerFunction(4), 1),
    "power_3_2": (zoo.PowerFunction(1.5), 1),
}

every_objective = pytest.mark.parametrize("name", ZOO)


def samples(dim):
    return jnp.asarray(np.random.default_rng(1).normal(size=(200, dim)) * 2)


@every_objective
def test_value_is_a_scalar_in_the_dtype_of_x(name):
    f, dim = ZOO[name]
    assert f(jnp.ones(dim)).shape == ()
    assert f(jnp.ones(dim, jnp.float32)).dtype == jnp.float32


@every_objective
def test_minimum_is_attained_at_the_minimisers_and_nowhere_below(name):
    f, dim = ZOO[name]
    if f.minimum is None:
        return
    for minimiser in f.facts.minimisers:
        np.testing.assert_allclose(f(minimiser), f.minimum, atol=1e-12)
        if f.smooth:
            np.testing.assert_allclose(jax.grad(f)(minimiser), 0, atol=1e-6)
    assert bool(jnp.all(jax.vmap(f)(samples(dim)) >= f.minimum - 1e-12))


@every_objective
def test_constants_bound_the_hessian(name):
    f, dim = ZOO[name]
    if not f.smooth:
        return
    hessians = np.asarray(jax.vmap(jax.hessian(f))(samples(dim)))
    eigenvalues = np.linalg.eigvalsh(hessians)
    if f.mu is not None:
        assert eigenvalues.min() >= float(f.mu) - 1e-10
    if f.L is not None:
        assert eigenvalues.max() <= float(f.L) + 1e-10


@every_objective
def test_saddles_are_critical_and_not_minima(name):
    f, _ = ZOO[name]
    for saddle in [] if f.saddles is None else f.saddles:
        np.testing.assert_allclose(jax.grad(f)(saddle), 0, atol=1e-12)
        eigenvalues = np.linalg.eigvalsh(np.asarray(jax.hessian(f)(saddle)))
        assert eigenvalues[0] < 0


@every_objective
def test_derivative_agrees_with_differences(name):
    f, dim = ZOO[name]
    x = jnp.linspace(0.3, 0.9, dim)
    numeric = scipy.optimize.approx_fprime(np.asarray(x), f, 1e-7)
    np.testing.assert_allclose(jax.grad(f)(x), numeric, rtol=1e-4, atol=1e-4)


def test_double_well_saddle_has_the_eigenvalues_of_the_paper():
    eigenvalues = np.linalg.eigvalsh(
        np.asarray(jax.hessian(zoo.DoubleWell())(jnp.zeros(2)))
    )
    np.testing.assert_allclose(eigenvalues, [-8.0, 2.0])


def test_talk_example_has_the_values_of_its_formula():
    f = zoo.NonsmoothRosenbrock()
    for x1, x2 in [(-1.0, 1.5), (0.3, -0.2), (1.7, 2.0)]:
        by_hand = 100 * (x2 - abs(x1)) ** 2 + abs(1 - x1)
        np.testing.assert_allclose(f(jnp.array([x1, x2])), by_hand, rtol=1e-14)
    np.testing.assert_allclose(
        jax.grad(f)(jnp.array([-1.0, 1.5])), [99.0, 100.0], rtol=1e-14
    )


def test_log_cosh_does_not_overflow():
    f = zoo.LogCosh([1.0])
    np.testing.assert_allclose(f(jnp.array([1e3])), 5e5 + 1e3 - np.log(2), rtol=1e-14)
    np.testing.assert_allclose(f(jnp.array([-1e3])), 5e5 + 1e3 - np.log(2), rtol=1e-14)


def test_lasso_with_a_small_penalty_has_no_closed_form():
    assert zoo.Lasso(FEATURES, TARGETS, 0.1).minimiser is None
    assert zoo.Lasso(FEATURES, TARGETS, 100.0).minimiser is not None


def test_several_minimisers_are_no_unique_one():
    assert zoo.DoubleWell().minimiser is None
    assert zoo.DoubleWell().facts.minimisers.shape == (2, 2)


def test_indefinite_quadratic_has_no_minimum():
    f = zoo.Quadratic([[1.0, 0.0], [0.0, -2.0]])
    assert f.minimum is None
    assert f.minimiser is None
    np.testing.assert_allclose(f.L, 2.0)


REFUSED = {
    "square": (lambda: zoo.Quadratic(np.ones((2, 3))), "must be square"),
    "symmetric": (lambda: zoo.Quadratic([[1.0, 2.0], [0.0, 1.0]]), "must be symmetric"),
    "linear": (lambda: zoo.Quadratic(np.eye(2), np.ones(3)), "`linear` must have shape"),
    "dim": (lambda: zoo.Rosenbrock(1), "`dim` must be at least 2"),
    "b": (lambda: zoo.Rosenbrock(b=0.0), "`b` must be positive"),
    "rosenbrock x": (lambda: zoo.Rosenbrock(3)(jnp.ones(2)), r"shape \(3,\)"),
    "nonsmooth x": (lambda: zoo.NonsmoothRosenbrock()(jnp.ones(3)), r"shape \(2,\)"),
    "well x": (lambda: zoo.DoubleWell()(jnp.ones(3)), r"shape \(2,\)"),
    "features": (
        lambda: zoo.LogisticRegression(FEATURES, LABELS[:3], 0.1),
        "`features` must have shape",
    ),
    "labels": (
        lambda: zoo.LogisticRegression(FEATURES, 0 * LABELS, 0.1),
        "must be -1 or 1",
    ),
    "regularization": (
        lambda: zoo.LogisticRegression(FEATURES, LABELS, 0.0),
        "`regularization` must be positive",
    ),
    "curvature": (lambda: zoo.LogCosh([0.0]), "`curvature` must be positive"),
    "curvature shape": (lambda: zoo.LogCosh(1.0), "`curvature` must have shape"),
    "weight": (lambda: zoo.LogCosh([1.0], -1.0), "`weight` must be at least 0"),
    "targets": (lambda: zoo.Lasso(FEATURES, TARGETS[:3], 0.1), "`targets`"),
    "penalty": (
        lambda: zoo.Lasso(FEATURES, TARGETS, -1.0),
        "`penalty` must be at least 0",
    ),
    "power": (lambda: zoo.PowerFunction(0.5), "`p` must be at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_argument_is_refused(name):
    build, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        build()
