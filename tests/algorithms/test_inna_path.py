import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.algorithms import MiniBatches, inna_path, iterate

ALPHA, BETA = 0.7, 0.4
HESSIAN = np.array([[2.0, 0.5], [0.5, 1.0]])
THETA = np.array([1.0, -2.0])
SYSTEM = ds.GDIN(ds.objectives.Quadratic(HESSIAN), ALPHA, BETA)


def numpy_path(gammas, psi):
    """The talk's iteration, line by line."""
    theta, rows = THETA, []
    for gamma in gammas:
        rows.append((theta, psi))
        common = (1 / BETA - ALPHA) * theta - psi / BETA
        theta, psi = (
            theta + gamma * (common - BETA * HESSIAN @ theta),
            psi + gamma * common,
        )
    return map(np.array, zip(*rows, (theta, psi), strict=True))


def warmup(count):
    return 0.1 / (5 + count.astype(float))


SCHEDULES = {
    "number": ({"learning_rate": 0.03}, lambda k: np.full(len(k), 0.03)),
    "decay": (
        {"learning_rate": 0.2, "decay_power": 0.25},
        lambda k: 0.2 * (k + 1) ** -0.25,
    ),
    "schedule": ({"learning_rate": warmup}, lambda k: 0.1 / (5 + k)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_times_are_the_sums_of_the_step_sizes(name):
    options, exact = SCHEDULES[name]
    path = inna_path(SYSTEM, THETA, steps=200, **options)
    gammas = exact(np.arange(201.0))
    np.testing.assert_allclose(path.gamma, gammas, rtol=1e-14)
    times = np.concatenate([[0.0], np.cumsum(gammas[:-1])])
    np.testing.assert_allclose(path.t, times, rtol=1e-13)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_path_is_the_iteration_of_the_talk(name):
    options, exact = SCHEDULES[name]
    path = inna_path(SYSTEM, THETA, steps=200, **options)
    theta, psi = numpy_path(exact(np.arange(200.0)), (1 - ALPHA * BETA) * THETA)
    np.testing.assert_allclose(path.theta, theta, atol=1e-13)
    np.testing.assert_allclose(path.psi, psi, atol=1e-13)


@pytest.mark.parametrize(
    ("start", "speed"), [("rest", 0.0), (1.0, 1.0), ("gradient", BETA)]
)
def test_the_first_psi_gives_the_velocity_that_start_says(start, speed):
    path = inna_path(SYSTEM, THETA, 0.03, 50, start=start)
    velocity = -speed * HESSIAN @ THETA
    first = (1 - ALPHA * BETA) * THETA - BETA**2 * HESSIAN @ THETA - BETA * velocity
    theta, psi = numpy_path(np.full(50, 0.03), first)
    np.testing.assert_allclose(path.theta, theta, atol=1e-13)
    np.testing.assert_allclose(path.psi, psi, atol=1e-13)


def test_the_first_psi_takes_the_first_mini_batch():
    data = np.array([[1.0, 0.0], [0.0, 3.0], [5.0, 5.0]])
    loss = lambda x, a: 0.5 * jnp.sum((x - a) ** 2)
    batches = MiniBatches(loss, data, 1, jax.random.key(3))
    system = ds.GDIN(batches.objective, ALPHA, BETA)
    path = inna_path(system, THETA, 0.03, 2, start="rest", gradient=batches)
    v = THETA - data[int(batches.indices(0)[0])]
    exact = (1 - ALPHA * BETA) * THETA - BETA**2 * v
    np.testing.assert_allclose(path.psi[0], exact, rtol=1e-14)
    np.testing.assert_allclose(path.theta[1], THETA, rtol=1e-14)


def test_it_is_the_iteration_of_the_optimiser():
    psi = jnp.array([0.3, 0.1])
    path = inna_path(SYSTEM, THETA, 0.1, 100, start=psi, decay_power=0.5)
    method = ds.inna(0.1, ALPHA, BETA, start=psi, decay_power=0.5)
    plain = iterate(method, SYSTEM.objective, THETA, 100)
    np.testing.assert_allclose(path.theta, plain.x, atol=1e-14)
    psis = jax.vmap(lambda state, theta: state.psi(theta))(plain.state, plain.x)
    np.testing.assert_allclose(path.psi, psis, atol=1e-14)


@pytest.mark.parametrize("beyond", [0.0, 0.1])
def test_between_iterates_the_path_is_straight_and_traced_times_beyond_it_stay(beyond):
    path = inna_path(SYSTEM, THETA, 0.2, 40, decay_power=0.5)
    t = np.linspace(-beyond, float(path.t[-1]) + beyond, 91).reshape(7, 13)
    found = jax.jit(lambda t: path(t))(t) if beyond else path(t)
    assert found.theta.shape == (7, 13, 2)
    for leaf, kept in ((found.theta, path.theta), (found.psi, path.psi)):
        for i in range(2):
            exact = np.interp(t, path.t, kept[:, i])
            np.testing.assert_allclose(leaf[..., i], exact, atol=1e-14)


@pytest.mark.parametrize("t", [-0.1, [0.5, 4.1], np.nan])
def test_times_that_are_not_on_the_path_are_refused(t):
    path = inna_path(SYSTEM, THETA, 0.2, 20)
    path(4.0 * (1 + 1e-15))
    with pytest.raises(ValueError, match="within the path, from 0 to 4, but goes from"):
        path(np.asarray(t))


def test_the_path_at_the_time_of_an_iterate_is_the_iterate():
    path = inna_path(SYSTEM, THETA, 0.2, 40, decay_power=0.5)
    np.testing.assert_allclose(path(path.t).theta, path.theta, atol=1e-15)
    state = path.state(7)
    np.testing.assert_array_equal(state.theta, path.theta[7])
    np.testing.assert_array_equal(state.psi, path.psi[7])


@pytest.mark.parametrize("moves", [lambda k: k >= 2, lambda k: k < 2])
def test_where_the_step_is_0_the_path_is_finite(moves):
    path = inna_path(SYSTEM, THETA, lambda k: jnp.where(moves(k), 0.1, 0.0), 5)
    np.testing.assert_array_equal(path(0.0).theta, THETA)
    np.testing.assert_array_equal(path(path.t[-1]).theta, path.theta[-1])
    assert np.isfinite(path(jnp.linspace(0, path.t[-1], 7)).psi).all()


def test_thinning_leaves_out_iterates_and_changes_none():
    options = {"learning_rate": 0.1, "steps": 60, "decay_power": 0.25, "start": "rest"}
    full = inna_path(SYSTEM, THETA, **options)
    thin = inna_path(SYSTEM, THETA, every=12, **options)
    for name in ("t", "gamma", "theta", "psi"):
        np.testing.assert_allclose(
            getattr(thin, name), getattr(full, name)[::12], rtol=1e-14, err_msg=name
        )


def test_pytrees_keep_their_structure_and_the_iterates():
    def split(x):
        return SYSTEM.objective(jnp.stack([x["a"], x["b"][0, 0]]))

    system = ds.GDIN(split, ALPHA, BETA)
    x0 = {"a": jnp.array(THETA[0]), "b": jnp.array([[THETA[1]]])}
    path = inna_path(system, x0, 0.03, 50, start="rest")
    plain = inna_path(SYSTEM, THETA, 0.03, 50, start="rest")
    assert path.theta["b"].shape == (51, 1, 1)
    np.testing.assert_allclose(path.theta["a"], plain.theta[:, 0], atol=1e-13)
    np.testing.assert_allclose(path.psi["b"][:, 0, 0], plain.psi[:, 1], atol=1e-13)
    at = path(jnp.array([0.1, 0.25, 0.4]))
    np.testing.assert_allclose(
        at.psi["b"][:, 0, 0], plain(jnp.array([0.1, 0.25, 0.4])).psi[:, 1]
    )


@pytest.mark.parametrize("rate", [0.03, np.float64(0.03), jnp.array(0.03)])
def test_single_precision_is_kept(rate):
    system = ds.GDIN(lambda x: 0.5 * jnp.sum(x**2), ALPHA, BETA)
    path = inna_path(system, jnp.ones(2, jnp.float32), rate, 20, start=0.3)
    assert path.theta.dtype == path.psi.dtype == jnp.float32
    assert path(0.1).theta.dtype == jnp.float32
    # Times are sums of many small numbers.
    assert path.t.dtype == jnp.float64


def test_other_numbers_need_no_new_program():
    traces = []

    def objective(x):
        traces.append(1)
        return jnp.sum(x**2)

    system = ds.GDIN(objective, ALPHA, BETA)
    inna_path(system, THETA, 0.03, 20, start=0.1, decay_power=0.25)
    first = len(traces)
    other = ds.GDIN(system.objective, 0.3, 0.5)
    inna_path(other, 2 * THETA, 0.01, 20, start=0.2, decay_power=0.5)
    assert len(traces) == first > 0


def test_it_can_be_mapped_and_differentiated():
    def end(rate):
        return inna_path(SYSTEM, THETA, rate, 30).theta[-1]

    rates = jnp.array([0.02, 0.05])
    plain = [inna_path(SYSTEM, THETA, float(rate), 30).theta[-1] for rate in rates]
    np.testing.assert_allclose(jax.vmap(end)(rates), plain, rtol=1e-12)
    small = 1e-5
    slope = (end(0.02 + small) - end(0.02 - small)) / (2 * small)
    np.testing.assert_allclose(jax.jacfwd(end)(0.02), slope, rtol=1e-6)


def test_a_step_of_at_least_beta_is_warned_of():
    with pytest.warns(UserWarning, match="is not below `beta`"):
        inna_path(SYSTEM, THETA, BETA, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inna_path(SYSTEM, THETA, 0.99 * BETA, 2)


def test_another_system_is_refused():
    other: Any = ds.DIN(SYSTEM.objective, 1.0, 0.1)
    with pytest.raises(TypeError, match="must be a `GDIN`"):
        inna_path(other, THETA, 0.01, 5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "`steps` must be a positive integer"),
        ({"steps": 10, "every": 3}, ValueError, "Take 12 steps"),
        ({"learning_rate": -0.1}, ValueError, "`learning_rate` must be at least 0"),
        ({"learning_rate": "fast"}, TypeError, "`learning_rate` must be a real number"),
        ({"decay_power": -1.0}, ValueError, "`decay_power` must be at least 0"),
        ({"start": "slow"}, ValueError, '"gradient", "rest", a number'),
        ({"start": np.zeros(3)}, ValueError, "that of the parameters is"),
    ],
)
def test_what_is_out_of_range_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        inna_path(SYSTEM, THETA, **{"learning_rate": 0.1, "steps": 10, **options})


def test_iterates_that_are_not_finite_are_refused_with_their_number():
    # x' = 1e300 x, from 1: infinite in the second or third step.
    system = ds.GDIN(lambda x: -1e300 * jnp.sum(x**2), ALPHA, BETA)
    path = inna_path(system, THETA, 0.1, 8, every=2, throw=False)
    bad = 2 * int(np.argmin(np.isfinite(path.theta).all(axis=1)))
    assert bad > 0
    with pytest.raises(ds.SimulationError, match=f"from iteration {bad} on"):
        inna_path(system, THETA, 0.1, 8, every=2)
