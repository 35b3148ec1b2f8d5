"""Data movement, and sums of products, on arrays with axes of turns and rows in front."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.checks import default_float

LEAD = 2
"""Axes in front of those of the program: turns and rows."""


def _broadcast(equation: Any, a: np.ndarray) -> np.ndarray:
    shape = equation.params["shape"]
    full = [1] * len(shape)
    for axis, target in enumerate(equation.params["broadcast_dimensions"]):
        full[target] = a.shape[LEAD + axis]
    return np.broadcast_to(a.reshape(*a.shape[:LEAD], *full), (*a.shape[:LEAD], *shape))


def _reshape(equation: Any, a: np.ndarray) -> np.ndarray:
    return a.reshape(*a.shape[:LEAD], *equation.outvars[0].aval.shape)


def _transpose(equation: Any, a: np.ndarray) -> np.ndarray:
    order = (i + LEAD for i in equation.params["permutation"])
    return a.transpose(*range(LEAD), *order)


def _cut(equation: Any, a: np.ndarray) -> np.ndarray:
    params = equation.params
    steps = params["strides"] or (1,) * len(params["start_indices"])
    bounds = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    return a[(..., *(slice(*b) for b in bounds))]


def _reverse(equation: Any, a: np.ndarray) -> np.ndarray:
    return np.flip(a, tuple(i + LEAD for i in equation.params["dimensions"]))


def _concatenate(equation: Any, *operands: np.ndarray) -> np.ndarray:
    turns = max(a.shape[0] for a in operands)
    same = [np.broadcast_to(a, (turns, *a.shape[1:])) for a in operands]
    return np.concatenate(same, axis=equation.params["dimension"] + LEAD)


def _split(equation: Any, a: np.ndarray) -> list[np.ndarray]:
    ends = np.cumsum(equation.params["sizes"])[:-1]
    return np.split(a, ends, axis=equation.params["axis"] + LEAD)


SIMPLE: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "reshape": _reshape,
    "rev": _reverse,
    "slice": _cut,
    "split": _split,
    "squeeze": _reshape,
    "transpose": _transpose,
}
"""Moves that NumPy makes."""

INDEXED = frozenset(
    {
        "dynamic_slice",
        "dynamic_update_slice",
        "gather",
        "pad",
        "scatter",
        "stack",
        "tile",
    }
)
"""Moves that are looked up: JAX is asked once from which entry each one comes."""


def sources(equation: Any, known: Sequence[Any]) -> list[np.ndarray] | None:
    """For each entry of the results, which entry of the joined operands it is.

    Args:
        equation: A move.
        known: The values of operands that are no data to be moved, `None` for the others.

    Returns:
        Indices, -1 where the entry comes from no operand; `None` if they cannot be told.
    """
    start, operands = 1, []
    for v, value in zip(equation.invars, known, strict=True):
        if value is not None:
            operands.append(value)
            continue
        size = int(np.prod(v.aval.shape, dtype=int))
        dtype = v.aval.dtype if jnp.issubdtype(v.aval.dtype, jnp.floating) else jnp.float32
        if start + size > 2 / jnp.finfo(dtype).eps:
            return None
        names = np.arange(start, start + size).reshape(v.aval.shape)
        operands.append(jnp.asarray(names, dtype))
        start += size
    with jax.ensure_compile_time_eval():
        found = equation.primitive.bind(*operands, **equation.params)
    found = found if equation.primitive.multiple_results else [found]
    return [np.nan_to_num(np.asarray(f, float)).astype(int) - 1 for f in found]


def targets(equation: Any, index: Any) -> np.ndarray | None:
    """For each update, the entry of the array that it is added to.

    Args:
        equation: The addition.
        index: The value of its indices.

    Returns:
        Indices, -1 for what is added nowhere; `None` if they cannot be told.
    """
    array, _, updates = (v.aval for v in equation.invars)
    dtype = default_float()
    if array.size + 1 > 2 / jnp.finfo(dtype).eps:
        return None
    names = jnp.arange(1, array.size + 1, dtype=dtype).reshape(array.shape)
    zeros = jnp.zeros(array.shape, dtype)
    bind = lambda u: equation.primitive.bind(zeros, index, u, **equation.params)
    with jax.ensure_compile_time_eval():
        _, pull = jax.vjp(bind, jnp.zeros(updates.shape, dtype))
        return np.rint(np.abs(pull(names)[0])).astype(int) - 1


def slots(into: np.ndarray, size: int) -> np.ndarray:
    """Of each entry of an array which updates are added to it, -1 in empty places."""
    into = into.reshape(-1)
    order = np.argsort(into, kind="stable")
    order = order[into[order] >= 0]
    entry = into[order]
    rank = np.arange(len(entry)) - np.searchsorted(entry, entry)
    found = np.full((size, int(rank.max(initial=-1)) + 1), -1)
    found[entry, rank] = order
    return found


def take(indices: np.ndarray, operands: Sequence[np.ndarray], absent: np.ndarray) -> Any:
    """Entries of joined operands, and NaN where there is none."""
    turns = max(a.shape[0] for a in operands)
    flat = [np.broadcast_to(a, (turns, *a.shape[1:])) for a in operands]
    flat = [a.reshape(*a.shape[:LEAD], -1) for a in flat]
    absent = np.broadcast_to(absent.reshape(1, -1, 1), (*flat[0].shape[:LEAD], 1))
    return np.concatenate([*flat, absent], axis=LEAD)[..., indices]


def dot(equation: Any) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The product of arrays that `dot_general` takes."""
    (contract_a, contract_b), (batch_a, batch_b) = equation.params["dimension_numbers"]
    rank_a, rank_b = (len(v.aval.shape) for v in equation.invars)
    rest = lambda rank, used: [i for i in range(rank) if i not in used]
    free_a = rest(rank_a, (*contract_a, *batch_a))
    free_b = rest(rank_b, (*contract_b, *batch_b))
    shape = equation.outvars[0].aval.shape

    def order(a: np.ndarray, *axes: Sequence[int]) -> np.ndarray:
        """The array with some axes joined."""
        sizes = [[a.shape[LEAD + i] for i in group] for group in axes]
        a = a.transpose(*range(LEAD), *(LEAD + i for group in axes for i in group))
        count = lambda size: int(np.prod(size, dtype=int))
        return a.reshape(*a.shape[:LEAD], *map(count, sizes))

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        left, right = (
            order(a, batch_a, free_a, contract_a),
            order(b, batch_b, contract_b, free_b),
        )
        out = np.matmul(left, right)
        return out.reshape(*out.shape[:LEAD], *shape)

    return product


def convolution(equation: Any) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """The convolution of arrays; `None` where JAX has no floats that are exact enough."""
    if default_float() != np.float64:
        return None
    params = {**equation.params, "preferred_element_type": None}
    bind = jax.vmap(lambda a, b: equation.primitive.bind(a, b, **params))

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        turns = max(a.shape[0], b.shape[0])
        flat = [
            np.broadcast_to(v, (turns, *v.shape[1:])).reshape(-1, *v.shape[LEAD:])
            for v in (a, b)
        ]
        with jax.ensure_compile_time_eval():
            out = np.asarray(bind(*flat))
        return out.reshape(turns, -1, *out.shape[1:])

    return product


def is_data(v: Any) -> bool:
    """Whether an operand of a move is what is moved, and no index."""
    return jnp.issubdtype(v.aval.dtype, jnp.inexact)
