import numpy as np
import pytest

from dynsys.analysis.rates.decay_rate import decay_rate
from scripts.rates import (
    DAMPINGS,
    exact_rate,
    main,
    proved_exponent,
    solve_power,
    solve_quadratic,
)


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "rates", tmp_path)


def test_on_the_flat_minimum_the_proved_power_is_measured():
    found = decay_rate(solve_power(4.0, 200))
    assert found.model == "power law"
    assert proved_exponent(4.0) == 2
    np.testing.assert_allclose(found.power.rate, 2, atol=5e-3)


@pytest.mark.parametrize("alpha", DAMPINGS)
def test_on_the_quadratic_the_exact_exponential_is_measured(alpha):
    found = decay_rate(solve_quadratic(alpha, 601))
    assert found.model == "exponential"
    np.testing.assert_allclose(found.exponential.rate, exact_rate(alpha), rtol=1e-2)
