"""Least absolute deviations and medians against linear programs."""

import numpy as np
import pytest

from scripts.studies.least_absolute_deviations import (
    FIT_CASES,
    draw_fit,
    run_fit,
    run_median,
)
from scripts.studies.verdicts import Verdict


# One program for each size.
@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 8])
def test_gradient_flow_of_distances_ends_at_a_median(size):
    outcomes = [run_median(1, number, size) for number in range(20)]
    assert not [str(one) for one in outcomes if one.verdict != Verdict.RIGHT]


# One program for each.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "shape"), [("gradient flow", (10, 3)), ("g-DIN", (40, 2))]
)
def test_an_exact_fit_is_reached_and_kept(system, shape):
    outcomes = [run_fit(1, number, system, shape) for number in range(9)]
    assert not [str(one) for one in outcomes if one.verdict != Verdict.RIGHT]


@pytest.mark.parametrize("mode", FIT_CASES)
def test_the_linear_program_finds_the_exact_fit_and_ties_are_there(mode):
    fit = draw_fit(0, 3, mode, (40, 4))
    np.testing.assert_allclose(fit.rows @ fit.solution(), fit.right, atol=1e-8)
    different = len(np.unique(fit.rows, axis=0))
    assert (different <= 20) == (mode == "ties")


def test_the_time_that_is_waited_is_enough():
    """By it, the distance to the fit times the sharpness of the loss is covered."""
    fit = draw_fit(0, 4, "real", (20, 3))
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(1000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    sharpness = np.abs(directions @ fit.rows.T).mean(1).min()
    distance = np.linalg.norm(fit.start - fit.solution())
    assert distance / sharpness <= fit.time < 20 * distance / sharpness
