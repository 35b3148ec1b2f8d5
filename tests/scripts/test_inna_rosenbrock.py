import numpy as np
import pytest

from scripts.din_rosenbrock import RUNS
from scripts.inna_rosenbrock import follow, main, numbers

pytestmark = pytest.mark.slow

TIMES = 201
# When the third run crosses theta_1 = 0 and 1, by integration from event to event.
CROSSINGS = (3.911841, 7.164822)


@pytest.fixture(scope="module")
def pairs():
    return [follow(alpha, beta, TIMES) for _, alpha, beta in RUNS]


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "inna_rosenbrock", tmp_path)


def test_iterates_and_solution_are_compared_at_the_same_times(pairs):
    for pair in pairs:
        for path in pair.paths:
            np.testing.assert_allclose(path.t, pair.flow.t, rtol=0, atol=1e-9)


def test_all_runs_start_where_and_as_fast_as_in_the_poster(pairs):
    for pair in pairs:
        np.testing.assert_allclose(pair.flow.v[0], (-9.9, -10.0), rtol=1e-12)
        for path in pair.paths:
            state = path.state(0)
            np.testing.assert_array_equal(state.theta, (-1.0, 1.5))
            velocity = path.system.velocity(0.0, state)
            np.testing.assert_allclose(velocity, (-9.9, -10.0), rtol=1e-12)


def test_lines_in_the_figure_cover_each_other(pairs):
    """An inch is about 2 units, so that 0.006 is a quarter of a point."""
    for pair in pairs:
        assert pair.distances(1).max() < 6e-3


def test_the_distance_is_that_of_a_tenth_of_the_step_times_ten_up_to_the_first_kink(pairs):
    for pair in pairs[1:]:
        early = (pair.flow.t > 0.05) & (pair.flow.t < pair.crossings()[0])
        for coarse, fine in ((0, 1), (1, 2)):
            ratio = pair.distances(coarse)[early] / pair.distances(fine)[early]
            # The second order shows most where the error turns, at t = 0.15.
            np.testing.assert_allclose(ratio, 10, rtol=0.06)


def test_the_distance_stays_of_the_order_of_the_step_behind_kinks(pairs):
    for pair in pairs:
        largest = [pair.distances(index).max() for index in range(3)]
        assert 5 < largest[0] / largest[1] < 20
        assert 5 < largest[1] / largest[2] < 20


def test_the_crossings_are_those_of_the_exact_solution(pairs):
    np.testing.assert_allclose(pairs[2].crossings(), CROSSINGS, atol=1e-6)


def test_only_the_last_run_slides(pairs):
    assert [len(pair.when(1)) for pair in pairs] == [0, 0, 2]
    # It leaves the first slide, and stays on theta_1 = 1 in the last.
    begin, last = pairs[2].when(1)
    (stop,) = pairs[2].when(2)
    assert begin < stop < last
    after = np.asarray(pairs[2].flow.t) > last
    np.testing.assert_allclose(pairs[2].flow.x[after, 0], 1, rtol=0, atol=1e-12)


def test_the_caption_says_what_was_measured(pairs):
    text = numbers(pairs)
    assert "3.912 and 7.165" in text
    assert "from 8.0857 to 8.0932, and for good from 8.3626 on" in text
    # The third run has arrived: the poster's last iterate is (0.9999944, 0.9999994).
    assert r"$5.6\cdot10^{-6}$ from $(1, 1)$" in text
