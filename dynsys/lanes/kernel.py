"""A loop over lanes as one compiled kernel.

XLA compiles a call as one function when it is asked to, but dies when some argument
turns out not to be needed. So there is one argument, of which some of it always is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

AS_ONE = {"xla_cpu_small_call": "true", "inlineable": "false"}
"""Metadata of a call that XLA compiles as one kernel."""


def call_as_kernel(run: Callable[..., list[Any]], arrays: Sequence[Any]) -> list[Any]:
    """Call a function of arrays as one kernel.

    Args:
        run: The function: one that XLA can emit as one function.
        arrays: Its arguments.
    """
    shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays]

    def on_vector(vector: Any) -> list[Any]:
        with set_xla_metadata(**dict.fromkeys(AS_ONE)):
            return run(*unpack(vector, shapes))

    vector = pack(arrays)
    with set_xla_metadata(**AS_ONE):
        return jax.jit(on_vector)(vector)


def pack(arrays: Sequence[Any]) -> Any:
    """All entries in one vector of 64-bit floats, from which they come back bit for bit."""
    return jnp.concatenate([part.reshape(-1) for a in arrays for part in _parts(a)])


def _parts(array: Any) -> list[Any]:
    if not jnp.issubdtype(array.dtype, jnp.integer) or array.dtype.itemsize <= 4:
        return [array.astype(jnp.float64)]
    # 64 bits of an integer do not fit into the 53 of a float.
    high, low = array >> 32, array & jnp.asarray(2**32 - 1, array.dtype)
    return [high.astype(jnp.float64), low.astype(jnp.float64)]


def unpack(vector: Any, shapes: Sequence[Any]) -> list[Any]:
    """The inverse of `pack`."""
    arrays, start = [], 0
    for shape in shapes:
        wide = jnp.issubdtype(shape.dtype, jnp.integer) and shape.dtype.itemsize > 4
        size = shape.size
        parts = []
        for _ in range(2 if wide else 1):
            part = jax.lax.slice(vector, (start,), (start + size,)).reshape(shape.shape)
            parts.append(part.astype(shape.dtype))
            start += size
        arrays.append((parts[0] << 32) | parts[1] if wide else parts[0])
    return arrays
