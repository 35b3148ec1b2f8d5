"""Signs of kinks that meet, against independent solutions of the same problem."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import lsq_linear

from dynsys.nonsmooth.active_set import find_signs
from dynsys.nonsmooth.finder.find_pieces import find_pieces
from dynsys.nonsmooth.search import Aim
from dynsys.nonsmooth.smallest_gradient import smallest_signature

RANDOM = np.random.default_rng(5)


def settled(loss, x, drift, factor=-1.0):
    """The signs of the kinks that a point lies on."""
    pieces = find_pieces(loss, x)
    start, zero = pieces.signature(x), jnp.zeros(pieces.number)
    meeting = jnp.abs(pieces.switching(x, start)) <= 1e-12 * pieces.sizes(x)
    none = zero > 0
    aim = Aim(jnp.asarray(drift), jnp.asarray(factor))
    return pieces, jax.jit(find_signs)(pieces, x, aim, start, meeting, none, none)


@pytest.mark.parametrize(("rows", "size"), [(3, 5), (9, 2), (200, 4)])
def test_of_convex_kinks_the_velocity_is_the_smallest(rows, size):
    """The same by least squares with bounds: min |c - A' w| over the box."""
    A = RANDOM.integers(-3, 4, (rows, size)).astype(float)

    @jax.jit
    def solve(point, drift):
        loss = lambda x: jnp.sum(jnp.abs(A @ (x - point)))
        pieces, found = settled(loss, point, drift)
        run = lambda x: pieces.switching(x, found.signature)
        v = drift - pieces.gradient(point, found.signature)
        return found, v, jax.jacobian(run)(point)

    for scale in (1e-9, 1.0, 1e9):
        point = scale * jnp.asarray(RANDOM.normal(size=size))
        drift = jnp.asarray(RANDOM.normal(size=size) * rows / 3)
        found, v, normals = solve(point, drift)
        right = lsq_linear(A.T, np.asarray(drift), (-1, 1), tol=1e-14, max_iter=1000)
        smallest = drift - A.T @ right.x
        assert bool(found.settled)
        assert bool(found.unique)
        np.testing.assert_allclose(v, smallest, atol=1e-6 * np.linalg.norm(drift))
        assert np.linalg.norm(v) <= np.linalg.norm(smallest) * (1 + 1e-12) + 1e-12
        alone = found.ties.leader == jnp.arange(len(found.held))
        leads = np.asarray(found.held & alone)
        assert np.linalg.matrix_rank(normals[leads]) == leads.sum() <= size


def hull(vertices, drift):
    """The smallest c - g over a hull, by its faces."""
    best = None
    for count in range(1, vertices.shape[1] + 2):
        for face in itertools.combinations(range(len(vertices)), count):
            corner = drift - vertices[list(face)]
            edges = corner[1:] - corner[0]
            weights = np.linalg.lstsq(edges.T, -corner[0], rcond=None)[0]
            if (weights >= -1e-12).all() and weights.sum() <= 1 + 1e-12:
                v = corner[0] + weights @ edges
                if best is None or v @ v < best @ best:
                    best = v
    return best


def test_of_nested_kinks_of_a_maximum_too():
    zero = jnp.zeros(3)

    @jax.jit
    def solve(A, drift):
        pieces, found = settled(lambda x: jnp.max(A @ x), zero, drift)
        return found.settled, drift - pieces.gradient(zero, found.signature)

    for seed in range(12):
        random = np.random.default_rng(seed)
        A = random.integers(-2, 3, (7, 3)).astype(float)
        drift = random.normal(size=3)
        is_settled, v = solve(jnp.asarray(A), jnp.asarray(drift))
        assert bool(is_settled)
        np.testing.assert_allclose(v, hull(A, drift), atol=1e-9)


def test_ties_of_convex_and_concave_kinks_act_by_what_is_left():
    """|x| - |x|/2 is |x|/2: it is held for forces up to 1/2, and not up to 3/2."""

    def loss(data, x):
        return jnp.sum(data * jnp.abs(x * jnp.array([1.0, 2.0])))

    data = jnp.array([1.0, -0.25])
    run = jax.jit(
        lambda data, drift: settled(lambda x: loss(data, x), jnp.array(0.0), drift[None])[1]
    )
    for force, is_held in [(0.4, True), (-0.4, True), (0.6, False), (-1.2, False)]:
        found = run(data, jnp.array(force))
        assert bool(found.held.all()) == is_held
        assert bool(found.settled)
        assert bool(found.unique)
        if not is_held:
            np.testing.assert_array_equal(found.signature, np.sign(force))


