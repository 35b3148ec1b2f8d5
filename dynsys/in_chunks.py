"""A function of one time at many of them, in bounded memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

CHUNK = 1024
"""Entries that are computed at once."""


def in_chunks(function: Callable[..., Any], *trees: Any) -> Any:
    """What `jax.vmap` gives, with the memory of some entries for what is in between.

    Args:
        function: A function of pytrees.
        *trees: Its arguments, each leaf with a leading axis of the same length.
    """
    length = len(jax.tree.leaves(trees)[0])
    if length <= CHUNK:
        return jax.vmap(function)(*trees)
    of_one = jax.eval_shape(function, *jax.tree.map(lambda leaf: leaf[0], trees))
    room = lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype)

    def fill(i: Any, filled: Any) -> Any:
        # The last chunk starts early, so that all are of the same length.
        start = jnp.minimum(i * CHUNK, length - CHUNK)
        cut = lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, CHUNK)
        new = jax.vmap(function)(*jax.tree.map(cut, trees))
        put = lambda whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, start, 0)
        return jax.tree.map(put, filled, new)

    return jax.lax.fori_loop(0, -(-length // CHUNK), fill, jax.tree.map(room, of_one))
