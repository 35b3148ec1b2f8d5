"""Rates: on made-up data, on closed forms, and next to what is proved."""

import equinox as eqx
import jax
import numpy as np
import pytest
import scipy.optimize

import dynsys as ds
from dynsys.analysis.rates.decay_rate import decay_rate
from dynsys.analysis.rates.kl_exponent import gdin_rate, kl_exponent
from dynsys.analysis.rates.line_fit import fit_line
from dynsys.analysis.rates.quasi_gradient import quasi_gradient, quasi_gradient_constant
from dynsys.analysis.report import AssumptionError

TIMES = np.concatenate([[0.0], np.geomspace(0.1, 1e6, 400)])
ALPHA, BETA = 0.5, 0.1
EIGENVALUES = np.array([1.0, 10.0])
COUNT = 2001
t = np.linspace(1.0, 60.0, 400)


@pytest.fixture(scope="module")
def quartic():
    system = ds.GDIN(ds.objectives.PowerFunction(4), ALPHA, BETA)
    return ds.simulate(system, [1.0], t1=1e6, times=TIMES, rtol=1e-10, atol=1e-15)


def on_quadratic(alpha, beta, end, rtol=1e-10, atol=1e-15):
    system = ds.GDIN(ds.objectives.Quadratic(np.diag(EIGENVALUES)), alpha, beta)
    return ds.simulate(system, [1.0, 1.0], t1=end, times=COUNT, rtol=rtol, atol=atol)


@pytest.fixture(scope="module")
def swinging():
    return on_quadratic(ALPHA, BETA, 40.0)


def slowest(alpha, beta):
    """The slowest rate of |x|: the largest real part of all characteristic roots."""
    roots = [np.roots([1.0, alpha + beta * lam, lam]) for lam in EIGENVALUES]
    return -np.max(np.real(roots))


# --- made-up data -------------------------------------------------------------------


def test_an_exponential_is_found_exactly():
    found = decay_rate(t, 3.0 * np.exp(-0.7 * t))
    assert found.model == "exponential"
    np.testing.assert_allclose(found.exponential.rate, 0.7, rtol=1e-12)
    np.testing.assert_allclose(np.exp(found.exponential.log_factor), 3.0, rtol=1e-9)
    assert found.exponential.error < 1e-12
    assert found.ratio > 1e6


def test_a_power_law_is_found_exactly():
    found = decay_rate(t, 5.0 * t**-1.5)
    assert found.model == "power law"
    np.testing.assert_allclose(found.power.rate, 1.5, rtol=1e-12)
    np.testing.assert_allclose(np.exp(found.power.log_factor), 5.0, rtol=1e-9)
    assert found.ratio > 1e6


def test_the_window_is_the_second_half_of_the_decay():
    found = decay_rate(t, np.exp(-t))
    np.testing.assert_allclose(found.window, (30.5, 60.0), atol=0.2)
    assert decay_rate(t, np.exp(-t), window=(10, 20)).window == pytest.approx(
        (10.0, 20.0), abs=0.2
    )


def correlated(seed, memory=0.9, size=300):
    """Noise whose neighbours are correlated by `memory`."""
    noise = np.random.default_rng(seed).normal(size=size)
    out = np.empty(size)
    out[0] = noise[0] / np.sqrt(1 - memory**2)
    for i in range(1, size):
        out[i] = memory * out[i - 1] + noise[i]
    return out


def test_errors_cover_the_truth_though_neighbours_are_correlated():
    x = np.linspace(0.0, 1.0, 300)
    lines = [fit_line(x, -2 * x + 0.01 * correlated(seed)) for seed in range(200)]
    off = np.array([one.slope + 2 for one in lines])
    errors = np.array([one.error for one in lines])
    assert np.mean(np.abs(off) <= 2 * errors) > 0.85
    # Not by being useless: the error is of the size of the scatter.
    assert np.median(errors) < 1.5 * off.std()
    # The textbook's error, which takes residuals as independent, covers much less.
    textbook = np.array([one.residual for one in lines]) / np.sqrt(300 / 12)
    assert np.mean(np.abs(off) <= 2 * textbook) < 0.65


