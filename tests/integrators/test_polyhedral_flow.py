"""Polyhedral losses against exact flows, and these against other solutions."""

import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.integrate import solve_ivp
from scipy.special import softmax

from scripts.studies.kinked_line import Line
from scripts.studies.line_flow import momentum_flow
from scripts.studies.line_motion import Coefficients, Power
from scripts.studies.polyhedral import MODES, draw, loss, run_case
from scripts.studies.polyhedral_flow import Damping, Polyhedral, flow
from scripts.studies.verdicts import Verdict
from tests.integrators import polyhedral

TIMES = np.linspace(0, 6, 25)


def largest(dim):
    """The largest entry in absolute value."""
    slopes = np.vstack([np.eye(dim), -np.eye(dim)])
    return Polyhedral(slopes, np.zeros(2 * dim), np.zeros(dim), np.zeros(dim))


def separable(coefficients, slopes, weights, knots, start, velocity):
    """g-DIN one coordinate at a time."""
    columns = []
    for i in range(len(slopes)):
        line = Line(0.0, slopes[i], weights[i : i + 1], knots[i : i + 1])
        begin = (start[i], velocity[i])
        columns.append(momentum_flow(line.cells(), coefficients, begin, TIMES).y)
    return np.array(columns).T


# One program for each.
@pytest.mark.slow
@pytest.mark.parametrize("inertial", [False, True])
def test_runs_are_the_exact_flow(inertial):
    cases = [draw(2, number, (inertial, (2, 5), False)) for number in range(20)]
    assert {case.mode for case in cases} == set(MODES)
    outcomes = [run_case(case, Partial(loss, case.arrays)) for case in cases]
    assert not [str(one) for one in outcomes if one.verdict != Verdict.RIGHT]


def test_the_oracle_dies_at_the_1_norm():
    start = np.array([1.0, -0.4, 0.3])
    x = flow(largest(3), start, np.array([0.0, 1.7 - 1e-3, 1.7 + 1e-9, 3.0]))
    assert np.abs(x[1]).max() == pytest.approx(1e-3 / 3, rel=1e-6)
    np.testing.assert_allclose(x[2:], 0, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_the_oracle_agrees_with_the_one_for_maxima_only(seed):
    rng = np.random.default_rng(seed)
    slopes, offsets = rng.normal(0, 1, (7, 3)), rng.normal(0, 0.5, 7)
    start = rng.uniform(-2, 2, 3)
    plain = Polyhedral(slopes, offsets, np.zeros(3), np.zeros(3))
    times, corners = zip(*polyhedral.flow(slopes, offsets, start, 6.0), strict=True)
    rows = np.array(corners).T
    exact = np.array([np.interp(TIMES, times, row) for row in rows]).T
    np.testing.assert_allclose(flow(plain, start, TIMES), exact, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_the_oracle_of_the_momentum_form_is_separable_for_the_largest_entry(alpha):
    """max(|x1|, |x2|) = (|x1 + x2| + |x1 - x2|) / 2."""
    start, velocity = np.array([1.0, 0.3]), np.array([0.2, -0.7])
    x = flow(largest(2), start, TIMES, Damping(alpha, 0.2), velocity)
    turn = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    coefficients = Coefficients(Power(1.0), Power(alpha), 0.2)
    weights, zero = np.full(2, np.sqrt(0.5)), np.zeros(2)
    begin = (turn @ start, turn @ velocity)
    exact = separable(coefficients, zero, weights, zero, *begin) @ turn
    np.testing.assert_allclose(x, exact, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_oracle_of_the_momentum_form_is_separable_for_the_1_norm(seed):
    rng = np.random.default_rng(seed)
    slopes, weights, knots = (
        rng.normal(0, 0.5, 3),
        rng.uniform(0.2, 1, 3),
        rng.normal(size=3),
    )
    start, velocity = rng.normal(size=(2, 3))
    function = Polyhedral(np.tile(slopes, (3, 1)), np.zeros(3), weights, knots)
    x = flow(function, start, TIMES, Damping(0.4, 0.3), velocity)
    coefficients = Coefficients(Power(1.0), Power(0.4), 0.3)
    exact = separable(coefficients, slopes, weights, knots, start, velocity)
    np.testing.assert_allclose(x, exact, atol=1e-10)


def smoothed(function, damping, width, start, velocity):
    """g-DIN with a soft maximum and sqrt(z^2 + width^2), by an implicit solver."""

    def gradient(x):
        rows = softmax((function.slopes @ x + function.offsets) / width)
        z = x - function.knots
        return rows @ function.slopes + function.weights * z / np.hypot(z, width)

    def field(_, state):
        x, p = np.split(state, 2)
        g = gradient(x)
        v = p - damping.beta * g
        return np.concatenate([v, -damping.alpha * v - g])

    p = velocity + damping.beta * gradient(start)
    options = {"method": "Radau", "rtol": 1e-7, "atol": 1e-9, "t_eval": TIMES}
    return solve_ivp(field, TIMES[[0, -1]], [*start, *p], **options).y[: len(start)].T


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_oracle_of_the_momentum_form_is_the_limit_of_smooth_losses(number):
    rng = np.random.default_rng(number)
    slopes, knots = rng.normal(0, 1, (6, 2)), rng.uniform(-0.5, 0.5, 2)
    offsets = -slopes @ knots if number == 0 else rng.normal(0, 0.5, 6)
    function = Polyhedral(slopes - slopes.mean(0), offsets, np.array([0.3, 0.0]), knots)
    start, velocity = rng.uniform(-2, 2, (2, 2))
    damping = Damping(0.5, 0.3)
    exact = flow(function, start, TIMES, damping, velocity)
    errors = [
        np.abs(smoothed(function, damping, width, start, velocity) - exact).max()
        for width in (1e-2, 1e-3)
    ]
    assert errors[1] < 1e-2
    assert errors[1] < 0.2 * errors[0]


def test_the_oracle_does_not_depend_on_duplicates_or_on_rows_below():
    rng = np.random.default_rng(5)
    slopes, offsets = rng.normal(0, 1, (6, 3)), np.zeros(6)
    slopes -= slopes.mean(0)
    start = rng.normal(size=3)
    plain = Polyhedral(slopes, offsets, np.full(3, 0.1), np.zeros(3))
    more = plain._replace(
        slopes=np.vstack([slopes, slopes[::-1], slopes[:1]]),
        offsets=np.concatenate([offsets, offsets, [-9.0]]),
    )
    for damping in (None, Damping(0.3, 0.2)):
        one, other = (flow(each, start, TIMES, damping) for each in (plain, more))
        np.testing.assert_allclose(one, other, atol=1e-9)
