"""Clarke's subdifferential and the operator D: hulls, sums and queries."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import lsq_linear

import dynsys as ds
from dynsys.nonsmooth import GradientSet, clarke_subdifferential, d_operator

HALVES = [jax.nn.relu, lambda t: -jax.nn.relu(-t)]

MAX_OF_RELUS = lambda x: jnp.maximum(jax.nn.relu(x[0]), jax.nn.relu(x[1]))


def rows(points):
    return sorted(map(tuple, np.round(np.asarray(points), 9).tolist()))


def test_the_example_of_the_talk():
    """|t| - |t|: the sum is 0, and so is its subdifferential; D is [-2, 2]."""
    terms = [jnp.abs, lambda t: -jnp.abs(t)]
    total = clarke_subdifferential(lambda t: jnp.abs(t) - jnp.abs(t), 0.0)
    assert rows(total.vertices) == [(0,)]
    assert rows(d_operator(terms, 0.0).vertices) == [(-2,), (2,)]


def test_the_halves_of_a_linear_function():
    total = clarke_subdifferential(lambda t: jax.nn.relu(t) - jax.nn.relu(-t), 0.0)
    assert rows(total.vertices) == [(1,)]
    assert rows(d_operator(HALVES, 0.0).vertices) == [(0,), (2,)]
    halved = d_operator(HALVES, 0.0, 0.5)
    assert rows(halved.vertices) == [(0,), (1,)]
    assert halved.contains([0.0])
    assert not total.contains([0.0])


@pytest.mark.parametrize(
    ("loss", "x", "vertices"),
    [
        (lambda x: jnp.sum(jnp.abs(x)), [0.0, 2.0], [(-1, 1), (1, 1)]),
        (lambda x: jnp.max(x), [1.0, 1.0], [(0, 1), (1, 0)]),
        (
            lambda x: jnp.max(jnp.stack([x[0], x[1], -x[0] - x[1]])),
            [0.0, 0.0],
            [(-1, -1), (0, 1), (1, 0)],
        ),
        (
            lambda x: jnp.linalg.norm(x, jnp.inf),
            [0.0, 0.0],
            [(-1, 0), (0, -1), (0, 1), (1, 0)],
        ),
        (lambda x: -jnp.abs(x[0]) + x[1], [0.0, 0.0], [(-1, 1), (1, 1)]),
        (lambda x: jnp.abs(jnp.abs(x[0]) - x[1]), [1.0, 1.0], [(-1, 1), (1, -1)]),
        (lambda x: jnp.sum(x**2), [1.0, 2.0], [(2, 4)]),
        (MAX_OF_RELUS, [0.0, 0.0], [(0, 0), (0, 1), (1, 0)]),
        (MAX_OF_RELUS, [0.0, -1.0], [(0, 0), (1, 0)]),
        (MAX_OF_RELUS, [-1.0, -1.0], [(0, 0)]),
        (
            lambda x: jnp.maximum(jnp.abs(x[0]), -jnp.abs(x[1])),
            [0.0, 0.0],
            [(-1, 0), (1, 0)],
        ),
        (
            lambda x: jnp.maximum(x[1], -jnp.abs(x[0])),
            [0.0, 0.0],
            [(-1, 0), (0, 1), (1, 0)],
        ),
        (lambda x: jnp.abs(x[0] * x[1]), [0.0, 0.0], [(0, 0)]),
        (lambda x: jnp.maximum(x[0] ** 2, x[1] ** 2), [0.0, 0.0], [(0, 0)]),
        (lambda x: jnp.abs(x[0] ** 3) + jnp.abs(x[1]) ** 2, [0.0, 0.0], [(0, 0)]),
        (lambda x: jnp.abs(x[0] * x[1]) + jnp.abs(x[0]), [0.0, 0.0], [(-1, 0), (1, 0)]),
    ],
)
def test_vertices(loss, x, vertices):
    assert rows(clarke_subdifferential(loss, x).vertices) == sorted(vertices)


def test_the_minimiser_of_the_talk_is_critical_and_only_it():
    loss = ds.objectives.NonsmoothRosenbrock()
    assert np.linalg.norm(clarke_subdifferential(loss, [1.0, 1.0]).minimal_norm()) < 1e-12
    for point in ([0.0, 0.0], [0.0, 0.5], [1.0, 0.9]):
        smallest = clarke_subdifferential(loss, point).minimal_norm()
        assert np.linalg.norm(smallest) > 0.1


def test_dependent_kinks_are_said_to_be_first_order():
    curved = lambda x: jnp.abs(x[1]) - jnp.abs(x[1] - x[0] ** 2)
    assert clarke_subdifferential(curved, [0.0, 0.0]).first_order
    assert not clarke_subdifferential(lambda x: jnp.sum(jnp.abs(x)), [0.0, 0.0]).first_order


def test_signs_that_matter_without_a_normal_are_said_to_be_first_order():
    """Of x^3 the normal at 0 is 0, and yet it is the sign that selects."""
    found = clarke_subdifferential(lambda x: jnp.where(x**3 > 0, x, 0.0), 0.0)
    assert rows(found.vertices) == [(0,), (1,)]
    assert found.first_order
    product = lambda x: jnp.abs(x[0] * x[1]) + jnp.abs(x[0])
    assert not clarke_subdifferential(product, [0.0, 0.0]).first_order


def test_limits_of_gradients_fill_the_set():
    """Gradients next to a vertex of a network lie in the set, and reach its vertices."""
    random = np.random.default_rng(0)
    weights, out = random.normal(size=(3, 2)), random.normal(size=3)
    loss = lambda x: jnp.sum(out * jax.nn.relu(weights @ x)) + jnp.sum(x**2)
    found = clarke_subdifferential(loss, [0.0, 0.0])
    near = 1e-9 * random.normal(size=(400, 2))
    gradients = np.asarray(jax.vmap(jax.grad(loss))(jnp.asarray(near)))
    assert max(found.distance(g) for g in gradients) < 1e-7
    for vertex in found.vertices:
        assert np.min(np.linalg.norm(gradients - vertex, axis=1)) < 1e-7


def test_queries_of_a_box():
    box = clarke_subdifferential(lambda x: jnp.sum(jnp.abs(x)), [0.0, 0.0, 0.0])
    assert len(box.vertices) == 8
    assert box.support([1.0, -2.0, 3.0]) == pytest.approx(6)
    np.testing.assert_allclose(box.project([2.0, 0.5, -3.0]), [1.0, 0.5, -1.0], atol=1e-12)
    assert box.distance([2.0, 0.0, 0.0]) == pytest.approx(1)
    assert box.contains([1.0, -1.0, 0.3])
    np.testing.assert_allclose(box.minimal_norm(), 0, atol=1e-12)


def test_projections_obey_their_variational_inequality():
    random = np.random.default_rng(1)
    for _ in range(20):
        terms = tuple(random.normal(size=(random.integers(1, 9), 4)) for _ in range(3))
        found, point = GradientSet(terms), 2 * random.normal(size=4)
        nearest = found.project(point)
        away = nearest - point
        assert found.support(-away) + away @ nearest < 1e-9
        assert found.contains(nearest)


def test_a_sum_of_many_terms_needs_no_list_of_vertices():
    random = np.random.default_rng(2)
    data = random.normal(size=(30, 3))
    terms = [lambda x, a=a: jnp.abs(a @ x) for a in jnp.asarray(data)]
    found = d_operator(terms, jnp.zeros(3), 1 / 30)
    assert found.contains(np.zeros(3))
    d = random.normal(size=3)
    assert found.support(d) == pytest.approx(np.mean(np.abs(data @ d)))
    with pytest.raises(ValueError, match="more than 4096"):
        _ = found.vertices


def test_a_mini_batch_is_unbiased():
    """The mean of the support functions of all batches is that of the whole."""
    terms = [lambda t: jnp.abs(t), lambda t: jnp.abs(t - 1), lambda t: 2 * t]
    whole = d_operator(terms, 0.0, 1 / 3)
    for d in (1.0, -1.0):
        batches = [
            d_operator([terms[i] for i in batch], 0.0, 0.5).support([d])
            for batch in itertools.combinations(range(3), 2)
        ]
        assert np.mean(batches) == pytest.approx(whole.support([d]))


def test_pytrees_are_one_vector():
    loss = lambda p: jnp.abs(p["a"]) + jnp.sum(p["b"] ** 2)
    found = clarke_subdifferential(loss, {"a": 0.0, "b": jnp.array([1.0, 2.0])})
    assert rows(found.vertices) == [(-1, 2, 4), (1, 2, 4)]


def test_refusals():
    with pytest.raises(ValueError, match="no terms"):
        d_operator([], 0.0)
    with pytest.raises(ValueError, match="`weights` must be"):
        d_operator(HALVES, 0.0, [1.0, 2.0, 3.0])


def test_any_number_of_convex_kinks_is_a_sum_of_segments():
    """The zonotope of 40 rows, some parallel, some opposite, by its support function."""
    A = np.random.default_rng(3).integers(-3, 4, (40, 3)).astype(float)
    point = jnp.array([0.1, 0.2, 0.3])
    found = clarke_subdifferential(lambda x: jnp.sum(jnp.abs(A @ (x - point))), point)
    for d in np.random.default_rng(4).normal(size=(5, 3)):
        np.testing.assert_allclose(found.support(d), np.abs(A @ d).sum())
    assert found.contains(np.zeros(3))
    assert found.pieces is None
    assert not found.first_order


def test_too_many_pieces_are_refused(monkeypatch):
    monkeypatch.setattr("dynsys.nonsmooth.cells.MOST_CELLS", 16)
    with pytest.raises(ValueError, match="16 smooth pieces meet .*, on 5 kinks"):
        clarke_subdifferential(lambda x: -jnp.sum(jnp.abs(x)), jnp.zeros(5))


def test_the_smallest_element_of_a_box_of_any_size_and_scale_is_that_of_scipy():
    rng = np.random.default_rng(0)
    for number in (1, 2, 17, 64):
        for scale in (1e-9, 1.0, 1e9):
            slopes, base = rng.normal(size=(number, 24)), rng.normal(size=24)
            segments = (np.stack([-slope, slope]) for slope in scale * slopes)
            found = GradientSet((scale * base[None], *segments)).minimal_norm()
            w = lsq_linear(slopes.T, -base, bounds=(-1, 1), method="bvls", tol=1e-15).x
            exact = scale * (base + w @ slopes)
            np.testing.assert_allclose(found, exact, rtol=0, atol=1e-9 * scale)


def test_a_maximum_has_a_point_for_each_of_its_functions():
    """And not for each order of the others; of a bent one, those of both its sides."""
    planes = np.random.default_rng(0).normal(size=(20, 8))
    found = clarke_subdifferential(lambda x: jnp.max(jnp.asarray(planes) @ x), np.zeros(8))
    assert (found.pieces, found.first_order) == (20, False)
    assert rows(found.terms[0]) == rows(planes)
    sides = clarke_subdifferential(lambda x: jnp.max(jnp.abs(x)), np.zeros(8))
    assert (sides.pieces, sides.first_order) == (16, False)
    assert rows(sides.terms[0]) == rows([*np.eye(8), *-np.eye(8)])
