import numpy as np
import pytest

from dynsys.analysis import energy
from scripts.energy_along_kinks import TOLERANCES, follow, main

pytestmark = pytest.mark.slow


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "energy_along_kinks", tmp_path)


def test_what_is_left_of_the_identity_falls_with_the_tolerance():
    paths = [follow(rtol, 121) for rtol in TOLERANCES]
    left = [energy(path).largest_residual for path in paths]
    assert (np.diff(np.log10(left)) < -1).all()
    assert int(paths[-1].events.count) == 5
    assert energy(paths[-1]).is_decreasing
