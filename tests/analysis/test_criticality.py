"""How far points are from being critical: kinks, terms, Hessians, equilibria of g-DIN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.analysis.criticality import criticality
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


@pytest.fixture(scope="module")
def sticking():
    """g-DIN on |theta|, of which theory knows everything."""
    system = ds.GDIN(absolute, 0.5, 0.1)
    start = system.state(1.0, 0.95)
    return lambda t1: ds.simulate(system, start, t1=t1, dense=True, **TIGHT)


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
