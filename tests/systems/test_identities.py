"""Laws that hold for every objective, and solutions that are exact beyond quadratics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import dynsys as ds
from dynsys.schedules import Exponential, PowerLaw

TIMES = np.linspace(0.0, 4.0, 41)
OPTIONS = {"t1": 4.0, "times": TIMES, "rtol": 1e-10, "atol": 1e-12}
A = np.array([[1.0, 0.4, 0.0], [-0.3, 0.9, 0.2], [0.1, 0.0, 1.1]])
SHIFT = np.array([0.3, -0.2, 0.1])
X0, V0 = np.array([0.8, -0.6, 0.4]), np.array([-0.5, 0.3, 0.9])


def objective(x):
    """Strongly convex in three dimensions, not quadratic, not separable."""
    return jnp.sum(jnp.cosh(A @ x) - 1) + 0.25 * jnp.dot(x, x) + jnp.dot(SHIFT, x)


def gradient(x):
    return A.T @ np.sinh(A @ x) + 0.5 * x + SHIFT


def hessian(x):
    return A.T @ np.diag(np.cosh(A @ x)) @ A + 0.5 * np.eye(3)


def run(system, x0=X0, v0=V0, **options):
    return ds.simulate(system, x0, v0, **(OPTIONS | options))


def waving_mass(t):
    return 1 + 0.5 * jnp.sin(t)


def waving_damping(t):
    return 0.3 + 0.2 * jnp.cos(2 * t)


SCHEDULES = {
    "power_laws": (PowerLaw(0.5, 2.0), PowerLaw(0.8, 1.0)),
    "exponentials": (Exponential(0.5, 0.7), Exponential(0.3, 0.2)),
    "not_monotone": (waving_mass, waving_damping),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEDULES)
def test_hessian_free_form_agrees_with_hessian_form(name):
    epsilon, alpha = SCHEDULES[name]
    free = run(ds.VMDINAVD(objective, epsilon, alpha, 0.6))
    full = run(ds.VMDINAVD(objective, epsilon, alpha, 0.6, hessian_free=False))
    np.testing.assert_allclose(free.x, full.x, rtol=0, atol=1e-8)
    np.testing.assert_allclose(free.v, full.v, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_agrees_with_scipy_on_a_field_written_by_hand(name):
    epsilon, alpha = SCHEDULES[name]

    def field(t, y):
        x, v = y[:3], y[3:]
        damping = float(alpha(t)) * v + 0.6 * hessian(x) @ v
        return np.concatenate([v, -(damping + gradient(x)) / float(epsilon(t))])

    exact = scipy.integrate.solve_ivp(
        field,
        (0, 4),
        np.concatenate([X0, V0]),
        t_eval=TIMES,
        method="DOP853",
        rtol=1e-11,
        atol=1e-13,
    ).y.T
    trajectory = run(ds.VMDINAVD(objective, epsilon, alpha, 0.6))
    np.testing.assert_allclose(trajectory.x, exact[:, :3], rtol=0, atol=1e-8)
    np.testing.assert_allclose(trajectory.v, exact[:, 3:], rtol=0, atol=1e-7)


def test_gdin_is_din_for_smooth_objectives():
    one, other = run(ds.GDIN(objective, 0.7, 0.3)), run(ds.DIN(objective, 0.7, 0.3))
    np.testing.assert_allclose(one.x, other.x, rtol=0, atol=1e-8)


def test_din_is_variable_mass_with_unit_mass():
    one = run(ds.VMDINAVD(objective, 1.0, 0.7, 0.3))
    np.testing.assert_allclose(one.x, run(ds.DIN(objective, 0.7, 0.3)).x, atol=1e-8)


def test_zero_beta_is_the_heavy_ball():
    one = run(ds.DIN(objective, 0.7, 0.0))
    np.testing.assert_allclose(one.x, run(ds.HeavyBall(objective, 0.7)).x, atol=1e-8)


NEWTON_CASES = {
    "three_dimensional": (objective, X0),
    "log_cosh": (ds.objectives.LogCosh([1.0, 10.0]), np.array([1.0, 2.0])),
    "flat": (ds.objectives.PowerFunction(4), np.array([1.5])),
}


@pytest.mark.parametrize("name", NEWTON_CASES)
def test_continuous_newton_scales_the_gradient_exponentially(name):
    f, x0 = NEWTON_CASES[name]
    trajectory = run(ds.ContinuousNewton(f, beta=0.8), x0, None)
    gradients = np.asarray(jax.vmap(jax.grad(f))(trajectory.x))
    exact = np.exp(-TIMES / 0.8)[:, None] * np.asarray(gradients[0])
    np.testing.assert_allclose(gradients, exact, rtol=0, atol=1e-6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def newton_softplus(q):
    return np.log((0.5 + q) / (0.5 - q))


NEWTON_CLOSED = {
    "cosh": (jnp.cosh, lambda r: np.arcsinh(r * np.sinh(1.3))),
    "exp": (lambda x: jnp.exp(x) - x, lambda r: np.log1p(r * np.expm1(1.3))),
    "softplus": (
        lambda x: jax.nn.softplus(x) - x / 2,
        lambda r: newton_softplus(r * (sigmoid(1.3) - 0.5)),
    ),
}


@pytest.mark.parametrize("name", NEWTON_CLOSED)
def test_continuous_newton_in_one_dimension(name):
    f, exact = NEWTON_CLOSED[name]
    trajectory = run(ds.ContinuousNewton(f, beta=0.8), 1.3, None)
    np.testing.assert_allclose(trajectory.x, exact(np.exp(-TIMES / 0.8)), atol=1e-8)


def test_levenberg_marquardt_on_a_quartic_is_a_lambert_function():
    alpha, beta, x0 = 0.5, 0.8, 1.4
    y0 = alpha / (3 * beta * x0**2)
    w = scipy.special.lambertw(y0 * np.exp(y0 + 2 * TIMES / (3 * beta))).real
    trajectory = run(ds.LevenbergMarquardt(lambda x: x**4 / 4, alpha, beta), x0, None)
    np.testing.assert_allclose(trajectory.x, np.sqrt(alpha / (3 * beta * w)), atol=1e-8)


def mass_and_damping(rate, beta):
    """epsilon = exp(-rate t) and alpha = epsilon' + epsilon / beta."""
    return Exponential(1.0, rate), Exponential(1 / beta - rate, rate)


