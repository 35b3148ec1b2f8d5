"""Distances to continuous Newton: bounds hold, are as tight as they can be, and refuse."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import dynsys as ds
from dynsys.analysis import convexity
from dynsys.analysis.newton.distance import newton_distance
from dynsys.analysis.newton.first_order import first_order
from dynsys.analysis.newton.known_schedules import KnownSchedule, largest_ratio
from dynsys.analysis.newton.observed_constants import fit_corollary, observed_order
from dynsys.analysis.newton.panels import cut, fading_integral
from dynsys.analysis.report import AssumptionError, Bound
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

KINDS = ("theorem", "corollary", "any alpha", "linear")
# One eigenvalue 1.3 and beta = 0.7, with time in units of beta.
SQUARE = valley((1.3 * 0.7**2,) * 2, 0.0)
UNIFORM = np.linspace(0.0, END, len(TIMES))


def simulate_newton(f, x0=X0, times=TIMES):
    flow = ds.ContinuousNewton(f, beta=BETA)
    return ds.integrators.newton_path(flow, x0, t1=END, times=times)


@pytest.fixture(scope="module")
def pairs():
    """Masses from 1 to 1e-8, all decays; functions, dampings and speeds in turn."""
    found = []
    for number in range(25):
        f, share = FUNCTIONS[number % 3], (0.0, 1.0, 5.0)[(number // 3) % 3]
        epsilon0, (exponent, rate) = MASSES[number // 5], DECAYS[number % 5]
        speed = SPEEDS[(number // 2) % 3](epsilon0)
        epsilon = fading(epsilon0, exponent, rate)
        alpha = fading(share * epsilon0, exponent, rate)
        path = simulate(f, epsilon, alpha, (0.6 * speed, 0.8 * speed))
        found.append((with_known_schedules(path), simulate_newton(f)))
    return found


@pytest.fixture(scope="module")
def run(pairs):
    """A run with power laws, damping and a first velocity, and its reference."""
    return pairs[21]


# Bounds hold, and are those of the theory.


@pytest.mark.parametrize("kind", KINDS)
def test_bound_holds_over_the_family(pairs, kind):
    for path, newton in pairs:
        found = newton_distance(path, newton, bound=kind)
        assert found.holds, str(found)
        # The errors of the runs hide nothing.
        assert 100 * found.allowance < found.bound.max()


def test_measured_is_the_distance_of_the_positions(run):
    path, newton = run
    found = newton_distance(path, newton)
    expected = np.sqrt(((np.asarray(path.x) - np.asarray(newton.x)) ** 2).sum(axis=1))
    np.testing.assert_allclose(found.measured, expected, rtol=1e-14)
    np.testing.assert_array_equal(found.t, TIMES)


def by_the_theory(kind, path, t):
    """Bounds by SciPy's quadrature, for a function with minimum 0 and beta = 1."""
    f = path.system.objective
    mu, L = float(f.mu), float(f.L)
    epsilon, alpha = map(in_numpy, (path.system.epsilon, path.system.alpha))
    rate = lambda of, s: (of(s + 1e-5) - of(s - 1e-5)) / 2e-5
    past = lambda w: scipy.integrate.quad(lambda s: np.exp(s - t) * w(s), 0, t)[0]
    v0, e0 = np.linalg.norm(path.v[0]), epsilon(0)
    E0 = 0.5 * e0 * v0**2 + float(f(jnp.asarray(X0)))
    c1, c2 = -rate(epsilon, 0) / e0, alpha(0) / e0
    root, M, V = np.sqrt(2 * E0), np.sqrt(2 * E0 / mu), max(v0, np.sqrt(2 * L * E0) / mu)
    C2 = root * max(c1 + c2, 1)
    if kind == "theorem":
        more = root * np.sqrt(epsilon(t)) + C2 * past(lambda s: np.sqrt(epsilon(s)))
    elif kind == "corollary":
        more = (root + C2 / (1 - c1 / 2)) * np.sqrt(epsilon(t))
    elif kind == "any alpha":
        drift = lambda s: M * abs(alpha(s) + rate(alpha, s))
        inside = lambda s: root * (c1 + 1) * np.sqrt(epsilon(s)) + drift(s)
        now = root * np.sqrt(epsilon(t)) + M * (alpha(t) + np.exp(-t) * alpha(0))
        more = now + past(inside)
    else:
        inside = lambda s: abs(rate(epsilon, s) - alpha(s) + epsilon(s))
        more = V * (epsilon(t) + past(inside))
    return (np.exp(-t) * e0 * v0 + more) / mu


