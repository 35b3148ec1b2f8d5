"""The control perspective, against closed forms, SciPy and the numbers of the theory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import dynsys as ds
from dynsys.analysis.newton.acceleration import (
    constant_rate,
    log_amplitude,
    measured_log_amplitude,
    relative_to_newton,
)
from dynsys.analysis.newton.comparison import compare_with_newton
from dynsys.analysis.newton.damping_design import design_damping
from dynsys.schedules import Constant, Exponential, PowerLaw
from tests import oracles

BETA, EIGENVALUE = 0.7, 1.3
DECADES = np.array([0.0, 10.0, 100.0, 1e3, 1e4])
NOTHING = PowerLaw(0.0, 1.0)


def relative(epsilon, alpha, speed, eigenvalue=EIGENVALUE, times=DECADES):
    """The factor to Newton, from 1 with a given speed."""
    system = relative_to_newton(epsilon, alpha, BETA, eigenvalue)
    options = {"t1": times[-1], "times": times, "rtol": 1e-10, "atol": 1e-14}
    return np.asarray(ds.simulate(system, [1.0], [speed], **options).x[:, 0])


def on_quadratic(matrix, linear, schedules, start, velocity, end):
    """VM-DIN-AVD on a quadratic of two variables, at 81 times."""
    f = ds.objectives.Quadratic(np.asarray(matrix), linear)
    times = np.linspace(0.0, end, 81)
    system = ds.VMDINAVD(f, *schedules, BETA)
    start = np.asarray(f.minimiser) + start
    options = {"t1": end, "times": times, "rtol": 1e-10, "atol": 1e-14}
    return ds.simulate(system, start, np.asarray(velocity), **options)


# --- constant coefficients ----------------------------------------------------------

RANDOM = np.random.default_rng(1).uniform(0.0, 2.0, size=(4, 300)) + 1e-3


def test_the_rate_is_that_of_the_slowest_root():
    exact = [
        -np.max(np.real(np.roots([epsilon, alpha + beta * lam, lam])))
        for epsilon, alpha, beta, lam in RANDOM.T
    ]
    np.testing.assert_allclose(constant_rate(*RANDOM), exact, rtol=1e-6)


def test_newton_is_exceeded_exactly_between_two_masses():
    epsilon, alpha, beta, lam = RANDOM
    between = (alpha * beta < epsilon) & (epsilon < beta * (alpha + beta * lam) / 2)
    np.testing.assert_array_equal(constant_rate(*RANDOM) > 1 / beta, between)
    assert 10 < between.sum() < 290
    verdicts = [compare_with_newton(*one) for one in RANDOM.T]
    np.testing.assert_array_equal(np.array(verdicts) == "faster", between)


def test_no_constant_coefficients_are_more_than_twice_as_fast_as_newton():
    _, _, beta, lam = RANDOM
    assert (constant_rate(*RANDOM) < 2 / beta).all()
    best = constant_rate(beta**2 * lam / 4, 0.0, beta, lam)
    # At a double root, half of the digits are lost.
    np.testing.assert_allclose(best, 2 / beta, rtol=1e-6)


def test_close_to_newton_nothing_is_cancelled():
    excess = constant_rate(1e-13, 0.0, 1.0, 1.0) - 1
    np.testing.assert_allclose(excess, 1e-13, rtol=1e-2)
    values = log_amplitude(1e-13, 0.0, 1.0, 1.0, [0.0, 1.0])
    np.testing.assert_allclose(values.slow[-1], -1e-13, rtol=1e-9)


# --- asymptotics --------------------------------------------------------------------


def test_both_exponents_predict_a_faster_decay_up_to_a_constant():
    """Source of the numbers: the Riccati equation of x'/x, integrated in advance."""
    mass = PowerLaw(0.3, 1.0)
    measured = np.log(relative(mass, NOTHING, 0.0))
    found = log_amplitude(mass, 0.0, BETA, EIGENVALUE, DECADES)
    np.testing.assert_allclose(measured[-1], -7.32, atol=5e-3)
    constants = [-1.0617, -1.1174, -1.1231, -1.1237]
    off = measured - found.first_order
    np.testing.assert_allclose(off[1:], constants, atol=5e-5)
    # The exact exponent leaves fifty times less.
    assert np.ptp((measured - found.slow)[1:]) < np.ptp(off[1:]) / 50


