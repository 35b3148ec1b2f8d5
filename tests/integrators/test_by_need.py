"""Explicit or implicit steps, by the fastest rate at the start."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators import Rodas5P
from dynsys.integrators.solvers.by_need import LIMIT, MOST_EXPLICIT


def bowl(dim, condition):
    curvatures = jnp.asarray(np.geomspace(1.0, condition, dim))
    f = lambda x: 0.5 * jnp.sum(curvatures * x**2)
    return ds.DIN(f, alpha=1.0, beta=0.1), jnp.ones(dim)


def attempts(run):
    return int(run.stats.steps) + int(run.stats.rejected)


# The fastest rate is that of overdamped motion, beta times the largest curvature.
@pytest.mark.parametrize(
    ("dim", "condition", "solver"),
    [
        (4, 10.0, "Rodas5P"),
        (8, 1e3, "Tsit5"),
        (8, 1e4, "Rodas5P"),
        (100, 3e3, "Tsit5"),
        (100, 1e5, "Rodas5P"),
    ],
)
def test_the_solver_is_that_with_less_work(dim, condition, solver):
    system, x0 = bowl(dim, condition)
    run = ds.simulate(system, x0, t1=10.0)
    assert run.stats.solver == solver
    if dim == 4:
        return
    assert "stiff at the start" in run.stats.reason
    other = diffrax.Tsit5() if solver == "Rodas5P" else Rodas5P()
    forced = ds.simulate(system, x0, t1=10.0, solver=other)
    explicit, implicit = (run, forced) if solver == "Tsit5" else (forced, run)
    # A step of Rodas5P takes this many steps of Tsit5, by measurements.
    work = (attempts(explicit), 1.7 * dim**0.5 * attempts(implicit))
    assert work[0 if solver == "Tsit5" else 1] <= 1.25 * min(work)
    np.testing.assert_allclose(run.x, forced.x, atol=2e-5)


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
    assert f"{MOST_EXPLICIT:,}" in run.stats.reason
    forced = ds.simulate(ds.DIN(f, 1.0, 0.1), x0, t1=10.0, solver=Rodas5P())
    np.testing.assert_array_equal(run.x, forced.x)


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


@pytest.mark.parametrize("make", [ds.AVD, ds.DINAVD])
def test_a_singular_start_is_looked_at_later(make):
    f = lambda x: 0.5 * jnp.sum(x**2)
    system = ds.AVD(f, 3.0) if make is ds.AVD else make(f, alpha=3.0, beta=0.1)
    run = ds.simulate(system, jnp.ones(8), t1=10.0)
    assert run.stats.solver == "Tsit5"


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
