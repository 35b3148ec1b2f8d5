"""Distances to the Levenberg-Marquardt flow: bounds hold, are not vacuous, and refuse."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import dynsys as ds
from dynsys.analysis.newton.levenberg_marquardt_distance import levenberg_marquardt_distance
from dynsys.analysis.report import AssumptionError
from dynsys.schedules import Constant, Exponential, PowerLaw
from tests.analysis.newton.newton_runs import (
    BETA,
    DECAYS,
    END,
    FUNCTIONS,
    MASSES,
    SPEEDS,
    TIMES,
    X0,
    exact_run,
    fading,
    in_numpy,
    mixing_quadratic,
    simulate,
    valley,
    with_known_schedules,
    with_numbers,
    with_system,
)

KINDS = ("decreasing alpha", "any alpha")
# Far above the mass or far below it, constant, slow or as fast as is allowed.
DAMPINGS = ((0.5, 0, 0), (3.0, 1, 0), (1e-3, 0, 0.5), (0.1, 0, 1.0), (1e-6, 0.5, 0))


def flow_by_scipy(template, f, alpha, x0=X0):
    """The Levenberg-Marquardt flow on a sum of functions of one coordinate."""
    c, weight, damping = np.asarray(f.curvature), float(f.weight), in_numpy(alpha)

    def velocity(t, x):
        hessian = c + weight / np.cosh(x) ** 2
        return -(c * x + weight * np.tanh(x)) / (damping(t) + BETA * hessian)

    x = scipy.integrate.solve_ivp(
        velocity, (0, END), x0, method="DOP853", t_eval=TIMES, rtol=1e-12, atol=1e-14
    ).y.T
    v = np.stack([velocity(t, row) for t, row in zip(TIMES, x, strict=True)])
    run = eqx.tree_at(
        lambda tree: tree.system, template, ds.LevenbergMarquardt(f, alpha, BETA)
    )
    return with_numbers(run, x, v)


@pytest.fixture(scope="module")
def template():
    """A trajectory of a flow, for the numbers of another one."""
    flow = ds.ContinuousNewton(FUNCTIONS[0], beta=BETA)
    return ds.integrators.newton_path(flow, X0, t1=END, times=TIMES)


@pytest.fixture(scope="module")
def pairs(template):
    """Masses from 1 to 1e-8, all decays and dampings; functions and speeds in turn."""
    found = []
    for number in range(25):
        f, epsilon0 = FUNCTIONS[number % 3], MASSES[number // 5]
        speed = SPEEDS[(number // 2) % 3](epsilon0)
        epsilon = fading(epsilon0, *DECAYS[number % 5])
        alpha = fading(*DAMPINGS[(number + number // 5) % 5])
        path = simulate(f, epsilon, alpha, (0.6 * speed, 0.8 * speed))
        path = with_known_schedules(path)
        found.append((path, flow_by_scipy(template, f, path.system.alpha)))
    return found


@pytest.fixture(scope="module")
def run(pairs):
    return pairs[11]


@pytest.mark.parametrize("kind", KINDS)
def test_bound_holds_over_the_family(pairs, kind):
    for path, flow in pairs:
        found = levenberg_marquardt_distance(path, flow, bound=kind)
        assert found.holds, str(found)
        # The errors of the runs hide nothing.
        assert 100 * found.allowance < found.bound.max()


def test_measured_is_the_distance_of_the_positions(run):
    path, flow = run
    found = levenberg_marquardt_distance(path, flow)
    expected = np.sqrt(((np.asarray(path.x) - np.asarray(flow.x)) ** 2).sum(axis=1))
    np.testing.assert_allclose(found.measured, expected, rtol=1e-14)


def by_the_theory(kind, path):
    """Bounds for beta = 1 and minimum 0; the two memories by SciPy."""
    f = path.system.objective
    mu = float(f.mu)
    epsilon, alpha = map(in_numpy, (path.system.epsilon, path.system.alpha))
    rate = lambda of, s: (of(s + 1e-5) - of(s - 1e-5)) / 2e-5
    v0, e0, a0 = np.linalg.norm(path.v[0]), epsilon(0.0), alpha(0.0)
    root = np.sqrt(e0 * v0**2 + 2 * float(f(jnp.asarray(X0))))
    c1 = -rate(epsilon, 0.0) / e0

    def rest(t, memory):
        kick = np.exp(-t) * e0 * v0
        return kick + root * (np.sqrt(epsilon(t)) + (c1 + 1) * memory)

    def field(t, memories):
        inner, outer = memories
        if kind == "decreasing alpha":
            gain, decay = 1.0, mu / (mu + a0)
        else:
            gain = abs(alpha(t) + rate(alpha, t)) / (mu + alpha(t))
            decay = 1 - gain
        return [np.sqrt(epsilon(t)) - inner, gain * rest(t, inner) - decay * outer]

    inner, outer = scipy.integrate.solve_ivp(
        field, (0, END), [0, 0], method="DOP853", t_eval=TIMES, rtol=1e-10, atol=1e-13
    ).y
    factor = a0 / (mu + a0) if kind == "decreasing alpha" else 1.0
    return (rest(TIMES, inner) + factor * outer) / (mu + alpha(TIMES))


@pytest.mark.parametrize("kind", KINDS)
def test_bound_is_the_formula_of_the_theory(pairs, kind):
    for path, flow in (pairs[1], pairs[4], pairs[11], pairs[22]):
        found = levenberg_marquardt_distance(path, flow, bound=kind)
        np.testing.assert_allclose(found.bound, by_the_theory(kind, path), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_in_dimension_100_on_a_quadratic_that_mixes_coordinates(run, kind):
    path, flow = run
    f, x0, v0 = mixing_quadratic(dim=100)
    eigenvalues, basis = np.linalg.eigh(np.asarray(f.matrix))
    for epsilon, alpha in ((1.0, 0.3), (1e-4, 2.0)):
        rates = eigenvalues / (alpha + BETA * eigenvalues)
        y = np.exp(-rates * TIMES[:, None]) * (basis.T @ x0)
        reference = with_system(flow, objective=f, alpha=Constant(alpha))
        reference = with_numbers(reference, y @ basis.T, -(rates * y) @ basis.T)
        path_there = exact_run(path, f, epsilon, alpha, x0, v0)
        found = levenberg_marquardt_distance(path_there, reference, bound=kind)
        assert found.holds, str(found)


@pytest.mark.parametrize("kind", KINDS)
def test_bound_is_off_by_a_factor_of_two_from_the_minimiser(template, kind):
    f, start = valley((1.0, 1.0), 0.0), np.zeros(2)
    path = simulate(f, fading(1e-6), fading(0.5), (0.6, 0.8), start)
    path = with_known_schedules(path)
    flow = flow_by_scipy(template, f, path.system.alpha, start)
    found = levenberg_marquardt_distance(path, flow, bound=kind)
    assert 0.4999 < found.tightness < 0.5


def test_a_damping_of_another_class_gives_the_same_bound_on_a_grid(run):
    path, flow = run
    alpha = path.system.alpha
    other = with_system(path, alpha=fading(alpha.value, rate=alpha.rate))
    known, on_grid = (levenberg_marquardt_distance(one, flow) for one in (path, other))
    np.testing.assert_allclose(on_grid.bound, known.bound, rtol=1e-12)
    assert "alpha' <= 0: alpha' / alpha between -1 and -1, by its formula" in str(known)
    assert "between -1 and -1, on a grid of" in str(on_grid)


def refuses(error, match, path, flow, **options):
    with pytest.raises(error, match=match):
        levenberg_marquardt_distance(path, flow, **options)


def test_what_is_no_pair_of_such_runs_is_refused(run):
    path, flow = run
    refuses(TypeError, "VMDINAVD in the place of LevenbergMarquardt", path, path)
    refuses(ValueError, "`bound` must be one of", path, flow, bound="theorem")
    other = with_system(flow, alpha=Exponential(0.11, 1.0))
    match = "must have the same `alpha`, but at t = 0 theirs are 0.1 and 0.11"
    refuses(ValueError, match, path, other)
    moved = eqx.tree_at(lambda tree: tree.x, flow, flow.x + 1e-6)
    refuses(ValueError, "must start at the same point", path, moved)


def test_a_damping_that_grows_or_falls_too_fast_needs_the_other_bound(run):
    for alpha, rate in (
        (Exponential(0.1, -0.5), "0.5"),
        (PowerLaw(0.1, 1.5), "-1.5"),
        (fading(0.1, 0, 1.1), "-1.1"),
    ):
        path, flow = (with_system(one, alpha=alpha) for one in run)
        match = f"alpha' <= 0, but at t = 0 alpha' / alpha is {rate}, where 1 / beta is 1"
        refuses(AssumptionError, match, path, flow)
        assert levenberg_marquardt_distance(path, flow, bound="any alpha").bound.min() > 0


def test_assumptions_on_mass_and_objective_are_those_of_the_newton_distance(run):
    path, flow = run
    heavier = with_system(path, epsilon=Exponential(1.0, -0.5))
    refuses(AssumptionError, "needs a mass epsilon that never increases", heavier, flow)
    refuses(AssumptionError, "not strongly convex with mu = 30", path, flow, mu=30.0)
    refuses(AssumptionError, "is taken as 9, passed as", path, flow, minimum=9.0)
