"""Signs that meet themselves: the piece is a blend of its two sides nevertheless."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.nonsmooth.finder.find_pieces import find_pieces


def one_predicate(x, is_above):
    return jnp.where(is_above, jnp.where(is_above, 2 * x, 1e3), -x)


SPELLINGS = {
    "and": lambda x: jnp.where((x > 0) & (2 * x > 0), 2 * x, -x),
    "or": lambda x: jnp.where((x < 0) | (-3 * x > 0), -x, 2 * x),
    "xor": lambda x: jnp.where(((x > 0) ^ (2 * x <= 0)) & (3 * x > 0), 2 * x, -x),
    "cube of a sign": lambda x: 1.5 * x * jnp.sign(x) ** 3 + 0.5 * x,
    "one predicate": lambda x: one_predicate(x, x > 0),
    "square of a sign": lambda x: jnp.sign(x) ** 2 * (1.5 * jnp.abs(x) + 0.5 * x),
    "abs in a case": lambda x: jnp.where(x > 0, 2 * jnp.abs(x), -x),
    "nested": lambda x: jnp.where(x > 0, jnp.where(3 * x > 0, 2 * x, 1e3), -x),
    "logarithm": lambda x: jnp.where(
        x > 0, jnp.where(2 * x > 0, 2 * jnp.log1p(x), jnp.log(-x)), -x
    ),
}


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("name", SPELLINGS)
def test_gradient_is_a_blend_of_both_sides(name, size):
    pieces = find_pieces(lambda x: jnp.sum(SPELLINGS[name](x)), jnp.ones(size))
    assert pieces.number == size
    x, signs = jnp.zeros(size), jnp.linspace(-1, 1, size)
    for end in (-1.0, 0.4, 1.0):
        s = signs.at[0].set(end)
        np.testing.assert_allclose(pieces.gradient(x, s), 0.5 + 1.5 * s, atol=1e-12)
        slope = jax.jacfwd(lambda s: pieces.gradient(x, s))(s)
        np.testing.assert_allclose(slope, 1.5 * np.eye(size), atol=1e-12)


@pytest.mark.parametrize("size", [2, 7])
@pytest.mark.parametrize("name", SPELLINGS)
def test_piece_is_the_loss_off_the_kinks(name, size):
    loss = lambda x: jnp.sum(SPELLINGS[name](x))
    pieces = find_pieces(loss, jnp.ones(size))
    x = jnp.linspace(-3.1, 2.3, size)
    signs = pieces.signature(x)
    np.testing.assert_allclose(pieces.piece(x, signs), loss(x), rtol=1e-12)
    truth = jnp.where(x > 0, jax.grad(loss)(jnp.abs(x)), -1.0)
    np.testing.assert_allclose(pieces.gradient(x, signs), truth, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 7])
@pytest.mark.parametrize("name", ["and", "nested"])
def test_no_gap_where_the_values_meet(name, size):
    pieces = find_pieces(lambda x: jnp.sum(SPELLINGS[name](x)), jnp.ones(size))
    for end in (-1.0, 1.0):
        gap, _ = pieces.gaps(jnp.zeros(size), jnp.full(size, end))
        np.testing.assert_allclose(gap, 0.0, atol=1e-12)


def test_programs_grow_little_with_the_number_of_such_signs():
    def equations(size):
        pieces = find_pieces(lambda x: jnp.sum(SPELLINGS["and"](x)), jnp.ones(size))
        run = jax.make_jaxpr(pieces.evaluate)(jnp.ones(size), jnp.ones(size))
        return str(run).count("\n")

    one, *more = (equations(size) for size in (1, 2, 3, 4))
    assert max(more) < 3 * one
