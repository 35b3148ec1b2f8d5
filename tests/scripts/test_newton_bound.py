import numpy as np
import pytest

from scripts.newton_bound import CASES, MASSES, distances, main


@pytest.fixture(scope="module", params=CASES, ids=["constant", "vanishing"])
def found(request):
    return distances(request.param, times=101)


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "newton_bound", tmp_path)


def test_both_bounds_hold_for_all_masses(found):
    for name in ("theorem", "linear"):
        assert all(one.holds for one in found[name])
        assert all(100 * one.allowance < one.bound.max() for one in found[name])


def test_distances_fall_like_the_mass_and_the_theorem_like_its_root(found):
    ratio = np.sqrt(MASSES[-1] / MASSES[-2])
    first, second = (one.bound.max() for one in found["theorem"][-2:])
    assert abs(second / first / ratio - 1) < 0.01
    first, second = (one.measured.max() for one in found["theorem"][-2:])
    assert abs(second / first / ratio**2 - 1) < 0.01