VM_CLOSED = {
    "quartic": (lambda x: x**4 / 4, lambda tau: 1.3 / np.sqrt(1 + 2 * 1.3**2 * tau)),
    "cosh": (jnp.cosh, lambda tau: 2 * np.arctanh(np.tanh(0.65) * np.exp(-tau))),
    "log_cosh": (
        lambda x: jnp.log(jnp.cosh(x)),
        lambda tau: np.arcsinh(np.sinh(1.3) * np.exp(-tau)),
    ),
    "exp": (
        lambda x: jnp.exp(x) - x,
        lambda tau: -np.log1p(np.expm1(-1.3) * np.exp(-tau)),
    ),
}


@pytest.mark.parametrize("name", VM_CLOSED)
def test_vm_with_vanishing_nu_is_gradient_flow_in_another_time(name):
    f, exact = VM_CLOSED[name]
    beta, rate = 0.8, 0.5
    system = ds.VMDINAVD(f, *mass_and_damping(rate, beta), beta)
    trajectory = run(system, 1.3, -beta * float(jax.grad(f)(1.3)))
    tau = beta * np.expm1(rate * TIMES) / rate
    np.testing.assert_allclose(trajectory.x, exact(tau), rtol=0, atol=1e-8)


def test_vm_with_vanishing_nu_has_an_exponential_momentum():
    beta = 0.8
    mass = waving_mass
    damping = lambda t: 0.5 * jnp.cos(t) + mass(t) / beta
    trajectory = run(ds.VMDINAVD(objective, mass, damping, beta))
    epsilon = np.asarray(jax.vmap(mass)(trajectory.t))[:, None]
    momentum = epsilon * trajectory.v + beta * np.stack([gradient(x) for x in trajectory.x])
    exact = np.exp(-TIMES / beta)[:, None] * np.asarray(momentum[0])
    np.testing.assert_allclose(momentum, exact, rtol=0, atol=1e-8)
    np.testing.assert_allclose(trajectory.state.p, exact, rtol=0, atol=1e-8)


def test_din_with_alpha_beta_one_is_gradient_flow():
    beta = 0.8
    start = -beta * gradient(X0)
    inertial = run(ds.DIN(objective, 1 / beta, beta), X0, start)
    scaled = run(ds.GradientFlow(lambda x: beta * objective(x)), X0, None)
    np.testing.assert_allclose(inertial.x, scaled.x, rtol=0, atol=1e-8)
    system = ds.GDIN(objective, 1 / beta, beta)
    inna = run(system, system.state(X0, np.zeros(3)), None)
    np.testing.assert_allclose(inna.x, scaled.x, rtol=0, atol=1e-8)
    np.testing.assert_allclose(inna.state.psi, 0, atol=1e-10)


