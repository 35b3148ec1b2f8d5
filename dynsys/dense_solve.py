"""Solving dense linear systems, of which most are tiny."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.lapack import by_lu

Matrix = Float[Array, "dim dim"]
Vector = Float[Array, " dim"]

WRITTEN_OUT = 6
"""Up to this dimension the factors are written out: a call of LAPACK costs more, and
cannot be joined with its surroundings."""


def factorise(matrix: Matrix) -> Callable[[Vector], Vector]:
    """The solution of a linear system as a function of its right side.

    Args:
        matrix: Any matrix; where it is singular, solutions are not finite.
    """
    if len(matrix) > WRITTEN_OUT:
        return by_lu(matrix)
    return functools.partial(_substitute, _eliminate(matrix))


class Factors(NamedTuple):
    """The factors of a matrix whose rows were swapped.

    Args:
        rows: Multipliers below the diagonal, the eliminated matrix from it on.
        swaps: Pairs of rows, and whether they were swapped, in order.
    """

    rows: list[Vector]
    swaps: list[tuple[int, int, Array]]


def _eliminate(matrix: Matrix) -> Factors:
    """Gaussian elimination with the largest pivot of each column."""
    size = len(matrix)
    rows = [matrix[i] for i in range(size)]
    swaps: list[tuple[int, int, Array]] = []
    for k, i in itertools.combinations(range(size), 2):
        is_larger = jnp.abs(rows[i][k]) > jnp.abs(rows[k][k])
        rows[k], rows[i] = _swap(is_larger, rows[k], rows[i])
        swaps.append((k, i, is_larger))
        if i < size - 1:
            continue
        for j in range(k + 1, size):
            factor = rows[j][k] / rows[k][k]
            rest = rows[j][k + 1 :] - factor * rows[k][k + 1 :]
            rows[j] = jnp.concatenate([rows[j][:k], factor[None], rest])
    return Factors(rows, swaps)


def _substitute(factors: Factors, vector: Vector) -> Vector:
    """Forward with the multipliers, and backward with what is left."""
    rows, size = factors.rows, len(vector)
    b = [vector[i] for i in range(size)]
    for k, i, is_larger in factors.swaps:
        b[k], b[i] = _swap(is_larger, b[k], b[i])
    for i, k in itertools.product(range(size), range(size)):
        if k < i:
            b[i] = b[i] - rows[i][k] * b[k]
    for i in reversed(range(size)):
        known = sum(rows[i][k] * b[k] for k in range(i + 1, size))
        b[i] = (b[i] - known) / rows[i][i]
    return jnp.stack(b)


def _swap(condition: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return jnp.where(condition, b, a), jnp.where(condition, a, b)