def test_ties_that_cancel_are_no_bend():
    def loss(data, x):
        return jnp.sum(data * jnp.abs(x * jnp.array([1.0, 2.0]))) + 0.5 * x

    run = jax.jit(
        lambda data: settled(lambda x: loss(data, x), jnp.array(0.0), jnp.zeros(1))[1]
    )
    assert not bool(run(jnp.array([1.0, -0.5])).bends.any())
    assert bool(run(jnp.array([1.0, -0.4])).bends.all())


def test_a_concave_kink_may_leave_to_both_sides():
    loss = lambda x: -jnp.abs(x[0]) + jnp.abs(x[1])
    for drift, unique in [([0.5, 0.0], False), ([1.5, 0.0], True), ([-1.5, 3.0], True)]:
        _, found = settled(loss, jnp.zeros(2), np.array(drift))
        assert bool(found.settled)
        assert bool(found.unique) == unique


def test_concave_kinks_that_depend_on_others_are_in_doubt():
    """|x| + |y| - |x + y|/2: the box of signs is larger than the hull of gradients."""
    loss = lambda x: jnp.sum(jnp.abs(x)) - 0.5 * jnp.abs(x[0] + x[1])
    _, found = settled(loss, jnp.zeros(2), np.zeros(2))
    assert not bool(found.unique)
    convex = lambda x: jnp.sum(jnp.abs(x)) + 0.5 * jnp.abs(x[0] + x[1])
    _, found = settled(convex, jnp.zeros(2), np.zeros(2))
    assert bool(found.unique)


def test_hidden_kinks_have_no_part():
    """Inside of a relu that is off, a kink turns by itself."""
    loss = lambda x: jax.nn.relu(jnp.abs(x[0]) - 1) + x[0]
    _, found = settled(loss, jnp.zeros(2), np.array([-1.0, 0.0]))
    assert bool(found.settled)
    assert not bool(found.held.any())
    assert not bool(found.bends.any())


def test_a_kink_that_is_fixed_keeps_its_sign():
    pieces = find_pieces(lambda x: jnp.sum(jnp.abs(x)), jnp.zeros(2))
    aim = Aim(jnp.array([0.3, 0.3]), jnp.array(-1.0))
    fixed = jnp.array([True, False])
    none = jnp.zeros(2, bool)
    found = find_signs(pieces, jnp.zeros(2), aim, jnp.ones(2), ~none, fixed, none)
    np.testing.assert_allclose(found.signature, [1.0, 0.3])
    np.testing.assert_array_equal(found.held, [False, True])


@pytest.mark.parametrize("weight", [1.0, -1.0])
def test_the_smallest_gradient_of_convex_and_of_concave_kinks(weight):
    loss = lambda x: weight * (jnp.abs(x[0]) + 2 * jnp.abs(x[1])) + 0.3 * x[0] - 5 * x[1]
    pieces = find_pieces(loss, jnp.zeros(2))
    w = smallest_signature(pieces, jnp.zeros(2), jnp.ones(2, bool)).signature
    np.testing.assert_allclose(pieces.gradient(jnp.zeros(2), w), [0.0, -3.0], atol=1e-12)


def test_a_jump_counts_even_where_none_was_seen():
    """Whether gradients meet is seen at some points; where they do not, it shows."""
    pieces = find_pieces(jnp.abs, jnp.array(0.0))
    none = jnp.zeros(1, bool)
    aim = Aim(jnp.array([0.3]), jnp.array(-1.0))
    look = lambda pieces, x: find_signs(pieces, x, aim, jnp.ones(1), ~none, none, none)
    wrong = dataclasses.replace(pieces, joint=(True,))
    assert bool(look(wrong, jnp.array(0.0)).bends.all())
    huber = lambda x: jnp.where(x < 1, 0.5 * x**2, x - 0.5)
    pieces = find_pieces(huber, jnp.array(0.0))
    assert pieces.joint == (True,)
    assert not bool(look(pieces, jnp.array(1 + 4e-11)).bends.any())