def test_constant_mass_is_din_in_another_time():
    mass, alpha, beta = 0.25, 0.7, 0.3
    root = mass**0.5
    one = run(ds.VMDINAVD(objective, mass, alpha, beta))
    other = run(
        ds.DIN(objective, alpha / root, beta / root),
        X0,
        root * V0,
        t1=4.0 / root,
        times=TIMES / root,
    )
    np.testing.assert_allclose(one.x, other.x, rtol=0, atol=1e-8)


class Quadratures:
    """Integrals along a trajectory by Simpson's rule on its fine outputs."""

    def __init__(self, trajectory):
        self.h = float(trajectory.t[1] - trajectory.t[0])

    def __call__(self, rate):
        return scipy.integrate.cumulative_simpson(rate, dx=self.h, axis=0, initial=0)


def test_first_integral_of_the_general_equation_is_constant():
    beta = lambda t: 0.4 + 0.1 * jnp.sin(3 * t)
    force = lambda t: 1 + 0.5 / (1 + t)
    system = ds.InertialNewton(objective, waving_mass, waving_damping, beta, force)
    trajectory = run(system, times=2001)
    t = trajectory.t
    value, rate = (
        lambda f: np.asarray(jax.vmap(f)(t))[:, None],
        lambda f: np.asarray(jax.vmap(jax.grad(f))(t))[:, None],
    )
    g = np.stack([gradient(x) for x in np.asarray(trajectory.x)])
    v = np.asarray(trajectory.v)
    integrand = (value(waving_damping) - rate(waving_mass)) * v
    integrand = integrand + (value(force) - rate(beta)) * g
    first = value(waving_mass) * v + value(beta) * g + Quadratures(trajectory)(integrand)
    np.testing.assert_allclose(first, np.broadcast_to(first[0], first.shape), atol=1e-8)


def test_energy_of_the_general_equation_falls_as_the_identity_says():
    beta = lambda t: 0.4 + 0.1 * jnp.sin(3 * t)
    force = lambda t: 1 + 0.5 / (1 + t)
    system = ds.InertialNewton(objective, waving_mass, waving_damping, beta, force)
    trajectory = run(system, times=2001)
    t = trajectory.t
    value = lambda f: np.asarray(jax.vmap(f)(t))
    rate = lambda f: np.asarray(jax.vmap(jax.grad(f))(t))
    x, v = np.asarray(trajectory.x), np.asarray(trajectory.v)
    speed = np.sum(v**2, axis=1)
    geometric = np.array([vi @ hessian(xi) @ vi for xi, vi in zip(x, v, strict=True)])
    f = np.asarray(trajectory.objective)
    energy = value(waving_mass) / 2 * speed + value(force) * f
    dissipation = (rate(waving_mass) / 2 - value(waving_damping)) * speed
    dissipation = dissipation - value(beta) * geometric + rate(force) * f
    change = Quadratures(trajectory)(dissipation)
    np.testing.assert_allclose(energy - energy[0], change, rtol=0, atol=1e-8)


def dop853(field, state, times):
    """A field that is written by hand, by SciPy."""
    return scipy.integrate.solve_ivp(
        field,
        (times[0], times[-1]),
        state,
        t_eval=times,
        method="DOP853",
        rtol=1e-11,
        atol=1e-13,
    ).y.T


def test_h_nag_is_the_first_order_system_of_its_paper():
    mu, gamma0 = 0.5, 1.5
    beta = lambda t: 0.3 + 0.1 * np.sin(2 * t)

    def field(t, y):
        x, w = y[:3], y[3:]
        gamma = mu + (gamma0 - mu) * np.exp(-t)
        g = gradient(x)
        return np.concatenate([w - x - beta(t) * g, (mu * (x - w) - g) / gamma])

    exact = dop853(field, np.concatenate([X0, X0 + 0.3 * gradient(X0)]), TIMES)
    schedule = lambda t: 0.3 + 0.1 * jnp.sin(2 * t)
    trajectory = run(ds.systems.HNAG(objective, mu, gamma0, beta=schedule), X0, None)
    np.testing.assert_allclose(trajectory.x, exact[:, :3], rtol=0, atol=1e-8)


def test_high_resolution_nag_c_runs_from_its_start():
    s = 0.04
    start = 1.5 * s**0.5

    def field(t, y):
        x, v = y[:3], y[3:]
        damping = 3 / t * v + s**0.5 * hessian(x) @ v
        return np.concatenate([v, -damping - (1 + 1.5 * s**0.5 / t) * gradient(x)])

    v0 = -(s**0.5) * gradient(X0)
    times = np.linspace(start, 4, 11)
    exact = dop853(field, np.concatenate([X0, v0]), times)
    system = ds.systems.HighResolutionNAGC(objective, s)
    np.testing.assert_allclose(system.start_time, start, rtol=1e-15)
    np.testing.assert_allclose(system.initial_velocity(X0), v0, rtol=1e-13)
    trajectory = run(system, X0, v0, t0=start, times=times)
    np.testing.assert_allclose(trajectory.x, exact[:, :3], rtol=0, atol=1e-8)
    acfr = ds.systems.AttouchChbaniFadiliRiahi(
        objective, 3.0, s**0.5, lambda t: 1 + 1.5 * s**0.5 / t
    )
    same = run(acfr, X0, v0, t0=start, times=times)
    np.testing.assert_allclose(same.x, trajectory.x, rtol=0, atol=1e-9)


