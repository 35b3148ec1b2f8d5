"""Differential inclusions against exact solutions, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import lambertw

import dynsys as ds
from tests.integrators.kinked import CROSS, LEAVE, SLIDE, TIGHT, absolute, ledger


def sticking(alpha, beta, theta0):
    """Time, number of crossings and psi of g-DIN on |theta| from rest-like psi0.

    From psi0 = (1 - alpha beta) theta0; derived in closed form, with Lambert's W.
    """
    if alpha == 0:
        u = np.sqrt(beta**2 + 2 * theta0)
        number = max(int(np.ceil(u / (2 * beta))) - 1, 0)
        ks = np.arange(1, number + 1)
        return u - beta + 2 * np.sum(u - 2 * beta * ks), number, None
    a1, a2 = alpha**2 * theta0 + 1 - alpha * beta, 1 - alpha * beta
    y = a1 + lambertw(-a2 * np.exp(-a1)).real
    t, u, number = y / alpha, 1 / alpha - (1 / alpha - beta) * np.exp(-y), 0
    while u > 2 * beta:
        u -= 2 * beta
        c = 1 + alpha * u
        tau = (c + lambertw(-c * np.exp(-c)).real) / alpha
        t, u, number = t + tau, tau - u, number + 1
    return t, number, -beta * (-1) ** number * (beta - u)


@pytest.mark.parametrize(
    ("alpha", "beta", "theta0"),
    [(0.5, 0.1, 1.0), (0.0, 0.3, 1.0), (0.0, 0.1, 6.2), (1.0, 1.0, 2.0), (0.2, 0.05, 0.7)],
)
def test_g_din_sticks_to_the_kink_when_and_as_it_should(alpha, beta, theta0):
    system = ds.GDIN(absolute, alpha, beta)
    start = system.state(theta0, (1 - alpha * beta) * theta0)
    t, number, psi = sticking(alpha, beta, theta0)
    run = ds.simulate(system, start, t1=t + 1, dense=True, **TIGHT)
    times, _, kinds = ledger(run)
    assert list(kinds) == [CROSS] * number + [SLIDE]
    assert abs(times[-1] - t) < 1e-8
    assert bool(run.unique)
    assert abs(float(run(t + 0.5))) < 1e-12
    if psi is not None:
        after = run.dense.state(jnp.array(t + 0.5)).psi
        np.testing.assert_allclose(after, psi * np.exp(-0.5 / beta), atol=1e-8)


def test_gradient_flow_of_the_absolute_value():
    run = ds.simulate(ds.GradientFlow(absolute), [1.0, -2.0], t1=3.0, times=31, **TIGHT)
    t = np.asarray(run.t)[:, None]
    exact = np.sign([1.0, -2.0]) * np.maximum(np.array([1.0, 2.0]) - t, 0)
    np.testing.assert_allclose(run.x, exact, atol=1e-9)
    away = (np.abs(t[:, 0] - 1) > 1e-6) & (np.abs(t[:, 0] - 2) > 1e-6)
    speed = np.where(np.array([1.0, 2.0]) > t, -np.sign([1.0, -2.0]), 0.0)
    np.testing.assert_allclose(np.asarray(run.v)[away], speed[away], atol=1e-7)


@pytest.mark.slow
def test_gradient_flow_of_the_largest_entry_dies_at_the_1_norm():
    largest = lambda x: jnp.max(jnp.abs(x))
    run = ds.simulate(ds.GradientFlow(largest), [1.0, -0.4, 0.3], t1=2.0, **TIGHT)
    arrived = float(run.t[np.argmax(np.abs(np.asarray(run.x)).max(1) < 1e-7)])
    assert abs(arrived - 1.7) < 0.02
    np.testing.assert_allclose(run.objective[-1], 0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.4, 1.5])
def test_gradient_flow_on_a_curved_kink(rho):
    """On the parabola y = 4 x1^2 obeys y e^y = y0 e^(y0 - 4t), and leaves at 1/rho - 1."""
    loss = lambda x: rho * jnp.abs(x[1] - x[0] ** 2) + x[1]
    x1 = 1.0
    run = ds.simulate(
        ds.GradientFlow(loss), [x1, x1**2], t1=2.0, times=201, dense=True, **TIGHT
    )
    y0 = 4 * x1**2
    leave = 1 / rho - 1
    end = 2.0
    if rho < 1 and leave < y0:
        end = 0.25 * ((y0 + np.log(y0)) - (leave + np.log(leave)))
        when, _, kinds = ledger(run)
        assert LEAVE in kinds
        assert abs(when[list(kinds).index(LEAVE)] - end) < 1e-7
    on = np.asarray(run.t) < min(end, 2.0)
    y = lambertw(y0 * np.exp(y0 - 4 * np.asarray(run.t)[on])).real
    np.testing.assert_allclose(run.x[on, 0], np.sqrt(y) / 2, atol=1e-8)
    np.testing.assert_allclose(run.x[on, 1], y / 4, atol=1e-8)


def test_stick_then_leave():
    """J = rho |theta| + c theta with c > rho holds beta ln(1 + u/(beta (c - rho)))."""
    rho, c, beta = 1.0, 1.5, 0.2
    loss = lambda x: rho * jnp.abs(x) + c * x
    system = ds.GDIN(loss, 0.0, beta)
    # From theta < 0 with a speed that arrives between 0 and 2 beta rho.
    start = system.initial_state(jnp.array(0.0), jnp.array(-0.01), jnp.array(0.25))
    run = ds.simulate(system, start, t1=3.0, **TIGHT)
    when, _, kinds = ledger(run)
    assert list(kinds) == [SLIDE, LEAVE]
    a = c - rho
    # Before: theta'' = -a, so the speed of arrival follows from the energy.
    u = np.sqrt(0.25**2 - 2 * a * 0.01)
    assert 0 < u <= 2 * beta * rho
    held = beta * np.log(1 + u / (beta * a))
    np.testing.assert_allclose(when[0], (0.25 - u) / a, atol=1e-8)
    np.testing.assert_allclose(when[1] - when[0], held, atol=1e-8)
    assert float(run.x[-1]) < -0.1


@pytest.mark.slow
def test_variable_mass_drops_its_momentum_at_each_crossing():
    """On |x| the momentum epsilon x' drops by 2 beta a crossing; it sticks below that."""
    beta = 0.1
    epsilon = lambda t: 1.0 + 0.5 * t
    system = ds.VMDINAVD(absolute, epsilon, 1.0, beta)
    run = ds.simulate(system, 0.5, t1=40.0, dense=True, **TIGHT)
    when, _, kinds = ledger(run)
    assert kinds[-1] == SLIDE
    assert (kinds[:-1] == CROSS).all()
    for t, kind in zip(when, kinds, strict=True):
        before = float(epsilon(t) * run.velocity(t - 1e-7))
        after = float(epsilon(t) * run.velocity(t + 1e-7))
        if kind == CROSS:
            np.testing.assert_allclose(abs(before) - abs(after), 2 * beta, atol=1e-5)
        else:
            assert abs(before) <= 2 * beta + 1e-6
            assert abs(after) < 1e-9


