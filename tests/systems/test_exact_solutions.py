"""Every system against its closed form: rtol 1e-10, compared to 1e-7."""

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.integrate

import dynsys as ds
from dynsys.schedules import Exponential, PowerLaw
from tests import oracles

MATRIX = np.array([[2.0, 0.5], [0.5, 1.0]])
EIGENVALUES = np.array([0.4, 3.0])
X0, V0 = np.array([1.0, -2.0]), np.array([0.5, 1.0])
TIMES = np.linspace(0.0, 6.0, 61)
TOLERANCE = 1e-7

coupled = ds.objectives.Quadratic(MATRIX)
separable = ds.objectives.Quadratic(np.diag(EIGENVALUES))


def run(system, x0=X0, v0=None, **options):
    options = {"t1": 6.0, "times": TIMES, "rtol": 1e-10, "atol": 1e-12} | options
    return ds.simulate(system, x0, v0, **options)


def close(actual, exact, tolerance=TOLERANCE):
    np.testing.assert_allclose(actual, exact, rtol=0, atol=tolerance)


def per_coordinate(solution):
    return np.stack(
        [solution(lam, x0) for lam, x0 in zip(EIGENVALUES, X0, strict=True)], axis=1
    )


def test_gradient_flow_is_the_matrix_exponential():
    exact = oracles.linear(-MATRIX, X0, TIMES)
    trajectory = run(ds.GradientFlow(coupled))
    close(trajectory.x, exact)
    close(trajectory.v, -exact @ MATRIX)


def test_continuous_newton_decays_at_one_rate():
    trajectory = run(ds.ContinuousNewton(coupled, beta=0.7))
    close(trajectory.x, np.exp(-TIMES / 0.7)[:, None] * X0)


def test_levenberg_marquardt_with_constant_damping():
    inverse = np.linalg.inv(0.3 * np.eye(2) + 0.7 * MATRIX)
    exact = oracles.linear(-inverse @ MATRIX, X0, TIMES)
    close(run(ds.LevenbergMarquardt(coupled, 0.3, 0.7)).x, exact)


def test_levenberg_marquardt_with_power_law_damping():
    a, beta = 0.8, 0.7

    def exact(lam, x0):
        base = (beta * lam * (1 + TIMES) + a) / (beta * lam + a)
        return x0 * np.exp(-TIMES / beta) * base ** (a / (beta**2 * lam))

    system = ds.LevenbergMarquardt(separable, PowerLaw(a, 1.0), beta)
    close(run(system).x, per_coordinate(exact))


def test_levenberg_marquardt_with_exponential_damping():
    a, c, beta = 0.8, 0.5, 0.7

    def exact(lam, x0):
        base = (beta * lam * np.exp(c * TIMES) + a) / (beta * lam + a)
        return x0 * base ** (-1 / (beta * c))

    system = ds.LevenbergMarquardt(separable, Exponential(a, c), beta)
    close(run(system).x, per_coordinate(exact))


