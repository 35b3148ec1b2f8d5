import numpy as np
import pytest

from scripts.lyapunov import family, main


@pytest.fixture(scope="module")
def members():
    return family(101)


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "lyapunov", tmp_path)


def test_only_the_energy_outside_of_the_interval_grows(members):
    growth = [member.report.rate[0] for member in members]
    assert growth[0] < growth[1] < -1
    assert growth[2] > 1
    assert [member.report.is_decreasing for member in members] == [True, True, False]


def test_what_is_left_of_the_identity_is_tiny(members):
    assert max(member.report.largest_residual for member in members) < 1e-6
    np.testing.assert_allclose([m.lam for m in members[:2]], [1.03, 1.3764], atol=1e-4)