def test_damping_makes_it_slower_than_newton():
    mass, damping = PowerLaw(0.05, 1.0), PowerLaw(0.5, 1.0)
    # r(0) = -lambda/b(0)
    speed = 1 / BETA - EIGENVALUE / (0.5 + BETA * EIGENVALUE)
    measured = np.log(relative(mass, damping, speed))
    np.testing.assert_allclose(measured[-1], 5.98, atol=5e-3)
    off = measured - log_amplitude(mass, damping, BETA, EIGENVALUE, DECADES).slow
    np.testing.assert_allclose(off[3], off[4], atol=1e-3)
    assert np.ptp(measured) > 5


def riccati(epsilon, alpha, r0, end):
    """ln x from epsilon (r' + r^2) + b r + lambda = 0, by SciPy in the time ln(1 + t)."""

    def rates(s, y):
        t = np.expm1(s)
        b = alpha(t) + BETA * EIGENVALUE
        slope = -(b * y[0] + EIGENVALUE) / epsilon(t) - y[0] ** 2
        return [slope * (1 + t), y[0] * (1 + t)]

    return scipy.integrate.solve_ivp(
        rates, (0, np.log1p(end)), [r0, 0.0], method="Radau", rtol=1e-11, atol=1e-13
    ).y[1, -1]


def test_the_factor_to_newton_solves_its_equation():
    exact = riccati(lambda t: 0.2 / (1 + t), lambda t: 0.1 / (1 + t), -1.2, 100.0)
    u = relative(PowerLaw(0.2, 1.0), PowerLaw(0.1, 1.0), 1 / BETA - 1.2)
    np.testing.assert_allclose(np.log(u[2]), exact + 100 / BETA, atol=1e-6)


def test_integrals_of_the_asymptotics_are_exact():
    e, a, r = 0.4, 0.3, 0.8
    times = np.array([0.0, 0.01, 3.0, 1e6])
    found = log_amplitude(PowerLaw(e, 1.0), Exponential(a, r), BETA, EIGENVALUE, times)
    exact = e / BETA * np.log1p(times) - a / r * (1 - np.exp(-r * times))
    np.testing.assert_allclose(found.first_order, -exact / (BETA**2 * EIGENVALUE), 1e-9)

    def slow(t):
        b = a * np.exp(-r * t) + BETA * EIGENVALUE
        root = np.sqrt(b**2 - 4 * e / (1 + t) * EIGENVALUE + 0j)
        return 1 / BETA - (2 * EIGENVALUE / (b + root)).real

    # The root is complex until here.
    turn = scipy.optimize.brentq(
        lambda t: (
            (a * np.exp(-r * t) + BETA * EIGENVALUE) ** 2 - 4 * e / (1 + t) * EIGENVALUE
        ),
        0.5,
        3.0,
    )
    parts = [scipy.integrate.quad(slow, *ends)[0] for ends in ((0, turn), (turn, 3.0))]
    # Nodes do not meet the kink of the real part.
    np.testing.assert_allclose(found.slow[2], sum(parts), atol=1e-4)


@pytest.mark.parametrize("q", [0.1, 0.4])
def test_no_square_integrable_mass_is_needed(q):
    """Only the first-order form drifts where the square of the mass is not integrable."""
    mass = PowerLaw(0.1, q)
    found = log_amplitude(mass, 0.0, BETA, EIGENVALUE, DECADES)
    measured = np.log(np.maximum(relative(mass, NOTHING, 0.0), 1e-13))[:4]
    off, drift = measured - found.slow[:4], measured - found.first_order[:4]
    usable = measured > np.log(1e-12)
    assert usable.sum() >= 3
    assert np.ptp(off[usable][1:]) < 0.02 * np.ptp(drift[usable][1:]) + 1e-3


def test_a_trajectory_shows_what_the_closed_form_says():
    eigenvalues, times = np.array([0.9, 3.0]), np.linspace(0.0, 8.0, 81)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    matrix = turn @ np.diag(eigenvalues) @ turn.T
    schedules = Exponential(0.1, 0.3), Exponential(0.05, 0.3)
    start, rest = turn @ [1.0, 2.0], [0.0, 0.0]
    path = on_quadratic(matrix, np.array([1.0, -0.5]), schedules, start, rest, 8.0)
    found = measured_log_amplitude(path)
    for i, lam in enumerate(eigenvalues):
        x = oracles.vm_exponential(lam, 0.1, 0.05, 0.3, BETA, 1.0, 0.0, times)
        np.testing.assert_allclose(found[:, i], np.log(x) + times / BETA, atol=1e-6)