@pytest.mark.slow
def test_din_avd_from_rest_sticks():
    """DIN-AVD on |x| sticks at sqrt(2 (alpha + 1) x0) iff x0 <= 2 beta^2 (alpha + 1)."""
    alpha, beta = 3.0, 0.5
    system = ds.DINAVD(absolute, alpha=alpha, beta=beta)
    x0 = 1.5
    assert x0 <= 2 * beta**2 * (alpha + 1)
    run = ds.simulate(system, x0, t1=5.0, **TIGHT)
    when, _, kinds = ledger(run)
    assert list(kinds) == [SLIDE]
    np.testing.assert_allclose(when[0], np.sqrt(2 * (alpha + 1) * x0), atol=1e-7)


@pytest.mark.slow
def test_a_concave_kink_met_exactly_has_several_solutions():
    loss = lambda x: -jnp.abs(x) + 0.5 * x**2
    alpha, beta = 0.5, 0.4
    on_it = ds.simulate(ds.GDIN(loss, alpha, beta), 0.0, t1=1.0, times=2, **TIGHT)
    assert not bool(on_it.unique)

    def field(_, y):
        drift = (1 / beta - alpha) * y[0] - y[1] / beta
        return [drift - beta * (y[0] - 1), drift]

    # Of both solutions, which are mirror images, that on the side it went to.
    start = [0.0, float(on_it.state.psi[0])]
    right = solve_ivp(field, (0, 1), start, rtol=1e-11, atol=1e-13).y[0, -1]
    assert start[1] == 0
    np.testing.assert_allclose(abs(float(on_it.x[-1])), right, atol=1e-8)
    across = ds.simulate(ds.GDIN(loss, 0.5, 0.4), 0.3, -2.0, t1=1.0)
    assert list(ledger(across)[2]) == [CROSS]
    assert bool(across.unique)


