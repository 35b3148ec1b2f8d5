"""What a user may pass, and what a wrong value is answered."""

import inspect
import math
import warnings
from typing import Any, Literal

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

INSIDE = ("dynsys.", "optax.", "equinox.", "jax.")
"""Beginnings of the names of modules that a user did not write."""

PLAIN = (float, int, np.ndarray, jax.Array)
"""Types that are leaves of pytrees, in which no others need be looked for."""

Kind = Literal["positive", "at least 0", "finite"]
"""What a parameter must be."""


def is_concrete(value: Any) -> bool:
    """Whether `value` can be looked at now, that is, is not being traced by JAX."""
    leaves = [value] if isinstance(value, PLAIN) else jax.tree_util.tree_leaves(value)
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


def default_float() -> jnp.dtype:
    """The float type of new numbers: 64 bit unless `JAX_ENABLE_X64` says otherwise."""
    return jax.dtypes.canonicalize_dtype(np.float64)


def as_floats(values: Any) -> Float[Array, "..."]:
    """An array of floats, of the default type if they were integers."""
    array = jnp.asarray(values)
    is_float = jnp.issubdtype(array.dtype, jnp.floating)
    return array if is_float else array.astype(default_float())


def as_parameter(
    name: str, value: Any, kind: Kind = "finite", why: str = ""
) -> Float[Array, ""]:
    """Turn a number into a float array of JAX, or say what is wrong with it.

    Arguments and errors are those of `as_number`.
    """
    number = as_number(name, value, kind, why)
    dtype = jax.dtypes.canonicalize_dtype(number.dtype)
    if isinstance(number, np.ndarray):
        # JAX would take four times as long to change the type.
        return jnp.asarray(number.astype(dtype))
    return jnp.asarray(number, dtype)


def as_number(
    name: str, value: Any, kind: Kind = "finite", why: str = ""
) -> Float[Array, ""] | np.ndarray:
    """Turn a number into a float array, or say what is wrong with it.

    A traced value is checked for its type and shape only. A concrete one stays on the
    host, where it costs nothing until a compiled program takes it.

    Args:
        name: Name of the parameter in messages.
        value: A real number or a scalar array.
        kind: What it must be; always finite.
        why: A sentence for the message that says why, or what to do.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is not a scalar or is out of range.
    """
    if type(value) is float:  # Most numbers are, and are through in a tenth of the time.
        _check_range(name, value, kind, why)
        return np.asarray(value)
    array = np.asarray(value) if is_concrete(value) else value
    if not _is_real(array):
        raise TypeError(
            f"`{name}` must be a real number, but is {value!r} of type "
            f"{type(value).__name__}."
        )
    if array.shape != ():
        raise ValueError(
            f"`{name}` must be a scalar, but has shape {array.shape}. To run several "
            f"values at once, map over it with `jax.vmap`."
        )
    if isinstance(array, np.ndarray):
        _check_range(name, float(array), kind, why)
    is_float = jnp.issubdtype(array.dtype, jnp.floating)
    return array if is_float else array.astype(default_float())


def as_time(t: Any) -> Float[Array, "..."]:
    """A time as a float array; plain numbers are taken, too."""
    t = jnp.asarray(t)
    return t if jnp.issubdtype(t.dtype, jnp.floating) else t.astype(default_float())


def known(value: Any) -> np.ndarray | None:
    """The numbers that a value holds, or `None` while it is traced.

    Under `jax.jit` even a constant is traced once `jax.numpy` has touched it, so look
    at what the user passed, with NumPy.
    """
    return np.asarray(value) if is_concrete(value) else None


def _is_real(array: Any) -> bool:
    dtype = jnp.result_type(array) if not isinstance(array, np.ndarray) else array.dtype
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)


def _check_range(name: str, number: float, kind: Kind, why: str) -> None:
    if not math.isfinite(number):
        raise ValueError(f"`{name}` must be finite, but has value {number}.")
    if not {"positive": number > 0, "at least 0": number >= 0, "finite": True}[kind]:
        raise ValueError(f"`{name}` must be {kind}, but has value {number}. {why}".rstrip())


def warn(message: str) -> None:
    """Warn the caller of the library: the place is the first one outside of it.

    Args:
        message: What, why, and what to do.
    """
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
