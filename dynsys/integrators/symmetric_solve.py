r"""Solving $(c_0 I + c_1 H)u = r$ with the Hessian $H$ of an objective."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.lapack import by_cholesky
from dynsys.systems.conjugate_gradients import conjugate_gradients
from dynsys.systems.damped_newton import DENSE_LIMIT
from dynsys.trees import Position, as_vector, combine, dimension, from_vector

Matrix = Float[Array, "dim dim"]
Vector = Float[Array, " dim"]
Product = Callable[[Position], Position]

CLOSED_LIMIT = 3
"""Up to this dimension the inverse is written out: a call of LAPACK costs more."""


class Hessian(NamedTuple):
    """The Hessian of an objective at a point.

    Args:
        product: The product with it.
        matrix: Its entries, up to `DENSE_LIMIT` coordinates, where it is formed.
    """

    product: Product
    matrix: Matrix | None


def hessian_at(
    gradient: Callable[[Position], Position], x: Position
) -> tuple[Position, Hessian]:
    """The gradient at a point, and the Hessian there."""
    value, product = jax.linearize(gradient, x)
    if dimension(x) > DENSE_LIMIT:
        return value, Hessian(product, None)
    column = lambda direction: as_vector(product(from_vector(direction, x)))
    wide = as_vector(x)
    matrix = jax.vmap(column)(jnp.eye(len(wide), dtype=wide.dtype))
    multiply = _multiply_small if len(wide) <= CLOSED_LIMIT else jnp.matmul
    formed = lambda v: from_vector(multiply(matrix, as_vector(v)), v)
    return value, Hessian(formed, matrix)


def inverse_of_shifted(hessian: Hessian, c0: Any, c1: Any) -> Product:
    r"""The inverse of $c_0I + c_1H$, as a function of the right side.

    In closed form up to dimension 3, by Cholesky up to `DENSE_LIMIT`, above that by
    conjugate gradients. What it gives is not a number where the matrix is not positive
    definite, so that a step beyond the growth of an unstable direction is shortened.
    """
    if hessian.matrix is None:
        shifted = lambda v: combine((c0, v), (c1, hessian.product(v)))
        return lambda right_side: conjugate_gradients(shifted, right_side)
    size, dtype = len(hessian.matrix), hessian.matrix.dtype
    scaled = jnp.asarray(c1, dtype) * hessian.matrix
    matrix = jnp.asarray(c0, dtype) * jnp.eye(size, dtype=dtype) + scaled
    invert = _invert_small if size <= CLOSED_LIMIT else by_cholesky
    solve = invert(matrix)
    return lambda right_side: from_vector(solve(as_vector(right_side)), right_side)


def _multiply_small(matrix: Matrix, vector: Vector) -> Vector:
    """A product that the compiler joins with its surroundings."""
    size = range(len(vector))
    return jnp.stack([sum(matrix[i, j] * vector[j] for j in size) for i in size])


def _invert_small(matrix: Matrix) -> Callable[[Vector], Vector]:
    """The inverse by bordering, from one leading block to the next larger one.

    The last division is left for the solution: a quotient is computed once by the
    compiler, where it repeats sums in each place that uses them.
    """
    inverse: list[list[Any]] = []
    pivot = jnp.ones((), matrix.dtype)
    for size in range(len(matrix)):
        inverse = [[entry / pivot for entry in row] for row in inverse]
        border = [matrix[i, size] for i in range(size)]
        w = [sum(a * b for a, b in zip(row, border, strict=True)) for row in inverse]
        pivot = matrix[size, size] - sum(a * b for a, b in zip(w, border, strict=True))
        pivot = jnp.where(pivot > 0, pivot, jnp.nan)
        for i in range(size):
            inverse[i] = [inverse[i][j] * pivot + w[i] * w[j] for j in range(size)]
            inverse[i].append(-w[i])
        inverse.append([*(-entry for entry in w), jnp.ones((), matrix.dtype)])

    def solve(vector: Vector) -> Vector:
        rows = [sum(a * vector[j] for j, a in enumerate(row)) for row in inverse]
        return jnp.stack(rows) / pivot

    return solve
