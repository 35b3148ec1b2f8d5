import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.dense_output import AbstractDenseOutput
from dynsys.systems import PositionState

DECAY = (jnp.arange(5.0), jnp.exp(-jnp.arange(5.0)), -jnp.exp(-jnp.arange(5.0)))


def test_objective_is_drawn_above_its_known_minimum(objective, trajectory, ax):
    ds.plots.objective_along_time(trajectory, ax=ax)
    assert ax.get_yscale() == "log"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), trajectory.objective + 4.0)


def test_objective_is_drawn_as_it_is_where_no_minimum_is_known(make_trajectory, ax):
    path = make_trajectory(ds.GradientFlow(lambda x: x**2 - 1), *DECAY)
    ds.plots.objective_along_time(path, ax=ax)
    assert ax.get_yscale() == "linear"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), path.objective)
    assert "min" not in ax.get_ylabel()


def test_a_given_minimum_is_subtracted(make_trajectory, ax):
    path = make_trajectory(ds.GradientFlow(lambda x: x**2 - 1), *DECAY)
    ds.plots.objective_along_time(path, minimum=-1.0, ax=ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), path.x**2, rtol=1e-12)


def test_scale_is_checked(trajectory):
    with pytest.raises(ValueError, match="must be 'log' or 'linear'"):
        ds.plots.objective_along_time(trajectory, scale="logarithmic")


def test_distance_is_the_norm_of_the_difference(trajectory, gradient_flow, ax):
    ds.plots.distance_along_time(trajectory, reference=gradient_flow, ax=ax)
    expected = np.linalg.norm(trajectory.x - gradient_flow.x, axis=1)
    np.testing.assert_array_equal(ax.lines[0].get_ydata()[1:], expected[1:])


class Straight(AbstractDenseOutput):
    """The path x(t) = (t, 1), known at any time."""

    t0: jax.Array
    t1: jax.Array

    @property
    def joints(self):
        return self.t1[None]

    def state(self, t):
        return PositionState(jnp.stack([t, jnp.ones_like(t)]))

    def slope(self, t):
        return PositionState(jnp.stack([jnp.ones_like(t), jnp.zeros_like(t)]))


def test_a_dense_reference_serves_any_times(make_trajectory, trajectory, ax):
    end = jnp.asarray(9.0)
    ends = jnp.array([[0.0, 1.0], [9.0, 1.0]])
    known_at_ends = make_trajectory(
        ds.GradientFlow(trajectory.system.objective), jnp.array([0.0, 9.0]), ends, ends
    )
    dense = Straight(0 * end, end)
    reference = eqx.tree_at(
        lambda path: path.dense, known_at_ends, dense, is_leaf=lambda leaf: leaf is None
    )
    ds.plots.distance_along_time(trajectory, reference=reference, ax=ax)
    t, x = trajectory.t, trajectory.x
    expected = np.hypot(x[:, 0] - t, x[:, 1] - 1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected)


def test_a_reference_at_other_times_is_refused(trajectory, gradient_flow):
    other = eqx.tree_at(lambda path: path.t, gradient_flow, gradient_flow.t + 1e-9)
    with pytest.raises(ValueError, match="`dense=True`"):
        ds.plots.distance_along_time(trajectory, reference=other)


def test_a_reference_of_other_dimension_is_refused(make_trajectory, trajectory):
    x = jnp.ones(50)
    other = make_trajectory(ds.GradientFlow(lambda x: x**2), trajectory.t, x, x)
    with pytest.raises(ValueError, match="have 2 and 1 coordinates"):
        ds.plots.distance_along_time(trajectory, reference=other)


def test_phase_portrait_draws_velocity_against_position(trajectory, ax):
    ds.plots.phase_portrait(trajectory, coordinate=1, ax=ax)
    drawn = ax.lines[1].get_xydata()
    np.testing.assert_array_equal(drawn[:, 0], trajectory.x[:, 1])
    np.testing.assert_array_equal(drawn[:, 1], trajectory.v[:, 1])


def test_phase_portrait_counts_coordinates_through_all_leaves(make_trajectory, ax):
    f = lambda x: jnp.sum(x["a"] ** 2) + x["b"] ** 2
    x = {"a": jnp.ones((5, 2)), "b": jnp.arange(5.0)}
    path = make_trajectory(ds.HeavyBall(f, alpha=1.0), jnp.arange(5.0), x, x)
    ds.plots.phase_portrait(path, coordinate=2, ax=ax)
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), path.x["b"])


@pytest.mark.parametrize("coordinate", [-1, 2])
def test_a_coordinate_out_of_range_is_refused(trajectory, coordinate):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        ds.plots.phase_portrait(trajectory, coordinate=coordinate)
