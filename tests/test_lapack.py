"""Linear systems by LAPACK: derivatives, and batches in a loop."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.lapack import by_cholesky, by_lu

RNG = np.random.default_rng(0)
ANY = RNG.normal(size=(5, 8, 8))
MATRICES = {by_lu: ANY, by_cholesky: ANY @ ANY.transpose(0, 2, 1) + np.eye(8)}
RIGHT = RNG.normal(size=(5, 8))

each = pytest.mark.parametrize("by", MATRICES)


@each
def test_each_of_a_batch_is_solved(by):
    matrices = MATRICES[by]
    one = lambda matrix, right: by(matrix)(right)
    exact = np.linalg.solve(matrices[:, None], RIGHT[..., None])[..., 0]
    found = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(matrices, RIGHT)
    np.testing.assert_allclose(found, exact, rtol=1e-9)


@each
def test_batches_are_factorised_in_a_loop_on_a_processor(by, monkeypatch):
    # Two calls for batches at once can wait for each other for ever inside of XLA.
    loss = lambda matrix, right: jnp.sum(jnp.sin(by(matrix)(right)))
    lowered = lambda: jax.jit(jax.vmap(jax.grad(loss))).lower(MATRICES[by], RIGHT)
    batches = lambda: set(re.findall(r'num_batch_dims = "(\d)"', lowered().as_text()))
    assert batches() == {"0"}
    monkeypatch.setattr("dynsys.lapack.batches_wait", lambda: False)
    jax.clear_caches()
    assert batches() == {"1"}  # as on an accelerator


@each
def test_derivatives_of_both_modes_and_orders(by):
    matrix, right = MATRICES[by][0], RIGHT[0]
    loss = lambda matrix, right: jnp.sum(jnp.sin(by(matrix)(right)))
    plain = lambda matrix, right: jnp.sum(jnp.sin(jnp.linalg.solve(matrix, right)))
    exact = jax.grad(plain)(matrix, right)
    for derivative in (jax.jacrev, jax.jacfwd):
        first = derivative(loss)(matrix, right)
        np.testing.assert_allclose(first, exact, rtol=1e-9)
        second = derivative(jax.grad(loss, 1), 1)(matrix, right)
        np.testing.assert_allclose(second, jax.hessian(plain, 1)(matrix, right), rtol=1e-9)


def test_matrices_that_are_not_positive_definite_give_no_number():
    assert np.isnan(by_cholesky(jnp.diag(jnp.array([1.0, -1.0, 1.0])))(jnp.ones(3))).all()
