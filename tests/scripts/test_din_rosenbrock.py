import numpy as np
import pytest

from scripts.din_rosenbrock import main, simulate

pytestmark = pytest.mark.slow

# Event-driven integration of the inclusion with rtol 1e-12, alpha = 1.3, beta = 0.1.
EXACT = {
    0.5: (-1.1796119206, 1.1818201352),
    1.0: (-1.0513824123, 1.0538822860),
    2.0: (-0.7177979251, 0.7202979251),
    5.0: (0.2261791526, 0.2236791492),
    10.0: (1.0000000000, 1.0000000001),
}


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "din_rosenbrock", tmp_path)


def test_run_with_larger_alpha_agrees_with_the_exact_solution():
    path = simulate(1.3, 0.1, times=201)
    at = np.searchsorted(path.t, list(EXACT))
    np.testing.assert_allclose(path.t[at], list(EXACT), rtol=1e-12)
    np.testing.assert_allclose(path.x[at], list(EXACT.values()), rtol=0, atol=1e-8)