def test_a_rate_that_still_changes_is_not_called_certain():
    times = np.geomspace(10.0, 1e4, 300)
    found = decay_rate(times, times**-2.0 * (1 + 5 * np.log(times) / times))
    off = abs(found.power.rate - 2)
    assert 1e-4 < off < 2 * found.power.error < 20 * off


SETTLING = {
    "a shift of time": lambda t, q, rng: -q * np.log(t + reach(t, rng)),
    "a later start": lambda t, q, rng: -q * np.log(t - rng.uniform(0, 0.9)),
    "a power": lambda t, q, rng: -q * np.log(t),
    "two powers": lambda t, q, rng: np.log(
        t**-q + rng.uniform(0, 3) * t ** -(q + rng.uniform(0.5, 1.5))
    ),
    "ln t / t": lambda t, q, rng: (
        np.log1p(rng.uniform(0, 5) * np.log(t) / t) - q * np.log(t)
    ),
    "powers of ln t": lambda t, q, rng: (
        rng.uniform(-1, 2) * np.log(np.log(t + np.e)) - q * np.log(t)
    ),
}
FADING = {
    "an exponential": lambda t, r, rng: -r * t,
    "times a power": lambda t, r, rng: -r * t - rng.uniform(0, 2) * np.log(t),
    "two exponentials": lambda t, r, rng: np.log(
        np.exp(-r * t) + rng.uniform(0, 3) * np.exp(-r * rng.uniform(1.3, 3) * t)
    ),
}


def reach(t, rng):
    return 10 ** rng.uniform(-1, np.log10(t[-1]) - 0.5)


def errors_of_a_fit(rng, log_y, fades):
    """A random fit: how far it is off, its stated error, and the noise of its data."""
    end = 10 ** rng.uniform(1.5, 5)
    grid = (np.linspace, np.geomspace)[rng.integers(2)]
    times = grid(1.0, end, 300)
    unit = 10 ** rng.uniform(-9, 9)
    noise = rng.choice([0.0, 0.0, 1e-6, 1e-4, 1e-2, 0.05])
    rate = rng.uniform(0.5, 4) * (20 / end if fades else 1)
    y = np.exp(log_y(times, rate, rng) + noise * rng.normal(size=300))
    found = decay_rate(times * unit, y)
    model = found.exponential if fades else found.power
    scale = unit if fades else 1
    return abs(scale * model.rate - rate), scale * model.error, noise


@pytest.mark.parametrize("name", SETTLING | FADING)
def test_errors_cover_the_limit_of_a_rate_that_still_changes(name):
    rng = np.random.default_rng(0)
    case = (SETTLING | FADING)[name], name in FADING
    off, error, noise = np.array([errors_of_a_fit(rng, *case) for _ in range(60)]).T
    assert np.mean(off <= 2 * error) >= 0.93
    assert np.mean(off <= 3 * error) >= 0.96
    # Not by being useless: where no noise hides how it settles, the error is what is left.
    if name in ("a shift of time", "a later start", "times a power"):
        assert np.median((error / off)[noise == 0]) < 1.5


@pytest.mark.parametrize(
    "swing",
    [
        lambda t: np.cos(2 * t) ** 2,
        lambda t: np.cos(2 * t) ** 2 + 0.5 * np.cos(3.3 * t) ** 2,
    ],
)
def test_of_a_swinging_quantity_the_envelope_counts(swing):
    found = decay_rate(t, np.exp(-0.3 * t) * swing(t))
    assert found.envelope
    assert found.model == "exponential"
    assert abs(found.exponential.rate - 0.3) < 2 * found.exponential.error + 1e-4
    # Two swings of other periods may hide a power of time beside the exponential.
    assert found.exponential.error < 0.03


def test_peaks_are_found_between_the_points():
    coarse = np.linspace(1.0, 60.0, 200)
    found = decay_rate(coarse, np.exp(-0.3 * coarse) * np.cos(coarse) ** 2)
    # On the points themselves the peaks are up to 2% low.
    np.testing.assert_allclose(found.exponential.rate, 0.3, atol=3e-5)


def test_in_a_short_window_nobody_can_tell():
    found = decay_rate(t, np.exp(-t) * (1 + 0.1 * np.sin(5 * t)), window=(30.0, 33.0))
    assert found.model == "undecided"
    assert "undecided" in str(found)


