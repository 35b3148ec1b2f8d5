"""Values of a program of one member, for many lanes."""

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.lanes.interpreter import Interpreter
from dynsys.lanes.value import Value


def test_what_is_the_same_in_all_lanes_is_repeated_as_a_whole():
    def repeated(array):
        return Interpreter(4, None).values_of([Value.of_same(array).block(4)])[0]

    array = jnp.arange(3000.0).reshape(1000, 3)
    assert len(jax.make_jaxpr(repeated)(array).eqns) == 1
    np.testing.assert_array_equal(repeated(array), np.tile(array, (4, 1, 1)))
