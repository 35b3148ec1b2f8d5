"""Small products of arrays as loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.products import LARGEST, has_small_products, with_products_in_loops

RNG = np.random.default_rng(0)
A, B = jnp.asarray(RNG.normal(size=(4, 3))), jnp.asarray(RNG.normal(size=(3, 5)))
CUBE = jnp.asarray(RNG.normal(size=(2, 3, 4)))
lax = jax.lax

PROGRAMS = {
    "vector": lambda x: A @ x,
    "from the left": lambda x: x @ B,
    "square": lambda x: x @ (A.T @ (A @ x)),
    "matrix": lambda x: jnp.outer(x, x) @ B,
    "two axes": lambda x: jnp.tensordot(CUBE, jnp.outer(x, A[:, 0]), 2),
    "no axis": lambda x: jnp.tensordot(x, x, 0),
    "inner axes": lambda x: jnp.einsum("ijk,j->ik", CUBE, x),
    "constants and a call": lambda x: jax.jit(lambda y: A @ (2 * y))(x) + 1,
    "while": lambda x: lax.while_loop(
        lambda s: jnp.sum(A @ s) < 9, lambda s: s + jnp.abs(A.T @ (A @ s)), x
    ),
    "scan": lambda x: lax.scan(lambda s, b: (0.1 * A.T @ (A @ s), b @ s), x, B.T),
    "branches": lambda x: lax.cond(x[0] > 0, lambda y: A @ y, lambda y: A[:, 0] * y[1], x),
    "rule for a derivative": lambda x: jnp.sum(jax.nn.relu(A @ x)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_outputs_are_those_of_the_program(name):
    program, x = PROGRAMS[name], jnp.asarray(RNG.normal(size=3))
    closed = jax.make_jaxpr(program)(x)
    assert has_small_products(closed.jaxpr)
    in_loops = jax.jit(lambda x: with_products_in_loops(closed, [x]))
    exact = jax.tree.leaves(program(x))
    for ours, theirs in zip(in_loops(x), exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    assert "dot_general" not in str(jax.make_jaxpr(in_loops)(x))


def test_many_loops_in_one_are_left_as_they_are():
    halve = lambda s: A.T @ (A @ s) / 100
    one = lambda x: lax.while_loop(lambda s: jnp.sum(s**2) > 1e-3, halve, x)
    several = jnp.asarray(RNG.normal(size=(5, 3)))
    closed = jax.make_jaxpr(jax.vmap(one))(several)
    (found,) = jax.jit(lambda x: with_products_in_loops(closed, [x]))(several)
    np.testing.assert_allclose(found, jax.vmap(one)(several), rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "is_small"),
    [((128, 128), True), ((1, 129), False), ((LARGEST // 64 + 1, 64), False)],
)
def test_large_products_are_left_to_the_library(shape, is_small):
    matrix = jnp.zeros(shape)
    closed = jax.make_jaxpr(lambda x: matrix @ x)(jnp.zeros(shape[1]))
    assert has_small_products(closed.jaxpr) == is_small
    both = jax.make_jaxpr(lambda x: (matrix @ x, x @ x))(jnp.zeros(shape[1]))
    assert has_small_products(both.jaxpr) == is_small


def test_a_run_on_least_squares_is_one_kernel_with_the_same_path(monkeypatch):
    b = jnp.ones(4)
    system = ds.DIN(lambda x: 0.5 * jnp.sum((A @ x - b) ** 2), 1.0, 0.1)
    run = jax.jit(lambda x: ds.simulate(system, x, t1=2.0, times=5).x)
    x0 = jnp.array([1.0, -1.0, 0.5])
    one = run(x0)
    assert "xla_cpu_small_call" in run.lower(x0).as_text()
    monkeypatch.setattr("dynsys.kernel.has_small_products", lambda _: False)
    jax.clear_caches()
    other = jax.jit(lambda x: ds.simulate(system, x, t1=2.0, times=5).x)
    assert "xla_cpu_small_call" not in other.lower(x0).as_text()
    np.testing.assert_allclose(one, other(x0), rtol=1e-10, atol=1e-13)
