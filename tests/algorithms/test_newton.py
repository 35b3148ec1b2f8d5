"""Newton's method against NumPy, and what it does where the Hessian is singular."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dynsys.algorithms.iterate import iterate
from dynsys.algorithms.newton import newton, scale_by_newton
from dynsys.result import SimulationError

MATRIX = np.array([[1.2, 0.5, -0.2], [0.3, -0.8, 0.4], [0.1, 0.6, 1.0]])
START = np.array([0.9, -0.4, 0.7])


def cosh(x):
    flat = jnp.concatenate([x["a"].reshape(-1), x["b"]])
    return jnp.sum(jnp.cosh(jnp.asarray(MATRIX) @ flat))


@pytest.mark.parametrize(("rate", "shift"), [(1.0, 0.0), (0.1, 0.0), (0.3, 0.7)])
def test_newton_is_the_recursion_with_the_exact_hessian(rate, shift):
    x = [START]
    for _ in range(200):
        inner = MATRIX @ x[-1]
        hessian = MATRIX.T @ np.diag(np.cosh(inner)) @ MATRIX + shift * np.eye(3)
        x.append(x[-1] - rate * np.linalg.solve(hessian, MATRIX.T @ np.sinh(inner)))
    x0 = {"a": jnp.asarray(START[:2].reshape(1, 2)), "b": jnp.asarray(START[2:])}
    found = iterate(newton(rate, regularization=shift), cosh, x0, 200).x
    flat = np.hstack([found["a"].reshape(-1, 2), found["b"]])
    np.testing.assert_allclose(flat, x, rtol=0, atol=1e-12)


def test_newton_minimises_a_quadratic_in_one_step():
    hessian = jnp.array([[2.0, 0.5], [0.5, 1.0]])
    minimiser = jnp.array([3.0, -1.0])
    f = lambda x: 0.5 * (x - minimiser) @ hessian @ (x - minimiser)
    found = iterate(newton(), f, [100.0, 50.0], 1).x[-1]
    np.testing.assert_allclose(found, minimiser, rtol=1e-13)


def test_newton_goes_to_a_saddle_where_the_hessian_is_indefinite():
    f = lambda x: x[0] ** 2 - x[1] ** 2
    assert iterate(newton(), f, [3.0, 2.0], 1).x[-1].tolist() == [0, 0]


def test_newton_takes_a_schedule_of_the_rate():
    f = lambda x: 0.5 * jnp.sum(x**2)
    schedule = lambda count: 0.5 / (count.astype(float) + 1)
    found = iterate(newton(schedule), f, [8.0], 2).x[:, 0]
    assert found.tolist() == [8, 4, 3]


def test_the_hessian_is_that_of_the_function_and_the_gradient_that_of_the_user():
    found = scale_by_newton().update(
        jnp.array([6.0]), optax.EmptyState(), jnp.array([5.0]), value_fn=lambda x: x[0] ** 2
    )
    assert found[0].tolist() == [3]


def test_a_singular_hessian_stops_the_iteration():
    f = lambda x: jnp.sum(x) ** 2 + jnp.sum(x)
    with pytest.raises(SimulationError, match="not finite from iteration 1 on"):
        iterate(newton(), f, [1.0, 2.0], 3)


def test_a_regularization_makes_a_singular_hessian_regular():
    f = lambda x: 0.5 * jnp.sum(x) ** 2
    found = iterate(newton(regularization=2.0), f, [1.0, 2.0], 1).x[-1]
    # The gradient (3, 3) is an eigenvector with eigenvalue 2, and 2 + 2 = 4.
    np.testing.assert_allclose(found, [0.25, 1.25], rtol=1e-14)


def test_leaves_of_two_dtypes_keep_them():
    x = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(1)}
    f = lambda x: jnp.sum(x["a"] ** 2).astype(jnp.float64) + jnp.sum(x["b"] ** 4)
    method = newton()
    updates, _ = method.update(jax.grad(f)(x), method.init(x), x, value_fn=f)
    assert (updates["a"].dtype, updates["b"].dtype) == (jnp.float32, jnp.float64)
    np.testing.assert_allclose(updates["a"], [-1, -1], rtol=1e-6)
    np.testing.assert_allclose(updates["b"], [-1 / 3], rtol=1e-15)


@pytest.mark.parametrize(
    ("rate", "options", "error", "match"),
    [
        (-1.0, {}, ValueError, "`learning_rate` must be at least 0"),
        (1.0, {"regularization": -1.0}, ValueError, "`regularization` must be at least 0"),
        (1.0, {"regularization": lambda k: k}, TypeError, "`regularization` must be a num"),
        ("1", {}, TypeError, "`learning_rate` must be a real number"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(rate, options, error, match):
    with pytest.raises(error, match=match):
        newton(rate, **options)
