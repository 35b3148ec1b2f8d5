"""The first step: the right size, in the right units, and finite where it can be."""

import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.engine.first_step import first_step
from dynsys.integrators.engine.problem import Problem


def first(system, x0, t1=1.0, rtol=1e-6):
    x0 = jnp.asarray(x0, float)
    number = lambda value: jnp.asarray(value, float)
    state = system.initial_state(number(0.0), x0, None)
    times = jnp.array([0.0, t1])
    ends = number(0.0), number(t1)
    problem = Problem(
        system, state, *ends, times, number(rtol), number(1e-3 * rtol), 0, None, None
    )
    return float(first_step(problem, 5))


def test_it_scales_with_the_fast_time():
    slow = first(ds.GradientFlow(lambda x: 0.5 * x**2), 1.0, t1=1e9)
    fast = first(ds.GradientFlow(lambda x: 0.5 * 1e6 * x**2), 1.0, t1=1e9)
    assert 1e-3 < slow < 1
    assert fast < 1e-4 * slow


def test_an_euler_step_out_of_the_domain_is_not_lost():
    """log(x) from near 0: the field is not finite where the Euler step leads."""
    step = first(ds.GradientFlow(lambda x: jnp.sum(jnp.sqrt(x) * 1e9)), 1e-12)
    assert np.isfinite(step)
    assert step > 0


@pytest.mark.parametrize("x0", [0.0, 1.0])
def test_at_rest_in_a_minimum_it_is_part_of_the_interval(x0):
    for t1 in (1e-9, 1.0, 1e9):
        step = first(ds.GradientFlow(lambda x: 0.5 * (x - x0) ** 2), x0, t1)
        assert 0 < step <= t1