@pytest.mark.parametrize("kind", KINDS)
def test_bound_is_the_formula_of_the_theory(pairs, kind):
    for path, newton in (pairs[3], pairs[4], pairs[16], pairs[22]):
        found = newton_distance(path, newton, bound=kind)
        for i in (1, 130, 150, 160):
            assert abs(found.bound[i] / by_the_theory(kind, path, TIMES[i]) - 1) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_of_another_class_gives_the_same_bound_on_a_grid(run, kind):
    path, newton = run
    known = newton_distance(path, newton, bound=kind)
    system = path.system
    other = with_system(
        path,
        epsilon=fading(system.epsilon.value, system.epsilon.exponent),
        alpha=fading(system.alpha.value, system.alpha.exponent),
    )
    on_grid = newton_distance(other, newton, bound=kind)
    np.testing.assert_allclose(on_grid.bound, known.bound, rtol=1e-12)
    assert "on a grid of" in str(on_grid)
    assert ("by its formula" in str(known)) == (kind != "linear")


def test_bounds_hold_in_dimension_100_on_a_quadratic_that_mixes_coordinates(run):
    path, newton = run
    f, x0, v0 = mixing_quadratic(dim=100)
    flow = with_system(newton, objective=f)
    fade = np.exp(-TIMES[:, None] / BETA)
    flow = with_numbers(flow, fade * x0, -fade * x0 / BETA)
    for epsilon, alpha in ((1.0, 0.3), (1e-4, 1e-4)):
        exact = exact_run(path, f, epsilon, alpha, x0, v0)
        for kind in KINDS:
            found = newton_distance(exact, flow, bound=kind)
            assert found.holds, str(found)


# How tight.


def test_theorem_is_off_by_a_factor_of_two_from_the_minimiser():
    newton = simulate_newton(SQUARE, np.zeros(2))
    for epsilon, ratio in ((1e-2, 0.4747), (1e-4, 0.49939), (1e-6, 0.49999)):
        path = simulate(SQUARE, fading(epsilon), fading(0), (0.6, 0.8), np.zeros(2))
        found = newton_distance(with_known_schedules(path), newton)
        assert abs(found.tightness - ratio) < 1e-3
        assert found.tightness < 0.5


def test_linear_bound_is_attained_from_rest():
    x0 = np.array([0.6, 0.8])
    newton = simulate_newton(SQUARE, x0)
    expected = {1e-1: 0.5226, 1e-2: 0.8609, 1e-3: 0.975, 1e-4: 0.9964, 1e-5: 0.9995}
    for epsilon, ratio in expected.items():
        path = simulate(SQUARE, fading(epsilon), fading(0), x0=x0)
        found = newton_distance(with_known_schedules(path), newton, bound="linear")
        assert found.holds
        # On these output times.
        assert abs(found.tightness - ratio) < 2e-3


def test_order_is_one_for_one_velocity_and_one_half_for_one_energy():
    newton = simulate_newton(FUNCTIONS[0])
    masses = (1e-4, 1e-6, 1e-8)
    for speed, order in ((SPEEDS[1], 1.0), (SPEEDS[2], 0.5)):
        largest = []
        for epsilon in masses:
            path = simulate(FUNCTIONS[0], fading(epsilon), fading(0), (0, speed(epsilon)))
            path = with_known_schedules(path)
            largest.append(newton_distance(path, newton).measured.max())
        assert abs(observed_order(masses, largest) - order) < 0.02


