"""Conjugate gradients that notice a matrix that is not positive definite."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.trees import Position, combine, dimension, dot, largest, time_dtype, zeros_like

TOLERANCES = {64: 1e-11, 32: 1e-6}
"""Residual relative to the right side, by the number of bits."""

SWEEPS = 100
"""Iterations allowed, in multiples of the dimension: rounding costs many where the
matrix is ill-conditioned."""


class _Iterate(NamedTuple):
    solution: Position
    residual: Position
    direction: Position
    squared: Float[Array, ""]
    definite: Bool[Array, ""]
    iterations: Int[Array, ""]


def conjugate_gradients(
    matrix: Callable[[Position], Position], right_side: Position
) -> Position:
    r"""Solve $Mu = r$ for a symmetric positive definite $M$ known by its products.

    The curvatures $\langle d, Md\rangle$ of the directions are the pivots of $M$ on the
    Krylov space, so by Sylvester's law of inertia one of them is not positive as soon as
    the right side has a part in a direction of negative curvature; one without it says
    nothing of that direction. (lineax.CG does not report the curvatures, and converges
    for many indefinite matrices.)

    Args:
        matrix: The product $v \mapsto Mv$.
        right_side: The vector $r$.

    Returns:
        The vector $u$; not a number if the matrix is not positive definite there, or if
        the residual does not fall.
    """
    size = largest(right_side)
    size = jnp.where(size > 0, size, 1)
    unit = combine((1 / size, right_side))
    return combine((size, _solve_unit(matrix, unit)))


def _solve_unit(matrix: Callable[[Position], Position], right_side: Position) -> Position:
    """Solve for a right side of size 1, whose square does not underflow."""
    tolerance = TOLERANCES[jnp.finfo(time_dtype(right_side)).bits]
    target = tolerance**2 * dot(right_side, right_side)
    limit = SWEEPS * dimension(right_side)

    def goes_on(now: _Iterate) -> Array:
        return (now.squared > target) & now.definite & (now.iterations < limit)

    def improve(now: _Iterate) -> _Iterate:
        product = matrix(now.direction)
        curvature = dot(now.direction, product)
        size = now.squared / jnp.where(curvature > 0, curvature, 1)
        residual = combine((1.0, now.residual), (-size, product))
        squared = dot(residual, residual)
        return _Iterate(
            combine((1.0, now.solution), (size, now.direction)),
            residual,
            combine((1.0, residual), (squared / now.squared, now.direction)),
            squared,
            curvature > 0,
            now.iterations + 1,
        )

    squared = dot(right_side, right_side)
    zero = zeros_like(right_side)
    start = _Iterate(
        zero, right_side, right_side, squared, jnp.asarray(True), jnp.asarray(0)
    )
    last: Any = jax.lax.while_loop(goes_on, improve, start)
    sound = last.definite & (last.squared <= target)
    return combine((jnp.where(sound, 1.0, jnp.nan), last.solution))
