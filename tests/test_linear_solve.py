"""Small linear systems: written out, in loops and by LAPACK."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.linear_solve import ROLLED, factorise, factorise_positive, multiply

SIZES = [1, 2, 3, 4, 7, ROLLED, ROLLED + 1]


@pytest.mark.parametrize("size", SIZES)
def test_solutions_are_those_of_lapack(size):
    rng = np.random.default_rng(size)
    matrix, right = rng.normal(size=(size, size)), rng.normal(size=size)
    solution = jax.jit(lambda a, b: factorise(a)(b))(matrix, right)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, right), rtol=1e-10)


def test_rows_are_swapped_where_a_pivot_vanishes():
    matrix = jnp.array([[0.0, 0.0, 2.0], [1e-20, 3.0, 0.0], [4.0, 0.0, 0.0]])
    np.testing.assert_allclose(factorise(matrix)(jnp.arange(1.0, 4.0)), [0.75, 2 / 3, 0.5])


@pytest.mark.parametrize("size", SIZES)
def test_solutions_of_positive_matrices_are_accurate_at_condition_1e10(size):
    # The error of a backward stable solution is at most the condition times the precision.
    rng = np.random.default_rng(size)
    basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
    matrix = basis @ np.diag(np.geomspace(1, 1e-10, size)) @ basis.T
    solution = rng.normal(size=size)
    for solve in (factorise, factorise_positive):
        found = jax.jit(lambda a, b, solve=solve: solve(a)(b))(matrix, matrix @ solution)
        error = np.linalg.norm(found - solution) / np.linalg.norm(solution)
        assert error < 1e10 * 10 * np.finfo(float).eps


@pytest.mark.parametrize("size", SIZES)
def test_what_is_not_positive_definite_has_no_solution(size):
    matrix = np.eye(size)
    matrix[-1, -1] = -1e-3
    assert np.isnan(factorise_positive(jnp.asarray(matrix))(jnp.ones(size))).any()
    matrix[-1, -1] = 0
    assert np.isnan(factorise_positive(jnp.asarray(matrix))(jnp.ones(size))).any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("solve", [factorise, factorise_positive])
def test_derivatives_are_those_of_the_system(size, solve):
    rng = np.random.default_rng(size)
    root, right = rng.normal(size=(size, size)), rng.normal(size=size)
    matrix = root @ root.T + np.eye(size)
    loss = lambda a, b: jnp.sum(jnp.sin(solve(a)(b)))
    exact = jax.grad(lambda a, b: jnp.sum(jnp.sin(jnp.linalg.solve(a, b))), (0, 1))
    for derivative in (jax.jacrev, jax.jacfwd):
        found = jax.jit(derivative(loss, (0, 1)))(matrix, right)
        for ours, theirs in zip(found, exact(matrix, right), strict=True):
            # Of a symmetric matrix either triangle may be read.
            both = (ours, theirs) if ours.ndim == 1 else (ours + ours.T, theirs + theirs.T)
            np.testing.assert_allclose(*both, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 4), (4, ROLLED), (3, ROLLED + 1)])
def test_products_are_those_of_numpy(shape):
    rng = np.random.default_rng(0)
    matrix, vector = rng.normal(size=shape), rng.normal(size=shape[1])
    product = multiply(jnp.asarray(matrix), jnp.asarray(vector))
    np.testing.assert_allclose(product, matrix @ vector, rtol=1e-12, atol=1e-14)


def test_solutions_have_derivatives():
    solve = lambda a: factorise(jnp.array([[a, 1.0], [2.0, 0.5]]))(jnp.ones(2))[0]
    exact = lambda a: (0.5 - 1) / (0.5 * a - 2)
    np.testing.assert_allclose(jax.grad(solve)(0.3), jax.grad(exact)(0.3), rtol=1e-12)


def test_singular_matrices_give_no_finite_solution():
    assert not np.isfinite(factorise(jnp.ones((2, 2)))(jnp.arange(2.0))).any()
