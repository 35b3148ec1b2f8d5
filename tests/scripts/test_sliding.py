import numpy as np
import pytest

from scripts.sliding import END, exact, main, multipliers_along

pytestmark = pytest.mark.slow


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "sliding", tmp_path)


def test_multipliers_stay_in_their_interval_and_end_at_its_bound():
    path = exact()
    begin, leave, stick = np.asarray(path.events.t[:3])
    np.testing.assert_allclose(
        [begin, leave, stick], [3.4822464, 5.3058019, 8.2508333], atol=1e-6
    )
    first = multipliers_along(path, np.linspace(begin + 1e-6, leave - 1e-9, 50))[:, 0]
    assert (np.abs(first) <= 1 + 1e-6).all()
    assert abs(abs(first[-1]) - 1) < 1e-6
    last = multipliers_along(path, np.linspace(stick + 1e-6, END, 50))[:, 1]
    assert (np.abs(last) <= 1).all()