def test_a_loose_run_does_not_pass_for_an_exact_one(run):
    path, newton = run
    system = path.system
    f, alpha = system.objective, fading(system.alpha.value, system.alpha.exponent)
    epsilon = fading(system.epsilon.value, system.epsilon.exponent)
    loose = simulate(f, epsilon, alpha, path.v[0], rtol=1e-2, atol=1e-5)
    exact, found = (newton_distance(one, newton) for one in (path, loose))
    assert np.abs(found.measured - exact.measured).max() > 100 * exact.allowance
    assert found.allowance > 1e-2
    assert (found.judged.any(), found.holds) == (False, False)
    assert np.isnan(found.tightness)


# First order.


def test_first_order_on_a_quadratic_changes_sides_at_beta():
    f, epsilon = valley((1.0, 3.0), 0.0), 1e-4
    path = simulate(f, fading(epsilon), fading(0), times=UNIFORM)
    found = first_order(path, simulate_newton(f, times=UNIFORM))
    t = UNIFORM[:, None]
    exact = epsilon * np.exp(-t) * (1 - t) * X0 / np.array([1.0, 3.0])
    np.testing.assert_allclose(found.predicted, exact, atol=1e-12)
    np.testing.assert_allclose(found.measured[2:], exact[2:], atol=1e-7)


def test_what_first_order_leaves_is_of_second_order():
    f, masses, left = FUNCTIONS[0], (1e-2, 1e-3), []
    newton = simulate_newton(f, times=UNIFORM)
    for mass in masses:
        epsilon, alpha = fading(mass, 1.5), fading(2 * mass, 0, 0.5)
        found = first_order(simulate(f, epsilon, alpha, (1, 1), times=UNIFORM), newton)
        # After the initial layer, of a few times the mass.
        difference = (found.measured - found.predicted)[UNIFORM > 0.3]
        left.append(np.abs(difference).max())
    assert abs(observed_order(masses, left) - 2) < 0.2


# Constants that runs show.


def test_fitted_constants_hold_for_all_runs_and_no_smaller_ones_do(pairs):
    found = [newton_distance(*pair, bound="corollary") for pair in pairs]
    fit = fit_corollary(found)
    ratios, shares = [], []
    for one, (path, _) in zip(found, pairs, strict=True):
        root = np.sqrt(path.system.epsilon(TIMES))
        kick = np.exp(-TIMES) * one.constants["epsilon0"] * np.linalg.norm(path.v[0])
        needed = one.measured - one.allowance
        ratios.append(np.max((needed - fit.C0 * kick) / root))
        pair = fit.smallest_pair[0] * kick + fit.smallest_pair[1] * root
        shares.append(np.max(needed / pair))
    assert abs(max(ratios) / fit.smallest_C3 - 1) < 1e-6
    assert abs(max(shares) - 1) < 1e-6
    assert fit.smallest_C3 < fit.C3 == max(one.constants["C3"] for one in found)


def test_fitted_pair_is_that_of_distances_made_up_from_one():
    t = np.linspace(0.0, 3.0, 31)
    constants = {"C0": 2.0, "C3": 5.0, "beta": 0.5, "epsilon0": 0.1, "speed0": 3.0}
    kick, made = 0.3 * np.exp(-2 * t), []
    for size in (1e-9, 10.0):
        root = size * np.exp(-0.1 * t)
        bound, measured = 2.0 * kick + 5.0 * root, 0.6 * kick + 2.5 * root + 0.01
        made.append(Bound(t, measured, bound, 0.01, constants, (), ""))
    # The small mass shows C0, and the large one C3.
    np.testing.assert_allclose(fit_corollary(made).smallest_pair, (0.6, 2.5), rtol=1e-6)


# What the parts are made of.


