"""Inclusions of many kinks: the Lasso, a network, vertices, random losses; energy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynsys as ds
from tests.integrators.kinked import LEAVE, SLIDE, TIGHT, absolute, talk
from tests.integrators.polyhedral import flow


def energy_of(run, alpha, beta):
    """The energy of g-DIN at the output times, theory of the talk."""
    linear = (alpha - 1 / beta) * run.state.theta + run.state.psi / beta
    return (1 + alpha * beta) * run.objective + 0.5 * jnp.sum(linear**2, axis=-1)


@pytest.mark.slow
def test_the_lasso_with_fifty_variables_ends_in_its_solution():
    # The target is such that x_star is the solution, with the slopes of the 1-norm given.
    random = np.random.default_rng(0)
    matrix, weight = random.normal(size=(100, 50)) / 10, 0.3
    x_star = np.where(np.arange(50) < 15, 1 + random.random(50), 0.0)
    x_star *= random.choice([-1, 1], 50)
    slopes = np.where(x_star == 0, random.uniform(-0.9, 0.9, 50), np.sign(x_star))
    gram = matrix.T @ matrix
    target = matrix @ (x_star + weight * np.linalg.solve(gram, slopes))
    loss = lambda x: 0.5 * jnp.sum((matrix @ x - target) ** 2) + weight * absolute(x)
    alpha, beta = 0.5, 0.2
    start = random.normal(size=50)
    system = ds.GDIN(loss, alpha, beta)
    run = ds.simulate(system, start, t1=300.0, times=600, max_events=512)
    np.testing.assert_allclose(run.x[-1], x_star, atol=1e-5)
    np.testing.assert_allclose(run.x[-1, 15:], 0, atol=1e-14)
    energy = energy_of(run, alpha, beta)
    assert np.diff(energy).max() < 1e-6 * float(energy[0])


@pytest.mark.slow
def test_the_energy_identity_holds_across_and_along_kinks():
    """E' = -alpha |theta'|^2 - beta |g|^2, with the g that theta' takes of the set."""
    alpha, beta = 1.0, 1.0
    run = ds.simulate(ds.GDIN(talk, alpha, beta), [-1.5, 1.0], t1=12.0, dense=True, **TIGHT)
    assert [int(k) for k in run.events.kind[:3]] == [SLIDE, LEAVE, SLIDE]
    nodes, weights = np.polynomial.legendre.leggauss(12)

    def dissipation(t):
        state, speed = run.dense.state(t), run.velocity(t)
        linear = (alpha - 1 / beta) * state.theta + state.psi / beta
        g = -(speed + linear) / beta
        return alpha * jnp.sum(speed**2) + beta * jnp.sum(g**2)

    # Between events the integrand is smooth but for the initial layer.
    events = np.asarray(run.events.t[:3])
    ends = np.unique(np.concatenate([np.geomspace(1e-4, 12, 300), [0.0], events]))
    low, high = ends[:-1, None], ends[1:, None]
    times = 0.5 * (low + high) + 0.5 * (high - low) * nodes
    rates = np.asarray(jax.vmap(dissipation)(jnp.asarray(times.ravel())))
    lost = np.sum(0.5 * (high - low) * weights * rates.reshape(times.shape), axis=1)
    state = jax.vmap(run.dense.state)(jnp.asarray(ends))
    linear = (alpha - 1 / beta) * state.theta + state.psi / beta
    energy = (1 + alpha * beta) * jax.vmap(talk)(state.theta)
    energy = np.asarray(energy + 0.5 * jnp.sum(linear**2, axis=1))
    np.testing.assert_allclose(-np.diff(energy), lost, atol=1e-8 * energy[0])


@jax.jit
def flow_of_max(slopes, offsets, x):
    loss = jax.tree_util.Partial(lambda data, x: jnp.max(data[0] @ x + data[1]))
    loss = jax.tree_util.Partial(loss, (slopes, offsets))
    return ds.simulate(ds.GradientFlow(loss), x, t1=3.0, times=31, **TIGHT)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_gradient_flow_of_a_maximum_of_affine_functions(seed):
    """Along faces, through vertices and into them, exactly; then from a vertex."""
    random = np.random.default_rng(seed)
    slopes, offsets = random.normal(size=(4, 2)), 0.5 * random.normal(size=4)
    if seed % 2:
        slopes -= slopes.mean(0)
    start = 2 * random.normal(size=2)
    vertex = np.linalg.solve(slopes[:2] - slopes[2], offsets[2] - offsets[:2])
    for x in (start, vertex):
        run = flow_of_max(slopes, offsets, x)
        corners = flow(slopes, offsets, x, 3.0)
        times, places = zip(*corners, strict=True)
        places = np.array(places)
        exact = [np.interp(run.t, times, places[:, i]) for i in range(2)]
        np.testing.assert_allclose(run.x, np.transpose(exact), atol=1e-8)


@pytest.mark.slow
def test_a_vertex_where_the_signs_of_nested_kinks_settle_slowly():
    slopes = np.random.default_rng(19).normal(size=(4, 2))
    slopes = (slopes - slopes.mean(0))[[2, 1, 0, 3]]
    offsets = np.array([0.0, 0.0, 0.0, -0.7])
    run = flow_of_max(slopes, offsets, np.zeros(2))
    corners = flow(slopes, offsets, np.zeros(2), 3.0)
    np.testing.assert_allclose(run.x[-1], corners[-1][1], atol=1e-8)
    assert bool(run.unique)


@pytest.mark.slow
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


@pytest.mark.slow
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
    energy = energy_of(run, alpha, beta)
    assert np.diff(energy).max() < 1e-4 * (1 + abs(float(energy[0])))


def random_loss(data, x):
    normals, offsets, weights = data
    kinks = weights * jnp.abs(normals @ x - offsets)
    return 0.5 * x @ x + jnp.sum(kinks) + jnp.max(x) + jax.nn.relu(x[0] + x[1])


@jax.jit
def solve_random(normals, offsets, weights, alpha, beta, start):
    loss = jax.tree_util.Partial(random_loss, (normals, offsets, weights))
    return ds.simulate(ds.GDIN(loss, alpha, beta), start, t1=5.0, times=51)


@pytest.mark.slow
def test_kinks_far_from_zero_are_told_apart_as_well_as_numbers_are():
    """Past b at the speed 3, towards a at the speed 1; they are 2e-3 apart at 1e8."""
    a, b = 1e8, 1e8 + 2e-3
    loss = lambda x: 2 * jnp.abs(x - a) + jnp.abs(x - b)
    crossed = (0.5 - 2e-3) / 3
    times = [crossed + 1e-3, 1.0]
    run = ds.simulate(ds.GradientFlow(loss), a + 0.5, t1=1.0, times=times, rtol=1e-9)
    np.testing.assert_allclose(run.x - a, [1e-3, 0.0], atol=2e-7)
