r"""Solving $(c_0 I + c_1 H)u = r$ with the Hessian of an objective."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.systems.conjugate_gradients import conjugate_gradients
from dynsys.systems.damped_newton import DENSE_LIMIT
from dynsys.trees import Position, as_vector, combine, dimension, from_vector

Matrix = Float[Array, "dim dim"]
Vector = Float[Array, " dim"]
Product = Callable[[Position], Position]

CLOSED_LIMIT = 3
"""Up to this dimension the inverse is written out: a call of LAPACK costs more."""


def hessian_product(
    gradient: Callable[[Position], Position], x: Position
) -> tuple[Position, Product]:
    """The gradient at a point and the product with the Hessian there.

    Up to `DENSE_LIMIT` coordinates the Hessian is formed, once.
    """
    value, product = jax.linearize(gradient, x)
    if dimension(x) > DENSE_LIMIT:
        return value, product
    column = lambda direction: as_vector(product(from_vector(direction, x)))
    wide = as_vector(x)
    matrix = jax.vmap(column)(jnp.eye(len(wide), dtype=wide.dtype))
    matrix = 0.5 * (matrix + matrix.T)
    multiply = _multiply_small if len(wide) <= CLOSED_LIMIT else jnp.matmul
    return value, lambda v: from_vector(multiply(matrix, as_vector(v)), v)


def factorise(product: Product, c0: Any, c1: Any, like: Position) -> Product:
    r"""The inverse of $c_0I + c_1H$, as a function of the right side.

    In closed form up to dimension 3, by Cholesky up to `DENSE_LIMIT`, above that by
    conjugate gradients. It gives what is not a number where the matrix is not positive
    definite, so that a step beyond the growth of an unstable direction is shortened.

    Args:
        product: The product with $H$.
        c0: The scalar $c_0$.
        c1: The scalar $c_1$.
        like: A position, for its structure.
    """
    shifted = lambda v: combine((c0, v), (c1, product(v)))
    size = dimension(like)
    if size > DENSE_LIMIT:
        return lambda right_side: conjugate_gradients(shifted, right_side)
    wide = as_vector(like)
    column = lambda direction: as_vector(shifted(from_vector(direction, like)))
    matrix = jax.vmap(column)(jnp.eye(size, dtype=wide.dtype))
    invert = _invert_small if size <= CLOSED_LIMIT else _invert_by_cholesky
    solve = invert(matrix)
    return lambda right_side: from_vector(solve(as_vector(right_side)), right_side)


def _multiply_small(matrix: Matrix, vector: Vector) -> Vector:
    """A product in entries, which the compiler joins with its surroundings."""
    size = len(vector)
    rows = [
        sum((matrix[i, j] * vector[j] for j in range(1, size)), matrix[i, 0] * vector[0])
        for i in range(size)
    ]
    return jnp.stack(rows)


def _invert_by_cholesky(matrix: Matrix) -> Callable[[Vector], Vector]:
    factor = jax.scipy.linalg.cholesky(matrix, lower=True)
    return lambda vector: jax.scipy.linalg.cho_solve((factor, True), vector)


def _invert_small(matrix: Matrix) -> Callable[[Vector], Vector]:
    """The inverse by its root-free Cholesky factors $LDL^T$, written out."""
    size = len(matrix)
    lower: list[list[Any]] = [[None] * size for _ in range(size)]
    pivots: list[Any] = []
    for j in range(size):
        pivot = matrix[j, j]
        for k in range(j):
            pivot = pivot - lower[j][k] ** 2 * pivots[k]
        pivots.append(jnp.where(pivot > 0, pivot, jnp.nan))
        for i in range(j + 1, size):
            entry = matrix[i, j]
            for k in range(j):
                entry = entry - lower[i][k] * lower[j][k] * pivots[k]
            lower[i][j] = entry / pivots[j]
    inverse = [1 / pivot for pivot in pivots]

    def solve(vector: Vector) -> Vector:
        u = [vector[i] for i in range(size)]
        for i in range(size):
            for k in range(i):
                u[i] = u[i] - lower[i][k] * u[k]
        u = [entry * factor for entry, factor in zip(u, inverse, strict=True)]
        for i in reversed(range(size)):
            for k in range(i + 1, size):
                u[i] = u[i] - lower[k][i] * u[k]
        return jnp.stack(u)

    return solve
