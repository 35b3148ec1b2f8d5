"""Inclusions of many kinks: the Lasso, a network, random losses; energy and optimality."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import dynsys as ds
from tests.integrators.kinked import absolute


def test_the_energy_of_g_din_never_grows():
    alpha, beta = 0.5, 0.2
    random = np.random.default_rng(0)
    matrix, target = random.normal(size=(20, 8)), random.normal(size=20)
    loss = lambda x: 0.5 * jnp.mean((matrix @ x - target) ** 2) + 0.3 * absolute(x)
    system = ds.GDIN(loss, alpha, beta)
    run = ds.simulate(system, random.normal(size=8), t1=30.0, times=600)
    linear = (alpha - 1 / beta) * run.state.theta + run.state.psi / beta
    energy = (1 + alpha * beta) * run.objective + 0.5 * jnp.sum(linear**2, axis=1)
    assert np.diff(energy).max() < 1e-5
    # The end is the Lasso's solution: by its optimality conditions.
    x, gradient = run.x[-1], jax.grad(lambda x: 0.5 * jnp.mean((matrix @ x - target) ** 2))
    slopes = np.asarray(gradient(x))
    held = np.abs(np.asarray(x)) < 1e-10
    assert held.any()
    assert (np.abs(slopes[held]) <= 0.3 + 1e-4).all()
    np.testing.assert_allclose(slopes[~held], -0.3 * np.sign(x[~held]), atol=1e-3)


def test_a_network_of_relus_finishes_and_loses_energy():
    random = np.random.default_rng(4)
    samples, labels = random.normal(size=(10, 2)), random.normal(size=10)

    def loss(p):
        hidden = jax.nn.relu(samples @ p["w"] + p["b"][None])
        return jnp.mean((hidden @ p["a"] - labels) ** 2)

    start = {"w": random.normal(size=(2, 20)), "b": 0.1 * random.normal(size=20)}
    start |= {"a": 0.3 * random.normal(size=20)}
    alpha, beta = 0.5, 0.1
    run = ds.simulate(ds.GDIN(loss, alpha, beta), start, t1=1.0, times=61)
    assert run.inclusion == "clarke"
    assert "200 kinks" in run.stats.reason
    speed = jax.tree.map(
        lambda x, y: (alpha - 1 / beta) * x + y / beta, run.state.theta, run.state.psi
    )
    square = sum(jnp.sum(a.reshape(61, -1) ** 2, axis=1) for a in jax.tree.leaves(speed))
    energy = (1 + alpha * beta) * run.objective + 0.5 * square
    assert np.diff(energy).max() < 1e-5
    assert int(run.events.count) > 0


@settings(max_examples=12, deadline=None)
@given(
    data=st.integers(0, 2**31),
    alpha=st.floats(0.0, 3.0),
    beta=st.floats(0.05, 1.0),
)
def test_random_losses_never_fail_and_never_gain_energy(data, alpha, beta):
    random = np.random.default_rng(data)
    normals, offsets = random.normal(size=(4, 3)), random.normal(size=4)
    weights = random.normal(size=4)

    start = jnp.asarray(random.normal(size=3))
    run = solve_random(normals, offsets, weights, alpha, beta, start)
    assert bool(run.result.ok), run.result.message
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((run.x, run.v)))
    linear = (alpha - 1 / beta) * run.state.theta + run.state.psi / beta
    energy = (1 + alpha * beta) * run.objective + 0.5 * jnp.sum(linear**2, axis=1)
    assert np.diff(energy).max() < 1e-4 * (1 + abs(float(energy[0])))


def random_loss(data, x):
    normals, offsets, weights = data
    kinks = weights * jnp.abs(normals @ x - offsets)
    return 0.5 * x @ x + jnp.sum(kinks) + jnp.max(x) + jax.nn.relu(x[0] + x[1])


@jax.jit
def solve_random(normals, offsets, weights, alpha, beta, start):
    loss = jax.tree_util.Partial(random_loss, (normals, offsets, weights))
    return ds.simulate(ds.GDIN(loss, alpha, beta), start, t1=5.0, times=51)
