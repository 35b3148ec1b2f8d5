"""The control of the step size, next to that of diffrax."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.integrators import Rodas5P
from dynsys.integrators.engine.step_control import gains_of, judge
from dynsys.integrators.solvers.explicit import ExplicitRungeKutta

ERRORS = [1e-200, 1e-5, 0.03, 0.5, 0.99, 1.01, 3.0, 40.0, 1e8, 1e200]
SOLVERS = [Rodas5P(), ExplicitRungeKutta(diffrax.Tsit5()), diffrax.Kvaerno5()]


def of_diffrax(solver, before, error):
    """What a controller of diffrax makes of an error after another one that was kept."""
    integral, proportional = gains_of(solver)
    control = diffrax.PIDController(
        rtol=0.0, atol=1.0, icoeff=integral, pcoeff=proportional, safety=0.95
    )
    order = solver.error_order(diffrax.ODETerm(lambda t, y, args: y))
    zero, one = jnp.zeros(1), jnp.array(1.0)
    memory = (1 / before, one, None)
    keep, _, end, *_ = control.adapt_step_size(
        0.0 * one, one, zero, zero, None, zero + error, order, memory
    )
    return keep, end - jnp.where(keep, 1.0, 0.0)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_steps_are_those_of_diffrax(solver, error):
    before = jnp.array(0.2)
    memory = 2 * jnp.log(before) if gains_of(solver).proportional else None
    found = judge(solver, jnp.array(error) ** 2, memory)
    keep, size = of_diffrax(solver, before, error)
    assert bool(found.keep) == bool(keep)
    np.testing.assert_allclose(found.factor, size, rtol=1e-12)


def test_an_error_that_is_refused_is_not_remembered():
    solver = ExplicitRungeKutta(diffrax.Tsit5())
    for error, remembered in (
        (0.5, np.log(0.25)),
        (2.0, -1.0),
        (jnp.inf, -1.0),
        (0.0, 0.0),
    ):
        memory = judge(solver, jnp.array(error) ** 2, jnp.array(-1.0)).memory
        np.testing.assert_allclose(memory, remembered)
