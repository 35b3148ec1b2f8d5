"""Linear systems by LAPACK, one matrix at a time.

A call for a batch of matrices shares them out among the threads of XLA and waits on one of
them. Where two such calls meet, as two threads or two independent parts of one program,
each can hold the thread that the other needs, and the program never ends (jaxlib 0.10; a
single matrix is factorised where it is). So on a processor batches are factorised in a
loop.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.custom_batching import sequential_vmap
from jax.extend.core import Jaxpr
from jax.scipy.linalg import cho_solve, cholesky, lu_factor, lu_solve
from jaxtyping import Array, Float

from dynsys.programs.equations import all_equations
from dynsys.programs.primitives import LIBRARIES

Matrix = Float[Array, "dim dim"]
Vector = Float[Array, " dim"]


def batches_wait() -> bool:
    """Whether libraries are called for one matrix after the other: on a processor."""
    return jax.default_backend() == "cpu"


def calls_in_batches(jaxpr: Jaxpr) -> bool:
    """Whether a library is called for a batch of matrices in a program, at any depth."""
    return any(map(_is_batch, all_equations(jaxpr)))


def _is_batch(equation: Any) -> bool:
    ranks = [len(v.aval.shape) for v in equation.invars]
    return equation.primitive.name in LIBRARIES and max(ranks, default=0) > 2


def by_lu(matrix: Matrix) -> Callable[[Vector], Vector]:
    """The solution of a linear system as a function of its right side.

    Args:
        matrix: Any matrix; where it is singular, solutions are not finite.
    """
    return _solver(
        matrix,
        lambda a: lu_factor(a, check_finite=False),
        lambda factors, vector: lu_solve(factors, vector, trans=0),
        lambda factors, vector: lu_solve(factors, vector, trans=1),
    )


def by_cholesky(matrix: Matrix) -> Callable[[Vector], Vector]:
    """The solution of a linear system as a function of its right side.

    Args:
        matrix: A symmetric matrix; where it is not positive definite, solutions are not a
            number.
    """
    solve = lambda factor, vector: cho_solve((factor, True), vector)
    return _solver(matrix, lambda a: cholesky(a, lower=True), solve, solve)


def _solver(
    matrix: Matrix,
    factorise: Callable[[Matrix], Any],
    substitute: Callable[[Any, Vector], Vector],
    substitute_transposed: Callable[[Any, Vector], Vector],
) -> Callable[[Vector], Vector]:
    """Solutions whose derivatives are those of the system, not of the factorisation."""
    in_turn = sequential_vmap if batches_wait() else lambda function: function
    factors = in_turn(factorise)(jax.lax.stop_gradient(matrix))
    forward, backward = map(in_turn, (substitute, substitute_transposed))

    def solve(vector: Vector) -> Vector:
        return jax.lax.custom_linear_solve(
            lambda solution: matrix @ solution,
            vector,
            lambda _, right_side: forward(factors, right_side),
            lambda _, right_side: backward(factors, right_side),
        )

    return solve
