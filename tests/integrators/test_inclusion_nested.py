"""Kinks inside of others that meet these: what goes on is what Euler's method does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import relu
from jax.tree_util import Partial

import dynsys as ds

PLACES, VALUES = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0])


def network(w):
    fitted = relu(w[0] * PLACES + w[1]) - relu(w[2] * PLACES - 1.0)
    return jnp.sum(jnp.abs(fitted - VALUES))


def difference(x):
    """Of relus: where both are off the kink between them has no normal."""
    return jnp.abs(relu(x[0]) - relu(x[1])) + 0.2 * x[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "x0", "t1", "end"),
    [
        (lambda x: jnp.abs(relu(x) - relu(x - 3)) + 0.2 * x, 1.0, 3.0, -13 / 30),
        (difference, [-1.0, 0.5], 3.0, [-1, -31 / 60]),
        (network, [0.3, 0.4, 0.2], 3.0, [479 / 700, -737 / 700, 0.2]),
    ],
)
def test_a_kink_that_ends_where_another_is_met_is_crossed(loss, x0, t1, end):
    solved = ds.simulate(ds.GradientFlow(loss), jnp.asarray(x0), t1=t1, times=2)
    np.testing.assert_allclose(solved.x[-1], end, atol=1e-7)
    assert bool(solved.unique)


def two_layers(data, x):
    W, b, V, c, slope = data
    return jnp.sum(jnp.abs(V @ relu(W @ x + b) + c)) + slope @ x


def random_data(seed):
    random = np.random.default_rng(seed)
    whole = lambda *shape: random.integers(-2, 3, shape).astype(float)
    halves = lambda size: whole(size) * random.integers(0, 2, size) / 2
    data = whole(3, 2), halves(3), whole(2, 3), halves(2), 0.3 * random.normal(size=2)
    return tuple(map(jnp.asarray, data)), jnp.asarray(2 * random.normal(size=2))


@pytest.mark.slow
def test_random_networks_go_where_small_steps_of_euler_go():
    steps, t1 = 60_000, 3.0

    @jax.jit
    def solve(data, x):
        system = ds.GradientFlow(Partial(two_layers, data))
        solved = ds.simulate(system, x, t1=t1, times=2, throw=False)
        return solved.x[-1], solved.unique

    @jax.jit
    def euler(data, x):
        slope = jax.grad(two_layers, argnums=1)
        step = lambda _, x: x - t1 / steps * slope(data, x)
        return jax.lax.fori_loop(0, steps, step, x)

    for seed in range(20):
        data, x = random_data(seed)
        end, _ = solve(data, x)
        np.testing.assert_allclose(end, euler(data, x), atol=3e-3, err_msg=str(seed))


@pytest.mark.slow
def test_what_is_settled_is_so_in_a_batch_too():
    """Lanes of which only some meet kinks inside of others."""
    starts = jnp.array([[-1.0, 0.5], [2.0, 0.5], [-1.0, 3.0]])
    system = ds.GradientFlow(difference)
    end = lambda x: ds.simulate(system, x, t1=3.0, times=2, throw=False).x[-1]
    together = jax.jit(jax.vmap(end))(starts)
    np.testing.assert_allclose(together[0], [-1, -31 / 60], atol=1e-7)
    alone = jnp.stack([end(x) for x in starts])
    np.testing.assert_allclose(together, alone, atol=1e-9)