def test_tikhonov_agrees_with_scipy_on_a_field_written_by_hand():
    alpha, beta = 3.1, 0.3

    def field(t, y):
        x, v = y[:3], y[3:]
        damping = alpha / t * v + beta * hessian(x) @ v
        return np.concatenate([v, -damping - gradient(x) - 0.7 * t**-1.5 * x])

    times = np.linspace(0.5, 4, 11)
    exact = dop853(field, np.concatenate([X0, V0]), times)
    epsilon = PowerLaw(0.7, 1.5, shift=0.0)
    system = ds.systems.TikhonovDINAVD(objective, alpha, beta, epsilon)
    trajectory = run(system, t0=0.5, times=times)
    np.testing.assert_allclose(trajectory.x, exact[:, :3], rtol=0, atol=1e-8)
    np.testing.assert_allclose(trajectory.v, exact[:, 3:], rtol=0, atol=1e-7)


def test_isihd_agrees_with_scipy_on_a_field_written_by_hand():
    alpha, gamma, beta = 3.1, 0.3, 0.2

    def field(t, y):
        x, v = y[:3], y[3:]
        return np.concatenate([v, -alpha / t * v - gradient(x + (gamma + beta / t) * v)])

    times = np.linspace(0.5, 4, 11)
    exact = dop853(field, np.concatenate([X0, V0]), times)
    trajectory = run(ds.systems.ISIHD(objective, alpha, gamma, beta), t0=0.5, times=times)
    np.testing.assert_allclose(trajectory.x, exact[:, :3], rtol=0, atol=1e-8)


SAME_COEFFICIENTS = {
    "nag_sc": (
        ds.systems.HighResolutionNAGSC(objective, 0.5, 0.04),
        (1.0, 2 * 0.5**0.5, 0.2, 1 + 0.02**0.5),
    ),
    "heavy_ball": (
        ds.systems.HighResolutionHeavyBall(objective, 0.5, 0.04),
        (1.0, 2 * 0.5**0.5, 0.0, 1 + 0.02**0.5),
    ),
    "strongly_convex_din": (
        ds.systems.StronglyConvexDIN(objective, 0.5, 0.3),
        (1.0, 2 * 0.5**0.5, 0.3, 1.0),
    ),
}


@pytest.mark.parametrize("name", SAME_COEFFICIENTS)
def test_constant_coefficients_are_those_of_the_paper(name):
    system, exact = SAME_COEFFICIENTS[name]
    np.testing.assert_allclose(system.coefficients(jnp.array(0.7)), exact, rtol=1e-15)


@pytest.mark.parametrize("name", ["nag_sc", "heavy_ball"])
def test_initial_velocity_is_that_of_the_paper(name):
    system, _ = SAME_COEFFICIENTS[name]
    exact = -2 * 0.2 * gradient(X0) / (1 + 0.02**0.5)
    np.testing.assert_allclose(system.initial_velocity(X0), exact, rtol=1e-13)


@pytest.mark.parametrize("mass", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
def test_velocity_stays_accurate_as_the_mass_vanishes(mass):
    """Against the exact two-exponential solution, at the default tolerances."""
    lam, beta = np.array([1.0, 10.0]), 1.0
    f = ds.objectives.Quadratic(np.diag(lam))
    x0 = np.array([1.0, 2.0])
    trajectory = ds.simulate(ds.VMDINAVD(f, mass, 0.0, beta), x0, t1=4.0, times=TIMES)
    b = beta * lam
    root = np.sqrt(b**2 - 4 * mass * lam)
    # The slow rate without cancellation, and the fast one.
    slow, fast = -2 * lam / (b + root), -(b + root) / (2 * mass)
    t = TIMES[:, None]
    with np.errstate(under="ignore"):
        x = x0 * (fast * np.exp(slow * t) - slow * np.exp(fast * t)) / (fast - slow)
        v = x0 * fast * slow * (np.exp(slow * t) - np.exp(fast * t)) / (fast - slow)
    np.testing.assert_allclose(trajectory.x, x, rtol=0, atol=2e-6)
    np.testing.assert_allclose(trajectory.v, v, rtol=0, atol=2e-5)
    assert trajectory.stats.steps < 200
