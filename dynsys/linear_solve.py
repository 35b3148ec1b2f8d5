"""Dense linear systems, of which most are tiny.

A call of LAPACK costs more than a tiny system, cannot be joined with its surroundings, and
takes the matrices of an ensemble one by one. So up to a size the inverse is formed here: by
arithmetic that is written out up to `WRITTEN_OUT` rows, and in loops over the rows, which
are small programs, up to `ROLLED`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.lapack import by_cholesky, by_lu

Matrix = Float[Array, "dim dim"]
Vector = Float[Array, " dim"]
Solve = Callable[[Vector], Vector]

WRITTEN_OUT = 3
"""Rows up to which nothing is in a loop."""

ROLLED = 16
"""Rows above which LAPACK is faster."""


def factorise(matrix: Matrix) -> Solve:
    """The solution of a linear system as a function of its right side.

    Args:
        matrix: Any matrix; where it is singular, solutions are not finite.
    """
    if len(matrix) > ROLLED:
        return by_lu(matrix)
    # An inverse leaves a larger residual than factors, by as much as the condition.
    return _with_inverse(matrix, _inverse, refines=True)


def factorise_positive(matrix: Matrix) -> Solve:
    """The solution of a linear system as a function of its right side.

    Args:
        matrix: A symmetric matrix; where it is not positive definite, solutions are NaN.
    """
    if len(matrix) > ROLLED:
        return by_cholesky(matrix)
    return _with_inverse(matrix, _inverse_of_positive, refines=False)


def multiply(matrix: Float[Array, "rows dim"], vector: Vector) -> Float[Array, " rows"]:
    """A product that the compiler joins with its surroundings if it is small."""
    if max(matrix.shape) > ROLLED:
        return jnp.matmul(matrix, vector, precision="highest")
    if max(matrix.shape) <= WRITTEN_OUT:
        total = matrix[:, 0] * vector[0]
        for j in range(1, len(vector)):
            total = total + matrix[:, j] * vector[j]
        return total
    add = lambda j, total: total + _take(matrix, j, 1) * _take(vector, j)
    begin = jnp.zeros(len(matrix), matrix.dtype)
    return jax.lax.fori_loop(0, len(vector), add, begin)


def multiply_matrices(
    left: Float[Array, "rows dim"], right: Float[Array, "dim columns"]
) -> Float[Array, "rows columns"]:
    """The same for two matrices."""
    largest = max(*left.shape, *right.shape)
    if WRITTEN_OUT < largest <= ROLLED:
        return jax.vmap(multiply, (None, 1), 1)(left, right)
    if largest > ROLLED:
        return jnp.matmul(left, right, precision="highest")
    total = left[:, :1] * right[:1]
    for j in range(1, len(right)):
        total = total + left[:, j : j + 1] * right[j : j + 1]
    return total


def _with_inverse(
    matrix: Matrix, invert: Callable[[Matrix], Matrix], *, refines: bool
) -> Solve:
    """The solution of a linear system as a function of its right side."""
    inverse = jax.lax.stop_gradient(invert(jax.lax.stop_gradient(matrix)))
    return lambda vector: _solved(refines, matrix, inverse, vector)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _solved(refines: bool, matrix: Matrix, inverse: Matrix, vector: Vector) -> Vector:
    """A solution whose derivatives are those of the system, not of the elimination."""
    solution = multiply(inverse, vector)
    if not refines:
        return solution
    return solution + multiply(inverse, vector - multiply(matrix, solution))


@_solved.defjvp
def _(refines: bool, primals: Any, tangents: Any) -> tuple[Vector, Vector]:
    matrix, inverse, _ = primals
    change, _, move = tangents
    solution = _solved(refines, *primals)
    right_side = move - multiply(change, solution)
    return solution, _solved(refines, matrix, inverse, right_side)


def _inverse_of_positive(matrix: Matrix) -> Matrix:
    """Gauss-Jordan elimination in place; no rows need be swapped."""
    rows = jnp.arange(len(matrix))

    def eliminate(k: Any, rest: Matrix) -> Matrix:
        row, column = _take(rest, k), _take(rest, k, 1)
        pivot = _take(row, k)
        pivot = jnp.where(pivot > 0, pivot, jnp.nan)
        is_pivot = rows == k
        row = jnp.where(is_pivot, 1, row) / pivot
        column = jnp.where(is_pivot, 0, column)
        rest = jnp.where(is_pivot[None, :], 0, rest) - column[:, None] * row[None, :]
        return _put(rest, row, k)

    return _for_each(len(matrix), eliminate, matrix)


def _inverse(matrix: Matrix) -> Matrix:
    """Gauss-Jordan elimination beside the identity, with the largest pivots."""
    size = len(matrix)
    both = jnp.concatenate([matrix, jnp.eye(size, dtype=matrix.dtype)], axis=1)
    if size <= WRITTEN_OUT:
        return jnp.stack(_eliminated(list(both)))[:, size:]
    rows = jnp.arange(size)

    def eliminate(k: Any, both: Array) -> Array:
        column = jnp.where(rows >= k, jnp.abs(_take(both, k, 1)), -1)
        place = jnp.argmax(column)
        row = _take(both, place)
        both = _put(both, _take(both, k), place)
        row = row / _take(row, k)
        column = jnp.where(rows == k, 0, _take(both, k, 1))
        return _put(both - column[:, None] * row[None, :], row, k)

    return jax.lax.fori_loop(0, size, eliminate, both)[:, size:]


def _eliminated(rows: list[Vector]) -> list[Vector]:
    """The rows of a matrix and what is beside it, after that has become the identity."""
    for k in range(len(rows)):
        for i in range(k + 1, len(rows)):
            is_larger = jnp.abs(rows[i][k]) > jnp.abs(rows[k][k])
            above = jnp.where(is_larger, rows[i], rows[k])
            rows[i] = jnp.where(is_larger, rows[k], rows[i])
            rows[k] = above
        pivot = rows[k] / rows[k][k]
        rows = [row - row[k] * pivot for row in rows]
        rows[k] = pivot
    return rows


def _for_each(size: int, step: Callable[[Any, Array], Array], begin: Array) -> Array:
    """A loop over the rows of a matrix, written out if they are few."""
    if size > WRITTEN_OUT:
        return jax.lax.fori_loop(0, size, step, begin)
    for k in range(size):
        begin = step(k, begin)
    return begin


def _take(array: Array, i: Any, axis: int = 0) -> Array:
    return jax.lax.dynamic_index_in_dim(array, i, axis, keepdims=False)


def _put(array: Array, row: Array, i: Any) -> Array:
    return jax.lax.dynamic_update_index_in_dim(array, row, i, 0)
