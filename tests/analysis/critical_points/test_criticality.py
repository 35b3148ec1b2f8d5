"""How far points are from being critical: kinks, terms, Hessians, equilibria of g-DIN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import lsq_linear, nnls

import dynsys as ds
from dynsys.analysis.critical_points.criticality import criticality
from dynsys.nonsmooth import NotPiecewiseSmooth
from tests.integrators.kinked import TIGHT, absolute

TALK = ds.objectives.NonsmoothRosenbrock()
WELL = ds.objectives.DoubleWell()
HALVES = ds.objectives.Mean([jax.nn.relu, lambda t: -jax.nn.relu(-t)])


def test_a_limit_beside_its_kink_is_critical_once_it_is_moved_onto_it():
    """With d = x2 - |x1|, off the kinks the gradient is (-200 d +- 1, 200 d)."""
    beside = np.array([1 + 3e-9, 1 - 2e-9])
    d = -5e-9
    too_near = criticality(TALK, beside, tolerance=2e-9)
    assert too_near.distance == pytest.approx(np.hypot(-200 * d + 1, 200 * d), rel=1e-9)
    assert (too_near.moved, too_near.pieces, too_near.kind) == (0, 1, "not critical")
    found = criticality(TALK, beside, tolerance=4e-9)
    # On theta_1 = 1 with d = -2e-9: all of the set has the second coordinate 200 d.
    assert found.distance == pytest.approx(200 * 2e-9, rel=1e-6)
    assert found.moved == pytest.approx(3e-9, rel=1e-6)
    np.testing.assert_array_equal(found.x, [1.0, beside[1]])
    assert (found.critical, found.pieces, found.kind) == (True, 2, "kink")
    assert (found.eigenvalue, found.d_distance, found.spurious) == (None, None, False)
    assert "2 smooth pieces meet here" in str(found)
    assert "moved by 3e-09 onto its kinks" in str(found)


def test_halves_of_a_line_have_a_spurious_critical_point_on_the_kinks_of_the_terms():
    """The sum has no kink there: those of its terms are what D knows."""
    found = criticality(HALVES, 4e-10, tolerance=1e-9)
    assert (found.distance, found.d_distance) == (0.5, 0.0)
    assert (found.spurious, found.critical, found.pieces) == (True, False, 1)
    assert found.moved == pytest.approx(4e-10)
    assert "spurious: critical for D, but not in Clarke's sense" in str(found)


@pytest.mark.parametrize(
    ("loss", "x", "kind", "eigenvalue"),
    [
        (WELL, [0.0, 0.0], "strict saddle", -8.0),
        (WELL, [2**0.5, 0.0], "minimum", 2.0),
        (lambda x: -jnp.sum(x**2), [0.0, 0.0], "maximum", -2.0),
        (lambda x: -(x[0] ** 2) + x[1] ** 4, [0.0, 0.0], "strict saddle", -2.0),
        (lambda x: x[0] ** 2 + x[1] ** 4, [0.0, 0.0], "degenerate", 0.0),
        (ds.objectives.Mean([WELL, WELL]), [0.0, 0.0], "strict saddle", -8.0),
    ],
)
def test_the_hessian_says_what_a_smooth_point_is(loss, x, kind, eigenvalue):
    found = criticality(loss, x)
    assert found.kind == kind
    assert found.eigenvalue == pytest.approx(eigenvalue, abs=1e-12)
    assert found.distance < 1e-14
    assert not found.spurious
    assert str(found).startswith(f"{kind}: distance of 0")


def test_the_norm_of_the_gradient_of_a_smooth_point_is_its_distance():
    found = criticality(WELL, [1.0, 1.0], tolerance=0.1)
    assert found.distance == pytest.approx(20**0.5, rel=1e-12)
    assert (found.kind, found.eigenvalue, found.moved) == ("not critical", None, 0)
    assert criticality(WELL, [1.0, 1.0], threshold=4.48).critical
    assert criticality(WELL, [1.0, 1.0], threshold=4.47).kind == "not critical"


def test_where_no_hessian_is_formed_a_point_is_just_critical():
    many = criticality(lambda x: jnp.sum(x**2), np.zeros(2001))
    infinite = criticality(ds.objectives.PowerFunction(1.5), [0.0])
    assert (many.kind, many.eigenvalue) == ("critical", None)
    assert (infinite.kind, infinite.eigenvalue) == ("critical", None)


def test_a_curved_kink_is_met_by_newton_steps():
    circle = lambda x: jnp.abs(jnp.sum(x**2) - 1) + x[1]
    found = criticality(circle, [0.6 + 6e-6, 0.8 + 8e-6], tolerance=1.01e-5)
    np.testing.assert_allclose(found.x, [0.6, 0.8], atol=1e-15)
    assert found.moved == pytest.approx(1e-5, rel=1e-6)
    # The set is the segment from -2x to 2x, plus (0, 1): the distance is |x1|.
    assert found.distance == pytest.approx(0.6, rel=1e-9)


def test_of_kinks_that_do_not_meet_the_nearest_is_taken():
    """And not where only the Hessian jumps, at 5e-4, which is nearer."""
    bends = lambda t: jnp.maximum(t - 5e-4, 0) ** 2
    close = lambda t: jnp.abs(t) + 3 * jnp.abs(t - 1e-3) + bends(t)
    found = criticality(close, 4e-4, tolerance=1e-2)
    assert abs(float(found.x)) < 1e-16
    assert found.distance == pytest.approx(2.0)


def test_a_tolerance_is_a_distance_whatever_the_scale_of_a_kink():
    """In single precision, in a pytree, and on two kinks that meet at 45 degrees."""
    loss = lambda p: 1e4 * jnp.abs(p["a"]) + jnp.abs(p["a"] + p["b"]) + p["c"] / 2
    point = {"a": jnp.float32(3e-6), "b": jnp.float32(1e-6), "c": jnp.float32(5.0)}
    found = criticality(loss, point, tolerance=4e-6)
    assert found.pieces == 4
    assert found.moved == pytest.approx(np.hypot(3e-6, 1e-6), rel=1e-5)
    assert found.distance == pytest.approx(0.5)
    assert found.x["a"].dtype == jnp.float32


def test_kinks_that_depend_on_each_other_are_said_to_be_first_order():
    found = criticality(lambda x: jnp.abs(x[1]) - jnp.abs(x[1] - x[0] ** 2), [0.0, 0.0])
    assert found.first_order
    assert "known to first order only" in str(found)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_many_zeros_of_an_l1_problem_are_a_box(scale):
    """0 to the box is what the gradient is above the weight, at 17 and at 64 zeros."""
    rng = np.random.default_rng(0)
    matrix, data = rng.normal(size=(64, 64)), rng.normal(size=64)
    for zeros in (17, 64):
        x = np.where(np.arange(64) < zeros, 0.0, rng.normal(size=64))
        gradient = matrix.T @ (matrix @ x - data)
        above = np.maximum(np.abs(gradient) - 5.0, 0.0)
        exact = np.linalg.norm(np.where(x != 0, gradient + 5.0 * np.sign(x), above))
        root = scale**0.5
        lasso = ds.objectives.Lasso(root * matrix, root * data, scale * 5.0)
        found = criticality(lasso, x)
        assert found.distance == pytest.approx(scale * exact, rel=1e-9)
        assert not found.first_order
        beside = x + np.where(x == 0, 1e-9 * rng.normal(size=64), 0.0)
        moved = criticality(lasso, beside, tolerance=1e-8)
        assert moved.distance == pytest.approx(scale * exact, rel=1e-9)


def test_ties_of_least_absolute_deviations_are_a_zonotope():
    """64 residuals are 0 in 5 dimensions, against a quadratic program of SciPy."""
    rng = np.random.default_rng(1)
    matrix, x = rng.normal(size=(80, 5)), rng.normal(size=5)
    matrix[64:] *= 100
    f = lambda y, m, b: jnp.sum(jnp.abs(m @ y - b))
    rest = -np.sum(matrix[64:], axis=0)
    data = jnp.asarray(np.where(np.arange(80) < 64, matrix @ x, matrix @ x + 1))
    loss = jax.tree_util.Partial(f, m=jnp.asarray(matrix), b=data)
    best = lsq_linear(matrix[:64].T, -rest, bounds=(-1, 1), method="bvls", tol=1e-15)
    exact = np.linalg.norm(matrix[:64].T @ best.x + rest)
    assert exact > 10
    found = criticality(loss, x)
    assert found.distance == pytest.approx(exact, rel=1e-9)
    assert (found.pieces, found.first_order) == (None, False)


def test_a_maximum_of_many_pieces_is_their_hull():
    """Against nonnegative least squares, whose weights have the sum 1."""
    planes = np.random.default_rng(2).normal(size=(20, 8)) + 1.0
    heavy = np.vstack([planes.T, np.full(20, 1e5)])
    weights, _ = nnls(heavy, np.append(np.zeros(8), 1e5))
    exact = np.linalg.norm(weights @ planes) / weights.sum()
    loss = jax.tree_util.Partial(lambda m, x: jnp.max(m @ x), jnp.asarray(planes))
    found = criticality(loss, np.zeros(8))
    assert found.distance == pytest.approx(exact, rel=1e-7)
    assert (found.pieces, found.kind) == (20, "not critical")


def test_a_largest_coordinate_beside_a_slope_has_its_closed_form():
    """|x|_oo + s sum x at 0: the smallest s + w with |w|_1 <= 1 is s - 1 / n each."""
    loss = lambda x: jnp.max(jnp.abs(x)) + 0.5 * jnp.sum(x)
    found = criticality(loss, np.zeros(16))
    assert found.distance == pytest.approx((0.5 - 1 / 16) * 4, rel=1e-12)
    assert found.pieces == 32


def test_sums_of_maxima_and_of_absolute_values_are_sums_of_their_sets():
    """Four groups of five: (a + e_i) in each, where |a_j| <= 1, less a slope."""
    loss = lambda x: (
        jnp.sum(jnp.max(x.reshape(4, 5), axis=1)) + jnp.sum(jnp.abs(x)) - 1.5 * jnp.sum(x)
    )
    found = criticality(loss, np.zeros(20))
    # a = 1 and weights 1/5 leave 1 + 1/5 - 3/2 in each of twenty.
    assert found.distance == pytest.approx(0.3 * 20**0.5, rel=1e-12)
    assert found.pieces is None


def test_a_norm_of_a_group_is_a_cone_and_is_refused_by_name():
    groups = lambda x: jnp.linalg.norm(x[:3]) + jnp.linalg.norm(x[3:])
    with pytest.raises(NotPiecewiseSmooth, match="The loss has a cone: `sqrt`"):
        criticality(groups, [0.0, 0.0, 0.0, 1.0, 2.0])


@pytest.fixture(scope="module")
def sticking():
    """g-DIN on |theta|, of which theory knows everything."""
    system = ds.GDIN(absolute, 0.5, 0.1)
    start = system.state(1.0, 0.95)
    return lambda t1: ds.simulate(system, start, t1=t1, dense=True, **TIGHT)


@pytest.mark.slow
def test_after_g_din_has_stuck_only_psi_is_on_its_way_to_the_equilibrium(sticking):
    """Stuck from T on, with psi = psi_T exp(-(t - T) / beta)."""
    found = criticality(sticking(5.0))
    psi = 0.009166755073 * np.exp(-(5.0 - 4.469674535563) / 0.1)
    assert found.equilibrium.psi == pytest.approx(psi, rel=1e-6)
    assert found.equilibrium.gradient == found.distance == pytest.approx(0, abs=1e-12)
    assert (found.kind, found.pieces) == ("kink", 2)
    assert found.moved < 1e-9
    assert "distance to the equilibria of g-DIN" in str(found)


def test_before_g_din_hits_the_kink_both_parts_are_those_of_its_closed_form(sticking):
    """It is -beta (theta' + beta) in psi, with theta'' = -1 - theta' / 2."""
    found = criticality(sticking(1.0))
    velocity = -2 + 1.9 * np.exp(-0.5)
    assert found.equilibrium.psi == pytest.approx(0.1 * abs(velocity + 0.1), rel=1e-7)
    assert found.equilibrium.gradient == found.distance == 1.0
    assert found.kind == "not critical"


@pytest.fixture(scope="module")
def to_saddle():
    return ds.simulate(ds.GradientFlow(WELL), [0.0, 1.0], t1=30.0, times=2)


def test_the_end_of_another_system_has_no_psi(to_saddle):
    found = criticality(to_saddle)
    assert (found.kind, found.equilibrium) == ("strict saddle", None)


def test_refusals(to_saddle):
    with pytest.raises(ValueError, match="needs the point `x`"):
        criticality(WELL)
    with pytest.raises(ValueError, match="so leave `x` out"):
        criticality(to_saddle, [1.0, 1.0])
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], to_saddle)
    with pytest.raises(ValueError, match="takes one trajectory, but got a batch"):
        criticality(batch)
    with pytest.raises(ValueError, match="must return a scalar"):
        criticality(lambda x: x**2, [1.0, 2.0])
    with pytest.raises(TypeError, match="must be a callable"):
        criticality(3.0, 1.0)  # pyright: ignore
    with pytest.raises(ValueError, match="`tolerance` must be at least 0"):
        criticality(WELL, [0.0, 0.0], tolerance=-1.0)
    with pytest.raises(ValueError, match="`threshold` must be positive"):
        criticality(WELL, [0.0, 0.0], threshold=0.0)
    with pytest.raises(ValueError, match="is not finite at `x`"):
        criticality(lambda x: x ** (1 / 3), 0.0)
    with pytest.raises(NotPiecewiseSmooth, match="The loss jumps"):
        criticality(lambda t: jnp.where(t > 0, 1.0, 0.0) + t**2, 0.0)
