"""What a trajectory holds: outputs, dense output, stops, derivatives, large states."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import dynsys as ds
from dynsys.integrators.engine.problem import LARGE
from tests import oracles

MATRIX = np.array([[2.0, 0.5], [0.5, 1.0]])
f = ds.objectives.Quadratic(MATRIX)
X0 = np.array([1.0, -2.0])
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def exact(times, alpha=0.7, beta=0.3):
    matrix = oracles.second_order_matrix(1.0, alpha, beta, 1.0, MATRIX)
    return oracles.linear(matrix, np.concatenate([X0, 0 * X0]), times)


def run(alpha=0.7, x0=X0, **options):
    return ds.simulate(ds.DIN(f, alpha, 0.3), x0, **({"t1": 5.0} | options))


def test_number_of_times_is_evenly_spaced_with_both_ends():
    np.testing.assert_allclose(run(t0=1.0, times=5).t, [1.0, 2.0, 3.0, 4.0, 5.0])


def test_array_of_times_is_kept():
    times = [0.5, 0.6, 4.0]
    trajectory = run(times=times, **TIGHT)
    np.testing.assert_array_equal(trajectory.t, times)
    np.testing.assert_allclose(trajectory.x, exact(times)[:, :2], atol=1e-8)


def test_tolerance_controls_the_error():
    errors = []
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
        trajectory = run(rtol=rtol, atol=rtol / 100, times=11)
        errors.append(np.abs(trajectory.x - exact(trajectory.t)[:, :2]).max())
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert all(e < 100 * r for e, r in zip(errors, (1e-4, 1e-6, 1e-8, 1e-10), strict=True))


def test_outputs_spread_over_many_pieces_are_exact():
    """More steps than are held at a time."""
    trajectory = run(t1=60.0, times=601, rtol=1e-11, atol=1e-13)
    assert trajectory.stats.steps > 512
    np.testing.assert_allclose(trajectory.x, exact(trajectory.t)[:, :2], atol=1e-8)


def test_final_state_is_the_last_output():
    trajectory = run(**TIGHT)
    np.testing.assert_allclose(trajectory.final_state.x, trajectory.x[-1], atol=1e-12)
    np.testing.assert_array_equal(trajectory.result.t, 5.0)


def test_objective_is_evaluated_along_the_path():
    trajectory = run(times=3)
    by_hand = [0.5 * x @ MATRIX @ x for x in np.asarray(trajectory.x)]
    np.testing.assert_allclose(trajectory.objective, by_hand)


def test_scalar_position_gives_vectors_of_outputs():
    trajectory = ds.simulate(ds.DIN(lambda x: x**2, 1.0, 0.1), 1, t1=1.0, times=3)
    assert trajectory.x.shape == (3,)


@pytest.mark.slow
def test_stats_say_which_solver_and_why():
    stats = run().stats
    assert stats.solver == "Rodas5P"
    assert "small" in stats.reason
    kinked = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.3, 0.1)
    stats = ds.simulate(kinked, [-1.0, 1.5], t1=0.01, inclusion="autodiff").stats
    assert stats.solver == "Tsit5"
    assert "not smooth" in stats.reason
    stats = ds.simulate(kinked, [-1.0, 1.5], t1=0.01).stats
    assert stats.solver == "Rodas5P"
    assert "2 kinks" in stats.reason


def test_ledger_of_kinks_is_empty_and_has_its_length():
    trajectory = run(max_events=7)
    assert trajectory.events.t.shape == (7,)
    assert int(trajectory.events.count) == 0
    assert bool(trajectory.unique)
    assert trajectory.inclusion == "clarke"


def test_dense_output_gives_position_and_velocity_anywhere():
    trajectory = run(dense=True, **TIGHT)
    times = np.array([0.0, 0.0123, 1.7, 4.999, 5.0])
    path = exact(times)
    np.testing.assert_allclose(trajectory(times), path[:, :2], atol=1e-8)
    np.testing.assert_allclose(trajectory.velocity(times), path[:, 2:], atol=1e-8)
    np.testing.assert_allclose(trajectory(1.7), path[2, :2], atol=1e-8)


def test_dense_output_of_vanishing_damping_starts_with_its_series():
    system = ds.AVD(f, 3.0)
    trajectory = ds.simulate(system, X0, t1=5.0, dense=True, **TIGHT)
    eigenvalues, basis = np.linalg.eigh(MATRIX)
    first = float(trajectory.stats.first_time)
    times = np.array([0.0, first / 2, first, 2 * first, 1.0, 5.0])
    coordinates = [
        oracles.avd(lam, 3.0, c, times)
        for lam, c in zip(eigenvalues, basis.T @ X0, strict=True)
    ]
    path = (basis @ np.array(coordinates)).T
    np.testing.assert_allclose(trajectory(times), path, atol=1e-8)
    slopes = trajectory.velocity(times)
    np.testing.assert_allclose(slopes[0], 0, atol=1e-14)
    np.testing.assert_allclose(slopes[1], -first / 8 * MATRIX @ X0, rtol=1e-3)


def test_evaluating_without_dense_output_says_how_to_get_it():
    with pytest.raises(ValueError, match="dense=True"):
        run()(0.5)
    with pytest.raises(ValueError, match="dense=True"):
        run().velocity(0.5)


def test_evaluating_outside_of_the_interval_is_refused():
    with pytest.raises(ValueError, match="must lie between 0.0 and 5.0"):
        run(dense=True)(5.1)


def test_stop_at_a_gradient_norm_is_located():
    trajectory = run(t1=100.0, stop=1e-3, **TIGHT)
    assert trajectory.result.stopped
    assert "stopped" in trajectory.result.message
    gradient = MATRIX @ np.asarray(trajectory.final_state.x)
    np.testing.assert_allclose(np.linalg.norm(gradient), 1e-3, atol=1e-9)
    np.testing.assert_array_equal(trajectory.t[-1], trajectory.result.t)
    np.testing.assert_allclose(trajectory.x[-1], trajectory.final_state.x, atol=1e-12)
    assert np.isfinite(trajectory.x).all()


def test_stop_where_a_value_falls_to_zero():
    trajectory = run(stop=lambda t, x, v: x[0] - 0.5, **TIGHT)
    np.testing.assert_allclose(trajectory.final_state.x[0], 0.5, atol=1e-9)
    path = exact([float(trajectory.result.t)])
    np.testing.assert_allclose(trajectory.final_state.x, path[0, :2], atol=1e-8)


def test_stop_at_a_boolean_ends_after_a_step():
    trajectory = run(stop=lambda t, x, v: t > 2.0)
    assert 2.0 < trajectory.result.t < 5.0


def test_stop_that_holds_at_the_start_ends_there():
    for stop in (100.0, lambda t, x, v: True | (t > 0), lambda t, x, v: -t):
        trajectory = run(stop=stop)
        assert trajectory.result.stopped
        assert trajectory.result.t == 0
        np.testing.assert_array_equal(trajectory.x, np.broadcast_to(X0, (200, 2)))


def test_stop_that_never_holds_reaches_the_end():
    trajectory = run(stop=1e-30)
    assert not trajectory.result.stopped
    assert trajectory.result.t == 5.0


@pytest.mark.slow
def test_time_of_a_stop_is_differentiated_by_the_implicit_function_theorem():
    stop_time = lambda a: run(a, t1=50.0, stop=1e-2, **TIGHT).result.t
    place = lambda a: run(a, t1=50.0, stop=1e-2, **TIGHT).x[-1, 0]
    h = 1e-4
    for quantity in (stop_time, place):
        difference = (quantity(0.7 + h) - quantity(0.7 - h)) / (2 * h)
        # The stop is located to 1e-10, so the difference is good to 1e-6.
        np.testing.assert_allclose(
            jax.grad(quantity)(0.7), difference, rtol=1e-4, atol=1e-6
        )


def closed_end(alpha, x0):
    matrix = oracles.second_order_matrix(1.0, alpha, 0.3, 1.0, MATRIX)
    return (scipy.linalg.expm(5.0 * matrix) @ np.concatenate([x0, 0 * x0]))[:2]


def test_reverse_mode_is_exact_on_a_quadratic():
    x1 = lambda alpha, x0: run(alpha, x0, **TIGHT).x[-1, 0]
    by_alpha, by_x0 = jax.grad(x1, argnums=(0, 1))(0.7, jnp.asarray(X0))
    h = 1e-6
    exact_alpha = (closed_end(0.7 + h, X0) - closed_end(0.7 - h, X0))[0] / (2 * h)
    unit = np.eye(2)
    exact_x0 = [(closed_end(0.7, e))[0] for e in unit]
    np.testing.assert_allclose(by_alpha, exact_alpha, atol=1e-8)
    np.testing.assert_allclose(by_x0, exact_x0, atol=1e-8)


@pytest.mark.slow
def test_reverse_mode_through_velocity_final_state_and_times():
    def quantity(alpha, t1):
        trajectory = run(alpha, t1=t1, **TIGHT)
        return trajectory.v[-1, 0] + trajectory.final_state.p[1] + trajectory.x[100, 1]

    gradient = jax.grad(quantity, argnums=(0, 1))(0.7, 4.0)
    h = 1e-5
    by_alpha = (quantity(0.7 + h, 4.0) - quantity(0.7 - h, 4.0)) / (2 * h)
    by_t1 = (quantity(0.7, 4.0 + h) - quantity(0.7, 4.0 - h)) / (2 * h)
    np.testing.assert_allclose(gradient, (by_alpha, by_t1), rtol=1e-6)


def test_first_output_depends_on_the_start_alone():
    first = lambda x0, alpha: run(alpha, x0, times=3).x[0, 0]
    by_x0, by_alpha = jax.grad(first, argnums=(0, 1))(jnp.asarray(X0), 0.7)
    np.testing.assert_allclose(by_x0, [1.0, 0.0], atol=1e-14)
    np.testing.assert_allclose(by_alpha, 0.0, atol=1e-14)


@pytest.mark.slow
def test_reverse_mode_over_many_pieces():
    """The derivative of a solve that needs more than one piece."""
    quantity = lambda a: run(a, t1=60.0, rtol=1e-11, atol=1e-13, times=61).x[20, 0]
    assert run(0.7, t1=60.0, rtol=1e-11, atol=1e-13, times=61).stats.steps > 512
    h = 1e-4
    difference = (quantity(0.7 + h) - quantity(0.7 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(quantity)(0.7), difference, rtol=1e-6)


@pytest.mark.slow
def test_reverse_mode_in_data_of_the_objective():
    def quantity(matrix):
        objective = jax.tree_util.Partial(lambda m, x: 0.5 * x @ m @ x, matrix)
        return ds.simulate(ds.DIN(objective, 0.7, 0.3), X0, t1=2.0, **TIGHT).x[-1, 0]

    gradient = jax.grad(quantity)(jnp.asarray(MATRIX))
    h = 1e-5
    step = np.array([[h, 0.0], [0.0, 0.0]])
    difference = (quantity(MATRIX + step) - quantity(MATRIX - step)) / (2 * h)
    np.testing.assert_allclose(gradient[0, 0], difference, rtol=1e-6)


@pytest.mark.slow
def test_batched_reverse_mode_is_that_of_each_member():
    quantity = lambda a: run(a, **TIGHT).x[-1, 0]
    values = jnp.array([0.2, 0.7, 3.0])
    batch = jax.vmap(jax.grad(quantity))(values)
    alone = [jax.grad(quantity)(a) for a in values]
    np.testing.assert_allclose(batch, alone, rtol=1e-8)


@pytest.mark.slow
def test_forward_mode_with_its_adjoint_agrees_with_reverse_mode():
    quantity = lambda a, adjoint: run(a, adjoint=adjoint, **TIGHT).x[-1, 0]
    reverse = jax.grad(lambda a: quantity(a, None))(0.7)
    forward = jax.jacfwd(lambda a: quantity(a, diffrax.ForwardMode()))(0.7)
    np.testing.assert_allclose(forward, reverse, rtol=1e-8)
    explicit = lambda a: run(
        a, adjoint=diffrax.ForwardMode(), solver=diffrax.Tsit5(), **TIGHT
    ).x[-1, 0]
    np.testing.assert_allclose(jax.jacfwd(explicit)(0.7), reverse, rtol=1e-6)


SOLVERS = {
    "tsit5": diffrax.Tsit5(),
    "kvaerno5": diffrax.Kvaerno5(),
    "half_solver": diffrax.HalfSolver(diffrax.Heun()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVERS)
def test_reverse_mode_with_other_solvers_of_diffrax(name):
    quantity = lambda a: run(a, t1=1.0, solver=SOLVERS[name], rtol=1e-7, times=3).x[-1, 0]
    reference = jax.grad(lambda a: run(a, t1=1.0, rtol=1e-7, times=3).x[-1, 0])(0.7)
    np.testing.assert_allclose(jax.grad(quantity)(0.7), reference, atol=2e-5)


@pytest.mark.slow
def test_functions_are_differentiable_in_what_they_close_over():
    """In the loss, in a schedule, and in the condition of a stop."""

    def quantity(weights, rate, height):
        loss = lambda x: 0.5 * jnp.sum(weights * x**2)
        system = ds.DIN(loss, lambda t: rate + 0.1 * t, 0.1)
        stop = lambda t, x, v: x[0] - height
        return ds.simulate(system, [1.0, 1.0], t1=9.0, stop=stop, **TIGHT).x[-1, 1]

    point = (jnp.array([1.0, 2.0]), 0.7, 0.4)
    gradient = jax.grad(quantity, argnums=(0, 1, 2))(*point)
    h = 1e-4
    step = jnp.array([0.0, h])
    by_weight = quantity(point[0] + step, *point[1:]) - quantity(
        point[0] - step, *point[1:]
    )
    by_rate = quantity(point[0], 0.7 + h, 0.4) - quantity(point[0], 0.7 - h, 0.4)
    by_height = quantity(point[0], 0.7, 0.4 + h) - quantity(point[0], 0.7, 0.4 - h)
    np.testing.assert_allclose(gradient[0][1], by_weight / (2 * h), rtol=1e-5)
    np.testing.assert_allclose(gradient[1], by_rate / (2 * h), rtol=1e-5)
    np.testing.assert_allclose(gradient[2], by_height / (2 * h), rtol=1e-5)


@pytest.mark.slow
def test_reverse_mode_of_vanishing_damping_at_a_minimiser_is_that_of_a_linear_path():
    last = lambda x0: ds.simulate(ds.AVD(f), x0, t1=2.0, times=3, **TIGHT).x[-1, 0]
    at_rest = jax.grad(last)(jnp.zeros(2))
    eigenvalues, basis = np.linalg.eigh(MATRIX)
    factors = [oracles.avd(lam, 3.0, 1.0, np.array([2.0]))[0] for lam in eigenvalues]
    exact = (basis @ np.diag(factors) @ basis.T)[0]
    # At rest the tolerance is met by any step, so the derivative is a coarse one.
    np.testing.assert_allclose(at_rest, exact, atol=0.02)
    np.testing.assert_allclose(jax.grad(last)(jnp.asarray(X0)), exact, atol=1e-8)


SERIES = {
    "inflection": (jnp.sin, 0.0, 20.0, np.cos),
    "flat": (lambda x: jnp.logaddexp(0.0, -x), -40.0, 60.0, lambda x: -1 / (1 + np.exp(x))),
    "quartic": (lambda x: x**4 - 6 * x**2, 1.0, 20.0, lambda x: 4 * x**3 - 12 * x),
}


@pytest.mark.parametrize("name", SERIES)
def test_series_ends_before_it_is_wrong(name):
    """Starts where the Hessian vanishes, so that its leading terms say nothing."""
    objective, x0, t1, gradient = SERIES[name]
    trajectory = ds.simulate(ds.AVD(objective), x0, t1=t1, times=2, **TIGHT)
    start = 1e-6
    field = lambda t, y: [y[1], -3 / t * y[1] - gradient(y[0])]
    y0 = [x0 - start**2 / 8 * gradient(x0), -start / 4 * gradient(x0)]
    exact = scipy.integrate.solve_ivp(
        field, (start, t1), y0, method="DOP853", rtol=1e-12, atol=1e-12
    ).y[0, -1]
    np.testing.assert_allclose(trajectory.x[-1], exact, atol=1e-6)


def test_velocity_after_a_stop_is_that_of_the_stop():
    mass, damping = ds.schedules.PowerLaw(1.0, 2.0), ds.schedules.PowerLaw(1.0, 1.0)
    system = ds.VMDINAVD(f, mass, damping, 0.1)
    trajectory = ds.simulate(system, X0, t1=10.0, times=11, stop=lambda t, x, v: x[0] - 0.5)
    stopped = np.asarray(trajectory.t) == float(trajectory.result.t)
    assert stopped.sum() > 3
    last = np.broadcast_to(trajectory.v[-1], trajectory.v[stopped].shape)
    np.testing.assert_allclose(trajectory.v[stopped], last, rtol=1e-12)


STOPS = {
    "dip": (lambda t, x, v: (t - 2.0) ** 2 - 1e-2, 1.9),
    "crossing": (lambda t, x, v: jnp.abs(x[0]) - 0.1, None),
}


@pytest.mark.parametrize("name", STOPS)
def test_stop_sees_a_dip_inside_a_long_step(name):
    stop, where = STOPS[name]
    system = ds.HeavyBall(lambda x: 0.5 * jnp.sum(x**2), 0.1)
    trajectory = ds.simulate(system, [1.0], t1=20.0, stop=stop)
    assert trajectory.result.stopped
    if where is None:
        # Before the first passage of 0, at a quarter of a period.
        assert 1.3 < trajectory.result.t < 1.7
        np.testing.assert_allclose(trajectory.final_state.x, [0.1], atol=1e-6)
    else:
        np.testing.assert_allclose(trajectory.result.t, where, atol=1e-6)


def test_stop_of_vanishing_damping_at_the_start_is_at_zero():
    trajectory = ds.simulate(ds.AVD(f), X0, t1=2.0, stop=lambda t, x, v: t < 1.0)
    assert trajectory.result.t == 0
    np.testing.assert_array_equal(trajectory.final_state.x, X0)


def test_schedule_that_breaks_its_range_between_the_checks_is_noticed_on_the_way():
    dips = lambda t: (
        1
        - 0.9 * jnp.exp(-(((t - 3) / 0.5) ** 2))
        - 1.2 * jnp.exp(-(((t - 7.0049) / 1e-2) ** 2))
    )
    system = ds.VMDINAVD(f, dips, 0.1, 1.0)
    with pytest.raises(ValueError, match="`epsilon`"):
        ds.simulate(system, X0, t1=10.0)


def test_positions_of_mixed_precision_keep_it():
    x0 = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones((), jnp.float64)}
    loss = lambda p: 0.5 * jnp.sum(p["a"] ** 2).astype(float) + 0.5 * p["b"] ** 2
    for system in (ds.DIN(loss, 1.0, 0.1), ds.ContinuousNewton(loss)):
        trajectory = ds.simulate(system, x0, t1=2.0, times=3)
        assert trajectory.x["a"].dtype == jnp.float32
        assert trajectory.x["b"].dtype == jnp.float64
        np.testing.assert_allclose(
            trajectory.x["a"][-1, 0], trajectory.x["b"][-1], atol=1e-3
        )


def test_gdin_with_a_tiny_beta_keeps_its_velocity():
    loss = lambda x: 0.5 * x**2
    for beta in (1e-4, 1e-6):
        trajectory = ds.simulate(ds.GDIN(loss, 1.0, beta), 1.0, t1=4.0, times=5)
        reference = ds.simulate(ds.DIN(loss, 1.0, beta), 1.0, t1=4.0, times=5, **TIGHT)
        np.testing.assert_allclose(trajectory.x, reference.x, atol=5e-5)


def test_newton_in_large_dimension_does_not_mind_a_bad_condition():
    scales = jnp.logspace(0, 6, 300)
    newton = ds.ContinuousNewton(lambda x: 0.5 * jnp.sum(scales * x**2))
    trajectory = ds.simulate(newton, jnp.ones(300), t1=2.0, times=3)
    np.testing.assert_allclose(trajectory.x[-1], np.exp(-2.0), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("solver", [None, diffrax.Tsit5()])
def test_second_derivatives_forward_over_reverse(solver):
    last = lambda a: run(a, t1=1.0, times=3, solver=solver).x[-1, 0]
    second = jax.jacfwd(jax.grad(last))(0.7)
    h = 1e-3
    difference = (jax.grad(last)(0.7 + h) - jax.grad(last)(0.7 - h)) / (2 * h)
    np.testing.assert_allclose(second, difference, atol=1e-4)


def test_batch_of_trajectories_knows_its_objectives():
    def one(b):
        system = ds.DIN(ds.objectives.Rosenbrock(b=b), 1.0, 0.1)
        return ds.simulate(system, [1.0, 2.0], t1=0.1, times=3)

    values = jnp.array([100.0, 1.0, 2.0])
    batch = jax.vmap(one)(values)
    np.testing.assert_allclose(batch.objective[:, 0], values)
    with pytest.raises(ValueError, match="batch of trajectories"):
        batch(0.05)


def test_step_out_of_the_domain_is_rejected_at_any_scale():
    """The gradient is not a number for x < 0, where long explicit stages land."""
    ends = []
    for scale in (1.0, 1e60):
        loss = lambda x, c=scale: c**2 * (100 * x / c + (x / c) ** -0.5)
        trajectory = ds.simulate(
            ds.GradientFlow(loss),
            3.0 * scale,
            t1=1.0,
            times=3,
            atol=1e-9 * scale,
            solver=diffrax.Tsit5(),
        )
        ends.append(float(trajectory.x[-1]) / scale)
    assert np.isfinite(ends).all()
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-4)


def test_max_steps_is_exact():
    for max_steps in (1, 37, 300):
        trajectory = run(t1=100.0, rtol=1e-10, atol=1e-12, max_steps=max_steps, throw=False)
        assert int(trajectory.stats.steps + trajectory.stats.rejected) == max_steps


def test_list_with_a_traced_number_is_an_array():
    last = lambda a: ds.simulate(ds.DIN(f, 0.7, 0.3), [1.0, a], t1=1.0, times=2).x[-1]
    batch = jax.vmap(last)(jnp.array([-2.0, 3.0]))
    np.testing.assert_allclose(batch[0], last(-2.0), rtol=1e-12)


def test_kind_of_number_is_not_another_program():
    traces = []

    def counted(x):
        traces.append(1)
        return x**2

    kinds = (1.0, 1, np.float64(1.0), jnp.array(1.0))
    counts = []
    for x0 in kinds:
        for parameter in kinds:
            ds.simulate(ds.DIN(counted, parameter, 0.1), x0, t1=1, times=3)
            counts.append(len(traces))
    assert counts == [counts[0]] * len(counts)


@pytest.mark.slow
def test_network_with_an_activation_is_an_objective_under_jit():
    class Loss(eqx.Module):
        network: eqx.nn.MLP

        def __call__(self, x):
            return self.network(x) + jnp.sum(x**2)

    loss = Loss(eqx.nn.MLP(2, "scalar", 4, 1, key=jax.random.key(0)))
    cast = lambda leaf: leaf.astype(float) if eqx.is_array(leaf) else leaf
    loss = jax.tree.map(cast, loss)
    alone = ds.simulate(ds.DIN(loss, 1.0, 0.1), X0, t1=1.0, times=3)
    jitted = jax.jit(lambda x0: ds.simulate(ds.DIN(loss, 1.0, 0.1), x0, t1=1.0, times=3))
    np.testing.assert_allclose(jitted(jnp.asarray(X0)).x, alone.x, rtol=1e-9)


@pytest.mark.slow
def test_inclusion_records_what_was_done():
    plain = ds.simulate(ds.DIN(lambda x: x**2, 1.0, 0.1), 1.0, t1=1.0, times=3)
    assert plain.inclusion == "clarke"
    assert run(inclusion="d_operator", times=3).inclusion == "d_operator"
    relus = lambda x: jnp.sum(jax.nn.relu(jnp.linspace(0.0, 1.0, 1200) - x[0]))
    many = ds.simulate(ds.GDIN(relus, 1.0, 0.1), X0, t1=0.1, times=3)
    assert many.inclusion == "autodiff"
    assert "1200 kinks" in many.stats.reason


@pytest.mark.parametrize("solver", [None, diffrax.Tsit5()])
def test_gradient_evaluations_are_those_that_were_made(solver):
    """Two runs that differ in their steps only: what outputs cost drops out."""
    made = []

    @jax.custom_jvp
    def square(x):
        return x**2

    @square.defjvp
    def _(primals, tangents):
        (x,), (v,) = primals, tangents
        jax.debug.callback(lambda: made.append(1))
        return x**2, 2 * x * v

    spent = []
    for rtol in (1e-4, 1e-9):
        made.clear()
        system = ds.GradientFlow(lambda x: 0.5 * square(x))
        stats = ds.simulate(system, 1.0, t1=3.0, times=2, rtol=rtol, solver=solver).stats
        jax.effects_barrier()
        spent.append((len(made), int(stats.gradient_evaluations)))
    (few, said_few), (many, said_many) = spent
    assert said_many > said_few
    assert many - few == said_many - said_few


@pytest.mark.slow
def test_reverse_mode_through_dense_output():
    quantity = lambda a: run(a, dense=True, max_steps=512, **TIGHT)(3.3)[0]
    h = 1e-5
    difference = (quantity(0.7 + h) - quantity(0.7 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(quantity)(0.7), difference, rtol=1e-6)


def large_objective(x):
    return 0.5 * jnp.sum(jnp.linspace(1.0, 3.0, LARGE).astype(x.dtype) * x**2)


def test_large_states_step_onto_their_outputs():
    x0 = jnp.ones(LARGE)
    trajectory = ds.simulate(ds.DIN(large_objective, 1.0, 0.1), x0, t1=2.0, times=5)
    assert trajectory.stats.solver == "LowStorageRK4"
    assert "large" in trajectory.stats.reason
    last = np.linspace(1.0, 3.0, LARGE)[[0, -1]]
    for i, lam in zip((0, -1), last, strict=True):
        matrix = oracles.second_order_matrix(1.0, 1.0, 0.1, 1.0, np.array([[lam]]))
        path = oracles.linear(matrix, np.array([1.0, 0.0]), trajectory.t)
        np.testing.assert_allclose(trajectory.x[:, i], path[:, 0], atol=1e-5)
        np.testing.assert_allclose(trajectory.v[:, i], path[:, 1], atol=1e-5)


@pytest.mark.slow
def test_reverse_mode_in_large_dimension():
    x0 = jnp.ones(LARGE)
    quantity = lambda a: ds.simulate(
        ds.DIN(large_objective, a, 0.1), x0, t1=1.0, times=3, max_steps=256
    ).x[-1, 5]
    h = 1e-4
    difference = (quantity(1.0 + h) - quantity(1.0 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(quantity)(1.0), difference, rtol=1e-4)


def test_newton_by_conjugate_gradients_in_large_dimension():
    x0 = jnp.ones(1200)
    newton = ds.ContinuousNewton(lambda x: jnp.sum(jnp.cosh(x)) + 0.5 * jnp.sum(x) ** 2)
    trajectory = ds.simulate(newton, x0, t1=2.0, times=3)
    gradient = jax.vmap(jax.grad(newton.objective))(trajectory.x)
    decay = np.exp(-np.asarray(trajectory.t))[:, None]
    np.testing.assert_allclose(gradient, decay * np.asarray(gradient[0]), rtol=1e-5)


def test_network_parameters_keep_their_dtype_and_structure():
    key = jax.random.key(0)
    network = eqx.nn.MLP(2, 1, 8, 1, activation=jnp.tanh, key=key)
    cast = lambda leaf: leaf.astype(jnp.float32) if eqx.is_array(leaf) else leaf
    network = jax.tree.map(cast, network)
    parameters, static = eqx.partition(network, eqx.is_array)
    inputs = jax.random.normal(key, (16, 2)).astype(jnp.float32)

    def loss(parameters):
        model = eqx.combine(parameters, static)
        return jnp.mean((jax.vmap(model)(inputs)[:, 0] - inputs[:, 0] * inputs[:, 1]) ** 2)

    trajectory = ds.simulate(ds.GDIN(loss, 0.5, 0.1), parameters, t1=5.0, times=4)
    leaves = jax.tree.leaves(trajectory.x)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.float32)}
    assert trajectory.objective[-1] < trajectory.objective[0]


def test_progress_is_shown_on_standard_error(capfd):
    jax.block_until_ready(run(progress=True).x)
    assert "dynsys: t = 5 (100.0%)" in capfd.readouterr().err


def test_trajectory_becomes_a_dataset():
    dataset = run(times=5).to_xarray()
    assert dataset["x"].dims[0] == "t"
    assert dataset.attrs["system"] == "DIN"
    np.testing.assert_allclose(dataset["t"], np.linspace(0, 5, 5))
    tree = ds.simulate(ds.DIN(lambda x: x["a"] ** 2, 1.0, 0.1), {"a": 1.0}, t1=1.0, times=3)
    assert "x['a']" in tree.to_xarray()
    batch = jax.vmap(lambda a: run(a, times=3))(jnp.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="takes one trajectory"):
        batch.to_xarray()


def test_a_stop_is_looked_at_in_the_series_at_a_singular_start():
    # AVD starts as 1 - t^2 / 8.
    system = ds.AVD(lambda x: 0.5 * jnp.sum(x**2))
    options = {"t1": 10.0, "times": 3, "dense": True}
    at = lambda level: ds.simulate(
        system, jnp.ones(1), stop=lambda t, x, v: x[0] - level, **options
    )
    run, time = at(0.99999), (8e-5) ** 0.5
    assert float(run.result.t) == pytest.approx(time, rel=1e-4)
    np.testing.assert_allclose(run.final_state.x, 0.99999, atol=1e-12)
    np.testing.assert_allclose(run.x[-1], 0.99999, atol=1e-12)
    np.testing.assert_allclose(run(run.result.t), 0.99999, atol=1e-12)
    slope = jax.grad(lambda level: at(level).result.t)(0.99999)
    np.testing.assert_allclose(slope, -4 / time, rtol=1e-3)
    early = ds.simulate(system, jnp.ones(1), stop=lambda t, x, v: t > 0.002, **options)
    assert float(early.result.t) == float(early.stats.first_time)
