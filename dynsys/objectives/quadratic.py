"""The quadratic function, on which every system has a closed form."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.checks import as_floats, known
from dynsys.objectives.objective import AbstractObjective, Facts


class Quadratic(AbstractObjective):
    r"""A quadratic function $f(x) = \frac12\langle Ax, x\rangle + \langle c, x\rangle$.

    Its minimiser is $-A^{-1}c$, its constants $\mu$ and $L$ are the extreme eigenvalues
    of $A$; all of them are known where $A$ is positive definite.

    Args:
        matrix: Symmetric matrix $A$ of shape `(dim, dim)`.
        linear: Vector $c$ of shape `(dim,)`; zero if left out.

    Raises:
        ValueError: `matrix` is not square and symmetric, or `linear` does not fit.

    Example:
        >>> float(Quadratic([[1.0, 0.0], [0.0, 10.0]])(jnp.array([1.0, 1.0])))
        5.5

    Source:
        Elementary.
    """

    matrix: Float[Array, "dim dim"]
    linear: Float[Array, " dim"]

    def __init__(self, matrix: Any, linear: Any = None):
        values = known(matrix)
        matrix = as_floats(matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(
                f"`matrix` must be square, of shape (dim, dim), but has shape "
                f"{matrix.shape}."
            )
        if values is not None and not np.allclose(values, values.T):
            raise ValueError(
                "`matrix` must be symmetric, but is not. For the same function pass "
                "(matrix + matrix.T) / 2."
            )
        linear = jnp.zeros_like(matrix[0]) if linear is None else as_floats(linear)
        if linear.shape != matrix[0].shape:
            raise ValueError(
                f"`linear` must have shape {matrix[0].shape} to fit the matrix, but has "
                f"shape {linear.shape}."
            )
        self.matrix = matrix
        self.linear = linear

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        matrix, linear = self.matrix.astype(x.dtype), self.linear.astype(x.dtype)
        return 0.5 * jnp.dot(x, matrix @ x) + jnp.dot(linear, x)

    @property
    def smooth(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        eigenvalues = jnp.linalg.eigvalsh(self.matrix)
        values = known(eigenvalues)
        if values is None or values[0] <= 0:
            return Facts(L=jnp.max(jnp.abs(eigenvalues)))
        minimiser = -jnp.linalg.solve(self.matrix, self.linear)
        return Facts(
            minimisers=minimiser[None],
            minimum=0.5 * jnp.dot(self.linear, minimiser),
            mu=eigenvalues[0],
            L=eigenvalues[-1],
            saddles=jnp.zeros((0, *self.linear.shape)),
        )
