"""Explicit or implicit steps, by the fastest rate at the start."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators import Rodas5P
from dynsys.integrators.solvers.by_need import LIMIT, MILD, STIFF, STIFF_LATER
from dynsys.integrators.solvers.default_solver import MOST_EXPLICIT


def bowl(dim, condition):
    curvatures = jnp.asarray(np.geomspace(1.0, condition, dim))
    f = lambda x: 0.5 * jnp.sum(curvatures * x**2)
    return ds.DIN(f, alpha=1.0, beta=0.1), jnp.ones(dim)


def attempts(run):
    return int(run.stats.steps) + int(run.stats.rejected)


# The fastest rate is that of overdamped motion, beta times the largest curvature.
@pytest.mark.parametrize(
    ("dim", "condition", "solver", "reason"),
    [
        (8, 1e3, "Tsit5", MILD),
        (8, 1e4, "Rodas5P", STIFF),
        (100, 3e3, "Tsit5", MILD),
        (100, 1e5, "Rodas5P", STIFF),
    ],
)
def test_the_solver_is_that_with_less_work(dim, condition, solver, reason):
    system, x0 = bowl(dim, condition)
    run = ds.simulate(system, x0, t1=10.0)
    assert (run.stats.solver, run.stats.reason) == (solver, reason)
    other = diffrax.Tsit5() if solver == "Rodas5P" else Rodas5P()
    forced = ds.simulate(system, x0, t1=10.0, solver=other)
    explicit, implicit = (run, forced) if solver == "Tsit5" else (forced, run)
    # A step of Rodas5P takes as long as this many of Tsit5, by measurements.
    work = (attempts(explicit), 1.7 * dim**0.5 * attempts(implicit))
    assert work[0 if solver == "Tsit5" else 1] <= 1.25 * min(work)
    np.testing.assert_allclose(run.x, forced.x, atol=2e-5)


def test_in_the_plane_nobody_looks():
    system, x0 = bowl(4, 10.0)
    assert "8 coordinates" in ds.simulate(system, x0, t1=10.0).stats.reason


def test_coefficients_are_looked_at_along_the_interval():
    f = lambda x: 0.5 * jnp.sum(x**2)
    late = lambda t: jnp.where(t < 4.0, 0.1, 1e4)
    system = ds.InertialNewton(f, 1.0, 1.0, late)
    run = ds.simulate(system, jnp.ones(8), t1=10.0)
    assert run.stats.solver == "Rodas5P"


def test_what_becomes_stiff_on_the_way_is_done_with_implicit_steps():
    # Past 0.5 the curvature is 1e8, so 1e7 explicit steps would be needed.
    steep = lambda x: 1 + 1e8 * jax.nn.sigmoid(40 * (0.5 - x[0]))
    f = lambda x: 0.5 * jnp.sum(x[1:] ** 2) * steep(x) + 0.5 * x[0] ** 2
    x0 = jnp.ones(8).at[1:].set(1e-6)
    run = ds.simulate(ds.DIN(f, 1.0, 0.1), x0, t1=10.0)
    assert run.stats.solver == "Rodas5P"
    assert run.stats.reason == STIFF_LATER
    forced = ds.simulate(ds.DIN(f, 1.0, 0.1), x0, t1=10.0, solver=Rodas5P())
    np.testing.assert_array_equal(run.x, forced.x)
    thrown_away = run.stats.gradient_evaluations - forced.stats.gradient_evaluations
    assert int(thrown_away) == 2 + 1 + 6 * MOST_EXPLICIT


def test_fewer_steps_than_that_are_the_limit_of_the_user():
    system, x0 = bowl(8, 10.0)
    run = ds.simulate(system, x0, t1=10.0, max_steps=5, throw=False)
    assert run.stats.solver == "Tsit5"
    assert int(run.stats.steps) + int(run.stats.rejected) == 5
    assert not run.result.ok


def test_where_rates_are_not_finite_the_size_decides(monkeypatch):
    nothing = lambda *_: jnp.array([1.0, jnp.nan, 1.0])
    monkeypatch.setattr("dynsys.integrators.solvers.by_need._rates", nothing)
    system, x0 = bowl(8, 10.0)
    assert ds.simulate(system, x0, t1=10.0).stats.solver == "Rodas5P"


@pytest.mark.parametrize(
    "system",
    [
        ds.AVD(lambda x: 0.5 * jnp.sum(x**2), 3.0),
        ds.DINAVD(lambda x: 0.5 * jnp.sum(x**2), beta=0.1),
    ],
    ids=["AVD", "DIN-AVD"],
)
def test_a_singular_start_is_looked_at_later(system):
    assert ds.simulate(system, jnp.ones(8), t1=10.0).stats.reason == MILD


def test_inside_of_a_program_the_size_decides():
    system, x0 = bowl(8, 10.0)
    run = jax.jit(lambda x0: ds.simulate(system, x0, t1=10.0))(x0)
    assert run.stats.solver == "Rodas5P"
    np.testing.assert_allclose(run.x, ds.simulate(system, x0, t1=10.0).x, atol=2e-5)


def test_the_look_does_not_compile_again(monkeypatch):
    traces = []

    def f(x):
        traces.append(x)
        return 0.5 * jnp.sum(x**2)

    system = ds.DIN(f, 1.0, 0.1)
    ds.simulate(system, jnp.ones(8), t1=10.0)
    known = len(traces)
    ds.simulate(system, 2 * jnp.ones(8), t1=11.0)
    assert len(traces) == known


def test_the_limit_is_one_of_rate_times_length():
    system, x0 = bowl(8, 1.0)
    slow = ds.simulate(system, x0, t1=0.9 * LIMIT * 16**0.5, times=2)
    long = ds.simulate(system, x0, t1=1.3 * LIMIT * 16**0.5, times=2)
    assert (slow.stats.solver, long.stats.solver) == ("Tsit5", "Rodas5P")


def test_a_loss_of_differences_is_seen_to_be_stiff():
    f = lambda x: 0.5e4 * jnp.sum(jnp.diff(x) ** 2)
    run = ds.simulate(ds.DIN(f, 1.0, 0.1), jnp.arange(8.0), t1=10.0)
    assert run.stats.reason == STIFF


def scaled(weight):
    """The end of a run whose loss closes over a weight, with 16 coordinates."""
    f = lambda x: 0.5 * weight * jnp.sum(x**2)
    return ds.simulate(ds.DIN(f, 1.0, 0.1), jnp.ones(8), t1=1.0, times=2).x[-1].sum()


def damped(damping):
    """The same for a schedule."""
    f = lambda x: 0.5 * jnp.sum(x**2)
    system = ds.InertialNewton(f, 1.0, lambda t: damping / (1 + t), 0.1)
    return ds.simulate(system, jnp.ones(8), t1=1.0, times=2).x[-1].sum()


@pytest.mark.slow
@pytest.mark.parametrize("end", [scaled, damped])
def test_what_is_closed_over_may_be_traced(end):
    slope = (end(1.0 + 1e-4) - end(1.0 - 1e-4)) / 2e-4
    np.testing.assert_allclose(jax.grad(end)(1.0), slope, rtol=1e-3)
    values = jnp.array([0.5, 1.0])
    one_by_one = [end(value) for value in values]
    np.testing.assert_allclose(jax.vmap(end)(values), one_by_one, rtol=1e-5)


@pytest.mark.slow
def test_a_condition_may_close_over_what_is_traced():
    system, x0 = bowl(8, 10.0)

    def when(level):
        stop = lambda t, x, v: x[0] - level
        return ds.simulate(system, x0, t1=10.0, stop=stop, throw=False).result.t

    levels = jnp.array([0.5, 0.7])
    one_by_one = [when(float(level)) for level in levels]
    np.testing.assert_allclose(jax.vmap(when)(levels), one_by_one, atol=1e-5)


@pytest.mark.slow
def test_a_run_at_rest_on_kinks_is_found_in_many_dimensions():
    f = lambda x: jnp.sum(jnp.abs(x[::2])) + 0.5 * jnp.sum(x**2)
    run = ds.simulate(ds.GDIN(f, 0.5, 0.1), jnp.zeros(5), t1=60.0, max_events=1)
    assert run.result.ok
    assert float(run.stats.rest_since) == 0.0


def test_steps_of_first_order_have_all_that_are_allowed(monkeypatch):
    monkeypatch.setattr("dynsys.integrators.solvers.default_solver.MOST_EXPLICIT", 64)
    f = lambda x: jnp.sum(jnp.abs(x)) + jnp.sum(x**2)
    x0 = jnp.linspace(-1.0, 1.0, 1500)
    options = {"t1": 0.1, "times": 2, "max_steps": 4096, "throw": False}
    run = ds.simulate(ds.GradientFlow(f), x0, **options)
    assert run.stats.solver == "SemiImplicitEuler"
    assert int(run.stats.steps) > 64


@pytest.mark.parametrize(
    ("loss", "message"),
    [(lambda x: x**2, "scalar"), (lambda x: math.sin(x[0]) + jnp.sum(x), "jax.numpy")],
)
def test_what_is_wrong_with_a_loss_is_said_in_any_dimension(loss, message):
    told = []
    for dim in (2, 8):
        with pytest.raises((ValueError, TypeError)) as error:
            ds.simulate(ds.DIN(loss, 1.0, 0.1), jnp.ones(dim), t1=1.0)
        told.append((type(error.value), str(error.value).replace(str(dim), "n")))
    assert told[0] == told[1]
    assert message in told[0][1]


def test_a_search_for_nan_does_not_look_into_the_look():
    f = lambda x: 0.5 * jnp.sum(x**2) + jnp.sqrt(jnp.sum((x - 1.0) ** 2)) ** 3
    with jax.debug_nans(True), pytest.raises(ValueError, match="not finite"):
        ds.simulate(ds.GradientFlow(f), jnp.ones(9), t1=1.0, inclusion="autodiff")


def test_steps_that_become_too_short_are_implicit_ones_in_single_precision():
    damping = lambda t: 1.0 + 1e6 * jnp.exp(-200 * (t - 3.1) ** 2)
    system = ds.InertialNewton(lambda x: 0.5 * jnp.sum(x**2), 1.0, damping, 0.0)
    x0 = jnp.linspace(-1.0, 2.0, 12)
    run = ds.simulate(system, x0.astype(jnp.float32), t1=8.0, times=5)
    assert run.stats.reason == STIFF_LATER
    double = ds.simulate(system, x0, t1=8.0, times=5, solver=Rodas5P())
    np.testing.assert_allclose(run.x, double.x, atol=1e-3)


def test_a_loss_with_kinks_has_one_program_whatever_its_rates(monkeypatch):
    traces = []

    def f(x):
        traces.append(x)
        return jnp.sum(jnp.abs(x)) + 0.25 * jnp.sum(x**4)

    run = lambda size: ds.simulate(
        ds.GDIN(f, 1.0, 0.1), size * jnp.ones(5), t1=1.0, times=2
    )
    first = run(1.0)
    known = len(traces)
    # The fastest rate is 1e4 times as large there.
    assert "5 kinks" in run(100.0).stats.reason
    assert "5 kinks" in first.stats.reason
    assert len(traces) == known
