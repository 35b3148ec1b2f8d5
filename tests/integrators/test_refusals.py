"""Every wrong argument of `simulate`, and every run that fails, says what to do."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.result import Status

f = lambda x: 0.5 * jnp.sum(x**2)
din = ds.DIN(f, 1.0, 0.1)
X0 = [1.0, 2.0]


def run(system=din, x0=X0, v0=None, **options):
    return ds.simulate(system, x0, v0, **({"t1": 1.0} | options))


REFUSED = {
    "t1 before t0": ({"t1": -1.0}, "`t1` must be larger than `t0`"),
    "t1 equal t0": ({"t0": 1.0}, "`t1` must be larger than `t0`"),
    "infinite t1": ({"t1": np.inf}, "`t1` must be finite"),
    "decreasing times": ({"times": [0.5, 0.4]}, "`times` must increase.*0.4"),
    "equal times": ({"times": [0.5, 0.5]}, "`times` must increase"),
    "empty times": ({"times": []}, "not empty"),
    "times outside": ({"times": [0.5, 1.5]}, "must lie between"),
    "times not finite": ({"times": [0.5, np.nan]}, "`times` must be finite"),
    "one time": ({"times": 1}, "`times` must be at least 2"),
    "matrix of times": ({"times": np.ones((2, 2))}, "one-dimensional"),
    "rtol": ({"rtol": 0.0}, "`rtol` must be positive"),
    "atol": ({"atol": -1.0}, "`atol` must be positive"),
    "rtol too small": ({"rtol": 1e-17}, "below.*precision of float64"),
    "max_steps": ({"max_steps": 0}, "`max_steps` must be at least 1"),
    "max_events": ({"max_events": -1}, "`max_events` must be at least 0"),
    "inclusion": ({"inclusion": "filippov"}, "`inclusion` must be one of"),
    "stop": ({"stop": -1.0}, "`stop` must be positive.*bound on the gradient norm"),
    "stop returns a vector": ({"stop": lambda t, x, v: x}, "one boolean or real"),
    "adjoint": ({"adjoint": diffrax.BacksolveAdjoint()}, "`adjoint` must be None"),
    "splitting solver": ({"solver": diffrax.KenCarp4()}, "several terms"),
    "state of another form": (
        {"x0": ds.systems.VelocityState(jnp.ones(2), jnp.ones(2))},
        "VelocityState, but DIN moves a MomentumState",
    ),
    "no error estimate": ({"solver": diffrax.Euler()}, "HalfSolver"),
    "x0 not finite": ({"x0": [1.0, np.nan]}, "`x0` must be finite"),
    "x0 empty": ({"x0": []}, "`x0` has no entries"),
    "v0 of another shape": ({"v0": [1.0]}, "`v0` must have the structure and shapes"),
    "v0 of another structure": ({"v0": {"a": 1.0}}, "`v0` must have the structure"),
    "too many outputs": ({"times": 10**8}, "GiB.*fewer `times`"),
    "too large a dense store": (
        {"dense": True, "max_steps": 10**8},
        "GiB.*Lower `max_steps`",
    ),
}

WRONG_TYPE = {
    "system": ({"system": f}, "must be a dynsys system"),
    "solver": ({"solver": "RK45"}, "must be a diffrax solver"),
    "max_steps": ({"max_steps": 1e4}, "`max_steps` must be an integer"),
    "x0 string": ({"x0": "here"}, "`x0` must hold real numbers"),
    "x0 complex": ({"x0": [1j]}, "`x0` must hold real numbers"),
    "x0 half precision": ({"x0": jnp.ones(2, jnp.float16)}, "Cast it to float32"),
    "t1": ({"t1": None}, "`t1` must be a real number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_value_out_of_range_is_refused(name):
    options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        run(**options)


@pytest.mark.parametrize("name", WRONG_TYPE)
def test_wrong_type_is_refused(name):
    options, message = WRONG_TYPE[name]
    with pytest.raises(TypeError, match=message):
        run(**options)


OBJECTIVES = {
    "vector": (lambda x: x, ValueError, "must return a scalar.*shape"),
    "tuple": (lambda x: (f(x), 1.0), ValueError, "must return a scalar"),
    "integer": (lambda x: jnp.argmax(x), TypeError, "real floating-point"),
    "shape": (lambda x: jnp.dot(x, jnp.ones(3)), ValueError, "failed on a position"),
    "numpy": (lambda x: np.sum(np.sin(np.asarray(x))), TypeError, "cannot be traced"),
    "math": (lambda x: math.sin(x[0]), TypeError, "cannot be traced"),
    "if": (lambda x: x[0] if x[0] > 0 else x[1], TypeError, "cannot be traced"),
    "nan": (lambda x: jnp.log(-x[0]), ValueError, "is not finite at the initial"),
    "nan gradient": (
        lambda x: jnp.sqrt(x[0] - X0[0]),
        ValueError,
        "gradient of a norm",
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_that_is_no_differentiable_scalar_is_refused(name):
    objective, error, message = OBJECTIVES[name]
    with pytest.raises(error, match=message):
        run(ds.DIN(objective, 1.0, 0.1))


UNTRACEABLE = {
    "schedule by math": (
        {"system": ds.DIN(f, lambda t: math.exp(-t), 0.1)},
        "A schedule cannot be traced",
    ),
    "schedule by if": (
        {"system": ds.DIN(f, lambda t: t if t > 1 else 2, 0.1)},
        "A schedule cannot be traced",
    ),
    "stop with and": (
        {"stop": lambda t, x, v: x[0] < 0.5 and x[1] > 0},
        "stop.*cannot be traced.*instead of `if`",
    ),
    "stop of two arguments": (
        {"stop": lambda t, x: x[0]},
        "stop.*failed.*takes 2 positional",
    ),
}


@pytest.mark.parametrize("name", UNTRACEABLE)
def test_schedule_or_stop_that_jax_cannot_trace_is_refused(name):
    options, message = UNTRACEABLE[name]
    with pytest.raises(TypeError, match=message):
        run(**options)


@pytest.mark.parametrize("schedule", [lambda t: 1 - t, lambda t: (1 - t) ** 2 - 1e-9])
def test_mass_that_reaches_zero_is_refused_with_the_place(schedule):
    # The place is known to one part in a thousand of the interval.
    where = r"t = (1\.00|0\.99)\d*:"
    with pytest.raises(ValueError, match=f"leaves its range at {where}.*`epsilon`"):
        run(ds.VMDINAVD(f, schedule, 0.1, 1.0), t1=3.0)


def test_damping_that_turns_negative_is_refused():
    with pytest.raises(ValueError, match="`alpha`, which must be at least 0, has value"):
        run(ds.DIN(f, lambda t: 0.5 - t, 0.1), t1=3.0)


def test_damping_singular_at_the_start_is_refused():
    damping = ds.schedules.PowerLaw(3.0, 1.0, shift=0.0)
    with pytest.raises(ValueError, match="`alpha`, which must be at least 0, has value"):
        run(ds.InertialNewton(f, 1.0, damping, 0.1))


def test_vanishing_damping_refuses_negative_times():
    with pytest.raises(ValueError, match="`t0` must be at least 0"):
        run(ds.AVD(f), t0=-1.0)


def test_vanishing_damping_refuses_a_state_at_zero():
    system = ds.AVD(f)
    with pytest.raises(ValueError, match="from rest only"):
        run(system, system.state([1.0, 2.0], [0.0, 0.0]))


def test_state_with_a_velocity_is_refused():
    with pytest.raises(ValueError, match="holds the velocity already"):
        run(din, din.state(X0, X0), X0)


def test_kinks_refuse_solvers_that_cannot_stop_at_them():
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.3, 0.1)
    with pytest.raises(ValueError, match="Tsit5 cannot stop at.*inclusion='autodiff'"):
        run(system, [-1.0, 1.5], solver=diffrax.Tsit5())


def test_the_d_operator_needs_the_terms_of_a_loss_with_kinks():
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.3, 0.1)
    with pytest.raises(ValueError, match="needs the terms of the loss"):
        run(system, [-1.0, 1.5], inclusion="d_operator")


def test_a_loss_that_jumps_is_refused_by_the_name_of_its_jump():
    system = ds.GDIN(lambda x: jnp.sum(jnp.where(x > 0.3, 1.0, 0.0)), 1.0, 0.1)
    with pytest.raises(ds.nonsmooth.NotPiecewiseSmooth, match="`gt` at .*test_refusals"):
        run(system)


def test_indefinite_hessian_is_named_with_the_remedy():
    newton = ds.ContinuousNewton(ds.objectives.DoubleWell())
    with pytest.raises(ValueError, match="smallest eigenvalue of the Hessian.* is -5:"):
        run(newton, [0.5, 1.0])


def test_hessian_that_turns_singular_on_the_way_is_named():
    # From 8, the gradient x - 2 sin x must shrink, but turns round at 2 pi + pi / 3.
    newton = ds.ContinuousNewton(lambda x: x**2 / 2 + 2 * jnp.cos(x))
    with pytest.raises(ds.SimulationError, match="At x = 7.33.* smallest eigenvalue"):
        run(newton, 8.0, t1=5.0)


def test_regularized_newton_runs_where_newton_cannot():
    newton = ds.ContinuousNewton(ds.objectives.DoubleWell(), regularization=9.0)
    trajectory = run(newton, [0.5, 1.0], t1=200.0)
    np.testing.assert_allclose(trajectory.x[-1], [np.sqrt(2), 0.0], atol=1e-5)


def test_indefinite_hessian_in_large_dimension_is_refused():
    signs = jnp.where(jnp.arange(1100) == 7, -1.0, 1.0)
    newton = ds.ContinuousNewton(lambda x: 0.5 * jnp.sum(signs * x**2))
    for x0 in (jnp.ones(1100), jnp.zeros(1100).at[7].set(1.0)):
        with pytest.raises(ValueError, match="not positive definite"):
            run(newton, x0)


def test_max_steps_says_where_and_how_large_the_step_was():
    with pytest.raises(ds.SimulationError, match=r"max_steps.*t = 0\.\d+.*step size was"):
        run(max_steps=5, rtol=1e-10, atol=1e-12)


def test_max_steps_on_a_stiff_problem_says_stiff():
    stiff = ds.VMDINAVD(f, 1e-7, 0.0, 1.0)
    with pytest.raises(ds.SimulationError, match="looks stiff"):
        run(stiff, solver=diffrax.Tsit5(), max_steps=500)


def test_max_steps_on_a_kink_says_non_smooth():
    kinked = ds.GDIN(lambda x: jnp.abs(x), 0.5, 0.1)
    with pytest.raises(ds.SimulationError, match="looks non-smooth"):
        run(
            kinked,
            1.0,
            t1=10.0,
            solver=diffrax.Tsit5(),
            inclusion="autodiff",
            max_steps=20_000,
        )


def test_blow_up_says_so():
    with pytest.raises(ds.SimulationError, match="too small to go on at t = 0.125") as e:
        run(ds.GradientFlow(lambda x: -(x**4)), 1.0)
    assert "non-smooth" not in str(e.value)


def test_throw_false_returns_what_was_reached():
    trajectory = run(max_steps=5, rtol=1e-10, atol=1e-12, throw=False, times=101)
    result = trajectory.result
    assert not result.ok
    assert result.code == Status.MAX_STEPS
    assert "max_steps" in str(result)
    reached = np.asarray(trajectory.t) <= float(result.t)
    assert reached.any()
    assert not reached.all()
    assert np.isfinite(trajectory.x[reached]).all()
    assert np.isnan(trajectory.x[~reached]).all()
    assert np.isfinite(trajectory.final_state.x).all()


def test_traced_bad_values_are_recorded_not_raised():
    good_and_bad = jnp.array([1.0, -1.0, 2.0])
    batch = jax.vmap(lambda a: run(ds.DIN(f, a, 0.1)))(good_and_bad)
    np.testing.assert_array_equal(batch.result.ok, [True, False, True])
    assert batch.result.code[1] == Status.COEFFICIENT_OUT_OF_RANGE
    assert np.isnan(batch.x[1]).all()
    np.testing.assert_allclose(batch.x[0], run().x, atol=1e-9)
    assert "1 of 3 runs failed" in batch.result.message
    assert "member 1" in batch.result.message
    with pytest.raises(ValueError, match="member 1"):
        batch.result.raise_if_failed()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"t1": -1.0}, Status.BAD_TIMES),
        ({"rtol": -1.0}, Status.BAD_TOLERANCES),
        ({"times": [0.0, 0.5, 0.4]}, Status.BAD_TIMES),
    ],
)
def test_traced_bad_options_are_recorded(change, status):
    options = {"t1": 1.0, "rtol": 1e-6, "times": [0.0, 0.5, 0.6]} | change
    options = {key: jnp.asarray(value) for key, value in options.items()}
    trajectory = jax.jit(lambda o: run(**o))(options)
    assert trajectory.result.code == status
    with pytest.raises(ValueError, match="while tracing"):
        trajectory.result.raise_if_failed()


def test_float32_refuses_tolerances_below_its_precision():
    with pytest.raises(ValueError, match="precision of float32.*float64"):
        run(x0=jnp.ones(2, jnp.float32), rtol=1e-9)


@pytest.mark.slow
def test_failure_under_grad_raises_or_spoils_the_derivative():
    last = lambda a: run(ds.DIN(f, a, 0.1), max_steps=5, rtol=1e-10).x[-1, 0]
    with pytest.raises(ds.SimulationError, match="max_steps"):
        jax.grad(last)(1.0)
    assert np.isnan(jax.jit(jax.grad(last))(1.0))


@pytest.mark.slow
def test_a_gradient_that_is_nan_on_the_side_not_taken_has_a_remedy_that_works():
    at = lambda root: lambda x: jnp.sum(jnp.where(x > 0, root(x), 0.0)) + jnp.sum(x**2)
    start, options = [-1.0, 2.0], {"t1": 0.5, "inclusion": "autodiff"}
    with pytest.raises(ValueError, match="select its argument, too"):
        ds.simulate(ds.DIN(at(jnp.sqrt), 1.0, 0.1), start, **options)
    double = at(lambda x: jnp.sqrt(jnp.where(x > 0, x, 1.0)))
    assert ds.simulate(ds.DIN(double, 1.0, 0.1), start, **options).result.ok


def test_the_solver_that_was_used_is_not_recommended():
    stiff = lambda x: 1e6 * jnp.sum((x - 1) ** 2) + jnp.sum(x**4)
    with pytest.raises(ds.SimulationError, match="`max_steps`") as caught:
        ds.simulate(ds.VMDINAVD(stiff, 1e-3, 1.0, 0.1), [1.0, 3.0], t1=9.0, max_steps=3)
    assert "Rodas5P" not in str(caught.value)
