import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.algorithms import energy_along, inna_path

ALPHA, BETA = 1.3, 0.1
THETA = (-1.0, 1.5)
SYSTEM = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), ALPHA, BETA)
# By event-driven integration of the inclusion, at t = 0.5, 1, 2, 5.
GOLDEN = [2.4891032301, 2.3780226008, 2.0377705896, 0.9392830798]


def rosenbrock(theta):
    x, y = theta.T
    return 100 * (y - abs(x)) ** 2 + abs(1 - x)


def rosenbrock_gradient(theta):
    x, y = theta.T
    d = y - abs(x)
    return np.stack([-200 * d * np.sign(x) - np.sign(1 - x), 200 * d], axis=1)


def bowl(alpha=0.8, beta=0.3):
    """A smooth loss that is no quadratic."""
    return ds.GDIN(lambda x: jnp.sum(jnp.cosh(x)) + 0.5 * x[0] * x[1], alpha, beta)


@pytest.fixture(scope="module", name="path")
def talk():
    return inna_path(SYSTEM, THETA, 1e-4, 50_000, start=0.1, every=500)


@pytest.mark.parametrize("lam", [None, 1.4])
def test_energy_and_rate_are_those_of_the_talk(path, lam):
    found = energy_along(path, lam)
    theta, psi = np.asarray(path.theta), np.asarray(path.psi)
    factor = 1 + ALPHA * BETA if lam is None else lam
    common = (ALPHA - 1 / BETA) * theta + psi / BETA
    energy = factor * rosenbrock(theta) + 0.5 * np.sum(common**2, axis=1)
    np.testing.assert_allclose(found.value, energy, rtol=1e-12)
    v = rosenbrock_gradient(theta)
    speed = -common - BETA * v
    # The chain rule, term by term.
    rate = factor * np.sum(v * speed, axis=1)
    rate += np.sum(common * ((ALPHA - 1 / BETA) * speed - common / BETA), axis=1)
    np.testing.assert_allclose(found.rate, rate, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.t, path.t)


def test_the_golden_values_of_the_flow_are_approached(path):
    errors = []
    for rate in (1e-3, 1e-4):
        steps = round(0.5 / rate)
        iterates = inna_path(SYSTEM, THETA, rate, 10 * steps, start=0.1, every=steps)
        at = energy_along(iterates).value[[1, 2, 4, 10]]
        errors.append(np.abs(at - GOLDEN))
    # First order; after the crossing of a kink, at t = 3.9, in size only.
    np.testing.assert_allclose(errors[0][:3] / errors[1][:3], 10, rtol=0.1)
    assert (errors[0] < 1e-3).all()
    assert (errors[1] < 1e-4).all()


def test_a_step_changes_the_energy_by_its_rate_to_second_order():
    system, gaps = bowl(), []
    gammas = np.array([1e-2, 1e-3, 1e-4])
    for gamma in gammas:
        path = inna_path(system, [1.0, -0.5], gamma, 1)
        found = energy_along(path)
        gaps.append(abs(found.value[1] - found.value[0] - gamma * found.rate[0]))
    slopes = np.diff(np.log(gaps)) / np.diff(np.log(gammas))
    np.testing.assert_allclose(slopes, 2, atol=0.05)


def test_the_largest_increase_is_from_any_iterate_to_a_later_one():
    energy = np.array([3.0, 1.0, 1.5, 0.5, 1.2, 1.1, 1.9, 0.1])
    found = ds.algorithms.IteratesEnergy(np.arange(8.0), energy, -energy)
    assert found.largest_increase == pytest.approx(1.4)
    assert found._replace(value=-np.arange(8.0)).largest_increase == 0


def test_on_a_smooth_loss_small_steps_never_increase_it():
    path = inna_path(bowl(), [1.0, -0.5], 0.01, 2000)
    assert energy_along(path).largest_increase < 1e-12


def test_about_a_kink_it_increases_by_the_order_of_the_step_size():
    """|x| with its gradient 1 at 0: steps of gamma cross the kink again and again."""
    system = ds.GDIN(lambda x: jnp.sum(jnp.abs(x)), 1.0, 0.5)
    gammas = np.array([1e-2, 1e-3, 1e-4])
    rises = [
        energy_along(inna_path(system, [1.0], gamma, int(4 / gamma))).largest_increase
        for gamma in gammas
    ]
    assert (rises < 3 * gammas).all()
    assert (rises > 0.1 * gammas).all()


def test_pytrees_and_single_precision_are_taken():
    def split(x):
        return jnp.sum(jnp.cosh(x["a"])) + 0.5 * x["b"] ** 2

    system = ds.GDIN(split, 0.8, 0.3)
    x0 = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones((), jnp.float32)}
    path = inna_path(system, x0, 0.01, 20)
    found = energy_along(path, 1.2)
    assert found.value.dtype == np.float32
    a, b = (np.float64(path.theta[name]) for name in "ab")
    common = [
        (0.8 - 1 / 0.3) * leaf + np.float64(path.psi[name]) / 0.3
        for name, leaf in (("a", a), ("b", b))
    ]
    square = np.sum(common[0] ** 2, axis=1) + common[1] ** 2
    exact = 1.2 * (np.cosh(a).sum(axis=1) + 0.5 * b**2) + 0.5 * square
    np.testing.assert_allclose(found.value, exact, rtol=1e-5)


def test_another_factor_needs_no_new_program():
    traces = []

    def objective(x):
        traces.append(1)
        return jnp.sum(x**2)

    path = inna_path(ds.GDIN(objective, 1.0, 0.5), [1.0], 0.01, 5)
    energy_along(path, 1.4)
    first = len(traces)
    energy_along(path, 1.5)
    assert len(traces) == first


def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match="needs the iterates of INNA"):
        energy_along(path.theta)
    with pytest.raises(TypeError, match="`lam` must be a real number"):
        energy_along(path, "middle")
    with pytest.raises(ValueError, match="is being traced"):
        jax.jit(lambda one: energy_along(one).value)(path)
