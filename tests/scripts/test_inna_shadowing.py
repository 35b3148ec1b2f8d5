import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.algorithms import energy_along, shadowing
from scripts.inna_shadowing import (
    SCHEDULES,
    START,
    STEP,
    along,
    batches,
    by_step,
    flow,
    follow,
    grazing,
    main,
    spurious,
)

pytestmark = pytest.mark.slow


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "inna_shadowing", tmp_path)


def test_the_loss_is_that_of_a_neuron():
    found = batches()
    features, targets = map(np.asarray, found.data)
    exact = np.abs(np.maximum(features @ START, 0) - targets).mean()
    assert float(found.objective(jnp.array(START))) == pytest.approx(exact, rel=1e-14)
    assert (found.size, found.samples) == (1, 24)


@pytest.mark.parametrize("one", SCHEDULES, ids=lambda one: one.label)
def test_paths_have_their_step_sizes_and_end_when_they_should(one):
    path = follow(one, 3.0, None)
    k = np.arange(len(path.t))
    exact = {
        "constant": np.full(len(k), STEP),
        r"$1/\log k$": STEP * np.log(3) / np.log(k + 3.0),
        "$k^{-1/4}$": STEP * (k + 1.0) ** -0.25,
        "$k^{-1/2}$": STEP * (k + 1.0) ** -0.5,
    }[one.label]
    np.testing.assert_allclose(path.gamma, exact, rtol=1e-12)
    # It ends with the first iterate at or after its end, up to the rounding of the sums.
    assert path.t[-2] - 1e-9 <= 3.0 <= path.t[-1] + STEP
    assert path.t[-1] <= 3.0 + STEP


def test_small_constant_steps_reach_the_end_too():
    path = follow(SCHEDULES[0]._replace(rate=3e-3), 1.0, None)
    assert float(path.t[-1]) == pytest.approx(1.0, abs=4e-3)


def test_smaller_steps_are_closer_and_mini_batches_farther():
    distances = along(4.0, 3)
    for is_batch in (False, True):
        constant, *_, half = (one.distance[-1] for one in distances[is_batch])
        assert half < constant / 2
    assert distances[True][-1].distance.mean() > 3 * distances[False][-1].distance.mean()
    means = by_step(np.array([1e-1, 1e-2]), 4.0, 3)
    assert 4 < means[False][0] / means[False][1] < 25
    assert 1.5 < means[True][0] / means[True][1] < 8


def test_the_inverse_logarithm_is_near_the_fourth_root_so_early_and_the_others_are_not():
    runs = [shadowing(follow(one, 30.0, None), 1.0, 4) for one in SCHEDULES]
    constant, fourth, logarithm, root = (run.distance[-1] for run in runs)
    assert 0.8 < logarithm / fourth < 1.25
    assert constant > 4 * max(fourth, logarithm)
    assert min(fourth, logarithm) > 4 * root


def test_the_grey_time_lies_between_two_kinks_that_the_flow_meets_on_a_third():
    features, targets = map(np.asarray, batches().data)
    begin, end = grazing(20.0)
    found = flow(follow(SCHEDULES[0], 1.0, None), 0, 20.0)
    t = np.asarray(found.t)
    at = {when: np.asarray(found.x)[np.abs(t - when).argmin()] for when in (14, 15, 18)}
    residuals = [np.abs(features @ theta - targets) for theta in at.values()]
    kink = int(np.argmin(residuals[0]))
    assert all(one[kink] < 1e-9 for one in residuals)
    for when, other in ((begin, 19), (end, 4)):
        nearest = np.interp(when, t, np.asarray(found.x) @ features[other])
        assert abs(nearest) < 2e-4

    def slope(theta):
        """Away from the kink, on its lower side."""
        normal = features[kink] / np.linalg.norm(features[kink])
        active = features @ (theta - 1e-7 * normal)
        signs = np.sign(np.maximum(active, 0) - targets) * (active > 0)
        return abs(signs @ features / len(targets) @ normal)

    assert slope(at[15]) == pytest.approx(slope(at[18]), rel=1e-12)
    assert slope(at[14]) > 90 * slope(at[15])


def test_distances_plunge_in_windows_without_a_kink():
    path = follow(SCHEDULES[2], 20.0, None)
    found = shadowing(path, 1.0, 20)
    starts = np.searchsorted(path.t, found.t)
    kinks = np.array([int(flow(path, i, 1.0).events.count) for i in starts[12:18]])
    distance = found.distance[12:18]
    assert (kinks == 0).sum() == 2
    assert distance[kinks == 0].max() < distance[kinks > 0].min() / 20


def test_mini_batches_make_the_energy_rise():
    rises = [
        energy_along(follow(SCHEDULES[0], 12.0, gradient)).largest_increase
        for gradient in (batches(), None)
    ]
    assert rises[0] > 10 * rises[1]


def test_from_the_spurious_point_nothing_moves_and_from_beside_it_all_leave():
    t, theta = spurious(100)
    np.testing.assert_allclose(t, STEP * np.arange(101), rtol=1e-12)
    assert not theta[1].any()
    # The velocity of the flow tends to -1 / (2 alpha) = -1.
    assert (theta[[0, 2], -1] < -6).all()
