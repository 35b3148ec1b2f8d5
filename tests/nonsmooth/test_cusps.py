"""Signs at kinks that touch, in a cusp that is narrower than rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.nonsmooth.active_set import find_signs
from dynsys.nonsmooth.finder.find_pieces import pieces_of
from dynsys.nonsmooth.flat_program.loss_program import program_of
from dynsys.nonsmooth.search import Aim


def cusp(x):
    """Of three parts: the first and the last have a cusp between them that ends at 0."""
    parts = x[0] ** 2 + x[1] ** 2, 2 * x[0] + x[1] ** 2, jnp.abs(x[1] - x[0])
    return jnp.maximum(jnp.maximum(parts[0], parts[1]), parts[2])


@pytest.fixture(scope="module")
def velocity():
    """Whether signs agree with the velocity they lead to, and that velocity."""
    pieces = pieces_of(*program_of(cusp, jnp.zeros(2)), jnp.zeros(2), ())

    @jax.jit
    def run(x, drift, beta, start):
        none = jnp.zeros(3, bool)
        found = find_signs(pieces, x, Aim(drift, -beta), start, ~none, none, none)
        return found.settled, drift - beta * pieces.gradient(x, found.signature)

    return run


def nearest(drift, beta):
    """The velocity at 0, where the gradients between (1, -1) and (-1, 1) are nearest."""
    along = np.array([1, -1]) / 2**0.5
    part = np.clip(drift @ along / beta, -(2**0.5), 2**0.5)
    return drift - beta * part * along


@pytest.mark.parametrize("start", [[1.0, -1.0, 1.0], [1.0, -1.0, -1.0]])
@pytest.mark.parametrize("depth", [0.0, 1e-12, 1e-10, 5e-9, 1e-7, 1e-5, 1e-4])
def test_signs_in_a_cusp_are_found_however_narrow_it_is(depth, start, velocity):
    drift, beta = np.array([-0.0276, -0.0817]), 0.0473
    place = jnp.array([-depth, -depth])
    settled, found = velocity(place, drift, beta, jnp.array(start))
    assert bool(settled)
    np.testing.assert_allclose(found, nearest(drift, beta), atol=4 * beta * depth + 1e-12)


def test_signs_that_change_seldom_on_the_way_are_found(velocity):
    """A path crosses the kink once in 1,300 steps."""
    drift, beta = np.array([-0.07122929, -0.25855052]), 0.0938
    settled, found = velocity(jnp.zeros(2), drift, beta, jnp.array([1.0, -1.0, 1.0]))
    assert bool(settled)
    np.testing.assert_allclose(found, nearest(drift, beta), atol=1e-12)
