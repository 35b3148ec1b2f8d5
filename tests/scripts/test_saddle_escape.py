import numpy as np
import pytest

from dynsys.analysis.critical_points.escape_statistics import escape_statistics
from scripts.saddle_escape import (
    METHODS,
    RADIUS,
    STARTS,
    STEP,
    WELL,
    flow_escapes,
    iterate,
    iteration_escapes,
    main,
    predictions,
    solve,
    starts,
)

pytestmark = pytest.mark.slow

ROOT = 2**0.5
ENDS = [(0, 0), (0, 0), (-ROOT, 0), (ROOT, 0)]
COUNT = 40


@pytest.fixture(scope="module")
def points():
    return starts(COUNT)


@pytest.fixture(scope="module")
def predicted(points):
    return predictions(points)


def everything(ends):
    return escape_statistics(ends.reshape(-1, 2), np.zeros(2), WELL.facts.minimisers)


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "saddle_escape", tmp_path)


def test_inna_ends_where_the_paper_says():
    """1000 iterations: on the stable manifold at the saddle, off it at a minimiser."""
    ends = [iterate(np.array(s.theta), s.alpha, s.beta, 1000)[-1] for s in STARTS]
    # Along the axis with (2, 1) the slow root is -0.586: exp(-0.586 * 20) = 8e-6.
    np.testing.assert_allclose(ends, ENDS, atol=1e-5)


def test_the_flow_ends_where_the_iterations_do():
    paths = solve(201)
    np.testing.assert_allclose([path.x[-1] for path in paths], ENDS, atol=1e-3)
    # On the axis exactly: there is nothing that could grow.
    assert not np.asarray(paths[0].x[:, 0]).any()
    assert not np.asarray(paths[1].x[:, 0]).any()


def test_gradient_descent_is_inna_with_both_dampings_one(points):
    theta = points[:1]
    for _ in range(50):
        x, y = theta.T
        theta = theta - STEP * np.stack([4 * x**3 - 8 * x, 2 * y], axis=-1)
    np.testing.assert_allclose(iterate(points[:1], 1.0, 1.0, 50)[-1], theta, rtol=1e-12)


def test_all_iterations_leave_the_saddle_and_when_the_map_predicts(predicted):
    """The paper's 1000 starts and 2000 iterations."""
    many = starts(1000)
    counts, ends = iteration_escapes(many, 2000)
    found = everything(ends)
    assert (found.stuck, found.elsewhere, found.failed) == (0, 0, 0)
    assert found.total == 3000
    assert found.largest_distance < 1e-9
    _, expected, _ = predictions(many)
    # The first whole number after the prediction, seldom one more: the quartic term.
    late = counts - np.ceil(expected)
    assert set(np.unique(late)) <= {0, 1}
    assert late.mean() < 0.05
    medians = np.median(counts, axis=1)
    assert medians[0] > medians[1] > medians[2]


def test_all_flows_leave_the_saddle_when_the_linearisation_predicts(points, predicted):
    when, ends = flow_escapes(points)
    found = everything(ends)
    assert found.escaped == 1
    assert found.elsewhere == 0
    assert found.largest_distance < 1e-4
    np.testing.assert_allclose(when, predicted[0], atol=2e-3)
    assert (np.sign(ends[..., 0]) == np.sign(points[:, 0])).all()


def test_the_rates_are_the_positive_roots(predicted):
    roots = [max(np.roots([1, m.alpha - 8 * m.beta, -8])) for m in METHODS]
    np.testing.assert_allclose(predicted[2], roots, rtol=1e-12)
    assert roots == sorted(roots)


def test_predictions_are_those_of_the_linear_equation_solved_by_hand(points, predicted):
    """theta'' + (alpha - 8 beta) theta' - 8 theta = 0 from theta' = 8 theta."""
    for method, times in zip(METHODS, predicted[0], strict=True):
        low, high = np.sort(np.roots([1, method.alpha - 8 * method.beta, -8]))
        amplitude = np.abs(points[:, 0]) * (8 - low) / (high - low)
        np.testing.assert_allclose(times, np.log(RADIUS / amplitude) / high, rtol=1e-9)
