"""Coefficients that jump in time, against an oracle that is tested first."""

import math

import numpy as np
import pytest

from scripts.studies.jumping_flow import Loss, Stretch, motion
from scripts.studies.jumping_schedules import WAYS, draw, run_case
from scripts.studies.verdicts import Verdict


def constant(start, end, *values):
    return Stretch(start, end, np.array([values, values]))


def test_the_oracle_has_the_closed_form_of_a_jump_of_the_mass():
    # y'' = -y up to pi / 2, where y = 0 and y' = -1; then 4 y'' = -y, half as fast.
    pieces = [constant(0, math.pi / 2, 1, 0, 0, 1), constant(math.pi / 2, 3, 4, 0, 0, 1)]
    times = np.array([1.0, 2.0, 3.0])
    y, v = motion(Loss(1.0, 0.0, 0.0, 0.0), pieces, 1.0, 0.0, times).T
    later = (times[1:] - math.pi / 2) / 2
    np.testing.assert_allclose(y, [math.cos(1), *(-2 * np.sin(later))], atol=1e-10)
    np.testing.assert_allclose(v, [-math.sin(1), *(-np.cos(later))], atol=1e-10)


def test_the_oracle_is_held_at_a_kink_while_its_gradient_decays():
    # With f = |y|, p' = -alpha v - b g and v = p - beta g; held once p is in beta [-1, 1],
    # where g' = -b g / beta, so that it stays when the damping jumps.
    pieces = [constant(0, 1, 1, 1, 1, 1), constant(1, 2, 1, 1, 0.1, 1)]
    loss = Loss(0.0, 0.0, 1.0, 0.0)
    y, v = motion(loss, pieces, 0.1, -0.5, np.linspace(0, 2, 21)).T
    stopped = np.flatnonzero(y == 0)[0]
    assert 0 < stopped < 10
    assert (v[:stopped] < 0).all()
    np.testing.assert_array_equal(y[stopped:], 0)
    np.testing.assert_array_equal(v[stopped:], 0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 10])
def test_switches_in_all_coefficients_and_derivatives_by_their_times(number):
    case = draw(0, number)
    assert case.kinked == (number >= len(WAYS))
    outcome = run_case(0, number)
    assert outcome.verdict is Verdict.RIGHT, str(outcome)
