"""What methods need besides the gradient: parameters, their types, and the function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.checks import default_float
from dynsys.trees import Position


def required_params(method: str, params: Position | None) -> Position:
    """The parameters, which optax lets a user leave out.

    Args:
        method: Name of the method in the message.
        params: What `update` got.

    Raises:
        TypeError: A leaf is no array of floats.
        ValueError: There are none.
    """
    if params is None:
        raise ValueError(
            f"{method} needs the parameters, on which its step depends, but got none. Call "
            f"`update(updates, state, params)`."
        )
    require_floats(method, params)
    return params


def required_value_fn(
    method: str, value_fn: Callable[[Any], Any] | None, why: str
) -> Callable[[Any], Any]:
    """The function to minimise, an extra argument as for the line searches of optax.

    Args:
        method: Name of the method in the message.
        value_fn: What `update` got.
        why: What the method needs it for.

    Raises:
        ValueError: There is none.
    """
    if value_fn is None:
        raise ValueError(
            f"{method} needs the function itself for {why}, but got no `value_fn`. Call "
            f"`update(updates, state, params, value_fn=loss)` with a function of the "
            f"parameters alone, as `dynsys.algorithms.iterate` does."
        )
    return value_fn


def require_floats(method: str, params: Position) -> None:
    """Refuse parameters that a step cannot move.

    Args:
        method: Name of the method in the message.
        params: What `init` got.

    Raises:
        TypeError: A leaf is no array of floats.
    """
    for leaf in jax.tree.leaves(params):
        dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        if not jnp.issubdtype(dtype, jnp.inexact):
            is_number = jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, bool)
            what = f"of {dtype}" if is_number else f"a {type(leaf).__name__}"
            raise TypeError(
                f"{method} moves arrays of floats, but a leaf of the parameters is {what}. "
                f"Convert numbers, as by `x.astype(float)`; of a model pass "
                f"`eqx.filter(model, eqx.is_inexact_array)`, or leave leaves out with "
                f"`optax.masked`."
            )


def cast(tree: Position, like: Position) -> Position:
    """The leaves in the dtypes of another tree."""
    return jax.tree.map(
        lambda leaf, other: jnp.asarray(leaf).astype(jnp.result_type(other)), tree, like
    )


def scalar_type(params: Position) -> Any:
    """The float type of the numbers in a step: that of the widest leaf, at least 32 bit."""
    types = [jnp.finfo(jnp.result_type(leaf)).dtype for leaf in jax.tree.leaves(params)]
    widest = max(types, key=lambda dtype: dtype.itemsize, default=default_float())
    return widest if widest.itemsize >= 4 else jnp.dtype(jnp.float32)


def widened(tree: Position) -> Position:
    """Leaves of fewer than 32 bits in 32, so that a step is rounded once."""

    def widen(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        return leaf.astype(jnp.float32) if leaf.dtype.itemsize < 4 else leaf

    return jax.tree.map(widen, tree)