@pytest.mark.slow
def test_a_dip_past_a_kink_that_is_shorter_than_the_samples_is_seen():
    """At the top of a throw, x = t - t^2/2: two crossings 0.002 apart in a step of 1."""
    edge = 0.5 - 1e-6
    # Below the edge the two slopes cancel.
    loss = lambda x: x + 0.1 * (jnp.abs(x - edge) + x)
    run = ds.simulate(ds.DIN(loss, 0.0, 0.001), 0.0, 1.0, t1=1.5, **TIGHT)
    when, _, kinds = ledger(run)
    assert list(kinds) == [CROSS, CROSS]
    arrival = np.sqrt(2e-6)
    np.testing.assert_allclose(when[0], 1 - arrival, atol=1e-8)
    # The speed drops by 2 beta c = 2e-4 there, and beyond the force is 1.2.
    np.testing.assert_allclose(np.diff(when), 2 * (arrival - 2e-4) / 1.2, atol=1e-8)


def test_progress_is_shown_across_kinks(capfd):
    run = ds.simulate(ds.GDIN(absolute, 0.5, 0.1), 1.0, t1=2.0, progress=True)
    jax.block_until_ready(run.x)
    assert "dynsys: t = 2 (100.0%)" in capfd.readouterr().err


@pytest.mark.slow
def test_fifty_coordinates_stick_one_by_one():
    beta, starts = 0.3, np.linspace(0.2, 2.0, 50)
    system = ds.GDIN(absolute, 0.0, beta)
    run = ds.simulate(
        system, system.state(starts, starts), t1=12.0, max_events=1024, **TIGHT
    )
    when, which, kinds = ledger(run)
    for i, start in enumerate(starts):
        t, number, _ = sticking(0.0, beta, start)
        mine = which == i
        assert list(kinds[mine]) == [CROSS] * number + [SLIDE]
        assert abs(when[mine][-1] - t) < 1e-7
    np.testing.assert_allclose(run.x[-1], 0, atol=1e-12)


@pytest.mark.slow
def test_a_full_ledger_says_so():
    with pytest.raises(ds.SimulationError, match="max_events"):
        ds.simulate(ds.GDIN(absolute, 0.0, 0.01), 1.0, t1=50.0, max_events=20)


