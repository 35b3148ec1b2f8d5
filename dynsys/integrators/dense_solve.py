"""Solving dense linear systems, of which most are tiny."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

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
        factors = jax.scipy.linalg.lu_factor(matrix)
        return lambda vector: jax.scipy.linalg.lu_solve(factors, vector)
    return _eliminate(matrix)


def _eliminate(matrix: Matrix) -> Callable[[Vector], Vector]:
    """Gaussian elimination with the largest pivot of each column."""
    size = len(matrix)
    rows = [matrix[i] for i in range(size)]
    swaps: list[tuple[int, int, Array]] = []
    for k in range(size):
        for i in range(k + 1, size):
            is_larger = jnp.abs(rows[i][k]) > jnp.abs(rows[k][k])
            rows[k], rows[i] = _swap(is_larger, rows[k], rows[i])
            swaps.append((k, i, is_larger))
        for i in range(k + 1, size):
            factor = rows[i][k] / rows[k][k]
            rest = rows[i][k + 1 :] - factor * rows[k][k + 1 :]
            rows[i] = jnp.concatenate([rows[i][:k], factor[None], rest])

    def solve(vector: Vector) -> Vector:
        b = [vector[i] for i in range(size)]
        for k, i, is_larger in swaps:
            b[k], b[i] = _swap(is_larger, b[k], b[i])
        for i in range(size):
            for k in range(i):
                b[i] = b[i] - rows[i][k] * b[k]
        for i in reversed(range(size)):
            for k in range(i + 1, size):
                b[i] = b[i] - rows[i][k] * b[k]
            b[i] = b[i] / rows[i][i]
        return jnp.stack(b)

    return solve


def _swap(condition: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return jnp.where(condition, b, a), jnp.where(condition, a, b)
