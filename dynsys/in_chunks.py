"""A function of one time at many of them, in bounded memory."""

from collections.abc import Callable
from typing import Any

import jax

CHUNK = 8192
"""Entries that are computed at once."""


def in_chunks(function: Callable[..., Any], *trees: Any) -> Any:
    """What `jax.vmap` gives, with the memory of some entries for what is in between.

    Args:
        function: A function of pytrees.
        *trees: Its arguments, each leaf with a leading axis of the same length.
    """
    if len(jax.tree.leaves(trees)[0]) <= CHUNK:
        return jax.vmap(function)(*trees)
    return jax.lax.map(lambda args: function(*args), trees, batch_size=CHUNK)
