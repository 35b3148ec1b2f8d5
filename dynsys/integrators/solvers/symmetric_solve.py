r"""Solving $(c_0 I + c_1 H)u = r$ with the Hessian $H$ of an objective."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.linear_solve import factorise_positive, multiply
from dynsys.systems.conjugate_gradients import conjugate_gradients
from dynsys.systems.damped_newton import DENSE_LIMIT
from dynsys.trees import Position, as_vector, combine, dimension, from_vector

Matrix = Float[Array, "dim dim"]
Product = Callable[[Position], Position]


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
    formed = lambda v: from_vector(multiply(matrix, as_vector(v)), v)
    return value, Hessian(formed, matrix)


def inverse_of_shifted(hessian: Hessian, c0: Any, c1: Any) -> Product:
    r"""The inverse of $c_0I + c_1H$, as a function of the right side.

    Directly up to `DENSE_LIMIT` coordinates (`dynsys.linear_solve`), beyond by conjugate
    gradients. What it gives is NaN where the matrix is not positive definite, so that a
    step beyond the growth of an unstable direction is shortened.
    """
    if hessian.matrix is None:
        shifted = lambda v: combine((c0, v), (c1, hessian.product(v)))
        return lambda right_side: conjugate_gradients(shifted, right_side)
    size, dtype = len(hessian.matrix), hessian.matrix.dtype
    scaled = jnp.asarray(c1, dtype) * hessian.matrix
    solve = factorise_positive(jnp.asarray(c0, dtype) * jnp.eye(size, dtype=dtype) + scaled)
    return lambda right_side: from_vector(solve(as_vector(right_side)), right_side)
