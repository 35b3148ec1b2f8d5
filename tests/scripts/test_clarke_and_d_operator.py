import numpy as np

from scripts.clarke_and_d_operator import CASES, intervals, main


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "clarke_and_d_operator", tmp_path)


def test_the_sets_are_those_of_the_talk():
    clarke, operator = intervals(CASES[0], np.array([-0.5, 0.0]))
    np.testing.assert_allclose(clarke, 0, atol=1e-12)
    np.testing.assert_allclose(operator, [[0, 0], [-2, 2]], atol=1e-12)
    clarke, operator = intervals(CASES[1], np.array([-0.5, 0.0]))
    np.testing.assert_allclose(clarke, 1, atol=1e-12)
    np.testing.assert_allclose(operator, [[1, 1], [0, 2]], atol=1e-12)