def test_below_the_floor_nothing_is_trusted():
    y = np.exp(-t) + 1e-12 * (1.5 + np.sin(37 * t))
    found = decay_rate(t, y, floor=1e-10)
    np.testing.assert_allclose(found.exponential.rate, 1.0, atol=0.01)
    assert found.window[1] < 24


def test_the_report_reads_well():
    text = str(decay_rate(t, 5.0 * t**-1.5))
    assert text.startswith("y: power law, t^-q with q = 1.5 +- ")
    assert "t from " in text
    assert "points" in text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decay_rate(t, t[:-1]), "of one length"),
        (lambda: decay_rate(t[::-1], t), "Times must increase"),
        (lambda: decay_rate(t, np.full_like(t, np.nan)), "must be finite"),
        (lambda: decay_rate(t, np.cos(t)), "`y` must be positive, but is .* at t = 1.59"),
        (lambda: decay_rate(t[:7], t[:7]), "needs 8 points above the floor"),
        (lambda: decay_rate(t, np.exp(-t), window=(1, 2)), "but there are 7"),
        (
            lambda: decay_rate(t, np.exp(-t) * np.cos(0.2 * t) ** 2),
            "needs 5 peaks .* simulate longer",
        ),
        (lambda: decay_rate(t, np.exp(-t), floor=1.0), "No value of the y lies above"),
        (lambda: decay_rate(t, np.exp(-t), floor=-1.0), "`floor` must be at least 0"),
    ],
)
def test_data_without_a_rate_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [lambda: decay_rate(t), lambda: decay_rate("x")])
def test_what_is_no_data_is_refused(call):
    with pytest.raises(TypeError, match="takes a trajectory, or times"):
        call()


# --- trajectories -------------------------------------------------------------------


def test_the_quartic_decays_like_the_square_of_time(quartic):
    end = 1e12 * float(quartic.objective[-1])
    np.testing.assert_allclose(end, 0.0156239, atol=5e-8)
    # The limit is alpha^2/16, reached like ln t / t.
    expansion = ALPHA**2 / 16 * (1 + 3 * (BETA - 1 / ALPHA) * np.log(1e6) / 1e6)
    assert abs(end / expansion - 1) < 2e-5
    found = decay_rate(quartic)
    assert found.model == "power law"
    assert found.ratio > 100
    assert abs(found.power.rate - gdin_rate(0.75).energy) < 2 * found.power.error < 0.01


def test_the_distance_of_the_quartic_is_as_proved(quartic):
    found = decay_rate(quartic, quantity="distance", window=(1e3, 1e6))
    np.testing.assert_allclose(found.power.rate, gdin_rate(0.75).position, atol=1e-3)


@pytest.mark.parametrize(
    ("quantity", "factor"), [("objective gap", 2), ("gradient norm", 1), ("distance", 1)]
)
def test_on_a_quadratic_the_characteristic_roots_decide(swinging, quantity, factor):
    found = decay_rate(swinging, quantity=quantity)
    assert found.envelope
    assert found.model == "exponential"
    exact = factor * slowest(ALPHA, BETA)
    np.testing.assert_allclose(found.exponential.rate, exact, rtol=2e-3)
    assert abs(found.exponential.rate - exact) < 3 * found.exponential.error + 1e-6


def test_without_swings_all_points_count():
    found = decay_rate(on_quadratic(3.0, 1.0, 40.0))
    assert not found.envelope
    assert found.points > 500
    np.testing.assert_allclose(found.exponential.rate, 2 * slowest(3.0, 1.0), rtol=1e-6)


def test_what_tolerances_blur_is_left_out():
    loose = on_quadratic(3.0, 1.0, 100.0, rtol=1e-4, atol=1e-6)
    found = decay_rate(loose)
    np.testing.assert_allclose(found.exponential.rate, 2 * slowest(3.0, 1.0), rtol=1e-2)
    # x = 20 * 10 * atol, where a tenth of the objective is in doubt.
    assert float(loose.objective[np.searchsorted(loose.t, found.window[1])]) > 1e-8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "speed"}, "`quantity` must be 'objective gap'"),
        ({"minimum": 0.3}, "falls below its minimum 0.3, by 0.3 "),
        ({"floor": 1e3}, "No value of the objective gap lies above its floor"),
    ],
)
def test_a_wrong_question_is_refused(swinging, options, message):
    with pytest.raises(ValueError, match=message):
        decay_rate(swinging, **options)