def test_fading_integral_is_that_of_scipy_at_edges_and_nodes():
    panels = cut(np.array([0.0, 1.0, 1.1, 6.0]), longest=0.7)
    rate, source = (lambda t: 1.4 + np.cos(t)), (lambda t: np.exp(-0.2 * t) * np.sin(2 * t))
    found = fading_integral(panels, rate(panels.t.nodes), source(panels.t.nodes))
    field = lambda t, u: source(t) - rate(t) * u
    t = np.concatenate([panels.t.edges, panels.t.nodes.reshape(-1)])
    order = np.argsort(t)
    exact = scipy.integrate.solve_ivp(
        field, (0, 6), [0.0], method="DOP853", t_eval=t[order], rtol=1e-13, atol=1e-14
    ).y[0]
    actual = np.concatenate([found.edges, found.nodes.reshape(-1)])[order]
    np.testing.assert_allclose(actual, exact, atol=1e-12)


@pytest.mark.parametrize("end", [0.5, 3.0, 20.0])
def test_largest_ratio_of_schedules_is_that_of_a_fine_grid(end):
    t = np.linspace(0.0, end, 200_001)
    for above, below in (
        (KnownSchedule(2.0, 3.0, 0.5), KnownSchedule(1.0, 1.0, 3.0, 0.1)),
        (KnownSchedule(1.0, -1.0, 1.0, 1.0), KnownSchedule(1.0)),
        (KnownSchedule(1.0, 1.0, 2.0), KnownSchedule(3.0, 1.0, 0.5, 0.3)),
        (KnownSchedule(1.0, 2.0, 3.0), KnownSchedule(1.0, 1.0, 0.5)),
        (KnownSchedule(1.0, -2.0, 0.0, 1.0), KnownSchedule(1.0, 0.0, 1.0, 0.2)),
    ):
        on_grid = (above(t) / below(t)).max()
        assert on_grid <= largest_ratio(above, below, 0.0, end) * (1 + 1e-14)
        assert largest_ratio(above, below, 0.0, end) <= on_grid * (1 + 1e-8)


def test_survey_of_a_function_of_a_tree_in_chunks(monkeypatch):
    f = lambda x: jnp.sum(x["a"] ** 2) + x["a"][0] * x["b"] + 2 * x["b"] ** 2
    points = {"a": np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]), "b": np.arange(3.0)}
    monkeypatch.setattr(convexity, "ENTRIES", 18)
    found = convexity.survey(f, points)
    hessian = np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, 4.0]])
    lowest, _, highest = np.linalg.eigvalsh(hessian)
    rows = np.column_stack([points["a"], points["b"]])
    np.testing.assert_allclose(found.f, [0.5 * row @ hessian @ row for row in rows])
    np.testing.assert_allclose(found.slope, np.linalg.norm(rows @ hessian, axis=1))
    np.testing.assert_allclose(found.lowest, lowest)
    np.testing.assert_allclose(found.highest, highest)
    assert convexity.strong_convexity(f, points) == pytest.approx(lowest)


def test_survey_of_a_function_whose_hessian_changes(run):
    path, _ = run
    x = np.asarray(path.x)
    curvatures = np.array([1.0, 4.0]) + 1 / np.cosh(x) ** 2
    found = convexity.survey(path.system.objective, path.x)
    np.testing.assert_allclose(found.lowest, curvatures.min(axis=1))
    np.testing.assert_allclose(found.highest, curvatures.max(axis=1))


def test_bounds_count_time_from_the_start(pairs):
    path, newton = pairs[3]
    system = path.system
    later = with_system(path, epsilon=Exponential(system.epsilon.value * np.exp(2.5), 0.5))
    later = with_system(later, alpha=Exponential(system.alpha.value * np.exp(2.5), 0.5))
    later, reference = (
        eqx.tree_at(lambda tree: tree.t, one, one.t + 5) for one in (later, newton)
    )
    for kind in KINDS:
        known = newton_distance(path, newton, bound=kind)
        found = newton_distance(later, reference, bound=kind)
        np.testing.assert_allclose(found.bound, known.bound, rtol=1e-12)


def test_runs_in_single_precision_are_compared(run):
    single = lambda tree: jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, tree
    )
    path, newton = map(single, run)
    found = newton_distance(path, newton)
    double = newton_distance(*run)
    np.testing.assert_allclose(found.bound, double.bound, rtol=1e-5)


