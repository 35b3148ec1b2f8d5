import numpy as np
import pytest

from dynsys.analysis.newton.comparison import compare_with_newton
from scripts.newton_acceleration import BETA, CASES, main, measure, predict

COUNT = 60


@pytest.fixture(scope="module")
def last_decades():
    """Change of ln(x/x_N) over the last three decades, measured and predicted."""
    both = [(measure(case, COUNT), predict(case, COUNT)) for case in CASES]
    return np.array([[one[-1] - one[COUNT // 2] for one in pair] for pair in both])


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "newton_acceleration", tmp_path)


def test_curves_go_where_their_labels_say(last_decades):
    verdicts = [compare_with_newton(case.epsilon, case.alpha, BETA) for case in CASES]
    assert verdicts == ["slower", "same rate", "faster"]
    slower, same, faster = last_decades[:, 0]
    assert slower > 1
    assert abs(same) < 0.05
    assert faster < -1


def test_the_prediction_lies_on_the_measured_curve(last_decades):
    np.testing.assert_allclose(*last_decades.T, atol=0.05)