def test_an_unknown_minimum_is_asked_for(swinging):
    plain = ds.GDIN(lambda x: 0.5 * (x**2).sum(), ALPHA, BETA)
    unknown = eqx.tree_at(lambda one: one.system, swinging, plain)
    with pytest.raises(ValueError, match="smallest value of the objective is not known"):
        decay_rate(unknown)
    with pytest.raises(ValueError, match="minimiser of the objective is not known"):
        decay_rate(unknown, quantity="distance")
    assert decay_rate(unknown, minimiser=[0.0, 0.0]).model == "exponential"


# --- Kurdyka-Lojasiewicz ------------------------------------------------------------


def test_the_exponent_of_a_power_is_seen(quartic):
    found = kl_exponent(quartic)
    np.testing.assert_allclose(found.exponent, 0.75, rtol=1e-10)
    # |f'| = |x|^3 = (4 f)^(3/4).
    np.testing.assert_allclose(np.exp(found.log_factor), 4**0.75, rtol=1e-8)
    assert found.rate == gdin_rate(found.exponent)
    assert "O(t^-2), position O(t^-0.5)" in str(found)


def test_the_exponent_of_a_quadratic_is_one_half(swinging):
    found = kl_exponent(swinging)
    assert abs(found.exponent - 0.5) < 2 * found.error < 0.05
    assert found.rate.model == "exponential"
    assert "exponential" in str(found)


def test_a_rate_is_claimed_only_where_it_is_proved(quartic):
    """The same numbers as runs of systems of which nothing is proved."""
    f = quartic.system.objective
    others = {
        "is of g-DIN, and this is a run of DIN": ds.DIN(f, lambda t: ALPHA / (1 + t), BETA),
        "is of g-DIN, and this is a run of HeavyBall": ds.HeavyBall(f, ALPHA),
        "needs alpha > 0, and alpha is 0": ds.GDIN(f, 0.0, BETA),
    }
    proved = kl_exponent(quartic)
    assert (proved.obstacle, proved.rate.model) == ("", "power law")
    assert "trusted: the solution is bounded, and the objective" in str(proved)
    for why, system in others.items():
        found = kl_exponent(eqx.tree_at(lambda one: one.system, quartic, system))
        assert found.exponent == pytest.approx(0.75)
        assert found.rate is None
        assert "no rate is proved: the proof" in str(found)
        assert found.obstacle.endswith(why)


def test_an_exponent_that_may_be_1_proves_nothing(quartic):
    """|x|^200 has the exponent 0.995."""
    flat = ds.GDIN(ds.objectives.PowerFunction(200), ALPHA, BETA)
    path = eqx.tree_at(
        lambda one: (one.system, one.x),
        quartic,
        (flat, np.linspace(1.0, 0.9, len(TIMES))[:, None]),
    )
    found = kl_exponent(path)
    assert found.exponent == pytest.approx(0.995)
    assert found.rate is None
    assert "the exponent may be 1" in str(found)


@pytest.mark.parametrize("p", [3.0, 4.0, 6.0])
def test_proved_exponents_are_those_of_slow_damping(p):
    """alpha x' = -x^(p - 1), to which g-DIN tends: x ~ t^(-1/(p-2)), f ~ t^(-p/(p-2))."""
    rate = gdin_rate(ds.objectives.PowerFunction(p).exponent)
    np.testing.assert_allclose((rate.position, rate.energy), (1 / (p - 2), p / (p - 2)))


@pytest.mark.parametrize("a", [0.0, 0.3, 0.5])
def test_up_to_one_half_the_rate_is_exponential(a):
    assert gdin_rate(a).model == "exponential"
    assert str(gdin_rate(a)) == "exponential"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gdin_rate(1.0), "`exponent` must be below 1"),
        (lambda: gdin_rate(-0.1), "`exponent` must be at least 0"),
        (lambda: quasi_gradient_constant(-1.0, 1.0), "`alpha` must be at least 0"),
        (lambda: quasi_gradient_constant(1.0, 0.0), "`beta` must be positive"),
    ],
)
def test_parameters_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- quasi-gradient form ------------------------------------------------------------


