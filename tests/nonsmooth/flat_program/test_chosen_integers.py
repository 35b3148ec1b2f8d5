"""Integers that predicates decide: branches, cases and first true conditions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dynsys.nonsmooth import NotPiecewiseSmooth, kinks
from dynsys.nonsmooth.flat_program.chosen_integers import Node, combined, selected
from tests.tiers import one_in

X = jnp.array([0.3, -1.2, 2.0])
one = lambda p: p.astype(jnp.int32)
LINES = [lambda a: -2 * a, lambda a: a, lambda a: 3 * a - 2]

FOLLOWED = {
    "a sum": lambda a: lax.switch(one(a > 0) + one(a > 1), LINES, a),
    "a difference": lambda a: lax.switch(2 - one(a < 0) - one(a < 1), LINES, a),
    "a product": lambda a: lax.switch(one(a > 0) * (1 + one(a > 1)), LINES, a),
    "out of range": lambda a: lax.switch(5 * one(a > 1) + one(a > 0), LINES, a),
    "compared": lambda a: jnp.where(
        one(a > 0) + one(a > 1) == 2,
        3 * a - 2,
        jnp.where(one(a > 0) >= 1, a, -2 * a),
    ),
    "the first true one": lambda a: jnp.select([a > 1, a > 0], [3 * a - 2, a], -2 * a),
    "the last true one": lambda a: jnp.piecewise(
        a, [a > 0, a > 1], [LINES[1], LINES[2], LINES[0]]
    ),
    "one of a list": lambda a: lax.select_n(one(a > 0) + one(a > 1), -2 * a, a, 3 * a - 2),
}


@pytest.mark.parametrize("name", FOLLOWED)
@pytest.mark.parametrize("scale", one_in(3, [1.0, 1e-9, 1e9]))
def test_the_kinks_of_a_polygon_and_its_pieces(name, scale):
    loss = lambda x: scale * jnp.sum(jax.vmap(FOLLOWED[name])(x / scale))
    found = kinks(loss, X * scale)
    assert len(found.values) == 6
    points = np.random.default_rng(0).normal(size=(32, 3)) * 2 * scale
    for x in jnp.asarray(points):
        signature = found.pieces.signature(x)
        np.testing.assert_allclose(found.pieces.piece(x, signature), loss(x), rtol=1e-12)
    z = np.sort(np.abs(np.asarray(found.values)))
    right = np.abs(np.concatenate([X, np.asarray(X) - 1])) * scale
    ratio = np.sort(right) / z
    assert np.allclose(ratio, scale) or np.allclose(ratio, 1.0)


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_sign_between_two_blends_both_sides(name):
    """Half-way between its sides the loss is the mean of them."""
    found = kinks(lambda x: FOLLOWED[name](x[0]), jnp.array([0.5]))
    x = jnp.array([0.5])
    ends = [found.pieces.piece(x, found.signature.at[0].set(s)) for s in (-1.0, 0.0, 1.0)]
    np.testing.assert_allclose(ends[1], 0.5 * (ends[0] + ends[2]), rtol=1e-12)


def test_a_branch_that_jumps_is_refused():
    loss = lambda x: lax.switch((x[0] > 0).astype(int), [lambda: 1.0, lambda: 2.0])
    with pytest.raises(NotPiecewiseSmooth, match="jumps"):
        kinks(loss, X)


def test_the_largest_of_numbers_that_are_not_known_is_refused():
    with pytest.raises(NotPiecewiseSmooth, match="argmax"):
        kinks(lambda x: x[jnp.argmax(x)], X)


def test_trees_are_functions_of_their_predicates():
    p, q = (jnp.array(a) for a in ([True, True, False, False], [True, False, True, False]))
    a, b = Node(p, 2, 0), Node(q, Node(p, 3, 1), 0)
    total = combined(lambda u, v: u + v, a, b)
    cases = {n: jnp.full(4, n) for n in range(6)}
    right = [2 * i + j * (3 if i else 1) for i, j in itertools.product((1, 0), repeat=2)]
    np.testing.assert_array_equal(selected(total, cases), right)


def test_a_predicate_is_asked_once_on_every_way():
    p = jnp.array(True)
    square = combined(lambda u, v: u * v, Node(p, 2, 1), Node(p, 3, 1))
    assert square == Node(p, 6, 1)
