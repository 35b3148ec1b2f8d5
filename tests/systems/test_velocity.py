"""Which of two velocities is trusted."""

import jax.numpy as jnp
import pytest

from dynsys import InertialNewton
from dynsys.systems.inertial_newton import MomentumState
from dynsys.systems.velocity import reconcile

ATOL = 1e-6


def reconciled(mass, difference):
    """The velocity where the equation says 1, and the output that much more."""
    system = InertialNewton(lambda x: 0.5 * jnp.sum(x**2), mass, 1.0, 1.0)
    x = jnp.array([2.0])
    state = MomentumState(x, x + mass)
    slope = MomentumState(jnp.array([1.0 + difference]), jnp.zeros(1))
    return reconcile(system, jnp.array(0.0), state, slope, jnp.array(0.0), jnp.array(ATOL))


@pytest.mark.parametrize(
    ("mass", "tolerances", "by_equation"),
    [
        # The error of the position is multiplied by 10: explains 10 tolerances.
        (0.1, 8, False),
        (0.1, 34, True),
        # By 1e6: too much for an interpolation, so ten times that is needed.
        (1e-6, 3.4e6, False),
        (1e-6, 30e6, True),
    ],
)
def test_trusts_the_equation_where_its_error_explains_no_difference(
    mass, tolerances, by_equation
):
    difference = tolerances * ATOL
    expected = 1.0 if by_equation else 1.0 + difference
    assert reconciled(mass, difference)[0] == pytest.approx(expected, rel=1e-8)