def test_the_constant_is_the_smaller_eigenvalue_of_the_dissipation():
    for alpha, beta in np.random.default_rng(0).uniform(0.01, 5.0, size=(50, 2)):
        form = [[alpha + 1 / beta, -1 / beta], [-1 / beta, 1 / beta]]
        smallest = np.linalg.eigvalsh(form)[0]
        np.testing.assert_allclose(quasi_gradient_constant(alpha, beta), smallest, 1e-10)


@pytest.mark.parametrize(
    ("alpha", "beta"), [(ALPHA, BETA), (0.1, 0.5), (1.5, 1.0), (3.0, 0.2), (2.0, 3.0)]
)
def test_energy_is_lost_as_fast_as_proved(alpha, beta):
    bound = quasi_gradient(on_quadratic(alpha, beta, 10.0))
    assert bound.holds
    assert bound.tightness <= 1


def test_the_constant_is_attained(swinging):
    """Velocities of a swinging solution turn through every direction."""
    bound = quasi_gradient(swinging)
    assert bound.holds
    assert 0.999 < bound.tightness < 1


def across_the_kink(times, drop):
    """g-DIN on |theta| from 1: between kinks theta'' + alpha theta' + sign(theta) = 0.

    The speed drops by 2 beta at the crossing, or by something else for a wrong path.
    """
    fade = lambda s: -np.expm1(-ALPHA * s) / ALPHA
    # At rest, psi = (1 - alpha beta) theta - beta^2 sign(theta) - beta theta'.
    before = lambda s: (1 - s / ALPHA + fade(s) / ALPHA, -fade(s))
    crossing = scipy.optimize.brentq(lambda s: before(s)[0], 0.1, 3.0)
    v = before(crossing)[1] + drop - 1 / ALPHA
    after = lambda s: (s / ALPHA + v * fade(s), 1 / ALPHA + v * np.exp(-ALPHA * s))
    first = times < crossing
    theta, speed = np.where(first, before(times), after(times - crossing))
    psi = (1 - ALPHA * BETA) * theta - BETA**2 * np.where(first, 1, -1) - BETA * speed
    return theta[:, None], psi[:, None]


def test_across_a_kink_energy_is_lost_as_fast_as_proved(quartic):
    times = np.linspace(0.0, 2.8, len(TIMES))
    system = ds.GDIN(ds.objectives.PowerFunction(1), ALPHA, BETA)
    paths = []
    for drop in (2 * BETA, -2 * BETA):
        theta, psi = across_the_kink(times, drop)
        assert theta[0] > 0 > theta[-1]
        changed = (times, theta, type(quartic.state)(theta, psi), system)
        pick = lambda one: (one.t, one.x, one.state, one.system)
        paths.append(eqx.tree_at(pick, quartic, changed))
    right, wrong = map(quasi_gradient, paths)
    assert right.holds
    assert right.tightness > 0.5
    assert not wrong.holds


def test_a_path_that_gains_energy_breaks_the_bound(swinging):
    back = jax.tree.map(lambda leaf: leaf[::-1], (swinging.x, swinging.state))
    reversed_path = eqx.tree_at(lambda one: (one.x, one.state), swinging, back)
    assert not quasi_gradient(reversed_path).holds


def test_where_the_form_says_nothing_it_is_refused():
    f = ds.objectives.Quadratic(np.diag(EIGENVALUES))
    with pytest.raises(AssumptionError, match="needs alpha > 0, but alpha = 0"):
        quasi_gradient(on_quadratic(0.0, BETA, 10.0))
    path = on_quadratic(ALPHA, BETA, 10.0)
    other = eqx.tree_at(lambda one: one.system, path, ds.DIN(f, ALPHA, BETA))
    with pytest.raises(ValueError, match="needs a trajectory of GDIN, but got one of DIN"):
        quasi_gradient(other)
