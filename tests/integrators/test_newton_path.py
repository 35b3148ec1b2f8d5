"""The exact path of continuous Newton, against its law and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators import newton_path


def valley(x):
    """Condition 1e8 at the minimiser, coupled, not quadratic."""
    return (
        0.5 * (x[0] - x[1]) ** 2 + 1e-8 * jnp.cosh(x[0] + x[1]) + 0.1 * (x[0] - x[1]) ** 4
    )


def test_the_gradient_stays_on_its_ray_to_rounding():
    system = ds.ContinuousNewton(valley, beta=0.7)
    path = newton_path(system, [1.5, -0.5], t1=3.0, times=31)
    gradients = np.asarray(jax.vmap(jax.grad(valley))(path.x))
    expected = np.exp(-np.asarray(path.t) / 0.7)[:, None] * gradients[0]
    size = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs((gradients - expected) / size).max() < 1e-12


def test_positions_are_those_of_the_closed_form():
    system = ds.ContinuousNewton(lambda x: jnp.sum(jnp.cosh(x)), beta=2.0)
    x0 = np.array([3.0, -0.2, 1.0])
    path = newton_path(system, x0, t1=20.0, times=41)
    exact = np.arcsinh(np.exp(-np.asarray(path.t) / 2)[:, None] * np.sinh(x0))
    np.testing.assert_allclose(path.x, exact, rtol=1e-12)
    speed = -0.5 * np.tanh(exact)
    np.testing.assert_allclose(path.v, speed, rtol=1e-11)


def test_agrees_with_the_ode_at_condition_1e8():
    system = ds.ContinuousNewton(valley, beta=1.0)
    times = jnp.linspace(0.0, 2.0, 9)
    path = newton_path(system, [1.5, -0.5], t1=2.0, times=times)
    ode = ds.simulate(system, [1.5, -0.5], t1=2.0, times=times, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(path.x, ode.x, atol=1e-6)


@pytest.mark.parametrize("dim", [1000, 1100])
def test_high_dimension_is_solved_with_and_without_a_matrix(dim):
    weights = jnp.logspace(-8 if dim <= 1024 else -2, 0, dim)
    f = lambda x: jnp.sum(weights * jnp.cosh(x))
    x0 = np.linspace(-1.0, 1.0, dim)
    path = newton_path(ds.ContinuousNewton(f), x0, t1=1.0, times=3)
    exact = np.arcsinh(np.exp(-np.asarray(path.t))[:, None] * np.sinh(x0))
    np.testing.assert_allclose(path.x, exact, atol=1e-10)


@pytest.mark.slow
def test_dimension_1000_at_condition_1e8_agrees_with_the_ode_and_its_closed_form():
    """Coordinates that mix: a plane rotation of each pair, of widely different weights."""
    dim = 1000
    weights = jnp.logspace(-8.0, 0.0, dim)
    cosine, sine = np.cos(0.5), np.sin(0.5)

    def turn(x, sine):
        low, high = x[..., : dim // 2], x[..., dim // 2 :]
        parts = [cosine * low - sine * high, sine * low + cosine * high]
        return jnp.concatenate(parts, axis=-1)

    system = ds.ContinuousNewton(lambda x: jnp.sum(weights * jnp.cosh(turn(x, sine))))
    x0 = np.linspace(-1.0, 1.0, dim)
    path = newton_path(system, x0, t1=1.0, times=3)
    turned = np.arcsinh(np.exp(-np.asarray(path.t))[:, None] * np.sinh(turn(x0, sine)))
    np.testing.assert_allclose(path.x, turn(turned, -sine), atol=1e-10)
    ode = ds.simulate(system, x0, t1=1.0, times=3, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(path.x, ode.x, atol=1e-6)


def test_a_hessian_that_is_not_positive_definite_is_named():
    system = ds.ContinuousNewton(lambda x: jnp.sum(x**4 / 4 - x**2 / 2))
    with pytest.raises(ValueError, match="not positive definite"):
        newton_path(system, [0.5], t1=1.0)


def test_what_only_tracing_shows_is_not_a_number_and_recorded():
    f = lambda x: jnp.sum(x**4 / 4 - x**2 / 2)

    def run(regularization, times, x0):
        system = ds.ContinuousNewton(f, regularization=regularization)
        path = newton_path(system, x0, t1=1.0, times=times)
        return path.x[-1, 0], path.result

    cases = [(0.0, [0.1, 1.0], [2.0]), (0.1, [0.1, 1.0], [2.0])]
    cases += [(0.0, [1.0, 0.1], [2.0]), (0.0, [0.1, 1.0], [0.5])]
    columns = [jnp.array(column) for column in zip(*cases, strict=True)]
    last, result = jax.vmap(run)(*columns)
    np.testing.assert_array_equal(result.ok, [True, False, False, False])
    np.testing.assert_array_equal(jnp.isfinite(last), result.ok)


def test_float32_is_followed_to_its_precision():
    system = ds.ContinuousNewton(lambda x: jnp.sum(jnp.cosh(x)))
    x0 = jnp.array([1.0, -2.0], jnp.float32)
    path = newton_path(system, x0, t1=2.0, times=5)
    assert path.x.dtype == path.v.dtype == jnp.float32
    exact = np.arcsinh(np.exp(-np.asarray(path.t))[:, None] * np.sinh(np.asarray(x0)))
    np.testing.assert_allclose(path.x, exact, rtol=1e-5)


def test_other_systems_and_regularization_are_refused():
    f = lambda x: x**2
    with pytest.raises(TypeError, match=r"must be a dynsys\.ContinuousNewton"):
        newton_path(ds.GradientFlow(f), 1.0, t1=1.0)
    with pytest.raises(ValueError, match="`regularization` must be 0"):
        newton_path(ds.ContinuousNewton(f, regularization=0.1), 1.0, t1=1.0)


def test_the_norm_of_what_is_not_a_number_is_not_0():
    assert jnp.isnan(ds.trees.norm(jnp.array([jnp.nan, 1.0])))
    assert jax.grad(ds.trees.norm)(jnp.array(0.0)) == 0