def test_report_says_what_was_checked_and_what_was_trusted(run):
    found = newton_distance(*run, minimum=0.0, mu=0.9)
    text = str(found)
    assert "trusted: the Hessian of f is at least mu on" in text
    assert "mu = 0.9, passed as `mu`" in text
    assert "checked: the Hessian is at least mu" in text
    assert "f* = 0, passed as `minimum`" in text
    assert found.constants["mu"] == 0.9


def test_din_is_the_case_of_mass_one(pairs):
    path, newton = pairs[0]
    same = eqx.tree_at(
        lambda tree: tree.system, path, ds.DIN(path.system.objective, 0.0, BETA)
    )
    one, other = (newton_distance(which, newton) for which in (path, same))
    np.testing.assert_allclose(one.bound, other.bound, rtol=1e-14)


# Refusals.


def refuses(error, match, path, newton, **options):
    with pytest.raises(error, match=match):
        newton_distance(path, newton, **options)


def test_what_is_no_pair_of_such_runs_is_refused(run):
    path, newton = run
    f = path.system.objective
    refuses(TypeError, "takes a trajectory that `dynsys.simulate`", path, path.x)
    refuses(
        TypeError,
        "GradientFlow in the place of Contin",
        path,
        of(newton, ds.GradientFlow(f)),
    )
    refuses(TypeError, "ContinuousNewton in the place of Abstract", newton, newton)
    refuses(ValueError, "`bound` must be one of", path, newton, bound="sharp")
    regular = with_system(newton, regularization=jnp.asarray(0.1))
    refuses(ValueError, "must have no regularization, but has 0.1", path, regular)
    batch = eqx.tree_at(lambda tree: tree.t, path, path.t[None])
    refuses(ValueError, "takes one trajectory, but got a batch", batch, newton)
    other = ds.InertialNewton(f, 1.0, 0.0, BETA, 1.05)
    refuses(
        ValueError, "needs `b` = 1 at all times.*1.05 at t = 0", of(path, other), newton
    )


def of(path, system):
    return eqx.tree_at(lambda tree: tree.system, path, system)


def test_runs_of_different_problems_are_refused(run):
    path, newton = run
    later = eqx.tree_at(lambda tree: tree.t, newton, 2 * newton.t)
    refuses(ValueError, "same output times, but have 161 from 0 to 4 and", path, later)
    fewer = eqx.tree_at(lambda tree: tree.t, newton, newton.t[:-1])
    refuses(ValueError, "and 160 from 0 to", path, fewer)
    moved = eqx.tree_at(lambda tree: tree.x, newton, newton.x + 1e-6)
    refuses(ValueError, "start at the same point, but start at", path, moved)
    slower = with_system(newton, beta=jnp.asarray(1.5))
    refuses(ValueError, "needs `beta` = 1.5 at all times.*it is 1 at t = 0", path, slower)
    other = ds.InertialNewton(path.system.objective, 1.0, 0.0, Exponential(BETA, 0.1))
    refuses(ValueError, "needs `beta` = 1 at all times", of(path, other), newton)
    steeper = with_system(newton, objective=valley((1.0, 4.01), 1.0))
    refuses(ValueError, "must minimise the same objective, but at", path, steeper)