def test_one_exact_start_is_newton():
    mass = PowerLaw(0.3, 0.5)
    damping = PowerLaw(0.3 / BETA, 0.5)
    np.testing.assert_allclose(relative(mass, damping, 0.0), 1.0, atol=1e-9)
    found = log_amplitude(mass, damping, BETA, EIGENVALUE, DECADES)
    np.testing.assert_allclose(found.slow, 0.0, atol=1e-11)
    assert compare_with_newton(mass, damping, BETA) == "same rate"


def test_with_epsilon_beta_alpha_any_start_has_an_integral_form():
    mass, speed = PowerLaw(0.3, 1.0), 1 / BETA
    u = relative(mass, PowerLaw(0.3 / BETA, 1.0), speed)
    inner = lambda s: np.exp(s / BETA - BETA * EIGENVALUE * (s + s**2 / 2) / 0.3)
    exact = 1 + speed * scipy.integrate.quad(inner, 0, 10.0, epsabs=1e-13)[0]
    np.testing.assert_allclose(u[1:], exact, rtol=1e-8)


def test_a_start_without_slow_part_leaves_newton_far_behind():
    """Gradient flow in the time of beta/epsilon, though the verdict is the same rate."""
    e, c, lam = 0.5, 0.4, 1.3
    mass, damping = Exponential(e, c), Exponential(e * (1 / BETA - c), c)
    assert compare_with_newton(mass, damping, BETA) == "same rate"
    times = np.linspace(0.0, 2.0, 81)
    start = np.ones(2)
    speed = -BETA / e * lam * start
    matrix, schedules = np.diag([lam, lam]), (mass, damping)
    path = on_quadratic(matrix, np.zeros(2), schedules, start, speed, 2.0)
    exact = times / BETA - BETA * lam * np.expm1(c * times) / (c * e)
    np.testing.assert_allclose(measured_log_amplitude(path)[:, 0], exact, atol=1e-6)
    assert exact[-1] < -2


# --- verdicts -----------------------------------------------------------------------

P, E = PowerLaw, Exponential
VERDICTS = [
    (P(0.3, 1.0), 0.0, "faster"),
    (P(0.3, 0.4), P(1.0, 0.5), "faster"),
    (P(0.3, 1.2), 0.0, "same rate"),
    (P(0.3, 2.0), P(0.3, 1.5), "same rate"),
    (E(0.3, 1.0), E(3.0, 0.1), "same rate"),
    (P(0.3, 1.0), P(0.3 / 0.7, 1.0), "same rate"),
    (P(0.3, 1.0), P(0.3 / 0.7, 1.0, shift=5.0), "same rate"),
    (P(0.3, 1.0), P(0.31 / 0.7, 1.0), "slower"),
    (P(0.3, 1.0), P(0.29 / 0.7, 1.0), "faster"),
    (P(0.3, 2.0), P(0.3, 1.0), "slower"),
    (P(0.3, 1.0), 0.5, "slower"),
    (E(0.3, 1.0), P(0.1, 0.5), "slower"),
    # Constant masses, at the eigenvalue 1.3 and beta 0.7; beta^2 lambda / 2 = 0.3185.
    (0.3, 0.0, "faster"),
    (0.34, 0.0, "slower"),
    (0.3, P(5.0, 0.1), "faster"),
    (0.34, P(5.0, 0.1), "slower"),
    (0.3, E(5.0, 0.1), "faster"),
    (0.14, 0.2, "same rate"),
    (Constant(0.7 * 1.0), 1.0, "slower"),
    (0.7**2 * 1.3, 0.7 * 1.3, "slower"),
    (0.7**2 * 1.3 / 2, 0.0, "same rate"),
    (0.7**2 * 1.3 / 2, P(0.1, 1.0), "faster"),
    (0.7**2 * 1.3 / 2, P(0.1, 1.1), "same rate"),
    (E(0.3, 0.0), P(0.1, 0.0), "faster"),
]


@pytest.mark.parametrize(("epsilon", "alpha", "verdict"), VERDICTS)
def test_the_integral_decides(epsilon, alpha, verdict):
    assert compare_with_newton(epsilon, alpha, BETA, EIGENVALUE) == verdict


