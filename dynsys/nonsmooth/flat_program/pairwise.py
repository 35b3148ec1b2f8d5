"""Maxima and the like over axes and windows, as trees of pairs."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PAIRS = {
    "reduce_and": "and",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_or": "or",
    "reduce_window_max": "max",
    "reduce_window_min": "min",
}
"""What primitives over axes or windows do with two entries."""

OF_TWO = {
    "and": jax.lax.bitwise_and,
    "max": jax.lax.max,
    "min": jax.lax.min,
    "or": jax.lax.bitwise_or,
}
SMALLEST = {"max": -np.inf, "min": np.inf}


def can_pair(equation: Any) -> bool:
    """Whether an equation is a maximum or the like that `pairwise` knows."""
    name, params = equation.primitive.name, equation.params
    if name not in PAIRS or not equation.invars[0].aval.size:
        return False
    if not name.startswith("reduce_window"):
        return True
    return set(params["base_dilation"]) == {1} and set(params["window_dilation"]) == {1}


def pairwise(equation: Any, x: Any) -> Any:
    """A maximum or the like over axes or windows, as a tree of pairs."""
    name, params = equation.primitive.name, equation.params
    kind = PAIRS[name]
    if name.startswith("reduce_window"):
        return _tree(OF_TWO[kind], jnp.stack(_windows(params, x, SMALLEST[kind])))
    axes = params["axes"]
    rest = tuple(size for i, size in enumerate(x.shape) if i not in axes)
    return _tree(OF_TWO[kind], jnp.moveaxis(x, axes, range(len(axes))).reshape(-1, *rest))


def _windows(params: Any, x: Any, filling: float) -> list[Any]:
    """One array for each place in a window."""
    padding = [(low, high, 0) for low, high in params["padding"]]
    x = jax.lax.pad(x, jnp.asarray(filling, x.dtype), padding)
    sizes, strides = params["window_dimensions"], params["window_strides"]
    counts = [
        (length - size) // stride
        for length, size, stride in zip(x.shape, sizes, strides, strict=True)
    ]
    arrays = []
    for offset in itertools.product(*map(range, sizes)):
        last = [o + n * s + 1 for o, n, s in zip(offset, counts, strides, strict=True)]
        arrays.append(jax.lax.slice(x, offset, last, strides))
    return arrays


def _tree(pair: Callable[[Any, Any], Any], x: Any) -> Any:
    """Join the entries along the first axis in pairs, pairs of pairs and so on."""
    while len(x) > 1:
        half = len(x) // 2
        x = jnp.concatenate([pair(x[:half], x[half : 2 * half]), x[2 * half :]])
    return x[0]
