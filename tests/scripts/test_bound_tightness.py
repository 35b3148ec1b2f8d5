import numpy as np

from dynsys.analysis.newton.observed_constants import observed_order
from scripts.bound_tightness import FAST, KICKED, REST, SLOW, largest, main, ratios


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "bound_tightness", tmp_path)


def test_ratios_are_those_of_the_closed_form():
    """The largest ratios of two exponentials and the formulas, on 20,001 times."""
    found = ratios(KICKED, np.array([1e-2, 1e-4, 1e-6]))
    np.testing.assert_allclose(found, [0.474738, 0.499391, 0.499990], atol=1e-4)
    found = ratios(REST, np.logspace(-1, -5, 5))
    exact = [0.522593, 0.860945, 0.975001, 0.996398, 0.999531]
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_orders_are_one_and_one_half():
    masses = np.array([1e-4, 1e-6, 1e-8])
    assert abs(observed_order(masses, largest(SLOW, masses)) - 1.0) < 0.01
    assert abs(observed_order(masses, largest(FAST, masses)) - 0.5) < 0.01