@pytest.mark.parametrize(("epsilon", "alpha", "verdict"), VERDICTS[:12])
def test_the_asymptotics_agree_with_the_verdict(epsilon, alpha, verdict):
    """The last three decades before t = 1e60 change the amplitude, or do not."""
    times = np.concatenate([[0.0], np.geomspace(1e-3, 1e60, 400)])
    found = log_amplitude(epsilon, alpha, BETA, EIGENVALUE, times).slow
    change = found[-1] - found[200]
    signs = {"faster": change < -0.1, "slower": change > 0.1}
    assert signs.get(verdict, abs(change) < 0.5)


# --- design -------------------------------------------------------------------------

FREE = PowerLaw(0.02, 1.5)
TARGETS = [PowerLaw(1.0, 0.8, shift=2.0), PowerLaw(1.0, -1.5, shift=2.0)]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_design_reaches_its_target_exactly(target):
    design = design_damping(target, BETA, EIGENVALUE, t1=1e4, mass=FREE)
    speed = 1 / BETA - design.start_rate
    u = relative(design.epsilon, design.alpha, speed)
    exact = np.asarray(target(DECADES)) / float(target(0.0))
    np.testing.assert_allclose(u, exact, rtol=1e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_a_design_reaches_its_target_from_rest_and_in_part_elsewhere(target):
    design = design_damping(target, BETA, EIGENVALUE, t1=1e4, mass=FREE)
    steps = []
    for eigenvalue in (EIGENVALUE, 2 * EIGENVALUE):
        u = relative(design.epsilon, design.alpha, 1 / BETA, eigenvalue)
        steps.append(np.log(u[-1] / u[-2]))
    exact = np.log(float(target(1e4)) / float(target(1e3)))
    np.testing.assert_allclose(steps[0], exact, atol=1e-3)
    np.testing.assert_allclose(steps[1], exact / 2, rtol=2e-2)


def test_a_target_may_be_any_function_and_change_sides():
    """The lead grows and shrinks in turn; checked with SciPy, in the frame of Newton."""
    target = lambda t: jnp.exp(-0.3 * jnp.sin(t) - 0.1 * t)
    design = design_damping(target, BETA, EIGENVALUE, t1=10.0)
    schedules = jax.jit(lambda t: (design.epsilon(t), design.alpha(t)))

    def rates(t, y):
        epsilon, alpha = map(float, schedules(t))
        friction = alpha + BETA * EIGENVALUE - 2 * epsilon / BETA
        return [y[1], -(friction * y[1] + (epsilon / BETA - alpha) / BETA * y[0]) / epsilon]

    times = np.linspace(0.0, 10.0, 5)
    start = [1.0, 1 / BETA - design.start_rate]
    options = {"t_eval": times, "method": "Radau", "rtol": 1e-9, "atol": 1e-11}
    u = scipy.integrate.solve_ivp(rates, (0, 10), start, **options).y[0]
    np.testing.assert_allclose(u, np.exp(-0.3 * np.sin(times) - 0.1 * times), rtol=1e-6)


@pytest.mark.parametrize("r", [0.1, 0.9, 1.4])
def test_an_exponential_target_needs_constant_coefficients(r):
    design = design_damping(Exponential(1.0, r), BETA, EIGENVALUE, t1=1e4)
    epsilon, alpha = float(design.epsilon(7.0)), float(design.alpha(7.0))
    assert alpha == 0
    rate = constant_rate(epsilon, alpha, BETA, EIGENVALUE)
    np.testing.assert_allclose(rate, 1 / BETA + r, rtol=1e-9)


def test_to_first_order_it_is_the_boxed_formula():
    ahead, behind = (
        design_damping(target, BETA, EIGENVALUE, t1=10.0, exact=False, mass=mass)
        for target, mass in ((PowerLaw(1.0, 0.3), 0.0), (PowerLaw(1.0, -0.3), 0.01))
    )
    lead = 0.3 / 4.0
    np.testing.assert_allclose(ahead.epsilon(3.0), BETA**3 * EIGENVALUE * lead)
    np.testing.assert_allclose(ahead.alpha(3.0), 0.0)
    np.testing.assert_allclose(behind.epsilon(3.0), 0.01)
    damping = BETA**2 * EIGENVALUE * lead + 0.01 / BETA
    np.testing.assert_allclose(behind.alpha(3.0), damping)


def test_first_order_and_exact_designs_agree_late():
    target = PowerLaw(1.0, 0.3)
    one, other = (
        design_damping(target, BETA, EIGENVALUE, t1=10.0, exact=exact)
        for exact in (True, False)
    )
    ratios = [float(one.epsilon(t) / other.epsilon(t)) for t in (10.0, 100.0, 1000.0)]
    np.testing.assert_allclose(ratios, 1.0, atol=0.1)
    assert np.all(np.diff(np.abs(np.array(ratios) - 1)) < 0)


# --- refusals -----------------------------------------------------------------------


def design(target, **options):
    return design_damping(target, BETA, EIGENVALUE, **({"t1": 10.0} | options))


grows = PowerLaw(0.1, -1.0)
power = PowerLaw(0.1, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: design(Exponential(1.0, 1 / BETA)), "too fast: .* 2/beta or faster"),
        (lambda: design(PowerLaw(1.0, 3.0)), r"too fast: .* at t = 0\. .*shift"),
        (lambda: design(Exponential(1.0, -1 / BETA)), "must leave a decay: .* at t = 0"),
        (lambda: design(lambda t: jnp.exp(-0.02 * jnp.sin(30 * t))), "turns too fast"),
        (lambda: design(lambda t: jnp.cos(t)), "`target` must be positive"),
        (lambda: design(-1.0), "`target` must be positive"),
        (lambda: design(PowerLaw(1.0, -0.3), mass=0.0), "The mass must be positive"),
        (lambda: design(power, mass=-1.0), "`mass` must be at least 0"),
        (lambda: design(power, t1=0.0), "`t1` must come after t0 = 0, but is 0"),
        (lambda: design_damping(power, 0.0, 1.0, t1=1.0), "`beta` must be positive"),
        (lambda: design_damping(power, 1.0, 0.0, t1=1.0), "`eigenvalue` must be positive"),
        (lambda: compare_with_newton(0.1, 0.0, BETA), "depends on the `eigenvalue`"),
        (lambda: compare_with_newton(grows, 0.0, BETA), "`epsilon` must not grow"),
        (lambda: compare_with_newton(power, grows, BETA), "`alpha` must not grow"),
        (lambda: compare_with_newton(-1.0, 0.0, BETA), "`epsilon` must be positive"),
        (
            lambda: compare_with_newton(PowerLaw(0.0, 1.0), 0.0, BETA),
            "`epsilon` must be positive",
        ),
        (lambda: constant_rate(-0.1, 0.0, 1.0, 1.0), "`epsilon` must be at least 0"),
        (lambda: constant_rate(0.1, -1.0, 1.0, 1.0), "`alpha` must be at least 0"),
        (lambda: constant_rate(0.1, 0.0, 0.0, 1.0), "`beta` must be positive"),
        (lambda: constant_rate(0.1, 0.0, 1.0, [1, 0]), "`eigenvalue` must be positive"),
        (lambda: log_amplitude(power, 0.0, 1.0, 1.0, [0.0]), "two or more increasing"),
        (
            lambda: log_amplitude(PowerLaw(-1.0, 1.0), 0.0, 1.0, 1.0, [0.0, 1.0]),
            "must be at least 0",
        ),
        (
            lambda: log_amplitude(PowerLaw(1.0, 1.0, 0.0), 0.0, 1.0, 1.0, [0.0, 1.0]),
            "do not settle",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_tail_is_refused():
    with pytest.raises(TypeError, match="whose tails are known"):
        compare_with_newton(lambda t: 0.1 / (1 + t), 0.0, BETA)


def test_only_quadratics_have_eigen_coordinates():
    schedules = Exponential(0.5, 0.4), Exponential(0.5, 0.4)
    matrix, nothing = np.diag([1.3, 1.3]), np.zeros(2)
    path = on_quadratic(matrix, nothing, schedules, np.array([1.0, 0.0]), nothing, 2.0)
    with pytest.raises(ValueError, match="A coordinate is 0 at some time"):
        measured_log_amplitude(path)
    saddle = ds.objectives.Quadratic(np.diag([1.0, -1.0]))
    others = {
        "got VMDINAVD on LogCosh": (ds.VMDINAVD, ds.objectives.LogCosh([1.0, 1.0])),
        "got InertialNewton on Quadratic": (ds.InertialNewton, path.system.objective),
        "must be positive definite": (ds.VMDINAVD, saddle),
    }
    for message, (kind, f) in others.items():
        other = eqx.tree_at(lambda one: one.system, path, kind(f, *schedules, BETA))
        with pytest.raises(ValueError, match=message):
            measured_log_amplitude(other)
