"""One loop runs every method, and hands it functions that belong together."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dynsys as ds
from dynsys.algorithms import MiniBatches, iterate, nesterov, newton

DATA = np.array([-1.0, 0.5, 2.0, 4.0])


def loss(x, sample):
    return 0.5 * jnp.sum((x - sample) ** 2) + 0.1 * jnp.sum(x**4)


BATCHES = MiniBatches(loss, jnp.asarray(DATA), 1, jax.random.key(0))


def slope(x, k):
    """The gradient of the mini-batch of iteration k, by hand."""
    return x - DATA[int(BATCHES.indices(k)[0])] + 0.4 * x**3


def test_a_method_that_needs_the_function_gets_that_of_the_mini_batch():
    found = iterate(nesterov(0.1), BATCHES.objective, [3.0], 20, gradient=BATCHES).x
    before = x = np.array([3.0])
    for k in range(20):
        y = x + (1 - 3 / (k + 1)) * (x - before)
        before, x = x, y - 0.1 * slope(y, k)
        np.testing.assert_allclose(found[k + 1], x, rtol=0, atol=1e-12)


def test_the_value_that_a_method_gets_is_that_of_the_mini_batch():
    init = lambda x: jnp.zeros(1)
    update = lambda v, state, x, *, value, **_: (0 * v, jnp.reshape(value, 1))
    method = optax.GradientTransformationExtraArgs(init, update)
    found = iterate(method, BATCHES.objective, [3.0], 6, gradient=BATCHES).state
    picked = [DATA[int(BATCHES.indices(k)[0])] for k in range(6)]
    wanted = 0.5 * (3 - np.array(picked)) ** 2 + 0.1 * 3.0**4
    np.testing.assert_allclose(found[1:, 0], wanted, 1e-14)
    assert len(set(picked)) > 1


def test_with_a_bare_gradient_no_function_is_known():
    with pytest.raises(ValueError, match="got no `value_fn`"):
        iterate(newton(), lambda x: x**2, 3.0, 5, gradient=lambda x, k: 2 * x)


def test_a_bare_gradient_gets_the_number_of_the_iteration():
    found = iterate(
        optax.sgd(1.0), lambda x: x**2, 3.0, 4, gradient=lambda x, k: k.astype(float)
    )
    np.testing.assert_array_equal(found.x, [3, 3, 2, 0, -3])


def test_every_so_many_iterates_are_kept():
    all_of_them = iterate(ds.inna(0.05), lambda x: x**2, 3.0, 12)
    some = iterate(ds.inna(0.05), lambda x: x**2, 3.0, 12, every=4)
    np.testing.assert_array_equal(some.k, [0, 4, 8, 12])
    np.testing.assert_array_equal(some.x, all_of_them.x[::4])
    np.testing.assert_array_equal(some.state.momentum, all_of_them.state.momentum[::4])


def test_iterates_that_are_not_finite_are_refused_with_their_number():
    grow = lambda x, k: jnp.where(k < 3, -x, jnp.inf)
    with pytest.raises(ds.SimulationError, match="from iteration 4 on"):
        iterate(optax.sgd(1.0), lambda x: x**2, 1.0, 6, gradient=grow)
    found = iterate(optax.sgd(1.0), lambda x: x**2, 1.0, 6, gradient=grow, throw=False)
    np.testing.assert_array_equal(found.x[:4], [1, 2, 4, 8])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "`steps` must be a positive integer, but is 0"),
        ({"steps": True}, "`steps` must be a positive integer, but is True"),
        ({"steps": 2.0}, "`steps` must be a positive integer, but is 2.0"),
        ({"steps": 4, "every": 0}, "`every` must be a positive integer"),
        ({"steps": 4, "every": 8}, "Take 8 steps"),
    ],
)
def test_numbers_of_steps_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        iterate(optax.sgd(1.0), lambda x: x**2, 1.0, **options)


def test_what_is_no_method_is_refused_with_what_makes_one():
    with pytest.raises(TypeError, match=r"is a GDIN.*discretise\(system, step_size\)"):
        iterate(ds.GDIN(lambda x: x**2, 1.0, 0.1), lambda x: x**2, 1.0, 5)


def test_it_runs_inside_of_compiled_functions():
    end = jax.jit(lambda x: iterate(optax.sgd(0.25), lambda x: x**2, x, 3).x[-1])
    np.testing.assert_allclose(jax.vmap(end)(jnp.array([8.0, 16.0])), [1.0, 2.0])
