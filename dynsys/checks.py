"""What a user may pass, and what a wrong value is answered."""

import math
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Array, Float


def is_concrete(value: Any) -> bool:
    """Whether `value` can be looked at now, that is, is not being traced by JAX."""
    return not any(
        isinstance(leaf, jax.core.Tracer) for leaf in jax.tree_util.tree_leaves(value)
    )


def default_float() -> jnp.dtype:
    """The float type of new numbers: 64 bit unless `JAX_ENABLE_X64` says otherwise."""
    return jnp.zeros(()).dtype


def as_parameter(name: str, value: Any) -> Float[Array, ""]:
    """Turn a number into a float array, or say what is wrong with it.

    Args:
        name: Name of the parameter in messages.
        value: A real number or a scalar array, traced or not.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is not a scalar, or is not finite.
    """
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`{name}` must be a real number, but is {value!r} of type "
            f"{type(value).__name__}."
        ) from error
    if jnp.issubdtype(array.dtype, jnp.complexfloating) or array.dtype == bool:
        raise TypeError(f"`{name}` must be a real number, but has dtype {array.dtype}.")
    if array.shape != ():
        raise ValueError(
            f"`{name}` must be a scalar, but has shape {array.shape}. To run several "
            f"values at once, map over it with `jax.vmap`."
        )
    if not jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(default_float())
    if is_concrete(array) and not math.isfinite(float(array)):
        raise ValueError(f"`{name}` must be finite, but has value {float(array)}.")
    return array


def require_positive(name: str, value: Float[Array, ""], why: str = "") -> None:
    """Refuse a number that is zero or negative; a traced one passes."""
    if is_concrete(value) and not float(value) > 0:
        raise ValueError(f"`{name}` must be positive, but has value {value}.{_and(why)}")


def require_nonnegative(name: str, value: Float[Array, ""], why: str = "") -> None:
    """Refuse a negative number; a traced one passes."""
    if is_concrete(value) and not float(value) >= 0:
        raise ValueError(f"`{name}` must be at least 0, but has value {value}.{_and(why)}")


def _and(why: str) -> str:
    return f" {why}" if why else ""
