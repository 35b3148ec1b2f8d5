import functools

import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.analysis import energies_of, energy, gdin_interval
from dynsys.analysis.energies import gdin

LOG_COSH = ds.objectives.LogCosh([1.0, 9.0], 2.0)
ALPHA, BETA = 0.4, 0.3


def run(system, x0, v0=None, **options):
    options = {
        "t1": 10.0,
        "times": 51,
        "rtol": 1e-9,
        "atol": 1e-12,
        "dense": True,
    } | options
    return ds.simulate(system, x0, v0, **options)


@pytest.fixture(scope="module")
def path():
    return run(ds.GDIN(LOG_COSH, ALPHA, BETA), [1.5, -1.0], [2.0, 3.0])


@pytest.fixture(scope="module")
def kinked():
    """The run of the talk, across and along kinks; the start is that of the poster."""
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.3, 0.1)
    start = system.state([-1.0, 1.5], system.initial_psi([-1.0, 1.5], speed=0.1))
    return run(system, start, times=21, max_events=64)


def test_energy_of_gdin_is_that_of_the_talk(path):
    report = energy(path)
    theta, psi = (np.asarray(leaf) for leaf in path.state)
    p = (ALPHA - 1 / BETA) * theta + psi / BETA
    by_hand = (1 + ALPHA * BETA) * np.asarray(path.objective) + 0.5 * np.sum(p**2, axis=1)
    assert report.name == "g-DIN"
    np.testing.assert_allclose(report.value, by_hand, rtol=1e-6, atol=1e-9)


def test_energy_falls_by_what_the_identity_says(path):
    report = energy(path)
    assert report.is_decreasing
    assert report.largest_residual < 1e-7
    assert "never increases" in str(report)
    # In all, nearly all of it is dissipated.
    assert -report.dissipated[-1] == pytest.approx(report.value[0], rel=1e-2)


def test_a_wrong_sign_in_a_rate_is_seen(path):
    right = gdin(path.system)
    wrong = lambda system: right._replace(rate=lambda at: -right.rate(at))
    assert energy(path, wrong).largest_residual > 0.5 * energy(path).value[0]


def test_the_interval_of_lambda_is_sharp(path):
    """Outside of it, theory 7.11 has a start from which the energy grows."""
    low, high = gdin_interval(path.system)
    root = (ALPHA * BETA) ** 0.5
    np.testing.assert_allclose([low, high], [(1 - root) ** 2, (1 + root) ** 2])
    g = np.array([1.0, 9.0]) * 0.5 + 2.0 * np.tanh(0.5)
    growth = []
    for lam in (low - 0.02, low, high, high + 0.02):
        # theta' = c psi' and psi' = theta' + beta g.
        c = (lam + 1 - ALPHA * BETA) / (2 * lam)
        start = run(path.system, [0.5, 0.5], c * BETA * g / (1 - c))
        report = energy(start, functools.partial(gdin, lam=lam))
        assert report.largest_residual < 1e-6
        growth.append(report.rate[0] / np.sum(np.asarray(start.v[0]) ** 2))
    assert growth[0] > 1e-3
    assert growth[3] > 1e-3
    np.testing.assert_allclose(growth[1:3], 0, atol=1e-6)


def test_energy_falls_across_and_along_kinks_as_the_identity_says(kinked):
    assert int(kinked.events.count) >= 4
    report = energy(kinked)
    assert report.is_decreasing
    assert report.largest_residual < 1e-7 * report.value[0]
    # Event-driven integration with rtol 1e-12.
    exact = [2.4891032301, 2.3780226008, 2.0377705896, 0.9392830798]
    np.testing.assert_allclose(report.value[[1, 2, 4, 10]], exact, rtol=1e-7)
    np.testing.assert_allclose(report.value[20], 0, atol=1e-8)


def test_systems_of_order_two_have_two_energies_with_one_loss():
    system = ds.VMDINAVD(LOG_COSH, ds.schedules.PowerLaw(0.5, 1.0), 0.3, 0.5)
    assert list(energies_of(system)) == ["momentum", "mechanical"]
    path = run(system, [1.5, -1.0])
    for name in energies_of(system):
        report = energy(path, name)
        assert report.is_decreasing
        assert report.largest_residual < 1e-7


def test_what_cannot_be_computed_is_refused(path):
    with pytest.raises(ValueError, match="no energy `Hamilton` of GDIN"):
        energy(path, "Hamilton")
    bare = run(path.system, [1.5, -1.0], dense=False)
    with pytest.raises(ValueError, match="Pass `dense=True` to `simulate`"):
        energy(bare)
    with pytest.raises(TypeError, match="takes a trajectory"):
        energy(path.x)
    with pytest.raises(ValueError, match="structure and shapes of a position"):
        energy(path, minimiser=[0.0, 0.0, 0.0])
    needy = lambda system: gdin(system)._replace(needs_minimiser=True)
    unknown = run(ds.GDIN(lambda x: jnp.sum(x**2), 1.0, 0.2), [1.0, 2.0])
    with pytest.raises(ValueError, match="needs a minimiser"):
        energy(unknown, needy)


def test_a_coarse_run_whose_energy_grows_is_not_called_decreasing():
    t = np.linspace(0.0, 1.0, 3)
    value = np.array([1.0, 1.2, 0.5])
    coarse = ds.analysis.EnergyReport("E", t, value, 0 * t, 0 * t, value - 1, "always", "")
    assert not coarse.is_decreasing


def test_an_energy_that_is_singular_at_the_start_is_refused_by_name():
    system = ds.DINAVD(lambda x: LOG_COSH(x), 3.0, beta=0.3)
    path = run(system, [1.5, -1.0], times=5)
    assert energy(path).name == "mechanical"
    with pytest.raises(ValueError, match="`momentum` is not finite at t = 0"):
        energy(path, "momentum")


def test_what_is_before_the_first_output_counts(path):
    late = run(path.system, [1.5, -1.0], [2.0, 3.0], times=np.linspace(9.0, 10.0, 51))
    report, whole = energy(late), energy(path)
    # A hundredth of what the tolerance makes of the energy at the start.
    allowed = 0.01 * 1e-9 * float(whole.value[0])
    np.testing.assert_allclose(report.residual[-1], whole.residual[-1], atol=allowed)
    assert report.dissipated[0] < -0.9 * whole.value[0]


def test_a_run_without_a_step_is_refused(path):
    ended = run(path.system, [0.0, 0.0], stop=1e-2)
    with pytest.raises(ValueError, match="no step to look into"):
        energy(ended)