SECOND_ORDER = {
    "heavy_ball": (ds.HeavyBall(coupled, 0.7), (1.0, 0.7, 0.0, 1.0)),
    "din": (ds.DIN(coupled, 0.7, 0.3), (1.0, 0.7, 0.3, 1.0)),
    "din_hessian": (
        ds.DIN(coupled, 0.7, 0.3, hessian_free=False),
        (1.0, 0.7, 0.3, 1.0),
    ),
    "gdin": (ds.GDIN(coupled, 0.7, 0.3), (1.0, 0.7, 0.3, 1.0)),
    "vm_din_avd": (ds.VMDINAVD(coupled, 0.2, 0.7, 0.3), (0.2, 0.7, 0.3, 1.0)),
    "inertial_newton": (
        ds.InertialNewton(coupled, 0.5, 0.7, 0.3, 1.7),
        (0.5, 0.7, 0.3, 1.7),
    ),
    "din_critical": (ds.DIN(separable, 2.0, 0.0), (1.0, 2.0, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_constant_coefficients_are_the_matrix_exponential(name):
    system, coefficients = SECOND_ORDER[name]
    hessian = np.asarray(system.objective.matrix)
    matrix = oracles.second_order_matrix(*coefficients, hessian)
    exact = oracles.linear(matrix, np.concatenate([X0, V0]), TIMES)
    trajectory = run(system, X0, V0)
    close(trajectory.x, exact[:, :2])
    # The velocity is read off by the equation, which adds a factor beta L / epsilon.
    close(trajectory.v, exact[:, 2:])


@pytest.mark.parametrize("alpha", [3.0, 3.5, 1.0, 0.0])
def test_avd_from_rest_is_a_bessel_function(alpha):
    exact = per_coordinate(lambda lam, x0: oracles.avd(lam, alpha, x0, TIMES))
    close(run(ds.AVD(separable, alpha)).x, exact)


def test_avd_reports_where_the_series_ends():
    trajectory = run(ds.AVD(separable, 3.0))
    assert 0 < trajectory.stats.first_time < 0.1
    assert run(ds.AVD(separable, 3.0), rtol=1e-4, atol=1e-6).stats.first_time > (
        trajectory.stats.first_time
    )


@pytest.mark.parametrize("hessian_free", [True, False])
def test_din_avd_from_rest_is_a_confluent_function(hessian_free):
    alpha, beta = 3.1, 0.3
    exact = per_coordinate(lambda lam, x0: oracles.din_avd(lam, alpha, beta, x0, TIMES))
    system = ds.DINAVD(separable, alpha, beta=beta, hessian_free=hessian_free)
    close(run(system).x, exact)


def test_isihd_is_din_avd_with_a_damping_for_each_eigenvalue():
    alpha, gamma, beta = 3.1, 0.3, 0.2
    solution = lambda times: per_coordinate(
        lambda lam, x0: oracles.din_avd(lam, alpha + beta * lam, gamma, x0, times)
    )
    times = np.linspace(0.5, 6.0, 12)
    exact = solution(times)
    # The velocity at the start, from the exact solution on both sides of it.
    h, weights = 1e-3, np.array([1, -8, 8, -1]) / 12
    around = solution(0.5 + h * np.array([-2, -1, 1, 2]))
    v0 = weights @ around / h
    system = ds.systems.ISIHD(separable, alpha, gamma, beta)
    close(run(system, exact[0], v0, t0=0.5, times=times).x, exact)


def test_series_is_exact_to_its_order():
    """Outputs inside the series, on a function whose Hessian varies."""
    f = lambda x: jnp.cosh(x) + 0.3 * x**3
    alpha, beta = 3.0, 0.4
    times = np.array([0.0, 1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 0.5])
    trajectory = run(ds.DINAVD(f, alpha, beta=beta), 1.2, t1=0.5, times=times)
    with mpmath.workdps(30):
        # Taylor coefficients of the ODE, far beyond the four of the series.
        exact = [_taylor(alpha, beta, 1.2, float(t)) for t in times[1:6]]
    close(trajectory.x[1:6], [x for x, _ in exact], 1e-12)
    close(trajectory.v[1:6], [v for _, v in exact], 1e-10)


def _taylor(alpha, beta, x0, t):
    """Integrate from a tiny time with SciPy at its tightest tolerance."""
    g = lambda x: np.sinh(x) + 0.9 * x**2
    h = lambda x: np.cosh(x) + 1.8 * x
    start = 1e-7
    v = -g(x0) * start / (alpha + 1) + beta * h(x0) * g(x0) * start**2 / (
        (alpha + 1) * (alpha + 2)
    )
    field = lambda s, y: [y[1], -(alpha / s + beta * h(y[0])) * y[1] - g(y[0])]
    solution = scipy.integrate.solve_ivp(
        field, (start, t), [x0 + v * start / 2, v], method="DOP853", rtol=1e-13, atol=1e-16
    )
    return solution.y[0, -1], solution.y[1, -1]


def test_vm_with_power_laws_is_a_confluent_function():
    e, c, beta = 0.6, 0.2, 0.8
    exact = per_coordinate(
        lambda lam, x0: oracles.vm_power_law(lam, e, c, beta, x0, 0.3, TIMES)
    )
    system = ds.VMDINAVD(separable, PowerLaw(e, 1.0), PowerLaw(c, 1.0), beta)
    close(run(system, X0, np.array([0.3, 0.3])).x, exact)


@pytest.mark.parametrize("a", [0.0, 0.3])
def test_vm_with_exponentials_is_a_confluent_function(a):
    e, c, beta = 0.6, 0.4, 0.9
    exact = per_coordinate(
        lambda lam, x0: oracles.vm_exponential(lam, e, a, c, beta, x0, 0.3, TIMES)
    )
    system = ds.VMDINAVD(separable, Exponential(e, c), Exponential(a, c), beta)
    close(run(system, X0, np.array([0.3, 0.3])).x, exact)


def test_vm_with_damping_epsilon_over_beta_has_an_integral_form():
    """alpha = epsilon / beta, any epsilon: Source: derived, by u = x exp(t/beta)."""
    beta, lam, x0, v0 = 0.8, 1.3, 1.0, 0.4
    mass = lambda t: 0.5 + 0.3 * np.sin(t) + 0 * t
    system = ds.VMDINAVD(
        ds.objectives.Quadratic([[lam]]),
        lambda t: 0.5 + 0.3 * jnp.sin(t),
        lambda t: (0.5 + 0.3 * jnp.sin(t)) / beta,
        beta,
    )

    def rates(s, y):
        inner, _ = y
        return [1 / mass(s), np.exp(s / beta - beta * lam * inner)]

    integrals = scipy.integrate.solve_ivp(
        rates, (0, 6), [0.0, 0.0], t_eval=TIMES, method="DOP853", rtol=1e-13, atol=1e-15
    ).y
    exact = np.exp(-TIMES / beta) * (x0 + (v0 + x0 / beta) * integrals[1])
    close(run(system, [x0], [v0]).x[:, 0], exact)


def test_vm_with_epsilon_beta_alpha_and_newton_speed_is_continuous_newton():
    beta = 0.8
    mass = lambda t: 0.5 + 0.3 * jnp.sin(t)
    system = ds.VMDINAVD(coupled, mass, lambda t: mass(t) / beta, beta)
    close(run(system, X0, -X0 / beta).x, np.exp(-TIMES / beta)[:, None] * X0)


def test_general_equation_has_powers_of_time():
    """epsilon = e T^2, alpha = a T, beta -> beta T with T = 1 + t: x = T^r."""
    e, a, beta, lam = 0.5, 1.2, 0.6, 1.3
    roots = np.roots([e, a + beta * lam - e, lam]).astype(complex)
    system = ds.InertialNewton(
        ds.objectives.Quadratic([[lam]]),
        PowerLaw(e, -2.0),
        PowerLaw(a, -1.0),
        PowerLaw(beta, -1.0),
    )
    x0, v0 = 1.0, 0.2
    c = np.linalg.solve([[1, 1], roots], [x0, v0])
    exact = sum(ci * (1 + TIMES) ** r for ci, r in zip(c, roots, strict=True)).real
    close(run(system, [x0], [v0]).x[:, 0], exact)


def test_general_equation_with_linear_mass_is_a_bessel_function():
    e, alpha, beta = 0.5, 0.7, 0.2
    exact = per_coordinate(
        lambda lam, x0: oracles.linear_mass(lam, e, alpha, beta, x0, 0.3, TIMES)
    )
    system = ds.VMDINAVD(separable, PowerLaw(e, -1.0), alpha, beta)
    close(run(system, X0, np.array([0.3, 0.3])).x, exact)


@pytest.mark.parametrize("hessian_free", [True, False])
def test_what_the_series_leaves_of_the_equation_is_of_fourth_order(hessian_free):
    f = lambda x: jnp.cosh(x) + 0.3 * x**3
    system = ds.DINAVD(f, 3.0, beta=0.4, hessian_free=hessian_free)
    series = system.start_series(jnp.array(1.2))
    times = np.array([0.01, 0.02, 0.04])
    errors = [abs(float(system.series_error(series, jnp.array(t)))) for t in times]
    slope = np.polyfit(np.log(times), np.log(errors), 1)[0]
    assert abs(slope - 4) < 0.2
