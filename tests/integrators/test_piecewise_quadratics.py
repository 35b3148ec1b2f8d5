"""Piecewise quadratics against exact solutions, and these against others."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import lambertw

from scripts.studies.kinked_line import Line
from scripts.studies.line_flow import gradient_flow, momentum_flow
from scripts.studies.line_motion import Coefficients, Power, Steady, arcs
from scripts.studies.line_solutions import Motion, Start, match
from scripts.studies.piecewise_quadratics import run_case, simulator
from scripts.studies.quadratic_cases import MODES, draw
from scripts.studies.verdicts import SILENT, Outcome, Verdict, report, table

PROGRAMS = [
    ("gradient flow", (3, 3)),
    ("g-DIN", (2, 4)),
    ("DIN", (1, 6)),
    ("VM-DIN-AVD", (1, 2)),
]


def line(curvature, slope, *kinks):
    weights, knots = np.array(kinks, float).reshape(-1, 2).T
    return Line(curvature, slope, weights, knots)


@pytest.mark.slow
@pytest.mark.parametrize(("system", "shape"), PROGRAMS)
def test_runs_are_exact_solutions_or_say_that_they_are_not(system, shape):
    modes = [*MODES] * 2
    cases = [draw(1, i, mode, (system, shape), "leaves") for i, mode in enumerate(modes)]
    outcomes = [run_case(case, simulator(case)) for case in cases]
    assert not [str(one) for one in outcomes if one.verdict in SILENT]
    refused = [str(one) for one in outcomes if one.verdict == Verdict.REFUSED]
    assert not refused


ABSOLUTE = line(0.0, 0.0, (1.0, 0.0))


@pytest.mark.parametrize("start", [1.5, -0.75])
def test_the_oracle_of_gradient_flow_stops_at_the_kink(start):
    times = np.linspace(0, 2, 21)
    path = gradient_flow(ABSOLUTE.cells(), start, times)
    exact = np.sign(start) * np.maximum(abs(start) - times, 0)
    np.testing.assert_allclose(path.y, exact, atol=1e-15)
    assert not path.branched


def sticks(alpha, beta):
    """When g-DIN on |y| from 1 with psi = 1 - alpha beta sticks, in closed form."""
    if alpha == 0:
        u = np.sqrt(beta**2 + 2)
        ks = np.arange(1, max(int(np.ceil(u / (2 * beta))) - 1, 0) + 1)
        return u - beta + 2 * np.sum(u - 2 * beta * ks)
    a1, a2 = alpha**2 + 1 - alpha * beta, 1 - alpha * beta
    y = a1 + lambertw(-a2 * np.exp(-a1)).real
    t, u = y / alpha, 1 / alpha - (1 / alpha - beta) * np.exp(-y)
    while u > 2 * beta:
        u -= 2 * beta
        c = 1 + alpha * u
        tau = (c + lambertw(-c * np.exp(-c)).real) / alpha
        t, u = t + tau, tau - u
    return t


# A tiny exponent changes nothing, and takes the path of coefficients that vary.
@pytest.mark.parametrize("exponent", [0.0, 1e-300])
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.3), (0.5, 0.1), (1.0, 0.7)])
def test_the_oracle_of_the_momentum_form_sticks_when_it_should(alpha, beta, exponent):
    t = sticks(alpha, beta)
    coefficients = Coefficients(Power(1.0), Power(alpha, exponent), beta)
    times = np.array([0.0, t - 1e-5, t + 1e-9, t + 1])
    path = momentum_flow(ABSOLUTE.cells(), coefficients, (1.0, -beta), times)
    assert path.y[1] != 0
    np.testing.assert_array_equal(path.y[2:], 0)


def test_the_oracle_holds_and_leaves_when_it_should():
    """J = rho |y| + c y with c > rho holds beta ln(1 + u/(beta (c - rho)))."""
    c, beta, a = 1.5, 0.2, 0.5
    u = np.sqrt(0.25**2 - 2 * a * 0.01)
    arrives = (0.25 - u) / a
    leaves = arrives + beta * np.log(1 + u / (beta * a))
    times = np.array([0.0, arrives - 1e-6, arrives + 1e-9, leaves - 1e-9, leaves + 0.1])
    coefficients = Coefficients(Power(1.0), Power(0.0), beta)
    tilted = line(0.0, c, (1.0, 0.0)).cells()
    y = momentum_flow(tilted, coefficients, (-0.01, 0.25), times).y
    assert y[1] < 0
    np.testing.assert_array_equal(y[2:4], 0)
    np.testing.assert_allclose(y[4], -a * 0.1**2 / 2, atol=1e-12)


def test_a_concave_kink_is_crossed_or_branches():
    concave = line(1.0, 0.0, (-1.0, 0.0)).cells()
    times = np.linspace(0, 3, 7)
    sides = [gradient_flow(concave, 0.0, times, side=side) for side in (-1, 1)]
    for side, path in zip((-1, 1), sides, strict=True):
        np.testing.assert_allclose(path.y, side * -np.expm1(-times), atol=1e-15)
        assert path.branched
    coefficients = Coefficients(Power(1.0), Power(0.5), 0.4)
    alpha, beta = 0.5, 0.4
    b = alpha + beta
    w = np.sqrt(4 - b**2) / 2
    waves = np.cos(w * times) - (beta - b / 2) / w * np.sin(w * times)
    path = momentum_flow(concave, coefficients, (0.0, 0.0), times)
    np.testing.assert_allclose(path.y, 1 - np.exp(-b * times / 2) * waves, atol=1e-13)
    assert path.branched
    across = momentum_flow(concave, coefficients, (0.3, -2.0), times)
    assert not across.branched
    assert across.y.min() < -0.3


@pytest.mark.parametrize("b", [0.0, 0.3, 2.0, 2.0 + 1e-9, 7.0])
@pytest.mark.parametrize("k", [0.0, 0.2, 1.0])
def test_the_closed_form_is_the_matrix_exponential(b, k):
    h, y, v = 0.4, -1.2, 0.7
    motion = Steady(b, k, h, 0.5, y, v)
    matrix = np.array([[0, 1, 0], [-k, -b, -h], [0, 0, 0]])
    for tau in (1e-6, 0.1, 1.0, 6.0):
        exact = expm(tau * matrix) @ [y, v, 1.0]
        np.testing.assert_allclose(motion.at(0.5 + tau), exact[:2], atol=1e-13)


@pytest.mark.parametrize("b", [0.0, 0.3, 2.0, 2.0 + 1e-9, 7.0])
@pytest.mark.parametrize("k", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("v", [-6.0, -2.0, -0.7, 0.0, 0.7, 2.0])
def test_steady_arcs_turn_where_the_velocity_vanishes(b, k, v):
    coefficients = Coefficients(Power(1.0), Power(b), 0.0)
    found = list(arcs(coefficients, (k, 0.4), (0.5, -1.2, v), 9.0))
    times = np.linspace(0.5, 9.0, 3000)[1:]
    moving = np.array([found[0].at(t)[1] for t in times])
    assert len(found) == 1 + np.sum(moving[1:] * moving[:-1] < 0)
    ends = [arc.end for arc in found[:-1]]
    np.testing.assert_allclose([found[0].at(t)[1] for t in ends], 0, atol=1e-13)
    assert [arc.start for arc in found] == [0.5, *ends]


def test_arcs_of_varying_coefficients_turn_where_the_velocity_vanishes():
    coefficients = Coefficients(Power(0.5, 0.7), Power(0.3, 0.2), 0.2)
    found = list(arcs(coefficients, (2.0, 0.1), (0.0, 1.0, -0.3), 8.0))
    for arc in found:
        speeds = [arc.at(t)[1] for t in np.linspace(arc.start, arc.end, 30)[1:-1]]
        assert (np.array(speeds) > 0).all() or (np.array(speeds) < 0).all()
    assert found[-1].end == 8.0


SEVERAL = line(0.8, 0.3, (0.6, 0.0), (-0.4, 0.5), (0.9, -0.7), (0.3, -0.7))


def smoothed(coefficients, width, start, times):
    """The momentum form with sqrt(z^2 + width^2) for |z|, by an implicit solver."""

    def gradient(y):
        z = y - SEVERAL.knots
        kinks = SEVERAL.weights @ (z / np.sqrt(z**2 + width**2))
        return SEVERAL.curvature * y + SEVERAL.slope + kinks

    epsilon, alpha, beta = coefficients

    def field(t, state):
        y, p = state
        v = (p - beta * gradient(y)) / epsilon(t)
        rate = -epsilon.exponent * epsilon(t) / (1 + t)
        return [v, (rate - alpha(t)) * v - gradient(y)]

    p = epsilon(0) * start[1] + beta * gradient(start[0])
    options = {"method": "Radau", "rtol": 1e-9, "atol": 1e-12}
    return solve_ivp(field, times[[0, -1]], [start[0], p], t_eval=times, **options).y[0]


@pytest.mark.parametrize(
    "coefficients",
    [
        Coefficients(Power(1.0), Power(0.4), 0.3),
        Coefficients(Power(0.7, 0.6), Power(0.5, 0.3), 0.2),
    ],
)
def test_the_oracle_is_the_limit_of_smooth_losses(coefficients):
    times, start = np.linspace(0, 6, 25), (2.0, -0.5)
    exact = momentum_flow(SEVERAL.cells(), coefficients, start, times).y
    errors = [
        np.abs(smoothed(coefficients, width, start, times) - exact).max()
        for width in (1e-4, 1e-5)
    ]
    assert errors[1] < 1e-4
    assert errors[1] < 0.15 * errors[0]


def test_rescaling_moves_the_solution_with_it():
    for number in range(6):
        case = draw(3, number, "random", ("g-DIN", (2, 4)), "leaves")
        data = case.data
        y = data.coordinates(case.x)
        back = data.shift + data.scale * data.rotation @ (y + data.centre)
        np.testing.assert_allclose(back, case.x, rtol=1e-9)
        knots = [one.knots for one in data.lines()]
        expected = data.offsets / data.factors - data.centre[:, None]
        np.testing.assert_allclose(knots, expected, atol=1e-12)


def motion(function, start, **options):
    coefficients = Coefficients(Power(1.0), Power(0.5), 0.3)
    plain = Motion(function, Start(*start), coefficients, np.linspace(0, 3, 7), 1e-14, 1e-9)
    return plain._replace(**options)


def test_a_match_tells_right_from_wrong():
    case = motion(SEVERAL, (1.0, 0.0))
    y = case.branches()[0].y
    assert match(case, y).verdict == Verdict.RIGHT
    assert match(case, y + 1e-7).verdict == Verdict.RIGHT
    assert match(case, y + 1e-4).verdict == Verdict.WRONG


def test_kinks_that_rounding_separates_may_be_one():
    """A convex and a concave kink: separate, the convex one is a trap."""
    apart = line(0.0, 1.0, (1.5, 1e-13), (-1.4, 0.0))
    one = line(0.0, 1.0, (1.5, 0.0), (-1.4, 0.0))
    case = motion(apart, (1.0, 0.0), coefficients=None)
    merged = gradient_flow(one.cells(), 1.0, case.times).y
    assert np.abs(merged - case.branches()[0].y).max() > 0.1
    assert match(case, merged).verdict == Verdict.AS_ONE
    assert match(case._replace(grain=1e-13), merged).verdict == Verdict.RIGHT
    far = case._replace(line=line(0.0, 1.0, (1.5, 1e-6), (-1.4, 0.0)))
    assert match(far, merged).verdict == Verdict.WRONG


def test_a_report_counts_and_lists_and_fails(capsys):
    outcomes = [
        Outcome(2, "near", Verdict.WRONG, 0.5, "g-DIN"),
        Outcome(1, "near", Verdict.RIGHT),
        Outcome(0, "far", Verdict.REFUSED, 0.0, "ValueError: `a` must be positive"),
    ]
    assert report(outcomes) == 1
    shown = capsys.readouterr().out
    assert "near: g-DIN" in shown
    assert "must be positive" in shown
    assert "3 cases: 1 silently wrong, 1 refused" in shown
    assert report(outcomes[1:]) == 0
    assert table(outcomes).splitlines()[-1].split()[0] == "all"
