"""Small linear systems, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.dense_solve import WRITTEN_OUT, factorise


@pytest.mark.parametrize("size", range(1, WRITTEN_OUT + 2))
def test_solutions_are_those_of_lapack(size):
    rng = np.random.default_rng(size)
    matrix, right = rng.normal(size=(size, size)), rng.normal(size=size)
    solution = jax.jit(lambda a, b: factorise(a)(b))(matrix, right)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, right), rtol=1e-10)


def test_rows_are_swapped_where_a_pivot_vanishes():
    matrix = jnp.array([[0.0, 0.0, 2.0], [1e-20, 3.0, 0.0], [4.0, 0.0, 0.0]])
    np.testing.assert_allclose(factorise(matrix)(jnp.arange(1.0, 4.0)), [0.75, 2 / 3, 0.5])


def test_solutions_have_derivatives():
    solve = lambda a: factorise(jnp.array([[a, 1.0], [2.0, 0.5]]))(jnp.ones(2))[0]
    exact = lambda a: (0.5 - 1) / (0.5 * a - 2)
    np.testing.assert_allclose(jax.grad(solve)(0.3), jax.grad(exact)(0.3), rtol=1e-12)


def test_singular_matrices_give_no_finite_solution():
    assert not np.isfinite(factorise(jnp.ones((2, 2)))(jnp.arange(2.0))).any()
