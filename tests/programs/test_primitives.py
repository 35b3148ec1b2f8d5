"""Names of primitives."""

from jax.extend.core import Primitive, primitives

import dynsys.programs.primitives as listed

OLDER = {"checkpoint", "copy_p", "core_call", "custom_vjp_call_jaxpr", "pjit", "remat"}
"""Names in older versions of JAX."""

NOT_EXPORTED = {
    *("custom_vmap_call", "geqrf", "lu_pivots_to_permutation", "optimization_barrier"),
    *("ragged_dot_general", "scatter-sub", "split", "stack", "tile", "unstack"),
}


def test_every_name_is_that_of_a_primitive():
    tables = [value for name, value in vars(listed).items() if name.isupper()]
    names = {name for table in tables for name in table}
    every = (one for one in vars(primitives).values() if isinstance(one, Primitive))
    assert names - {one.name for one in every} <= OLDER | NOT_EXPORTED
    assert len(names) > 100