@pytest.mark.slow
def test_a_system_with_a_hessian_ends_by_name_where_the_gradient_jumps():
    system = ds.DIN(absolute, 1.0, 0.1, hessian_free=False)
    with pytest.raises(ds.SimulationError, match="no differential inclusion.*`abs` at "):
        ds.simulate(system, 1.0, t1=5.0)
    before = ds.simulate(system, 1.0, t1=0.5, times=2)
    free = ds.simulate(ds.DIN(absolute, 1.0, 0.1), 1.0, t1=0.5, times=2)
    np.testing.assert_allclose(before.x, free.x, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("hessian_free", [True, False])
def test_a_joint_of_the_gradient_is_crossed_without_an_event(hessian_free):
    huber = lambda x: jnp.where(jnp.abs(x) < 1, 0.5 * x**2, jnp.abs(x) - 0.5)
    system = ds.DIN(huber, 0.5, 0.3, hessian_free=hessian_free)
    run = ds.simulate(system, 3.0, t1=6.0, times=7, **TIGHT)
    slope = lambda x: np.clip(x, -1, 1)
    curve = lambda x: float(abs(x) < 1)
    field = lambda _, y: [y[1], -(0.5 + 0.3 * curve(y[0])) * y[1] - slope(y[0])]
    right = solve_ivp(field, (0, 6), [3.0, 0.0], t_eval=run.t, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(run.x, right.y[0], atol=1e-6)
    assert int(run.events.count) == 0
    assert int(run.derivative) == 0


@pytest.mark.slow
def test_a_loss_that_jumps_where_it_was_not_proved_to_ends_by_name():
    def loss(knot, x):
        return jnp.where(x < knot, x, x + 1.0)

    at = jax.tree_util.Partial(loss, jnp.array(0.25))
    with pytest.raises(ds.SimulationError, match="jumps at t = 0.75.*`lt` at "):
        ds.simulate(ds.GradientFlow(at), 1.0, t1=2.0)
    # Before it is reached nothing is wrong.
    assert bool(ds.simulate(ds.GradientFlow(at), 1.0, t1=0.5).result.ok)


def test_signs_that_are_not_found_to_agree_end_the_run_by_name(monkeypatch):
    monkeypatch.setattr("dynsys.nonsmooth.active_set.CHANGES", -50)
    loss = lambda x: jnp.sum(jnp.abs(x - 0.5))
    with pytest.raises(ds.SimulationError, match="no signs of theirs.*`abs` at "):
        ds.simulate(ds.GradientFlow(loss), 1.0, t1=2.0)


@pytest.mark.slow
def test_events_are_told_with_their_place():
    run = ds.simulate(ds.GradientFlow(absolute), [1.0, -2.0], t1=3.0)
    first, second = run.events.table().split("\n")
    assert first.split()[1] == "slide"
    assert abs(float(first.split()[0]) - 1) < 1e-6
    assert first.endswith("kink 0: `abs` at kinked.py:11, entry 0")
    assert second.endswith("entry 1")


@pytest.mark.slow
@pytest.mark.parametrize("inclusion", ["clarke", "d_operator"])
def test_the_d_operator_is_larger_where_kinks_of_terms_cancel(inclusion):
    """J = t/2 from relu(t) and -relu(-t): D J(0) = [0, 1], so it might stop at 0."""
    is_clarke = inclusion == "clarke"
    slope = ds.objectives.Mean([jax.nn.relu, lambda t: -jax.nn.relu(-t)])
    run = ds.simulate(ds.GradientFlow(slope), 0.5, t1=2.0, times=3, inclusion=inclusion)
    np.testing.assert_allclose(run.x, [0.5, 0.0, -0.5], atol=1e-9)
    assert run.inclusion == inclusion
    assert bool(run.unique) == is_clarke
    assert list(ledger(run)[2]) == ([] if is_clarke else [CROSS])
    np.testing.assert_allclose(ledger(run)[0], [] if is_clarke else [1.0], atol=1e-9)
    # D of |t| - |t| is {0} away from 0.
    nothing = ds.objectives.Mean([jnp.abs, lambda t: -jnp.abs(t)])
    flow = lambda x: ds.simulate(ds.GradientFlow(nothing), x, t1=1.0, inclusion=inclusion)
    assert bool(flow(0.5).unique)
    assert bool(flow(0.0).unique) == is_clarke
    # Terms that bend the same way: D is the subdifferential.
    both = ds.objectives.Mean([jnp.abs, lambda t: 2 * jnp.abs(t)])
    run = ds.simulate(ds.GradientFlow(both), 1.0, t1=2.0, inclusion=inclusion)
    assert bool(run.unique)
    np.testing.assert_allclose(run.events.t[0], 2 / 3, atol=1e-9)


@pytest.mark.slow
def test_kinks_that_nearly_meet_nearly_parallel_do_not_move_the_point_at_any_scale():
    """They cross 1e-6 away, in parts of the scale; the flow needs a long time for that."""
    angle = 2e-5
    A = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    point = np.array([0.3, -0.2])
    loss = lambda b, x: jnp.sum(jnp.abs(A @ x - b))
    for scale in (1.0, 1e-9, 1e9):
        b = scale * (A @ point + np.array([0.0, 2e-11]))
        flow = ds.GradientFlow(jax.tree_util.Partial(loss, jnp.asarray(b)))
        options = {"t1": 1e-3 * scale, "times": 3, "atol": 1e-9 * scale}
        run = ds.simulate(flow, scale * point, **options)
        np.testing.assert_allclose(run.final_state.x / scale, point, atol=1e-7)


@pytest.mark.slow
def test_what_comes_after_a_stop_is_no_event_and_no_failure():
    """A stop is found in a step that was made to the next kink."""
    flat = lambda x: jnp.sum(jnp.abs(x)) + 0.5 * jnp.sum(x**2)
    options = {"t1": 3.0, "stop": lambda t, x, v: x[0] - 0.1, "rtol": 1e-2}
    flow = ds.simulate(ds.GradientFlow(flat), [1.0], **options)
    assert float(flow.result.t) == pytest.approx(np.log(2 / 1.1), rel=1e-4)
    assert flow.events.table() == "no events"
    # A system with a Hessian cannot go on at a kink, which is after the stop.
    newton = ds.simulate(ds.ContinuousNewton(flat), [1.0], **options)
    assert bool(newton.result.stopped)
    assert float(newton.result.t) == pytest.approx(np.log(2 / 1.1), rel=1e-4)
    with pytest.raises(ds.SimulationError):
        ds.simulate(ds.ContinuousNewton(flat), [1.0], t1=3.0)
