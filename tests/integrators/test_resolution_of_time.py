"""Single precision far from t = 0, against double precision from 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.result import Status
from tests.integrators.kinked import absolute

RTOL, ATOL = 1e-4, 1e-6
"""The default tolerances in single precision."""


def tolerances_off(system, x0, t0, length):
    """How many tolerances a run in single precision is off."""
    run = ds.simulate(system, np.float32(x0), t0=t0, t1=t0 + length, times=41)
    t = np.asarray(run.t, float) - t0
    exact = ds.simulate(system, np.float64(x0), t1=length, times=t, rtol=1e-10, atol=1e-12)
    errors = np.abs(np.asarray(run.x, float) - np.asarray(exact.x))
    return errors.max() / (ATOL + RTOL * np.abs(exact.x).max())


@pytest.mark.slow
@pytest.mark.parametrize("t0", [0.0, 100.0, 1e4])
def test_kinks_cost_no_accuracy_far_from_0(t0):
    assert tolerances_off(ds.HeavyBall(absolute, 0.2), [1.0], t0, 10.0) < 5


@pytest.mark.slow
def test_kinks_that_are_met_at_once_and_slid_along_cost_none():
    off = tolerances_off(ds.GDIN(absolute, 0.2, 0.05), [1.0, 1.0], 1e4, 10.0)
    assert off < 5


@pytest.mark.slow
def test_members_in_which_the_resolution_of_time_shows_end_by_name():
    def run(t0):
        return ds.simulate(
            ds.HeavyBall(absolute, 0.2),
            jnp.ones(1, jnp.float32),
            t0=t0,
            t1=t0 + 100,
            times=2,
            max_events=2048,
            throw=False,
        )

    batch = jax.vmap(run)(jnp.array([0.0, 8e4], jnp.float32))
    assert list(batch.result.code) == [Status.SUCCESS, Status.TIME_UNRESOLVED]
    assert "resolution of time at t = 800" in batch.result.message
    assert float(batch.result.t[1]) < 8e4 + 100


def test_steps_that_time_cannot_resolve_are_named():
    system = ds.HeavyBall(lambda x: jnp.sum(jnp.cosh(x)), 0.2)
    run = lambda t0, length: ds.simulate(
        system, np.float32([2.0]), t0=t0, t1=t0 + length, times=2
    )
    assert run(1e4, 10.0).result.ok
    with pytest.raises(ds.SimulationError, match="resolution of time at t = 1e"):
        run(1e6, 1100.0)
