import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds


def contour(ax):
    return ax.collections[0]


def markers(ax, marker):
    lines = [line for line in ax.lines if line.get_marker() == marker]
    return np.array([line.get_xydata()[0] for line in lines])


def test_the_path_drawn_is_the_trajectory(objective, trajectory, ax):
    ds.plots.level_lines(objective, trajectory, ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), trajectory.x)


def test_start_end_minimisers_and_saddle_are_marked(objective, trajectory, ax):
    ds.plots.level_lines(objective, trajectory, ax=ax)
    start, end = markers(ax, "o")[::-1]
    np.testing.assert_array_equal(start, trajectory.x[0])
    np.testing.assert_array_equal(end, trajectory.x[-1])
    np.testing.assert_allclose(markers(ax, "*"), objective.facts.minimisers)
    np.testing.assert_allclose(markers(ax, "X"), objective.saddles)


def test_a_common_start_is_marked_once(objective, trajectory, gradient_flow, ax):
    ds.plots.level_lines(objective, trajectory, gradient_flow, mark_ends=False, ax=ax)
    assert len(markers(ax, "o")) == 1


def test_trajectories_and_minimisers_lie_within_the_limits(objective, trajectory, ax):
    ds.plots.level_lines(objective, trajectory, ax=ax)
    points = np.concatenate([trajectory.x, objective.facts.minimisers])
    for values, (low, high) in zip(points.T, (ax.get_xlim(), ax.get_ylim()), strict=True):
        assert low < values.min()
        assert values.max() < high


def test_level_lines_have_the_value_of_their_level(ax):
    f = ds.objectives.LogCosh([1.0, 10.0])
    ds.plots.level_lines(f, limits=((-2, 2), (-1, 1)), levels=[0.1, 1.0, 4.0], ax=ax)
    for level, line in zip((0.1, 1.0, 4.0), contour(ax).get_paths(), strict=True):
        values = jax.vmap(f)(jnp.asarray(line.vertices))
        # Linear interpolation on a grid of spacing 0.01 and curvature 11.
        np.testing.assert_allclose(values, level, atol=11 * 0.01**2)


def test_levels_are_spaced_evenly_on_a_log_scale(objective, trajectory, ax):
    ds.plots.level_lines(objective, trajectory, levels=9, ax=ax)
    levels = contour(ax).levels
    assert len(levels) == 9
    np.testing.assert_allclose(levels[1:] / levels[:-1], levels[1] / levels[0])


def test_kinks_on_round_numbers_are_creases_of_the_level_lines(ax):
    f = ds.objectives.NonsmoothRosenbrock()
    limits = ((-1.53, 1.57), (-0.31, 1.87))
    ds.plots.level_lines(f, limits=limits, levels=[100.0], resolution=50, ax=ax)
    (line,) = contour(ax).get_paths()
    tip = line.vertices[line.vertices[:, 1] > 0.9]
    at_kink = tip[np.abs(tip[:, 0]) < 1e-12]
    # f(0, x2) = 100 x2^2 + 1; the crease is one vertex of the polygon.
    assert len(at_kink) == 1
    np.testing.assert_allclose(at_kink[0, 1], np.sqrt(0.99), atol=1e-3)
    assert at_kink[0, 1] == tip[np.abs(tip[:, 0]) < 0.1, 1].min()


def test_a_plain_function_needs_only_limits(ax):
    ds.plots.level_lines(lambda x: jnp.sum(x**2) - 3.0, limits=((-1, 1), (-1, 1)), ax=ax)
    assert len(contour(ax).get_paths()) == 14


@pytest.mark.parametrize(
    "objective",
    [
        ds.objectives.LogCosh([1.0, 2.0, 3.0]),
        ds.objectives.Rosenbrock(dim=3),
        lambda x: x[0] + x @ jnp.ones(3),
    ],
)
def test_an_objective_that_is_not_of_two_variables_is_refused(objective):
    with pytest.raises(ValueError, match="must be a function of 2 variables"):
        ds.plots.level_lines(objective, limits=((-1, 1), (-1, 1)))


def test_an_objective_that_is_not_scalar_is_refused():
    with pytest.raises(ValueError, match="must return a scalar"):
        ds.plots.level_lines(lambda x: x**2, limits=((-1, 1), (-1, 1)))


def test_a_trajectory_in_place_of_the_objective_is_refused():
    with pytest.raises(TypeError, match=r"comes first: level_lines\(f, trajectory\)"):
        ds.plots.level_lines(None)


def test_a_trajectory_that_is_not_in_the_plane_is_refused(make_trajectory):
    system = ds.GradientFlow(ds.objectives.LogCosh([1.0, 2.0, 3.0]))
    path = make_trajectory(system, jnp.arange(5.0), jnp.ones((5, 3)), jnp.ones((5, 3)))
    with pytest.raises(ValueError, match=r"positions of shape \(2,\), but got \(3,\)"):
        ds.plots.level_lines(ds.objectives.DoubleWell(), path)


def test_neither_trajectory_nor_limits_is_refused(objective):
    with pytest.raises(ValueError, match="neither a trajectory nor limits"):
        ds.plots.level_lines(objective)


@pytest.mark.parametrize("limits", [(0, 1), ((1, 0), (0, 1))])
def test_limits_that_are_not_increasing_pairs_are_refused(objective, limits):
    with pytest.raises(ValueError, match="two increasing pairs"):
        ds.plots.level_lines(objective, limits=limits)


@pytest.mark.parametrize(
    ("objective", "what"),
    [
        (lambda x: 0.0 * x[0], "constant"),
        (lambda x: jnp.log(x[0] - 5.0), "nowhere finite"),
    ],
)
def test_an_objective_without_level_lines_is_refused(objective, what):
    with pytest.raises(ValueError, match=f"it is {what} there. Pass other `limits`"):
        ds.plots.level_lines(objective, limits=((-1, 1), (-1, 1)))


def test_an_objective_that_is_not_finite_everywhere_is_drawn_where_it_is(ax):
    f = lambda x: x[1] ** 2 - jnp.log(x[0])
    ds.plots.level_lines(f, limits=((-1, 1), (-1, 1)), ax=ax)
    drawn = np.concatenate([path.vertices for path in contour(ax).get_paths()])
    assert (drawn[:, 0] > 0).all()


def test_no_levels_are_refused(objective):
    with pytest.raises(ValueError, match="`levels` must be at least 1"):
        ds.plots.level_lines(objective, limits=((-1, 1), (-1, 1)), levels=0)
