"""What the update of a method needs besides the gradient."""

from collections.abc import Callable
from typing import Any

import jax

from dynsys.trees import Position


def required_params(method: str, params: Position | None) -> Position:
    """The parameters, which optax lets a user leave out.

    Args:
        method: Name of the method in the message.
        params: What `update` got.

    Raises:
        ValueError: There are none.
    """
    if params is None:
        raise ValueError(
            f"{method} needs the parameters, on which its step depends, but got none. Call "
            f"`update(updates, state, params)`."
        )
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


def cast(updates: Position, params: Position) -> Position:
    """The gradient in the dtypes of the parameters."""
    return jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), updates, params)
