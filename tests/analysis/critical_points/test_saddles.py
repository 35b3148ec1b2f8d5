"""Linearisations and saddles: roots, stable manifolds, escapes."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import dynsys as ds
from dynsys.analysis.critical_points.escape_statistics import escape_statistics
from dynsys.analysis.critical_points.linearisation import spectrum
from dynsys.analysis.critical_points.saddles import (
    distance_to_stable_subspace,
    escape_time,
    stable_manifold,
)
from tests.oracles import second_order_matrix

WELL = ds.objectives.DoubleWell()
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
SADDLE = TURN @ np.diag([-1.5, 0.4, 6.0]) @ TURN.T
ORIGIN = np.zeros(3)


def tilted():
    return ds.objectives.Quadratic(SADDLE)


def gdin_matrix(alpha, beta, hessian):
    """The linear system of the talk, written out."""
    eye = np.eye(len(hessian))
    return np.block(
        [
            [(1 / beta - alpha) * eye - beta * hessian, -eye / beta],
            [(1 / beta - alpha) * eye, -eye / beta],
        ]
    )


def by_size(values):
    return values[np.lexsort((-values.imag.round(9), -values.real.round(9)))]


@pytest.mark.parametrize(
    ("build", "matrix"),
    [
        (lambda f: ds.GDIN(f, 0.5, 0.3), gdin_matrix(0.5, 0.3, SADDLE)),
        (
            lambda f: ds.DIN(f, 2.0, 0.1, hessian_free=False),
            second_order_matrix(1, 2.0, 0.1, 1, SADDLE),
        ),
        (lambda f: ds.HeavyBall(f, 0.7), second_order_matrix(1, 0.7, 0, 1, SADDLE)),
        (
            lambda f: ds.InertialNewton(f, 0.2, 0.5, 0.3, 1.7),
            second_order_matrix(0.2, 0.5, 0.3, 1.7, SADDLE),
        ),
        (ds.GradientFlow, -SADDLE),
        (
            lambda f: ds.LevenbergMarquardt(f, 4.0, 0.7),
            -np.linalg.solve(4 * np.eye(3) + 0.7 * SADDLE, SADDLE),
        ),
    ],
)
def test_eigenvalues_are_those_of_the_linear_system_written_out(build, matrix):
    found = spectrum(build(tilted()), ORIGIN)
    expected = by_size(np.linalg.eigvals(matrix).astype(complex))
    np.testing.assert_allclose(by_size(found.eigenvalues), expected, atol=1e-12)
    np.testing.assert_allclose(found.hessian, [-1.5, 0.4, 6.0], atol=1e-12)
    assert found.kind == "saddle"
    assert found.unstable == (expected.real > 0).sum() == 1
    assert found.spirals == (expected.imag > 0).sum()


def test_small_dampings_do_not_spoil_the_roots():
    """As a matrix, g-DIN with beta = 1e-7 loses eight digits; its roots do not."""
    found = spectrum(ds.GDIN(tilted(), 3.0, 1e-7), ORIGIN)
    exact = by_size(np.linalg.eigvals(second_order_matrix(1, 3.0, 1e-7, 1, SADDLE)))
    np.testing.assert_allclose(by_size(found.eigenvalues), exact, atol=1e-12)


def test_slow_roots_of_a_stiff_system_keep_their_digits_and_their_sign():
    """The fast ones are 8e8 and -2e8, the slow ones -lam / (alpha + beta lam)."""
    found = spectrum(ds.GDIN(WELL, 1.0, 1e8), [0.0, 0.0])
    assert (found.kind, found.unstable) == ("saddle", 1)
    slow = np.array([-lam / (1 + 1e8 * lam) for lam in (2.0, -8.0)])
    np.testing.assert_allclose(
        np.sort(found.eigenvalues.real)[1:3], np.sort(slow), rtol=1e-12
    )


def test_a_minimum_attracts_and_a_centre_is_left_undecided():
    minimum = spectrum(ds.GDIN(WELL, 0.5, 0.1), [2**0.5, 0.0])
    assert (minimum.kind, minimum.unstable, minimum.spirals) == ("attracting", 0, 2)
    assert "0 of 4 directions grow, and solutions turn in 2 planes" in str(minimum)
    undamped = spectrum(ds.HeavyBall(WELL, 0.0), [2**0.5, 0.0])
    assert (undamped.kind, undamped.spirals) == ("not hyperbolic", 2)
    top = spectrum(ds.GradientFlow(lambda x: -jnp.sum(x**2)), [0.0, 0.0])
    assert (top.kind, top.unstable) == ("repelling", 2)
    cubic = spectrum(ds.GDIN(lambda x: x**3, 1.0, 1.0), 0.0)
    assert cubic.kind == "not hyperbolic"


@pytest.fixture(scope="module")
def manifold():
    return stable_manifold(ds.GDIN(tilted(), 0.5, 0.3), ORIGIN)


def test_the_stable_subspace_decays_and_everything_else_grows(manifold):
    matrix = gdin_matrix(0.5, 0.3, SADDLE)
    basis, normals = manifold.basis, manifold.normals
    assert basis.shape == (6, 5)
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(normals @ basis, 0, atol=1e-12)
    # Invariant, and decaying there: rounding of 1e-16 would grow to 1e-3 by then.
    inside = basis.T @ matrix @ basis
    np.testing.assert_allclose(matrix @ basis, basis @ inside, atol=1e-12)
    assert np.abs(scipy.linalg.expm(40 * inside)).max() < 1e-3
    rate = max(np.roots([1, 0.5 - 0.3 * 1.5, -1.5]))
    np.testing.assert_allclose(manifold.rates, [rate], rtol=1e-12)
    moved = normals @ scipy.linalg.expm(2.0 * matrix)
    np.testing.assert_allclose(moved, np.exp(2 * rate) * normals, rtol=1e-10)


def test_the_linear_flow_is_at_the_radius_when_it_is_said_to_be(manifold):
    """Far from the stable subspace, so that what decays is small: at t = 30 of 1e-13."""
    random = np.random.default_rng(5)
    start = random.normal(size=(4, 6)) * np.exp(-30.0)
    state = tilted_state(start)
    times = escape_time(manifold, state, 0.5)
    matrix = gdin_matrix(0.5, 0.3, SADDLE)
    ends = [scipy.linalg.expm(t * matrix) @ z for t, z in zip(times, start, strict=True)]
    np.testing.assert_allclose(
        np.linalg.norm(np.array(ends)[:, :3], axis=1), 0.5, rtol=1e-4
    )


def tilted_state(rows):
    return ds.GDIN(tilted(), 0.5, 0.3).state(*np.split(np.asarray(rows), 2, axis=-1))


def test_several_unstable_directions_are_one_subspace():
    f = ds.objectives.Quadratic(np.diag([-1.0, -4.0, 3.0]))
    found = stable_manifold(ds.GDIN(f, 1.0, 0.25), ORIGIN)
    roots = [max(np.roots([1, 1 + 0.25 * lam, lam])) for lam in (-4.0, -1.0)]
    np.testing.assert_allclose(found.rates, roots, rtol=1e-12)
    assert found.basis.shape == (6, 4)
    # Along the negative root a start climbs to the saddle, from any side.
    lows = [min(np.roots([1, 1 + 0.25 * lam, lam])) for lam in (-1.0, -4.0)]
    x = np.array([0.3, -0.2, 0.0])
    v = np.array([*(x[:2] * lows), 0.0])
    psi = (1 - 0.25) * x - 0.25**2 * np.diag([-1.0, -4.0, 3.0]) @ x - 0.25 * v
    state = ds.GDIN(f, 1.0, 0.25).state(x, psi)
    assert distance_to_stable_subspace(found, state) < 1e-12
    state = ds.GDIN(f, 1.0, 0.25).state(x, psi + 0.01)
    assert distance_to_stable_subspace(found, state) > 1e-3
    with pytest.raises(ValueError, match="this saddle has 2"):
        escape_time(found, state)


@pytest.fixture(scope="module")
def escaping():
    """g-DIN on the double well, from beside the axis."""
    system = ds.GDIN(WELL, 0.5, 1.0)
    start = np.array([1e-9, 1e-3])
    state = system.state(start, system.initial_psi(start, speed=1.0))
    found = stable_manifold(system, [0.0, 0.0])
    run = ds.simulate(system, state, t1=2.4, times=121, rtol=1e-9, atol=1e-18)
    return found, state, run


def test_beside_the_stable_manifold_the_distance_to_it_grows_at_the_unstable_rate(escaping):
    found, _, run = escaping
    rate = max(np.roots([1, 0.5 - 8, -8]))
    distances = distance_to_stable_subspace(found, run.state)
    slopes = np.diff(np.log(distances)) / np.diff(np.asarray(run.t))
    # Up to t = 1.6, where the quartic term of the well slows it by less than 1e-5.
    np.testing.assert_allclose(slopes[:80], rate, rtol=1e-4)
    assert slopes[-1] < 0.99 * rate


def test_a_solution_leaves_when_the_linearisation_says(escaping):
    """Its coordinate: (-lambda - s) x1 / (r - s) with the roots r > s, for v0 = -grad."""
    found, state, run = escaping
    low, high = np.sort(np.roots([1, 0.5 - 8, -8]))
    by_hand = np.log(0.1 / (1e-9 * (8 - low) / (high - low))) / high
    predicted = escape_time(found, state, 0.1)
    assert predicted == pytest.approx(by_hand, rel=1e-9)
    distance = np.linalg.norm(run.x, axis=1)
    left = np.interp(np.log(0.1), np.log(distance[60:]), np.asarray(run.t)[60:])
    # The quartic term again.
    assert left == pytest.approx(predicted, abs=1e-3)


def test_on_the_stable_subspace_nothing_leaves():
    system = ds.GradientFlow(WELL)
    found = stable_manifold(system, [0.0, 0.0])
    assert escape_time(found, system.state([0.0, 1.0])) == np.inf
    states = system.state([[1e-12, 0.0], [0.0, 3.0], [-2.0, 1.0]])
    np.testing.assert_allclose(distance_to_stable_subspace(found, states), [1e-12, 0, 2])


def test_ends_are_counted_where_they_are():
    minimisers = WELL.facts.minimisers
    root = 2**0.5
    ends = jnp.array(
        [
            [root, 0.0],
            [root + 0.01, 0.0],
            [-root, 0.009],
            [0.0, 0.01],
            [0.5, 0.5],
            [jnp.nan, 0],
        ]
    )
    found = escape_statistics(ends, [0.0, 0.0], minimisers)
    assert found.at_minimisers == (1, 2)
    assert (found.stuck, found.elsewhere, found.failed, found.total) == (1, 1, 1, 6)
    assert found.escaped == pytest.approx(4 / 6)
    assert found.radius == pytest.approx(root / 100)
    assert found.largest_distance == pytest.approx(0.01)
    assert str(found).startswith("of 6 members 1, 2 are at the minimisers, 1 at the saddle")
    narrow = escape_statistics(ends, [0.0, 0.0], minimisers, radius=0.0095)
    assert (narrow.at_minimisers, narrow.stuck, narrow.elsewhere) == ((1, 1), 0, 3)


def test_refusals_of_the_linearisation():
    with pytest.raises(ValueError, match=r"must be a critical point.*norm 4.47"):
        spectrum(ds.GDIN(WELL, 1.0, 1.0), [1.0, 1.0])
    assert spectrum(ds.GDIN(WELL, 1.0, 1.0), [1e-3, 0.0], threshold=0.01).unstable == 1
    with pytest.raises(TypeError, match="must be a system"):
        spectrum(WELL, [0.0, 0.0])  # pyright: ignore
    with pytest.raises(ValueError, match=r"lies on a kink, that of `abs`"):
        spectrum(ds.GDIN(lambda x: jnp.abs(x), 1.0, 1.0), 0.0)
    with pytest.raises(ValueError, match="DINAVD change in time"):
        spectrum(ds.DINAVD(WELL, 3.0, beta=0.1), [0.0, 0.0])
    shrinking = ds.LevenbergMarquardt(WELL, ds.schedules.Exponential(40.0, 1.0), 1.0)
    with pytest.raises(ValueError, match="LevenbergMarquardt change in time"):
        spectrum(shrinking, [0.0, 0.0])
    with pytest.raises(ValueError, match="no finite derivative"):
        spectrum(ds.ContinuousNewton(WELL), [0.0, 0.0])
    with pytest.raises(ValueError, match="at most 2000 coordinates"):
        spectrum(ds.GradientFlow(lambda x: jnp.sum(x**2)), np.zeros(2001))
    with pytest.raises(ValueError, match="`threshold` must be positive"):
        spectrum(ds.GDIN(WELL, 1.0, 1.0), [0.0, 0.0], threshold=0.0)


def test_refusals_of_saddles(manifold):
    with pytest.raises(ValueError, match="its linearisation is attracting, with 0"):
        stable_manifold(ds.GDIN(WELL, 1.0, 1.0), [2**0.5, 0.0])
    with pytest.raises(ValueError, match="must be a state like that at the saddle"):
        distance_to_stable_subspace(manifold, ds.GDIN(WELL, 1.0, 1.0).state([0.0], [0.0]))
    with pytest.raises(ValueError, match="`radius` must be positive"):
        escape_time(manifold, tilted_state(np.ones(6)), -1.0)


@pytest.mark.parametrize(
    ("ends", "minimisers", "radius", "message"),
    [
        ([[0.0, 1.0]], [], None, "`minimisers` is empty"),
        ([[0.0, 1.0]], [[1.0]], None, "`minimisers` must have the structure"),
        ([[0.0, 1.0, 2.0]], [[1.0, 0.0]], None, "`ends` must hold positions"),
        (np.zeros((0, 2)), [[1.0, 0.0]], None, "`ends` must hold positions"),
        ([[0.0, 1.0]], [[0.0, 0.0]], None, "two are the same"),
        ([[0.0, 1.0]], [[1.0, 0.0]], 0.5, "below half the smallest distance"),
        ([[0.0, 1.0]], [[1.0, 0.0]], 0.0, "`radius` must be positive"),
    ],
)
def test_refusals_of_statistics(ends, minimisers, radius, message):
    with pytest.raises(ValueError, match=message):
        escape_statistics(ends, [0.0, 0.0], minimisers, radius=radius)
