"""Coefficients that jump and bend in time, against solutions from jump to jump."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dynsys as ds

TIGHT = {"rtol": 1e-9, "atol": 1e-12}
KNOT, END = 0.7, 2.0


def bowl(x):
    return x**2


def by_hand(pieces, knots, end=END, slope=lambda x: 2 * x, curvature=lambda x: 2.0):
    """One piece (epsilon, alpha, beta, b) after the other; x and v go on."""
    y, ends = [1.0, 0.0], [0.0, *knots, end]
    for (eps, alpha, beta, b), low, high in zip(pieces, ends, ends[1:], strict=False):

        def field(t, y, eps=eps, alpha=alpha, beta=beta, b=b):
            damping = alpha + beta * curvature(y[0])
            return [y[1], -(damping * y[1] + b * slope(y[0])) / eps]

        y = solve_ivp(field, (low, high), y, method="DOP853", rtol=1e-12, atol=1e-14).y[
            :, -1
        ]
    return y


def jump(before, after, knot=KNOT):
    return lambda t: jnp.where(t < knot, before, after)


def last(run):
    return [float(run.x[-1]), float(run.v[-1])]


BEFORE, AFTER = (0.5, 0.3, 0.8, 1.0), (1.5, 0.9, 0.05, 2.0)
ALL = tuple(jump(a, b) for a, b in zip(BEFORE, AFTER, strict=True))


@pytest.mark.parametrize(
    "options", [{}, {"solver": diffrax.Tsit5()}, {"hessian_free": False}]
)
def test_position_and_velocity_go_on_where_all_coefficients_jump(options):
    form = {k: v for k, v in options.items() if k == "hessian_free"}
    rest = {k: v for k, v in options.items() if k != "hessian_free"}
    system = ds.InertialNewton(bowl, *ALL, **form)
    run = ds.simulate(
        system, 1.0, t1=END, times=[0.3, KNOT, END], dense=True, **TIGHT, **rest
    )
    np.testing.assert_allclose(last(run), by_hand([BEFORE, AFTER], [KNOT]), atol=1e-8)
    assert [t for t in run.switches if t < END] == [KNOT]
    at_knot = by_hand([BEFORE], [], KNOT)
    np.testing.assert_allclose([run.x[1], run.v[1]], at_knot, atol=1e-8)
    for side in (-1e-9, 0.0, 1e-9):
        np.testing.assert_allclose(run.velocity(KNOT + side), at_knot[1], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kink", [0.0, 0.1])
def test_the_first_velocity_is_that_of_the_start_where_no_output_is_in_the_first_step(kink):
    loss = (lambda x: bowl(x) + kink * jnp.abs(x - 0.5)) if kink else bowl
    schedules = [jump(a, b, 0.01) for a, b in zip(BEFORE, AFTER, strict=True)]
    run = ds.simulate(ds.InertialNewton(loss, *schedules), 1.0, 2.0, t1=END, times=2)
    assert float(run.v[0]) == pytest.approx(2.0, rel=1e-12)


def test_a_run_up_to_a_jump_ends_with_the_state_after_it():
    system = ds.InertialNewton(bowl, *ALL)
    first = ds.simulate(system, 1.0, t1=KNOT, times=2, **TIGHT)
    second = ds.simulate(system, first.final_state, t0=KNOT, t1=END, times=2, **TIGHT)
    np.testing.assert_allclose(last(second), by_hand([BEFORE, AFTER], [KNOT]), atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_derivatives_with_respect_to_values_and_time_of_a_jump(mode):
    adjoint = diffrax.ForwardMode() if mode == "forward" else None

    def end(parameters):
        knot, beta, epsilon = parameters
        system = ds.InertialNewton(
            bowl, jump(0.5, epsilon, knot), 0.3, jump(beta, 0.05, knot), 1.0
        )
        return ds.simulate(system, 1.0, t1=END, times=2, adjoint=adjoint, **TIGHT).x[-1]

    def right(knot, beta, epsilon):
        return by_hand([(0.5, 0.3, beta, 1.0), (epsilon, 0.3, 0.05, 1.0)], [knot])[0]

    at = np.array([KNOT, 0.8, 1.5])
    derivative = jax.jacfwd(end) if mode == "forward" else jax.grad(end)
    found = derivative(jnp.asarray(at))
    for i in range(3):
        step = 1e-5 * np.eye(3)[i]
        slope = (right(*(at + step)) - right(*(at - step))) / 2e-5
        assert float(found[i]) == pytest.approx(slope, rel=1e-5)


def test_members_of_an_ensemble_jump_at_their_own_times():
    knots = np.array([0.4, 0.7, 1.1])
    case = lambda knot: (ds.VMDINAVD(bowl, jump(1.0, 0.2, knot), 0.4, 0.1), 1.0)
    ends = ds.simulate_ensemble(
        case, knot=knots, t1=END, times=2, reduce=lambda run: run.x[-1], **TIGHT
    )
    pieces = [(1.0, 0.4, 0.1, 1.0), (0.2, 0.4, 0.1, 1.0)]
    np.testing.assert_allclose(ends, [by_hand(pieces, [k])[0] for k in knots], atol=1e-8)


@pytest.mark.slow
def test_a_jump_on_a_loss_with_a_kink():
    """Of |x| + x^2 the curvature is 2; at the kink, which is not met, both would change."""
    loss = lambda x: jnp.abs(x) + x**2
    run = ds.simulate(ds.InertialNewton(loss, *ALL), 1.0, t1=0.9, times=2, **TIGHT)
    slope = lambda x: np.sign(x) + 2 * x
    right = by_hand([BEFORE, AFTER], [KNOT], 0.9, slope)
    np.testing.assert_allclose(last(run), right, atol=1e-8)


def test_what_cannot_be_read_is_refused_and_the_remedy_works():
    count = lambda t: jax.lax.fori_loop(
        0, 2, lambda i, c: jnp.where(t > 0.7 + i, c + 1, c), 0.5
    )
    with pytest.raises(ds.SimulationError, match="jumps between t0 and t1"):
        ds.simulate(ds.HeavyBall(bowl, count), 1.0, t1=END, times=2)
    said = ds.schedules.Piecewise([0.7], [0.5, 1.5])
    run = ds.simulate(ds.HeavyBall(bowl, said), 1.0, t1=END, times=2, **TIGHT)
    right = by_hand([(1, 0.5, 0, 1), (1, 1.5, 0, 1)], [0.7])
    np.testing.assert_allclose(last(run), right, atol=1e-8)


@pytest.mark.slow
def test_a_pulse_is_seen_where_steps_are_told_to_look():
    alpha = lambda t: 0.1 + 900.0 * jnp.exp(-(((t - 12.0) / 1e-3) ** 2))
    system = ds.HeavyBall(bowl, alpha)
    field = lambda t, y: [
        y[1],
        -(0.1 + 900 * np.exp(-(((t - 12) / 1e-3) ** 2))) * y[1] - 2 * y[0],
    ]
    right = solve_ivp(
        field, (0, 14), [1.0, 0.0], method="DOP853", rtol=1e-11, atol=1e-13, max_step=5e-4
    ).y[:, -1]
    usual = ds.simulate(system, 1.0, t1=14.0, times=2)
    assert abs(float(usual.x[-1]) - right[0]) > 1e-2
    landing = ds.simulate(
        system, 1.0, t1=14.0, times=2, landing_times=[12.0 - 2e-3, 12.0, 12.0 + 2e-3]
    )
    near = lambda t: jnp.where(jnp.abs(t - 12) < 0.5, 5e-4, 1.0)
    short = ds.simulate(system, 1.0, t1=14.0, times=2, max_step=5e-4)
    some = ds.simulate(system, 1.0, t1=14.0, times=2, max_step=near)
    for run in (landing, short, some):
        np.testing.assert_allclose(last(run), right, atol=1e-4)
    assert int(some.stats.steps) < 0.2 * int(short.stats.steps)


def test_steps_that_cannot_be_read_are_refused():
    with pytest.raises(ValueError, match="`max_step` must be positive"):
        ds.simulate(ds.HeavyBall(bowl, 1.0), 1.0, t1=1.0, max_step=-1.0)
    with pytest.raises(ValueError, match="must be finite"):
        ds.simulate(ds.HeavyBall(bowl, 1.0), 1.0, t1=1.0, landing_times=[np.nan])


def test_a_stop_that_turns_nan_ends_at_its_root_or_by_name():
    system = ds.HeavyBall(bowl, 0.1)
    stop = lambda t, x, v: jnp.log(x) + 8
    run = ds.simulate(system, 2.0, t1=9.0, times=2, stop=stop)
    assert float(run.final_state.x) == pytest.approx(np.exp(-8), rel=1e-6)
    wrong = lambda t, x, v: jnp.sqrt(x) + 1
    with pytest.raises(ds.SimulationError, match="`stop` is NaN"):
        ds.simulate(system, 2.0, t1=9.0, times=2, stop=wrong)


def test_an_interval_that_time_cannot_resolve_is_refused():
    with pytest.raises(ValueError, match="resolution of time"):
        ds.simulate(ds.HeavyBall(bowl, 0.5), jnp.float32(1), t0=1e7, t1=1e7 + 2, times=3)


@pytest.mark.slow
def test_the_forward_jacobian_in_two_dimensions_is_that_of_reverse_mode():
    loss = lambda x: jnp.sum(jnp.cosh(x))
    end = lambda x0, **o: ds.simulate(ds.DIN(loss, 1.0, 0.1), x0, t1=2.0, times=2, **o).x[
        -1
    ]
    x0 = jnp.array([1.0, 0.5])
    forward = jax.jacfwd(lambda x: end(x, adjoint=diffrax.ForwardMode()))(x0)
    np.testing.assert_allclose(forward, jax.jacrev(end)(x0), atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("adjoint", [None, diffrax.ForwardMode()])
def test_a_switch_at_the_end_moves_nothing_and_the_end_moves_the_position(adjoint):
    def end(knot, t1):
        system = ds.HeavyBall(bowl, lambda t: jnp.where(t < knot, 0.2, 2.0))
        run = ds.simulate(system, 1.0, t1=t1, times=2, adjoint=adjoint, **TIGHT)
        return run.x[-1], run.v[-1]

    if adjoint is None:
        rates = jax.grad(lambda *args: end(*args)[0], (0, 1))(END, END)
    else:
        rates = jax.jacfwd(lambda *args: end(*args)[0], (0, 1))(END, END)
    _, v = end(END, END)
    np.testing.assert_allclose(rates, [0.0, v], atol=1e-7)


def jumping(at, low=0.1, high=0.9):
    """A system whose Hessian-driven damping jumps, so that its momentum does."""
    f = lambda x: 0.5 * jnp.sum(x**2)
    return ds.InertialNewton(f, 1.0, 0.5, ds.schedules.Piecewise([at], [low, high]))


# With these starts the time of the jump is read one unit in the last place beside it.
@pytest.mark.parametrize(("t0", "at"), [(-0.7, 0.3), (0.1, 0.7), (-3.3, 0.7)])
def test_a_step_that_is_to_end_at_a_jump_ends_on_it(t0, at):
    options = {"t0": t0, "t1": 2.0, "times": np.array([t0, at, 1.4, 2.0])}
    plain = ds.simulate(jumping(at), jnp.ones(2), jnp.ones(2), **options)
    landing = ds.simulate(
        jumping(at), jnp.ones(2), jnp.ones(2), landing_times=[at], **options
    )
    np.testing.assert_allclose(landing.x, plain.x, atol=1e-9)
    np.testing.assert_allclose(landing.v, plain.v, atol=1e-9)
    assert float(landing.switches[0]) == at


def test_steps_of_large_states_that_end_at_outputs_end_on_a_jump():
    options = {"t0": 0.1, "t1": 2.0, "times": np.array([0.1, 0.7, 1.5, 2.0])}
    small = ds.simulate(jumping(0.7), jnp.ones(1), jnp.ones(1), **options)
    large = ds.simulate(jumping(0.7), jnp.ones(3000), jnp.ones(3000), **options)
    np.testing.assert_allclose(large.x[:, 0], small.x[:, 0], atol=1e-5)
    np.testing.assert_allclose(large.v[:, 0], small.v[:, 0], atol=1e-5)


STOPS = {
    "boolean": lambda t, x, v: t >= 0.5,
    "real": lambda t, x, v: 0.5 - t,
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_a_run_that_stops_at_a_jump_goes_on_from_there(stop):
    system, x0 = jumping(0.5), jnp.array([1.0, 2.0])
    whole = ds.simulate(system, x0, t1=2.0, times=np.array([0.0, 0.5, 2.0]))
    first = ds.simulate(system, x0, t1=2.0, times=5, stop=stop)
    assert float(first.result.t) == 0.5
    rest = ds.simulate(system, first.final_state, t0=0.5, t1=2.0, times=2)
    np.testing.assert_allclose(rest.x[-1], whole.x[-1], atol=1e-8)


def test_a_run_goes_on_from_an_output_at_a_jump():
    system, x0 = jumping(0.5), jnp.array([1.0, 2.0])
    whole = ds.simulate(system, x0, t1=2.0, times=np.array([0.0, 0.5, 2.0]))
    at_jump = jax.tree.map(lambda leaf: leaf[1], whole.state)
    rest = ds.simulate(system, at_jump, t0=0.5, t1=2.0, times=2)
    np.testing.assert_allclose(rest.x[-1], whole.x[-1], atol=1e-8)


def test_the_derivative_of_a_stop_at_a_jump_is_that_of_what_goes_on():
    momentum = lambda scale: ds.simulate(
        jumping(0.5), scale * jnp.ones(2), t1=2.0, times=2, stop=STOPS["boolean"]
    ).final_state.p.sum()
    slope = (momentum(1.0 + 1e-4) - momentum(1.0 - 1e-4)) / 2e-4
    np.testing.assert_allclose(jax.grad(momentum)(1.0), slope, rtol=1e-6)