def test_mass_and_damping_out_of_range_are_refused(run):
    path, newton = run
    f = path.system.objective
    refuses(
        AssumptionError,
        "`alpha` is inf at t = 0",
        of(path, ds.DINAVD(f, alpha=3.0, beta=BETA)),
        newton,
    )
    negative = with_system(path, epsilon=Exponential(-1.0, 1.0))
    refuses(AssumptionError, "`epsilon` is -1 at t = 0", negative, newton)
    for grows in (Exponential(1.0, -0.5), fading(1.0, 0, -0.5)):
        heavier = with_system(path, epsilon=grows)
        match = "never increases, but at t = 0 it grows at the relative rate 0.5"
        refuses(AssumptionError, match, heavier, newton)
    late = with_system(path, epsilon=Rising(jnp.asarray(2.0)))
    refuses(AssumptionError, "never increases, but at t = 2.0", late, newton)
    unlike = with_system(path, epsilon=Exponential(1.0, 1.0), alpha=Constant(0.1))
    refuses(AssumptionError, "grows without bound: it is 5.4.* at t = 4", unlike, newton)
    assert newton_distance(unlike, newton, bound="any alpha").bound.min() > 0
    slow, fast = PowerLaw(0.1, 1.0), PowerLaw(0.1, 2.0)
    unlike = with_system(path, epsilon=fast, alpha=slow)
    refuses(AssumptionError, "grows without bound: it is 5 at t = 4", unlike, newton)
    alike = with_system(path, epsilon=slow, alpha=fast)
    assert newton_distance(alike, newton).constants["c2"] == 1
    fast = with_system(path, epsilon=Exponential(1.0, 2.0), alpha=Constant(0.0))
    match = "needs c1 < 2 / beta = 2, but the mass decays at the relative rate c1 = 2"
    refuses(AssumptionError, match, fast, newton, bound="corollary")
    heavy = with_system(path, epsilon=Exponential(1.0, -0.5), alpha=Exponential(0.2, -0.5))
    match = "needs epsilon' <= 2 alpha, but at t = 0 the mass grows faster"
    refuses(AssumptionError, match, heavy, newton, bound="linear")


class Rising(eqx.Module):
    """A mass that falls until a time, and then rises."""

    turn: jax.Array

    def __call__(self, t):
        return 1 + (t - self.turn) ** 2


def test_constants_of_the_objective_that_are_wrong_or_unknown_are_refused(run):
    path, newton = run
    match = "with mu = 1.5: at t = .* on the path of VMDINAVD.* of its Hessian is 1"
    refuses(AssumptionError, match, path, newton, mu=1.5)
    refuses(ValueError, "`mu` must be positive", path, newton, mu=0.0)
    match = "is taken as 0.5, passed as `minimum`, but it is .* on a path"
    refuses(AssumptionError, match, path, newton, minimum=0.5)
    match = "must be at most G = 0.1, but it is .* on a path"
    refuses(AssumptionError, match, path, newton, bound="linear", G=0.1)
    unknown = ds.objectives.Function(lambda x: FUNCTIONS[0](x))
    plain = [with_system(one, objective=unknown) for one in run]
    refuses(AssumptionError, "needs a constant of strong convexity, but", *plain)
    match = "does not know it. Pass it as `minimum`, or a lower bound of it"
    refuses(AssumptionError, match, *plain, mu=1.0)
    match = "needs the largest norm of the gradient on the sublevel set. Pass it as `G`"
    refuses(AssumptionError, match, *plain, bound="linear", mu=1.0)
    assert newton_distance(*plain, bound="linear", mu=1.0, G=99.0).constants["V"] == 99.0
    kinked = with_system(path, objective=ds.objectives.Lasso(jnp.eye(2), jnp.ones(2), 0.1))
    refuses(AssumptionError, "The objective Lasso is not smooth", kinked, newton)


def test_a_function_that_is_not_convex_on_the_path_is_refused(run):
    wave = lambda x: jnp.sum(jnp.cos(x))
    path, newton = (with_system(one, objective=ds.objectives.Function(wave)) for one in run)
    refuses(AssumptionError, "not strongly convex with mu = 0.1", path, newton, mu=0.1)
    with pytest.raises(AssumptionError, match="needs a positive definite Hessian on the"):
        first_order(path, newton)


def test_fits_refuse_what_they_cannot_fit(run):
    with pytest.raises(ValueError, match="`distances` is empty"):
        fit_corollary([])
    with pytest.raises(ValueError, match="but one has the constants .*'C1'"):
        fit_corollary([newton_distance(*run)])
    with pytest.raises(ValueError, match="two or more different numbers"):
        observed_order([1.0, 1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="all numbers must be positive, but the smallest"):
        observed_order([1.0, 2.0], [0.0, 2.0])
