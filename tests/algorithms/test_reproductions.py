"""INNA does what the papers show: each run is written out again, or known in digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import dynsys as ds
from dynsys.algorithms import inna, inna_path, iterate
from dynsys.analysis.inna.linear_stability import inna_matrix, inna_stability_limit
from dynsys.analysis.inna.stationary_variance import inna_stationary_variance

VALLEY = ds.objectives.NonsmoothRosenbrock()
PAIRS = ((0.3, 0.01), (0.3, 0.1), (1.3, 0.1))
START = (-1.0, 1.5)
# Every vertex of the poster's curves is an iterate; these have alpha = 1.3, beta = 0.1.
POSTER = {
    0.5: (-1.1796167382, 1.1818266728),
    1.0: (-1.0513883394, 1.0538882145),
    2.0: (-0.7178011560, 0.7203011560),
    5.0: (0.2261553855, 0.2236553822),
    10.0: (0.9999944359, 0.9999994437),
}
# The inclusion there, by integration from event to event with rtol 1e-12.
EXACT = {
    0.5: (-1.1796119206, 1.1818201352),
    1.0: (-1.0513824123, 1.0538822860),
    2.0: (-0.7177979251, 0.7202979251),
}


def valley_gradient(theta):
    first, second = theta
    off = 200 * (second - abs(first))
    return -off * np.sign(first) - np.sign(1 - first), off


def well_gradient(theta):
    first, second = theta
    return 4 * first**3 - 8 * first, 2 * second


def bowl_gradient(theta):
    return 2 * theta[0], 4 * theta[1]


def by_hand(gradient, theta, alpha, beta, gamma, steps, *, speed, alphas=None, every=1):
    """The algorithm of the talk, one number at a time: the kept positions and psi."""
    v = gradient(theta)
    psi = [
        (1 - alpha * beta) * x - (beta**2 - speed * beta) * g
        for x, g in zip(theta, v, strict=True)
    ]
    kept = [(*theta, *psi)]
    for k in range(steps):
        a = alpha if alphas is None else alphas(k)
        v = gradient(theta)
        common = [(1 / beta - a) * x - p / beta for x, p in zip(theta, psi, strict=True)]
        theta = [
            x + gamma * (c - beta * g) for x, c, g in zip(theta, common, v, strict=True)
        ]
        psi = [p + gamma * c for p, c in zip(psi, common, strict=True)]
        if (k + 1) % every == 0:
            kept.append((*theta, *psi))
    return np.array(kept)


def poster(alpha, beta, gamma, steps, every):
    system = ds.GDIN(VALLEY, alpha, beta)
    return inna_path(system, START, gamma, steps, start=0.1, every=every)


@pytest.fixture(scope="module")
def inclusions():
    """The exact solutions at 0, 0.1, ..., 10."""
    found = {}
    for pair in PAIRS:
        system = ds.GDIN(VALLEY, *pair)
        start = system.state(START, system.initial_psi(START, speed=0.1))
        path = ds.simulate(system, start, t1=10.0, times=101, rtol=1e-10, atol=1e-12)
        found[pair] = np.asarray(path.x)
    return found


@pytest.mark.parametrize("pair", PAIRS)
def test_inna_visits_the_vertices_of_the_poster(pair):
    path = poster(*pair, 1e-4, 100_000, 100)
    expected = by_hand(valley_gradient, START, *pair, 1e-4, 100_000, speed=0.1, every=100)
    np.testing.assert_allclose(path.theta, expected[:, :2], rtol=0, atol=1e-10)
    np.testing.assert_allclose(path.psi, expected[:, 2:], rtol=0, atol=1e-10)


def test_inna_has_the_digits_of_the_poster():
    path = poster(1.3, 0.1, 1e-4, 100_000, 100)
    found = path.theta[np.searchsorted(path.t, np.array(list(POSTER)) - 1e-6)]
    # Half a unit of the last digit, and rounding.
    np.testing.assert_allclose(found, list(POSTER.values()), rtol=0, atol=6e-11)


def test_the_errors_at_known_points_of_the_inclusion_are_proportional_to_the_step():
    at = np.array(list(EXACT))
    errors = []
    for gamma in (1e-3, 1e-4):
        path = poster(1.3, 0.1, gamma, round(2 / gamma), round(0.1 / gamma))
        gap = path.theta[np.round(10 * at).astype(int)] - np.array(list(EXACT.values()))
        errors.append(np.linalg.norm(gap, axis=1))
    np.testing.assert_allclose(errors[0] / errors[1], 10, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pair", "smooth_until", "tolerance", "constant"),
    [
        # A step of 1e-3 is a tenth of this beta: the second order shows.
        ((0.3, 0.01), 2.4, 0.3, 70.0),
        ((0.3, 0.1), 2.4, 0.02, 7.0),
        ((1.3, 0.1), 3.9, 0.02, 1.0),
    ],
)
def test_inna_shadows_the_inclusion(pair, smooth_until, tolerance, constant, inclusions):
    """The error is proportional to the step before the first kink, and O(step) after it."""
    coarse, fine = (
        np.linalg.norm(poster(*pair, gamma, steps, every).theta - inclusions[pair], axis=1)
        for gamma, steps, every in ((1e-3, 10_000, 100), (1e-4, 100_000, 1000))
    )
    before = np.arange(1, round(10 * smooth_until) + 1)
    np.testing.assert_allclose(coarse[before] / fine[before], 10, rtol=tolerance)
    assert coarse.max() < constant * 1e-3
    assert fine.max() < constant * 1e-4


# What the code of the experiment divides by k + 1: 2 / sqrt(gamma).
VANISHING = 20.0
BOWL = {
    (2.0, 0.1, False): (5.955880e-01, 4.775516e-10, 1.468963e-19),
    (2.0, 1.0, True): (3.366886e-01, 4.617495e-10, 4.005047e-18),
}


def bowl_run(alpha, beta, vanishing, steps):
    """The quadratic experiment: psi has the constant damping also where alpha vanishes."""
    theta = np.ones(2)
    psi = (1 - alpha * beta) * theta - (beta**2 - beta) * np.array([2.0, 4.0])
    damping = (lambda k: VANISHING / (k.astype(float) + 1)) if vanishing else alpha
    method = inna(0.01, damping, beta, start=psi)
    bowl = ds.objectives.Quadratic(np.diag([2.0, 4.0]))
    return np.asarray(iterate(method, bowl, theta, steps).x)


def bowl_value(theta):
    return theta[:, 0] ** 2 + 2 * theta[:, 1] ** 2


@pytest.mark.parametrize("case", BOWL)
def test_the_quadratic_experiment_has_its_known_values(case):
    found = bowl_value(bowl_run(*case, 2000))[[100, 1000, 2000]]
    # Half a unit of the seventh digit.
    np.testing.assert_allclose(found, BOWL[case], rtol=4e-7)


@pytest.mark.parametrize("beta", [0.1, 1.0])
@pytest.mark.parametrize("vanishing", [False, True])
def test_the_quadratic_experiment_is_that_of_its_code(beta, vanishing):
    alphas = (lambda k: 2 / ((k + 1) * np.sqrt(0.01))) if vanishing else None
    expected = by_hand(
        bowl_gradient, (1.0, 1.0), 2.0, beta, 0.01, 7000, speed=1.0, alphas=alphas
    )
    found = bowl_run(2.0, beta, vanishing, 7000)
    # Relative to the iterate: values shrink to 1e-34, and each coordinate crosses 0.
    gap = np.linalg.norm(found - expected[:, :2], axis=1)
    assert (gap < 1e-9 * np.linalg.norm(expected, axis=1)).all()


ROOT = 2**0.5
WELL_RUNS = (
    ((0.0, 1.9), 2.0, 1.0, (0.0, 0.0)),
    ((0.0, -1.9), 0.5, 1.0, (0.0, 0.0)),
    ((-0.05, 1.9), 1.0, 1.3, (-ROOT, 0.0)),
    ((0.05, -1.9), 0.3, 0.9, (ROOT, 0.0)),
)


@pytest.mark.parametrize(("start", "alpha", "beta", "end"), WELL_RUNS)
def test_the_double_well_runs_end_at_the_saddle_or_at_a_minimiser(start, alpha, beta, end):
    system = ds.GDIN(ds.objectives.DoubleWell(), alpha, beta)
    path = inna_path(system, start, 1 / 50, 1000, start=1.0)
    expected = by_hand(well_gradient, start, alpha, beta, 1 / 50, 1000, speed=1.0)
    np.testing.assert_allclose(path.theta, expected[:, :2], rtol=0, atol=1e-11)
    np.testing.assert_allclose(path.psi, expected[:, 2:], rtol=0, atol=1e-11)
    # The slowest root, -0.586 for (2, 1), leaves exp(-0.586 * 20) = 8e-6.
    np.testing.assert_allclose(path.theta[-1], end, atol=1e-5)
    if end == (0.0, 0.0):
        assert not np.asarray(path.theta[:, 0]).any()


def test_the_valley_is_left_by_steps_beyond_the_limit_only():
    limit = inna_stability_limit(0.3, 0.01, 400.0)
    assert limit == pytest.approx(0.01075, rel=1e-12)
    system = ds.GDIN(VALLEY, 0.3, 0.01)
    ends = {}
    for gamma in (0.0106, 0.0112, 0.0125):
        with pytest.warns(UserWarning, match="is not below `beta`"):
            path = inna_path(system, START, gamma, round(100 / gamma), start=0.1)
        ends[gamma] = path, np.linalg.norm(path.theta - 1.0, axis=1)
    assert ends[0.0106][1][-100:].max() < 0.02
    assert 1e4 < ends[0.0112][1][-1] < 2e4
    path, distance = ends[0.0125]
    beyond = path.t[np.argmax(distance > 1e8)]
    assert 50 < beyond < 53


def dampings_and_curvatures(count):
    random = np.random.default_rng(4)
    for alpha, beta, log in random.uniform((0.1, 0.1, -0.5), (1.5, 1.5, 1.0), (count, 3)):
        yield alpha, beta, 10**log


def test_on_a_quadratic_real_iterates_shrink_below_the_limit_and_grow_beyond_it():
    steps, turning = 10_000, set()
    cases = [
        (*one, part * inna_stability_limit(*one))
        for one in dampings_and_curvatures(12)
        for part in (0.999, 1.001)
    ]

    @jax.jit
    @jax.vmap
    def last(alpha, beta, eigenvalue, gamma):
        system = ds.GDIN(lambda x: eigenvalue * jnp.sum(x**2) / 2, alpha, beta)
        path = inna_path(system, jnp.ones(1), gamma, steps, every=steps)
        return jnp.stack([path.theta[-1, 0], path.psi[-1, 0]])

    found = np.asarray(last(*np.array(cases).T))
    for (alpha, beta, eigenvalue, gamma), end in zip(cases, found, strict=True):
        start = np.array([1.0, 1 - alpha * beta])
        matrix = inna_matrix(alpha, beta, eigenvalue, gamma)
        expected = np.linalg.matrix_power(matrix, steps) @ start
        np.testing.assert_allclose(end, expected, rtol=1e-6, atol=1e-9 * abs(end).max())
        limit = inna_stability_limit(alpha, beta, eigenvalue)
        radius = np.abs(np.linalg.eigvals(matrix)).max()
        growth = np.linalg.norm(end) / np.linalg.norm(start)
        assert (radius > 1) == (gamma > limit)
        assert growth > 100 if gamma > limit else growth < 0.01
        turning.add(bool(np.iscomplex(np.linalg.eigvals(matrix)).any()))
    assert turning == {True, False}


def lyapunov_variance(alpha, beta, eigenvalue, gamma, sigma):
    noise = np.diag([(gamma * beta * sigma) ** 2, 0.0])
    matrix = inna_matrix(alpha, beta, eigenvalue, gamma)
    return scipy.linalg.solve_discrete_lyapunov(matrix, noise)[0, 0]


def test_the_stationary_variance_solves_the_lyapunov_equation():
    random = np.random.default_rng(5)
    for alpha, beta, part in random.uniform((0.05, 0.05, 0.01), (2.0, 2.0, 0.99), (50, 3)):
        eigenvalue, sigma = random.uniform(0.1, 50.0), random.uniform(0.1, 3.0)
        gamma = part * inna_stability_limit(alpha, beta, eigenvalue)
        case = alpha, beta, eigenvalue, gamma, sigma
        expected = lyapunov_variance(*case)
        # The equation loses digits where the step is short: it is nearly singular.
        np.testing.assert_allclose(inna_stationary_variance(*case), expected, rtol=1e-9)


def test_for_short_steps_the_variance_is_proportional_to_the_step():
    for alpha, beta, eigenvalue in dampings_and_curvatures(20):
        limit = (1 + beta**2 * eigenvalue) / (alpha + beta * eigenvalue) / eigenvalue / 2
        found = inna_stationary_variance(alpha, beta, eigenvalue, 1e-9, sigma=2.0)
        np.testing.assert_allclose(found, 4e-9 * limit, rtol=1e-7)


CURVATURES = np.array([0.5, 2.0, 8.0])
CHAINS = 5000


def noisy_gradient(theta, count):
    noise = jax.random.normal(jax.random.fold_in(jax.random.key(0), count), theta.shape)
    return jnp.asarray(CURVATURES)[:, None] * theta + 1.5 * noise


@pytest.mark.parametrize(
    ("alpha", "beta", "gamma"), [(0.5, 0.1, 0.05), (1.0, 0.5, 0.4), (2.0, 1.0, 0.2)]
)
def test_noisy_iterates_have_the_stationary_variance(alpha, beta, gamma):
    system = ds.GDIN(lambda theta: jnp.sum(theta), alpha, beta)
    start, steps = np.zeros((3, CHAINS)), 300
    path = inna_path(
        system, start, gamma, steps, start="rest", gradient=noisy_gradient, every=steps
    )
    found = np.var(path.theta[-1], axis=1)
    expected = np.array(
        [inna_stationary_variance(alpha, beta, one, gamma, 1.5) for one in CURVATURES]
    )
    # The sample variance of normal numbers is off by a factor of 1 +- sqrt(2 / n).
    assert (np.abs(found / expected - 1) < 3 * np.sqrt(2 / CHAINS)).all()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ((1.0, 0.5, -2.0, 0.1, 1.0), "`eigenvalue` must be positive"),
        ((1.0, 0.5, 2.0, 0.0, 1.0), "`gamma` must be positive"),
        ((1.0, 0.5, 2.0, 0.1, -1.0), "`sigma` must be at least 0"),
        ((1.0, 0.5, 2.0, 1.0, 1.0), "`gamma` must be below 1, the stability limit"),
    ],
)
def test_refusals_of_the_stationary_variance(case, message):
    with pytest.raises(ValueError, match=message):
        inna_stationary_variance(*case)
